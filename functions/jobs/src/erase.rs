//! A slice of erasing a person.

use std::time::Duration;

use platform::Deadline;
use store::jobs::{Job, Task};

use crate::Context;
use crate::handler::{Slice, Stop};

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
        context.store.erase(&*context.blob, *profile, erasure, until).await?;
        if erasure.is_complete() {
            return Ok(Slice::Done);
        }
        let goes_on = deadline.remaining(clock) > reserve;
        let jobs = &context.store.jobs;
        let written = if goes_on { jobs.save(job).await? } else { jobs.hand_on(job).await? };
        match (written, goes_on) {
            (false, _) => return Err(Stop::Lost),
            (true, false) => return Ok(Slice::HandedOn),
            (true, true) => {}
        }
    }
}
