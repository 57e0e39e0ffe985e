//! A slice of a job: claim it, go on with it as far as the time goes, and hand it on or end it.

use std::convert::Infallible;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::JobId;
use platform::{Deadline, PlatformError, batch};
use store::StoreError;
use store::import::ImportError;
use store::jobs::{Claim, Failure, Job, JobState, Task};
use store::messages::GoOn;
use tracing::{debug, error, info, warn};

use crate::{Context, count, delete_list, erase, errors, export, import};

/// A lease outlives the function: it can be killed up to a second after its own deadline.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// What must be left of the time to take another step, where there is that much in all; else a third of it.
const RESERVE: Duration = Duration::from_secs(10);
/// A job that was claimed so often without getting on is given up.
const MOST_TRIES: i64 = 20;

/// Goes on with the jobs that a batch of messages names, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    batch::each(event, |GoOn { job }| go_on(context, job, deadline)).await
}

/// Why a slice ends before its job is over.
pub(crate) enum Stop {
    /// The job can't be done.
    Failed(Failure),
    /// Another has the job now.
    Lost,
    /// Something can't be read or written at the moment.
    Trouble(StoreError),
}

/// What a slice of a job comes to.
pub(crate) enum Slice {
    /// The job is done.
    Done,
    /// It goes on by a message.
    HandedOn,
}

impl Stop {
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed(Failure { code: code.to_owned(), message: message.into() })
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Trouble(error)
    }
}

impl From<PlatformError> for Stop {
    fn from(error: PlatformError) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<ImportError<Infallible>> for Stop {
    fn from(error: ImportError<Infallible>) -> Self {
        match error {
            ImportError::File(error) => Self::failed("invalid_csv", error.to_string()),
            ImportError::Column(error) => Self::failed("invalid_csv", error.to_string()),
            ImportError::Source(never) => match never {},
            ImportError::Store(error @ StoreError::NotFound { .. }) => {
                Self::failed("not_found", error.to_string())
            }
            ImportError::Store(StoreError::Invalid { message, .. }) => Self::failed("not_a_list", message),
            ImportError::Store(error) => Self::Trouble(error),
        }
    }
}

/// Goes on with a job as far as the time goes. Being asked twice does no harm.
///
/// # Errors
/// Where something can't be read or written: the message is to come back.
pub async fn go_on(context: &Context, id: JobId, deadline: Deadline) -> Result<(), StoreError> {
    let clock = &*context.store.platform.clock;
    let left = deadline.remaining(clock);
    let mut job = match context.store.jobs.claim(id, &context.worker, left + LEASE_MARGIN).await? {
        Claim::Claimed(job) => *job,
        // Who works on it hands it on, and whoever is dead is found by the sweep.
        Claim::Over | Claim::Leased => return Ok(()),
    };
    let reserve = RESERVE.min(left / 3);
    // Members that nobody can see any more must go, however long that takes.
    let may_give_up = !matches!(job.task, Task::DeleteList { .. });
    let slice = if may_give_up && job.tries() > MOST_TRIES {
        Err(Stop::failed("gave_up", "it did not get on any more: the reason is in the service's log"))
    } else {
        match &job.task {
            Task::ImportProfiles { .. } | Task::ImportMembers { .. } => {
                import::go_on(context, &mut job, deadline, reserve).await
            }
            Task::CountSegment { .. } => count::go_on(context, &mut job, deadline, reserve).await,
            Task::ExportProfile { .. } => export::go_on(context, &mut job, deadline, reserve).await,
            Task::EraseProfile { .. } => erase::go_on(context, &mut job, deadline, reserve).await,
            Task::DeleteList { .. } => delete_list::go_on(context, &mut job, deadline, reserve).await,
        }
    };
    match slice {
        Ok(Slice::HandedOn) => {
            debug!(job = %id, "job {id} goes on by a message");
            Ok(())
        }
        Ok(Slice::Done) => end(context, &mut job, JobState::Completed).await,
        Err(Stop::Failed(failure)) => {
            job.failure = Some(failure);
            end(context, &mut job, JobState::Failed).await
        }
        Err(Stop::Lost) => {
            warn!(job = %id, "another has taken job {id}");
            Ok(())
        }
        Err(Stop::Trouble(trouble)) => {
            // So that its message finds it free when it comes again.
            if let Err(error) = context.store.jobs.let_go(&job).await {
                error!(job = %id, error = %batch::chain(&error), "job {id} can't be given back");
            }
            Err(trouble)
        }
    }
}

/// Writes how far a job is. What the slice comes to where it ends here, because no more than `reserve` is left of the time.
pub(crate) async fn keep_on(
    context: &Context,
    job: &mut Job,
    deadline: Deadline,
    reserve: Duration,
) -> Result<Option<Slice>, Stop> {
    let jobs = &context.store.jobs;
    let goes_on = deadline.remaining(&*context.store.platform.clock) > reserve;
    let written = if goes_on { jobs.save(job).await? } else { jobs.hand_on(job).await? };
    match (written, goes_on) {
        (false, _) => Err(Stop::Lost),
        (true, false) => Ok(Some(Slice::HandedOn)),
        (true, true) => Ok(None),
    }
}

/// Ends a job: its row errors become one file, and what it has left behind goes.
async fn end(context: &Context, job: &mut Job, state: JobState) -> Result<(), StoreError> {
    let id = job.id;
    let left = errors::left_behind(job);
    collect_errors(context, job).await?;
    job.state = state;
    if !context.store.jobs.end(job).await? {
        warn!(job = %id, "another has taken job {id}");
        return Ok(());
    }
    let name = state.name();
    match &job.task {
        Task::ImportProfiles { import, .. } | Task::ImportMembers { import, .. } => {
            let (rows, invalid) = (import.counts.rows, import.counts.invalid);
            info!(job = %id, state = name, rows, invalid, "job {id} is {name}: {rows} rows, {invalid} of them invalid");
        }
        Task::CountSegment { count, .. } => {
            let scanned = count.scanned;
            info!(job = %id, state = name, scanned, "job {id} is {name}: {scanned} were looked at");
        }
        Task::ExportProfile { profile, export } => {
            let messages = export.messages;
            info!(job = %id, state = name, profile = %profile, messages, "job {id} is {name}: {messages} messages to profile {profile}");
        }
        Task::EraseProfile { profile, erasure } => {
            let scanned = erasure.scanned;
            info!(job = %id, state = name, profile = %profile, scanned, "job {id} is {name}: profile {profile} is erased, {scanned} of the ledger's items were looked at");
        }
        Task::DeleteList { list, removal } => {
            let removed = removal.removed;
            info!(job = %id, state = name, segment = %list, removed, "job {id} is {name}: {removed} members of the deleted list {list} are removed");
        }
    }
    let tidied = match &job.task {
        Task::ExportProfile { .. } => export::tidy(context, job).await,
        _ => errors::tidy(context, left).await,
    };
    if let Err(error) = tidied {
        // The job itself is over; what is left goes with time.
        warn!(job = %id, error = %batch::chain(&error), "files of job {id} can't be removed");
    }
    Ok(())
}

/// Makes the file of the row errors. A job that is given up tries once, for that may be why it did not get on; then it names no
/// errors rather than a file that is not there.
async fn collect_errors(context: &Context, job: &mut Job) -> Result<(), StoreError> {
    let id = job.id;
    let collected = match job.tries() {
        tries if tries <= MOST_TRIES => return Ok(errors::collect(context, job).await?),
        tries if tries == MOST_TRIES + 1 => errors::collect(context, job).await,
        // That has killed the process.
        _ => Err(PlatformError::Corrupt(format!("the row errors of job {id} can't be collected"))),
    };
    if let Err(error) = collected
        && let Some(import) = job.import_mut()
    {
        warn!(job = %id, error = %batch::chain(&error), "job {id} ends without a list of its row errors");
        import.errors.clear();
    }
    Ok(())
}
