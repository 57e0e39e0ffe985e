//! A slice of a count.

use std::time::Duration;

use platform::Deadline;
use store::StoreError;
use store::jobs::{Job, Task};

use crate::Context;
use crate::handler::{Slice, Stop, keep_on};

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
        if let Some(slice) = keep_on(context, job, deadline, reserve).await? {
            return Ok(slice);
        }
    }
}
