//! A rule segment, counted over all profiles.

use anyhow::ensure;
use envoi_tests::process::Envoi;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::people;
use crate::report::{Report, mib, per};

pub(crate) async fn measure(envoi: &Envoi, recipients: u64, report: &mut Report) -> anyhow::Result<()> {
    let api = envoi.api()?;
    let (rule, expected) = people::rule(recipients);
    let segment = api.rule(rule).await?;
    let before = envoi.usage()?;
    let started = SystemClock.monotonic();
    let count = api.post(&format!("/segments/{segment}/count"), &Value::Null).await?;
    let seconds = (SystemClock.monotonic() - started).as_secs_f64();
    ensure!(count["complete"] == true && count["scanned"] == recipients, "not all were looked at: {count}");
    ensure!(count["members"] == expected, "{expected} are in the segment: {count}");
    let used = envoi.usage()?;
    report.line(
        "segment",
        &json!({
            "profiles": recipients,
            "members": expected,
            "seconds": seconds,
            "profiles_per_second": recipients as f64 / seconds,
            "cpu_us_per_profile": per(used.seconds() - before.seconds(), recipients),
            "peak_mib": mib(used.peak_kib),
        }),
    );
    Ok(())
}
