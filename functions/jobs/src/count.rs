//! A slice of a count.

use std::time::Duration;

use platform::Deadline;
use store::StoreError;
use store::jobs::{Job, Task};

use crate::Context;
use crate::handler::{Slice, Stop};

/// Counts on until `reserve` is left of the time.
pub(crate) async fn go_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Slice, Stop> {
    let clock = &*context.store.platform.clock;
    if let Task::CountSegment { count, .. } = &mut job.task
        && count.about.is_none()
    {
        count.about = Some(context.store.profiles.estimate().await?);
    }
    loop {
        let left = deadline.remaining(clock).saturating_sub(reserve);
        let until = Deadline::after(clock, context.pace.time.min(left));
        let Task::CountSegment { count, .. } = &mut job.task else { return Ok(Slice::Done) };
        match context.store.count(count, until).await {
            Err(StoreError::Invalid { message, .. }) => return Err(Stop::failed("invalid_rule", message)),
            counted => counted?,
        }
        if count.is_complete() {
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
