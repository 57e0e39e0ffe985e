//! A slice of an export of a person: messages are found and written part by part, and in the end the parts become a file.

use std::time::Duration;

use campaign::ProfileId;
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Deadline, PlatformError};
use store::StoreError;
use store::jobs::{Job, Task};

use crate::handler::{Slice, Stop};
use crate::{Context, errors};

/// How many parts are read or removed at the same time.
const AT_ONCE: usize = 8;

/// Exports on until `reserve` is left of the time.
pub(crate) async fn go_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Slice, Stop> {
    let clock = &*context.store.platform.clock;
    if let Task::ExportProfile { export, .. } = &mut job.task
        && export.about.is_none()
    {
        export.about = Some(context.store.ledger.estimate().await?);
    }
    loop {
        let left = deadline.remaining(clock).saturating_sub(reserve);
        let until = Deadline::after(clock, context.pace.time.min(left));
        let part = job.part();
        let name = job.export_part(part);
        let Task::ExportProfile { profile, export } = &mut job.task else { return Ok(Slice::Done) };
        let person = *profile;
        if export.is_complete() {
            write_file(context, job).await?;
            return Ok(Slice::Done);
        }
        let found = context.store.export_messages(person, export, until).await?;
        if !found.is_empty() {
            context.blob.put(&name, found).await?;
            export.parts.push(part);
        }
        // Who is being erased is not written down again: that is looked at when it lies there, and erasing looks for it
        // when nobody can write it any more.
        still_there(context, person).await?;
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

/// Makes the file: what is held of the person now, and all the parts.
async fn write_file(context: &Context, job: &Job) -> Result<(), Stop> {
    let Task::ExportProfile { profile, export } = &job.task else { return Ok(()) };
    let begin = context.store.export_person(*profile).await?.ok_or_else(gone)?;
    let name = job.export_file();
    let mut file = context.blob.create(&name).await?;
    file.write(&begin).await?;
    let names: Vec<_> = export.parts.iter().map(|part| job.export_part(*part)).collect();
    let mut parts = stream::iter(names)
        .map(|name| async move { errors::whole(&*context.blob, &name).await })
        .buffered(AT_ONCE);
    let mut is_first = true;
    while let Some(part) = parts.try_next().await? {
        if !std::mem::take(&mut is_first) {
            file.write(b",\n").await?;
        }
        file.write(&part).await?;
    }
    file.write(b"\n]}\n").await?;
    file.finish().await?;
    still_there(context, *profile).await
}

async fn still_there(context: &Context, person: ProfileId) -> Result<(), Stop> {
    match context.store.profiles.get(person).await {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound { .. }) => Err(gone()),
        Err(error) => Err(error.into()),
    }
}

/// Removes the parts; and where no file is to be, the file.
pub(crate) async fn tidy(context: &Context, job: &Job) -> Result<(), PlatformError> {
    let mut names: Vec<_> = job.export_parts().collect();
    if job.failure.is_some() {
        names.push(job.export_file());
    }
    stream::iter(names)
        .map(|name| async move { context.blob.delete(&name).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

fn gone() -> Stop {
    Stop::failed("profile_gone", "the profile was deleted meanwhile")
}
