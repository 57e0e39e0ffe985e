//! What the machine is busy with.

use std::fs;

use anyhow::Context;
use rustix::param::clock_ticks_per_second;

/// How much processor time everything on this machine has taken since it was started, in seconds; what a host took away
/// from it is counted too. Of its fields, idling and waiting for disks are the 4th and the 5th.
pub(crate) fn busy_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("the system does not say what it does")?;
    let line =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("stat has another form")?;
    let mut ticks = 0;
    for (index, field) in line.split_whitespace().take(8).enumerate() {
        if !matches!(index, 3 | 4) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}
