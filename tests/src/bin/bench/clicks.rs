//! Clicks and opens: recipients of a campaign, asking `envoi serve` for the links of their messages as fast as they are
//! answered. The links are taken from the messages themselves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use envoi_tests::process::{Envoi, GUARD};
use envoi_tests::sink::{Keep, Sink, SinkOptions};
use mail_parser::MessageParser;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, host, percentile};
use crate::people;
use crate::report::{Report, mib, per};

const HTML: &str = "<html><body><p>Dear {{profile.person.name.firstName}}, \
    <a href=\"https://shop.example.com/?who={{profile.external_id}}&amp;utm_source=news\">look</a>.</p>\
    <p><a href=\"{{links.unsubscribe}}\">No more of this</a></p></body></html>";
/// What a person reads mail by.
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
/// How long links are asked for before the measurement, so that everything is warm.
const WARM_UP: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);
/// Whoever asks next is so many recipients further: people do not read in the order of a list, and neighbours on it share a
/// chunk, and with it a lock.
const STRIDE: usize = 7919;

/// How many, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many clients ask at the same time, each over a connection that it keeps.
    #[arg(long, value_delimiter = ',', default_value = "16,64")]
    clients: Vec<usize>,
    /// To how many people the campaign went. A second visit of the same person costs less than the first: there should be
    /// enough of them.
    #[arg(long, default_value = "50000")]
    recipients: u64,
    /// For how many seconds each measurement asks.
    #[arg(long, default_value = "5")]
    seconds: u64,
    /// Where to put the data; by default into a temporary folder that is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// The links of one kind, in the order in which they are asked for.
struct Links {
    what: &'static str,
    /// What they are answered by.
    status: u16,
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let temporary = TempDir::new()?;
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let sink = Sink::start(SinkOptions { keep: Keep::Messages, ..SinkOptions::default() }).await?;
    let mut envoi = Envoi::new(folder, sink.address(), &[]);
    envoi.start().await?;
    send(&envoi, options.recipients).await?;
    let mut report = Report::default();
    let [clicks, opens] = links(&envoi, &sink)?.map(Arc::new);
    for clients in &options.clients {
        for links in [&clicks, &opens] {
            visit(&envoi, links, *clients, WARM_UP).await?;
            ask(&envoi, links, *clients, options.seconds, &mut report).await?;
        }
    }
    ensure!(envoi.terminate(GUARD).await?.success(), "envoi does not end well: {}", envoi.said());
    // A visit that could not be counted is logged.
    let logged = envoi.logged();
    ensure!(logged.is_empty(), "envoi has something to complain of: {logged:?}");
    report.print();
    Ok(())
}

/// A campaign to everybody.
async fn send(envoi: &Envoi, recipients: u64) -> anyhow::Result<()> {
    let api = envoi.api()?;
    let import = api.import(people::csv(recipients)).await?;
    ensure!(import["created"] == recipients, "not everybody was imported: {import}");
    let segment = api.rule("profile.orders >= 0").await?;
    let campaign = api.campaign(&segment, "News", HTML).await?;
    api.activate(&campaign).await?;
    let execution = api.finished(&campaign, POLL).await?;
    ensure!(execution["total"]["sent"] == recipients, "not everybody got it: {}", execution["total"]);
    Ok(())
}

/// Everybody's links, as requests.
fn links(envoi: &Envoi, sink: &Sink) -> anyhow::Result<[Links; 2]> {
    let (api, mut paths) = (envoi.api()?, [Vec::new(), Vec::new()]);
    let starts = ["/t/c/", "/t/o/"].map(|path| format!("\"{}{path}", api.base()));
    for received in sink.messages() {
        let message = received.message.context("messages are kept")?;
        let mail = MessageParser::default().parse(&message).context("it is a mail")?;
        let html = mail.body_html(0).context("it has HTML")?;
        for (start, paths) in starts.iter().zip(&mut paths) {
            let at = html.find(start).with_context(|| format!("there is no {start} in {html}"))?;
            let url = html[at + 1..].split('"').next().unwrap_or_default();
            paths.push(url.strip_prefix(api.base()).unwrap_or_default().to_owned());
        }
    }
    let [clicks, opens] = paths;
    let head =
        format!("HTTP/1.1\r\nhost: {}\r\nuser-agent: {AGENT}\r\naccept-language: en\r\n\r\n", host(api)?);
    let links = |what, status, paths: Vec<String>| Links {
        what,
        status,
        requests: (0..paths.len())
            .map(|n| format!("GET {} {head}", paths[n * STRIDE % paths.len()]).into_bytes())
            .collect(),
        next: AtomicUsize::new(0),
    };
    Ok([links("clicks", 302, clicks), links("opens", 200, opens)])
}

async fn ask(
    envoi: &Envoi,
    links: &Arc<Links>,
    clients: usize,
    seconds: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (before, first) = (envoi.usage()?, links.next.load(Ordering::Relaxed));
    let begun = Instant::now();
    let mut took = visit(envoi, links, clients, Duration::from_secs(seconds)).await?;
    let asked = begun.elapsed().as_secs_f64();
    let (after, count) = (envoi.usage()?, took.len() as u64);
    report.line(
        links.what,
        &json!({
            "clients": clients,
            "requests": count,
            "first_visits": links.requests.len().saturating_sub(first).min(took.len()),
            "requests_per_second": count as f64 / asked,
            "answer_ms_p50": percentile(&mut took, 50.0),
            "answer_ms_p99": percentile(&mut took, 99.0),
            "answer_ms_max": percentile(&mut took, 100.0),
            "envoi_user_us": per(after.user_seconds - before.user_seconds, count),
            "envoi_system_us": per(after.system_seconds - before.system_seconds, count),
            "written_bytes_per_request": (after.written_bytes - before.written_bytes) as f64 / count as f64,
            "peak_mib": mib(after.peak_kib),
        }),
    );
    Ok(())
}

/// Clients that ask until the time is over; how long each answer took, in milliseconds.
async fn visit(
    envoi: &Envoi,
    links: &Arc<Links>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Vec<f64>> {
    let until = Instant::now() + time;
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (mut client, links) = (Client::connect(envoi.api()?).await?, Arc::clone(links));
        running.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < until {
                let next = links.next.fetch_add(1, Ordering::Relaxed) % links.requests.len();
                let begun = Instant::now();
                client.ask(&links.requests[next], links.status).await?;
                took.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(client) = running.join_next().await {
        took.extend(client??);
    }
    Ok(took)
}
