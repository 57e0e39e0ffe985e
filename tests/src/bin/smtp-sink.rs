//! An SMTP server that takes everything and writes down whose it was, for benchmarks and for tests that kill the
//! sender.
//!
//! It prints `listening on PORT`, runs until SIGTERM or SIGINT (or, with `--until-stdin-closes`, until its standard input
//! ends), and prints its counters then, as one line of JSON.

use std::{io::Read, time::Duration};

use anyhow::{Context, bail};
use envoi_tests::sink::{Counts, Keep, Sink, SinkOptions};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str =
    "usage: smtp-sink [--port PORT] [--log FILE] [--close-after N] [--per-second N] [--delay-ms N]
                 [--drop-before-reply N] [--greylist] [--no-pipelining] [--until-stdin-closes]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut options = SinkOptions { keep: Keep::Nothing, ..SinkOptions::default() };
    let mut port = 0;
    let mut until_stdin_closes = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--port" => port = value()?.parse()?,
            "--log" => options.log = Some(value()?.into()),
            "--close-after" => options.close_after = Some(value()?.parse()?),
            "--per-second" => options.per_second = Some(value()?.parse()?),
            "--delay-ms" => options.delay = Duration::from_millis(value()?.parse()?),
            "--drop-before-reply" => options.drop_before_reply = Some(value()?.parse()?),
            "--greylist" => options.greylist = true,
            "--no-pipelining" => options.pipelining = false,
            "--until-stdin-closes" => until_stdin_closes = true,
            _ => bail!("{name} is unknown\n{USAGE}"),
        }
    }
    let sink = Sink::start_on(options, port).await.context("can't start")?;
    println!("listening on {}", sink.address().port());

    let (closed, stdin_closes) = tokio::sync::oneshot::channel::<()>();
    // Held, it never reports an end.
    let mut held = Some(closed);
    if until_stdin_closes {
        let closed = held.take();
        std::thread::spawn(move || {
            // An error is an end as well.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            drop(closed);
        });
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stdin_closes => {}
    }
    sink.flush_log();
    println!("{}", json(sink.counts()));
    Ok(())
}

fn json(counts: Counts) -> serde_json::Value {
    let Counts { connections, ended, offered, accepted, bytes, refused, throttled, violations, faults } =
        counts;
    serde_json::json!({
        "connections": connections,
        "ended": ended,
        "offered": offered,
        "accepted": accepted,
        "bytes": bytes,
        "refused": refused,
        "throttled": throttled,
        "violations": violations,
        "faults": faults,
    })
}
