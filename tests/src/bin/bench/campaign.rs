//! A campaign to everybody.

use std::time::Duration;

use anyhow::ensure;
use envoi_tests::process::{Envoi, SinkProcess};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::machine::busy_seconds;
use crate::report::{Report, mib, per};

/// Its subject.
pub(crate) const SUBJECT: &str =
    "{{profile.person.name.firstName}}, {{profile.points}} points and a new roast";
/// A letter of 5.7 KB with a dozen variables, conditions and a list.
pub(crate) const HTML: &str = include_str!("letter.html");
/// How often is asked whether it is through.
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn measure(
    envoi: &Envoi,
    sink: &SinkProcess,
    recipients: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let api = envoi.api()?;
    let segment = api.rule("profile.orders >= 0").await?;
    let campaign = api.campaign(&segment, SUBJECT, HTML).await?;
    let validation = api.post(&format!("/campaigns/{campaign}/validate"), &Value::Null).await?;
    ensure!(
        validation["findings"].as_array().is_some_and(Vec::is_empty),
        "the campaign is not in order: {validation}"
    );
    let (envoi_before, sink_before, busy_before) = (envoi.usage()?, sink.usage()?, busy_seconds()?);
    let started = SystemClock.monotonic();
    api.activate(&campaign).await?;
    let execution = api.finished(&campaign, POLL).await?;
    let seconds = (SystemClock.monotonic() - started).as_secs_f64();
    let (envoi_after, sink_after, busy_after) = (envoi.usage()?, sink.usage()?, busy_seconds()?);
    let total = &execution["total"];
    ensure!(execution["state"] == "completed", "it did not complete: {execution}");
    ensure!(
        total["balances"] == true && total["sent"] == recipients && total["targeted"] == recipients,
        "not everybody got it: {total}"
    );
    let ours = envoi_after.seconds() - envoi_before.seconds() + sink_after.seconds() - sink_before.seconds();
    let written = envoi_after.written_bytes - envoi_before.written_bytes;
    report.line(
        "campaign",
        &json!({
            "recipients": recipients,
            "seconds": seconds,
            "messages_per_second": recipients as f64 / seconds,
            "envoi_user_us": per(envoi_after.user_seconds - envoi_before.user_seconds, recipients),
            "envoi_system_us": per(envoi_after.system_seconds - envoi_before.system_seconds, recipients),
            "sink_user_us": per(sink_after.user_seconds - sink_before.user_seconds, recipients),
            "sink_system_us": per(sink_after.system_seconds - sink_before.system_seconds, recipients),
            "processors_used": ours / seconds,
            // Anything much above nothing means that the machine was not ours, and the rate is too low.
            "processors_used_by_others": (busy_after - busy_before - ours).max(0.0) / seconds,
            "peak_mib": mib(envoi_after.peak_kib),
            "written_bytes_per_message": written as f64 / recipients as f64,
            "database_mib": mib(envoi.database_bytes()? / 1024),
        }),
    );
    Ok(())
}
