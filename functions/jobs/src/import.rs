//! A slice of an import: rows are read and written, and step by step is written how far the job is.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use platform::blob::Stat;
use platform::{Blob, BlobName, Deadline, PlatformError, batch};
use store::csv::PREVIEW_BYTES;
use store::import::{Step, Steps};
use store::jobs::{Job, Task};
use tracing::warn;

use crate::handler::{Slice, Stop, keep_on};
use crate::{Context, errors};

/// How much of the file is read at once.
const READ: usize = 4 * 1024 * 1024;
/// After how many bytes is looked what time it is.
const PIECE: usize = 32 * 1024;
/// How many row errors end a step: they are held until then.
const MOST_FAULTS: u64 = 20_000;
/// How many small blobs are read at the same time.
const AT_ONCE: usize = 8;

/// Imports on until `reserve` is left of the time.
pub(crate) async fn go_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Slice, Stop> {
    let mut source = Source::new(context, job)?;
    let mut steps = begin(context, job, &source).await?;
    let slice = take(context, job, deadline, reserve, &mut source, &mut steps).await;
    if slice.is_err()
        && let Err(error) = steps.give_up().await
    {
        let id = job.id;
        warn!(job = %id, error = %batch::chain(&error), "the list of job {id} counts too few members");
    }
    slice
}

/// Takes step after step.
async fn take(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
    source: &mut Source<'_>,
    steps: &mut Steps<'_>,
) -> Result<Slice, Stop> {
    let clock = &*context.store.platform.clock;
    loop {
        let (rows, until) = (steps.rows(), Deadline::after(clock, context.pace.time));
        let is_over = loop {
            let Some(piece) = source.next().await? else {
                steps.finish().await?;
                break true;
            };
            steps.push(piece).await?;
            let is_full = steps.rows() - rows >= context.pace.rows || steps.invalid_rows() >= MOST_FAULTS;
            if is_full || until.remaining(clock).is_zero() || deadline.remaining(clock) <= reserve {
                break false;
            }
        };
        let step = steps.step().await?;
        keep(context, job, step).await?;
        if is_over {
            return Ok(Slice::Done);
        }
        if let Some(slice) = keep_on(context, job, deadline, reserve).await? {
            return Ok(slice);
        }
    }
}

/// The import as the slice before has left it.
async fn begin<'s>(context: &'s Context, job: &Job, source: &Source<'_>) -> Result<Steps<'s>, Stop> {
    let begun = match &job.task {
        Task::ImportProfiles { list, .. } => Steps::profiles(&context.store, *list).await,
        Task::ImportMembers { list, .. } => Steps::members(&context.store, *list).await,
        _ => return Err(Stop::failed("not_an_import", "the job is no import")),
    };
    let steps = begun.map_err(store::import::ImportError::from)?;
    let Some((import, position)) = job.import().and_then(|import| Some((import, import.position?))) else {
        return Ok(steps);
    };
    let preview = source.read(0, PREVIEW_BYTES).await?;
    let names: Vec<BlobName> = import.seen.iter().map(|part| job.seen_part(*part)).collect();
    let seen: Vec<Vec<u8>> = stream::iter(names)
        .map(|name| async move { errors::whole(&*context.blob, &name).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let hashes = seen.iter().flat_map(|bytes| bytes.as_chunks::<8>().0).map(|hash| u64::from_le_bytes(*hash));
    Ok(steps.resume(&preview, &position, hashes)?)
}

/// Adds a step to what is known of the job, its errors and what it has seen in blobs of their own. They count once the
/// job is written.
async fn keep(context: &Context, job: &mut Job, step: Step) -> Result<(), PlatformError> {
    let part = job.part();
    if !step.faults.is_empty() {
        context.blob.put(&job.errors_part(part), errors::rows(&step.faults)).await?;
    }
    if !step.seen.is_empty() {
        let hashes = step.seen.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        context.blob.put(&job.seen_part(part), hashes).await?;
    }
    if let Some(import) = job.import_mut() {
        import.counts.add(&step.counts);
        import.position = step.position.or(import.position);
        import.errors.extend((!step.faults.is_empty()).then_some(part));
        import.seen.extend((!step.seen.is_empty()).then_some(part));
    }
    Ok(())
}

/// The file, piece by piece.
struct Source<'s> {
    blob: &'s dyn Blob,
    name: BlobName,
    file: Stat,
    /// What was read begins here in the file; what is still to be given begins at `given`.
    at: u64,
    buffer: Vec<u8>,
    given: usize,
}

impl<'s> Source<'s> {
    /// From where the job stands.
    fn new(context: &'s Context, job: &Job) -> Result<Self, Stop> {
        let import = job.import();
        let file = import.and_then(|import| import.file.clone());
        let file = file.ok_or_else(|| Stop::failed("no_file", "the job has no file"))?;
        let at = import.and_then(|import| import.position).map_or(0, |position| position.bytes.offset);
        Ok(Self { blob: &*context.blob, name: job.file(), file, at, buffer: Vec::new(), given: 0 })
    }

    async fn read(&self, from: u64, most: usize) -> Result<Vec<u8>, Stop> {
        let read = self.blob.read(&self.name, &self.file.tag, from, most).await?;
        read.ok_or_else(|| Stop::failed("file_replaced", "the file is gone, or another has taken its place"))
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<&[u8]>, Stop> {
        if self.given == self.buffer.len() {
            self.at += self.buffer.len() as u64;
            self.given = 0;
            self.buffer = self.read(self.at, READ).await?;
        }
        let from = self.given;
        self.given = self.buffer.len().min(from + PIECE);
        Ok((from < self.given).then(|| &self.buffer[from..self.given]))
    }
}
