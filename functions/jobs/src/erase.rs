//! A slice of erasing a person: as far as the time goes, or until others are to be waited for.

use std::time::Duration;

use platform::Deadline;
use store::jobs::{Job, Task};
use store::ledger::SKEW;

use crate::Context;
use crate::handler::{LEASE_MARGIN, Slice, Stop, keep_on};

/// Erases on until `reserve` is left of the time.
pub(crate) async fn go_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Slice, Stop> {
    let clock = &*context.store.platform.clock;
    if let Task::EraseProfile { erasure, .. } = &mut job.task
        && erasure.about.is_none()
    {
        erasure.about = Some(context.store.ledger.estimate().await?);
    }
    loop {
        let left = deadline.remaining(clock).saturating_sub(reserve);
        let until = Deadline::after(clock, context.pace.time.min(left));
        let Task::EraseProfile { profile, erasure } = &mut job.task else { return Ok(Slice::Done) };
        // A delivery that has the profile in hand may write for as long as its lease.
        erasure.let_settle(context.longest + LEASE_MARGIN + SKEW);
        context.store.erase(&*context.blob, *profile, erasure, until).await?;
        if erasure.is_complete() {
            return Ok(Slice::Done);
        }
        if let Some(wait) = erasure.wait(clock.now()) {
            let written = context.store.jobs.hand_on_after(job, wait).await?;
            return if written { Ok(Slice::HandedOn) } else { Err(Stop::Lost) };
        }
        if let Some(slice) = keep_on(context, job, deadline, reserve).await? {
            return Ok(slice);
        }
    }
}
