//! A slice of removing the members of a deleted list: first it is waited for whoever may read them, then they go as far as the
//! time goes.

use std::time::Duration;

use jiff::Timestamp;
use platform::Deadline;
use store::jobs::{Job, Task};
use store::ledger::SKEW;
use tracing::debug;

use crate::Context;
use crate::handler::{LEASE_MARGIN, Slice, Stop, keep_on};

/// How long it is waited before it is looked again whether an execution still reads the list.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Removes members until `reserve` is left of the time.
pub(crate) async fn go_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Slice, Stop> {
    let clock = &*context.store.platform.clock;
    if let Some(wait) = wait(context, job, clock.now()).await? {
        let written = context.store.jobs.hand_on_after(job, wait).await?;
        return if written { Ok(Slice::HandedOn) } else { Err(Stop::Lost) };
    }
    loop {
        let left = deadline.remaining(clock).saturating_sub(reserve);
        let until = Deadline::after(clock, context.pace.time.min(left));
        let Task::DeleteList { list, removal } = &mut job.task else { return Ok(Slice::Done) };
        context.store.segments.remove_deleted(*list, removal, until).await?;
        if removal.is_complete() {
            return Ok(Slice::Done);
        }
        if let Some(slice) = keep_on(context, job, deadline, reserve).await? {
            return Ok(slice);
        }
    }
}

/// How long nothing may be removed yet: until whoever saw the list before it was deleted has started what it starts and added
/// what it adds, and then as long as an execution reads it.
async fn wait(context: &Context, job: &Job, now: Timestamp) -> Result<Option<Duration>, Stop> {
    let Task::DeleteList { list, .. } = job.task else { return Ok(None) };
    let settles = context.longest + LEASE_MARGIN + SKEW;
    let left = settles.saturating_sub(now.duration_since(job.created_at).unsigned_abs());
    if !left.is_zero() {
        return Ok(Some(left));
    }
    let reader = context.store.open_reader(list).await?;
    if let Some(execution) = reader {
        debug!(job = %job.id, execution = %execution, "execution {execution} reads the deleted list {list} still");
    }
    Ok(reader.map(|_| LOOK_AGAIN))
}
