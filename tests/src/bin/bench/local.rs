//! The one-process mode: `envoi serve` and an SMTP server as processes of their own, on one machine.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use envoi_tests::process::{Envoi, GUARD, SinkProcess};
use platform::{Clock, SystemClock};
use serde_json::json;
use tempfile::TempDir;

use crate::report::{Report, mib, per};
use crate::{campaign, people, segment};

/// Of what size, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many profiles are imported, and get the campaign.
    #[arg(long, default_value = "10000")]
    recipients: u64,
    /// How often the segment and the campaign are measured, on the same profiles.
    #[arg(long, default_value = "1")]
    repeat: u32,
    /// Where to put the data; by default into a temporary folder that is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many chunks are delivered at once; Envoi's own default where absent.
    #[arg(long)]
    concurrency: Option<u32>,
    /// The most connections to the server; Envoi's own default where absent.
    #[arg(long)]
    connections: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The import of the profiles.
    Import,
    /// And the count of a rule segment over them.
    Segment,
    /// And a campaign to all of them.
    Campaign,
    /// Everything.
    All,
}

pub(crate) async fn measure(what: What, options: &Options) -> anyhow::Result<()> {
    ensure!(options.recipients > 0, "a campaign to nobody takes no time");
    let temporary = TempDir::new()?;
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut arguments = Vec::new();
    for (name, value) in [("--concurrency", options.concurrency), ("--smtp-connections", options.connections)]
    {
        if let Some(value) = value {
            arguments.extend([name.to_owned(), value.to_string()]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sink = SinkProcess::start(None, &[]).await?;
    let mut envoi = Envoi::new(folder.join("envoi"), sink.address(), &arguments);
    let mut report = Report::default();

    envoi.start().await?;
    import(&envoi, options.recipients, &mut report).await?;
    restart(&mut envoi).await?;
    if matches!(what, What::Segment | What::All) {
        for _ in 0..options.repeat {
            segment::measure(&envoi, options.recipients, &mut report).await?;
        }
    }
    let mut campaigns = 0;
    if matches!(what, What::Campaign | What::All) {
        for _ in 0..options.repeat {
            // Each in a process of its own, so that the peak of memory is the campaign's.
            restart(&mut envoi).await?;
            campaign::measure(&envoi, &sink, options.recipients, &mut report).await?;
            campaigns += 1;
        }
    }
    ensure!(envoi.terminate(GUARD).await?.success(), "envoi does not end well: {}", envoi.said());
    let taken = sink.finish().await?;
    let accepted = taken.counts["accepted"].as_u64().context("the sink counts")?;
    ensure!(accepted == campaigns * options.recipients, "the server took {accepted} messages");
    if let Some(bytes) = taken.counts["bytes"].as_u64().filter(|_| accepted > 0) {
        report.line(
            "message",
            &json!({ "bytes": bytes / accepted, "connections": taken.counts["connections"] }),
        );
    }
    let logged = envoi.logged();
    ensure!(logged.is_empty(), "envoi has something to complain of: {logged:?}");
    report.print();
    Ok(())
}

async fn restart(envoi: &mut Envoi) -> anyhow::Result<()> {
    ensure!(envoi.terminate(GUARD).await?.success(), "envoi does not end well: {}", envoi.said());
    envoi.start().await
}

async fn import(envoi: &Envoi, recipients: u64, report: &mut Report) -> anyhow::Result<()> {
    let before = envoi.usage()?;
    let started = SystemClock.monotonic();
    let answer = envoi.api()?.import(people::csv(recipients)).await?;
    let seconds = (SystemClock.monotonic() - started).as_secs_f64();
    ensure!(answer["created"] == recipients, "not everybody was imported: {answer}");
    let used = envoi.usage()?;
    report.line(
        "import",
        &json!({
            "rows": recipients,
            "seconds": seconds,
            "rows_per_second": recipients as f64 / seconds,
            "cpu_us_per_row": per(used.seconds() - before.seconds(), recipients),
            "peak_mib": mib(used.peak_kib),
            "written_bytes_per_row": (used.written_bytes - before.written_bytes) as f64 / recipients as f64,
            "database_bytes_per_row": envoi.database_bytes()? as f64 / recipients as f64,
        }),
    );
    Ok(())
}
