//! The repository of jobs.

use std::time::Duration;

use campaign::JobId;
use platform::blob::Stat;
use platform::queue::MAX_DELAY;
use platform::{Change, Condition, Consistency, Due, Item, Key, Message, Platform, Query, Updated, Write};

use super::{AWAIT_SECONDS, Job, JobState, KEEP_SECONDS};
use crate::StoreError;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::ledger::lease::{self, SKEW, Worker};
use crate::messages::GoOn;
use crate::tables::{self, CONTROL};

const WHAT: &str = "job";
const STATE: &str = "state";
const TRIES: &str = "tries";
/// How long a job waits for its turn before its message is taken to be lost.
const PATIENCE_MS: i64 = 300_000;

/// The repository of jobs.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(super) platform: Platform,
}

/// What claiming a job gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is yours until the lease ends.
    Claimed(Box<Job>),
    /// There is nothing to be done for it (any more), or there is no such job.
    Over,
    /// Another works on it.
    Leased,
}

impl Jobs {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Stores a new job; one that is queued is handed on, too.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where its id is taken.
    pub async fn create(&self, job: &Job) -> Result<(), StoreError> {
        self.create_with(job, Vec::new()).await
    }

    /// The same, with further writes. [`StoreError::Stale`] where one of them is refused, too.
    pub(crate) async fn create_with(&self, job: &Job, further: Vec<Write>) -> Result<(), StoreError> {
        let now = self.platform.clock.now();
        let mut item = Item::new(key(job.id))
            .with(DOCUMENT, document::encode(WHAT, job)?)
            .with(REVISION, 1)
            .with(STATE, job.state.name());
        let is_queued = job.state == JobState::Queued;
        item.due = is_queued.then(|| due(job.id, now.as_millisecond() + PATIENCE_MS));
        item.expires = Some(now.as_second() + if is_queued { KEEP_SECONDS } else { AWAIT_SECONDS });
        let messages = if is_queued { vec![GoOn { job: job.id }.message()] } else { Vec::new() };
        let mut writes = vec![Write::put(CONTROL, item).when(Condition::NotExists)];
        writes.extend(further);
        match refused(self.platform.commit(writes, messages).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }

    /// The job, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: JobId) -> Result<Job, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(id), Consistency::Strong).await?;
        item.map_or_else(|| Err(StoreError::not_found(WHAT, id)), |item| read(&item))
    }

    /// A page of jobs, the newest first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Job>, Option<String>), StoreError> {
        let query = Query { descending: true, ..Query::of(tables::JOB, limit).after(after) };
        let page = self.platform.table.query(CONTROL, query).await?;
        Ok((page.items.iter().map(read).collect::<Result<_, _>>()?, page.next))
    }

    /// Queues an import whose file is there now, as `file` says. The job as it is then: one that was started before stays
    /// as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn start(&self, mut job: Job, file: Stat) -> Result<Job, StoreError> {
        let now = self.platform.clock.now();
        if job.state != JobState::AwaitingUpload {
            return Ok(job);
        }
        let id = job.id;
        if let Some(import) = job.import_mut() {
            import.file = Some(file);
        }
        job.started_at = Some(now);
        job.state = JobState::Queued;
        let more = [
            Change::set(STATE, job.state.name()),
            Change::Due(Some(due(id, now.as_millisecond() + PATIENCE_MS))),
            Change::Expires(Some(now.as_second() + KEEP_SECONDS)),
        ];
        if self.write(&mut job, more, vec![GoOn { job: id }.message()]).await? {
            return Ok(job);
        }
        // Somebody else has started it.
        self.get(id).await
    }

    /// Claims a job for `lease`.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn claim(&self, id: JobId, worker: &Worker, lease: Duration) -> Result<Claim, StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let until_ms = now_ms + millis(lease);
        let condition = Condition::All(vec![Condition::Exists, under_way(), worker.may_take(now_ms)]);
        let mut changes = worker.take(until_ms).to_vec();
        changes.extend([
            Change::set(STATE, JobState::Running.name()),
            Change::add(TRIES, 1),
            Change::add(REVISION, 1),
            Change::Due(Some(due(id, until_ms + millis(SKEW) + 1))),
        ]);
        Ok(match self.platform.table.update(CONTROL, &key(id), Some(condition), changes).await? {
            Updated::New(item) => Claim::Claimed(Box::new(read(&item)?)),
            Updated::Refused(Some(item)) if is_under_way(&item) => Claim::Leased,
            Updated::Refused(_) => Claim::Over,
        })
    }

    /// Writes how far the job is, and keeps the lease. False where another has it: then nothing was written.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn save(&self, job: &mut Job) -> Result<bool, StoreError> {
        self.write(job, [Change::set(TRIES, 0)], Vec::new()).await
    }

    /// Gives the job back, to be gone on with by a message that is sent. False as in [`Self::save`].
    ///
    /// # Errors
    /// As the engine's.
    pub async fn hand_on(&self, job: &mut Job) -> Result<bool, StoreError> {
        self.hand_on_after(job, Duration::ZERO).await
    }

    /// The same, where there is nothing to be done before `wait` is over; it may be gone on with sooner, and at the latest
    /// after [`MAX_DELAY`].
    ///
    /// # Errors
    /// As the engine's.
    pub async fn hand_on_after(&self, job: &mut Job, wait: Duration) -> Result<bool, StoreError> {
        let wait = wait.min(MAX_DELAY);
        let now = self.platform.clock.now();
        let at_ms = now.as_millisecond() + millis(wait) + PATIENCE_MS;
        let message = GoOn { job: job.id }.message().after(wait);
        let mut changes = lease::give_back().to_vec();
        changes.extend([
            Change::set(TRIES, 0),
            Change::Due(Some(due(job.id, at_ms))),
            // Whatever it waits for may take longer than jobs are kept.
            Change::Expires(Some(now.as_second() + KEEP_SECONDS)),
        ]);
        self.write(job, changes, vec![message]).await
    }

    /// Gives the job back as it was last written: what was to be done can't be done now, and its message comes again.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn let_go(&self, job: &Job) -> Result<(), StoreError> {
        let mine = Condition::equals(REVISION, job.revision);
        let changes = lease::give_back().to_vec();
        self.platform.table.update(CONTROL, &key(job.id), Some(mine), changes).await?;
        Ok(())
    }

    /// Ends the job, whose state says how. False as in [`Self::save`].
    ///
    /// # Errors
    /// As the engine's.
    pub async fn end(&self, job: &mut Job) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        job.ended_at = Some(now);
        let mut changes = lease::give_back().to_vec();
        changes.extend([
            Change::set(STATE, job.state.name()),
            Change::Due(None),
            Change::Expires(Some(now.as_second() + KEEP_SECONDS)),
        ]);
        self.write(job, changes, Vec::new()).await
    }

    /// The jobs that stand still at `now_ms` (milliseconds since the Unix epoch): their worker is gone, or their message.
    /// At most `limit` of each due bucket.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn overdue(&self, now_ms: i64, limit: usize) -> Result<Vec<JobId>, StoreError> {
        let mut jobs = Vec::new();
        for bucket in 0..platform::table::DUE_BUCKETS {
            let items = self.platform.table.query_due(CONTROL, bucket, now_ms, limit).await?;
            let items = items.iter().filter(|item| item.key.pk == tables::JOB);
            jobs.extend(items.filter_map(|item| item.key.sk.parse::<JobId>().ok()));
        }
        Ok(jobs)
    }

    /// Sends the message of a job that stands still again. Where it is under way all the same, that does no harm.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn enqueue_again(&self, id: JobId) -> Result<(), StoreError> {
        let at_ms = self.platform.clock.now().as_millisecond() + PATIENCE_MS;
        let changes = vec![Change::Due(Some(due(id, at_ms)))];
        let condition = Condition::All(vec![Condition::Exists, under_way()]);
        let writes = vec![Write::update(CONTROL, key(id), changes).when(condition)];
        refused(self.platform.commit(writes, vec![GoOn { job: id }.message()]).await)?;
        Ok(())
    }

    async fn write(
        &self,
        job: &mut Job,
        more: impl IntoIterator<Item = Change>,
        messages: Vec<Message>,
    ) -> Result<bool, StoreError> {
        let mut changes = vec![Change::set(DOCUMENT, document::encode(WHAT, job)?), Change::add(REVISION, 1)];
        changes.extend(more);
        let mine = Condition::equals(REVISION, job.revision);
        let writes = vec![Write::update(CONTROL, key(job.id), changes).when(mine)];
        let written = refused(self.platform.commit(writes, messages).await)?.is_none();
        if written {
            job.revision += 1;
            job.tries = 0;
        }
        Ok(written)
    }
}

fn key(id: JobId) -> Key {
    Key::new(tables::JOB, id.to_string())
}

fn due(id: JobId, at_ms: i64) -> Due {
    Due { bucket: tables::bucket(id.as_bytes()), at_ms }
}

fn under_way() -> Condition {
    let is = |state: JobState| Condition::equals(STATE, state.name());
    Condition::Any(vec![is(JobState::Queued), is(JobState::Running)])
}

fn is_under_way(item: &Item) -> bool {
    let state = item.text(STATE).and_then(JobState::from_name);
    matches!(state, Some(JobState::Queued | JobState::Running))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn read(item: &Item) -> Result<Job, StoreError> {
    let mut job: Job = document::decode(WHAT, item)?;
    let corrupt = || StoreError::Corrupt { what: WHAT, source: None };
    job.state = item.text(STATE).and_then(JobState::from_name).ok_or_else(corrupt)?;
    job.revision = item.number(REVISION).ok_or_else(corrupt)?;
    job.tries = item.number(TRIES).unwrap_or(0);
    Ok(job)
}
