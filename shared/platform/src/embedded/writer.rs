//! Writing: one connection, and in file mode one thread that commits whatever waits as one group.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Shared;
use super::catalog::QueueEntry;
use super::consumer::Place;
use super::failure::{closed, group_lost};
use crate::{PlatformError, Received};

/// The most jobs in one commit, so that the first of a group does not wait long for the last.
const MAX_GROUP: usize = 256;
/// How long what nobody waits for may wait for a commit that somebody does.
const LATER: Duration = Duration::from_millis(50);

/// What a job works with, inside the transaction of its group.
pub(super) struct Step<'a> {
    pub(super) conn: &'a Connection,
    pub(super) shared: &'a Shared,
    effects: &'a mut Effects,
}

/// Whom to wake once the group is committed, and what to hand them.
#[derive(Default)]
struct Effects {
    queues: Vec<Arc<QueueEntry>>,
    /// Dropped without the commit, a place is free again.
    handed: Vec<(Place, Received)>,
    schedule: bool,
}

impl Step<'_> {
    /// Says that this queue may have something to receive sooner than was known.
    pub(super) fn arrived(&mut self, queue: &Arc<QueueEntry>) {
        if !self.effects.queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
            self.effects.queues.push(Arc::clone(queue));
        }
    }

    /// Says that this message goes to a consumer that waits for it.
    pub(super) fn hand(&mut self, place: Place, message: Received) {
        self.effects.handed.push((place, message));
    }

    /// Says that the next wake-up may have changed.
    pub(super) fn rescheduled(&mut self) {
        self.effects.schedule = true;
    }
}

impl Effects {
    /// Called after the commit. Waking someone for nothing is harmless, so a job that failed need not take back its own.
    fn announce(self, shared: &Shared) {
        for (place, message) in self.handed {
            place.hand(message);
        }
        for queue in &self.queues {
            queue.announce();
        }
        if self.schedule {
            shared.schedule.send_modify(|count| *count += 1);
        }
    }
}

/// Runs one job in a transaction of its own, on the caller.
pub(super) fn run_alone<T, E: From<PlatformError>>(
    conn: &Connection,
    shared: &Shared,
    work: impl FnOnce(&mut Step<'_>) -> Result<T, E>,
) -> Result<T, E> {
    execute(conn, "BEGIN IMMEDIATE").map_err(PlatformError::from)?;
    let mut effects = Effects::default();
    let outcome = work(&mut Step { conn, shared, effects: &mut effects }).and_then(|done| {
        execute(conn, "COMMIT").map(|()| done).map_err(|error| PlatformError::from(error).into())
    });
    if outcome.is_ok() {
        effects.announce(shared);
    } else {
        roll_back(conn);
    }
    outcome
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Ends the transaction without keeping it. A severe error has already made SQLite do so.
fn roll_back(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = execute(conn, "ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

/// A write that waits for its commit.
pub(super) trait Job: Send {
    /// Does the work. If it fails, nothing of it stays.
    fn run(&mut self, step: &mut Step<'_>);
    /// Tells the waiting caller, after the commit or once the group is lost.
    fn finish(self: Box<Self>, committed: &Result<(), Arc<rusqlite::Error>>);
}

/// What is undone where a job fails after it has changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// That job. It costs a savepoint, for which SQLite copies every page that the job changes.
    Job,
    /// Its whole group: for a job that looks at everything before it changes anything, so that only the disk can fail it.
    Group,
}

struct Task<F, T, E> {
    work: Option<F>,
    undo: Undo,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Task<F, T, E>
where
    F: FnOnce(&mut Step<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<PlatformError> + Send,
{
    fn run(&mut self, step: &mut Step<'_>) {
        let Some(work) = self.work.take() else { return };
        let handed = step.effects.handed.len();
        let outcome = match self.undo {
            Undo::Job => in_savepoint(step, work),
            Undo::Group => all_or_group(step, work),
        };
        if outcome.is_err() {
            step.effects.handed.truncate(handed);
        }
        self.outcome = Some(outcome);
    }

    fn finish(self: Box<Self>, committed: &Result<(), Arc<rusqlite::Error>>) {
        let outcome = match (committed, self.outcome) {
            // A job that failed by itself changed nothing, so its own answer stands whatever became of the group.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(closed().into()),
            (Err(cause), _) => Err(group_lost(cause).into()),
        };
        // The caller may have been cancelled; its write stands all the same.
        let _ = self.reply.send(outcome);
    }
}

fn in_savepoint<T, E: From<PlatformError>>(
    step: &mut Step<'_>,
    work: impl FnOnce(&mut Step<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let sql = |sql| execute(step.conn, sql).map_err(PlatformError::from);
    sql("SAVEPOINT job")?;
    match work(step) {
        Ok(done) => {
            execute(step.conn, "RELEASE job").map_err(PlatformError::from)?;
            Ok(done)
        }
        Err(error) => {
            // If even this fails, the whole group must go: the writer sees it by the transaction's end.
            if execute(step.conn, "ROLLBACK TO job").and_then(|()| execute(step.conn, "RELEASE job")).is_err()
            {
                roll_back(step.conn);
            }
            Err(error)
        }
    }
}

/// Runs the work as it is; if it fails after it has changed something, the transaction ends.
fn all_or_group<T, E>(step: &mut Step<'_>, work: impl FnOnce(&mut Step<'_>) -> Result<T, E>) -> Result<T, E> {
    let before = step.conn.total_changes();
    let outcome = work(step);
    if outcome.is_err() && step.conn.total_changes() != before {
        roll_back(step.conn);
    }
    outcome
}

/// A write that nobody waits for.
type Later = Box<dyn FnOnce(&mut Step<'_>) -> Result<(), PlatformError> + Send>;

enum Order {
    Run(Box<dyn Job>),
    Later(Later),
    Close(oneshot::Sender<()>),
}

/// The way to the writer thread.
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
}

/// Held by the writer during each group, and by the checkpointer while it needs the writer to keep still.
#[derive(Default)]
pub(super) struct Gate(Mutex<()>);

impl Gate {
    pub(super) fn pass(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped or closed, after everything queued is done.
    pub(super) fn start(
        conn: Connection,
        shared: Arc<Shared>,
        gate: Arc<Gate>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (orders, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("envoi-writer".to_owned())
            .spawn(move || serve(&conn, &shared, &gate, &waiting))?;
        Ok((Self { orders }, thread))
    }

    /// Queues the work and waits for its commit.
    pub(super) async fn write<T, E, F>(&self, undo: Undo, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Step<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PlatformError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), undo, outcome: None, reply });
        self.orders.send(Order::Run(job)).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// Has the work done with the next commit, or after a moment where none comes. It looks before it changes anything, as
    /// for [`Undo::Group`]; if its commit fails or the process dies before, it is not done at all.
    pub(super) fn write_later(&self, work: Later) {
        // The thread has ended only where the database is closed.
        let _ = self.orders.send(Order::Later(work));
    }

    /// Waits until everything queued before is done, and ends the thread.
    pub(super) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).is_ok() {
            // An error means that the thread had ended already, which is as good.
            let _ = done.await;
        }
    }
}

fn serve(conn: &Connection, shared: &Shared, gate: &Gate, waiting: &mpsc::Receiver<Order>) {
    let mut later = Vec::new();
    loop {
        let order = if later.is_empty() {
            waiting.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            waiting.recv_timeout(LATER)
        };
        let (first, end) = match order {
            Ok(Order::Run(job)) => (Some(job), None),
            Ok(Order::Later(work)) => {
                later.push(work);
                if later.len() < MAX_GROUP {
                    continue;
                }
                (None, None)
            }
            Ok(Order::Close(reply)) => (None, Some(End::Closed(reply))),
            Err(RecvTimeoutError::Timeout) => (None, None),
            Err(RecvTimeoutError::Disconnected) => (None, Some(End::Dropped)),
        };
        let still = gate.pass();
        let end = run_group(conn, shared, first, &mut later, waiting).or(end);
        drop(still);
        match end {
            None => {}
            Some(End::Dropped) => return,
            Some(End::Closed(reply)) => {
                let _ = reply.send(());
                return;
            }
        }
    }
}

/// Why the thread ends.
enum End {
    Dropped,
    Closed(oneshot::Sender<()>),
}

/// Runs the first job and whatever else waits in one transaction, what was left for later included. Says so if it met the
/// order to close.
fn run_group(
    conn: &Connection,
    shared: &Shared,
    first: Option<Box<dyn Job>>,
    later: &mut Vec<Later>,
    waiting: &mpsc::Receiver<Order>,
) -> Option<End> {
    if first.is_none() && later.is_empty() {
        return None;
    }
    if let Err(error) = execute(conn, "BEGIN IMMEDIATE") {
        if let Some(first) = first {
            first.finish(&Err(Arc::new(error)));
        }
        return None;
    }
    let mut effects = Effects::default();
    let mut group = Vec::with_capacity(16);
    let mut end = None;
    let mut next = first;
    while let Some(mut job) = next.take() {
        job.run(&mut Step { conn, shared, effects: &mut effects });
        group.push(job);
        // A severe error (disk full, I/O) ends the whole transaction, those before included.
        if conn.is_autocommit() || group.len() == MAX_GROUP {
            break;
        }
        while next.is_none() && end.is_none() {
            match waiting.try_recv() {
                Ok(Order::Run(job)) => next = Some(job),
                Ok(Order::Later(work)) => later.push(work),
                Ok(Order::Close(reply)) => end = Some(End::Closed(reply)),
                Err(_) => break,
            }
        }
    }
    for work in later.drain(..) {
        if conn.is_autocommit() {
            break;
        }
        let mut step = Step { conn, shared, effects: &mut effects };
        if let Err(error) = all_or_group(&mut step, work) {
            tracing::error!(%error, "a write that nobody waits for failed");
        }
    }
    let committed = if conn.is_autocommit() {
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
            Some("the transaction was ended by an error".to_owned()),
        ))
    } else {
        execute(conn, "COMMIT")
    };
    let committed = committed.map_err(Arc::new);
    match &committed {
        Ok(()) => effects.announce(shared),
        Err(error) => {
            tracing::error!(%error, jobs = group.len(), "a group of writes was lost");
            roll_back(conn);
        }
    }
    for job in group {
        job.finish(&committed);
    }
    end
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::embedded::Embedded;
    use crate::{Clock, PlatformError, SystemClock};

    /// Writes a wake-up of this name by hand, then fails if told to.
    async fn insert(
        engine: &Embedded,
        name: String,
        outcome: Result<(), PlatformError>,
    ) -> Result<(), PlatformError> {
        engine
            .write(move |step| -> Result<(), PlatformError> {
                let mut insert = step.conn.prepare_cached("INSERT INTO wake_up VALUES (?1, 0, '')")?;
                insert.execute([name])?;
                outcome
            })
            .await
    }

    /// Writes, as work that only the disk should fail, and fails all the same.
    async fn fail_on_the_way(engine: &Embedded) -> Result<(), PlatformError> {
        engine
            .write_checked(|step| -> Result<(), PlatformError> {
                step.conn.execute("INSERT INTO wake_up VALUES ('half', 0, '')", [])?;
                Err(PlatformError::Invalid("on the way".to_owned()))
            })
            .await
    }

    fn names(engine: &Embedded) -> Vec<String> {
        engine
            .read(|conn| {
                let mut names = conn.prepare("SELECT name FROM wake_up ORDER BY name")?;
                Ok(names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
            })
            .unwrap()
    }

    async fn failing_jobs_leave_nothing(engine: &Embedded) {
        let mut jobs = tokio::task::JoinSet::new();
        for n in 0..60 {
            let engine = engine.clone();
            jobs.spawn(async move {
                let failure = || Err(PlatformError::Invalid("told to".to_owned()));
                let outcome = if n % 2 == 0 { Ok(()) } else { failure() };
                // Every third one breaks a constraint of the database itself.
                let name = if n % 3 == 0 { "same".to_owned() } else { format!("{n:02}") };
                insert(&engine, name, outcome).await.is_ok()
            });
        }
        let succeeded = jobs.join_all().await.into_iter().filter(|ok| *ok).count();
        let mut expected: Vec<String> =
            (0..60).filter(|n| n % 2 == 0 && n % 3 != 0).map(|n| format!("{n:02}")).collect();
        expected.push("same".to_owned());
        assert_eq!(names(engine), expected);
        assert_eq!(succeeded, expected.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_that_fails_after_writing_is_undone_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        failing_jobs_leave_nothing(&Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap()).await;
        failing_jobs_leave_nothing(&Embedded::in_memory(Arc::new(SystemClock))).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn checked_work_that_fails_on_the_way_leaves_nothing_and_is_told_why() {
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        for engine in [engine, Embedded::in_memory(Arc::new(SystemClock))] {
            let failed = fail_on_the_way(&engine).await;
            assert!(matches!(failed, Err(PlatformError::Invalid(_))), "{failed:?}");
            insert(&engine, "kept".to_owned(), Ok(())).await.unwrap();
            assert_eq!(names(&engine), ["kept"]);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_nobody_waits_for_is_done_with_the_next_commit_or_soon_and_before_the_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let later = |name: &'static str| {
            engine.write_later(move |step| {
                step.conn.execute("INSERT INTO wake_up VALUES (?1, 0, '')", [name])?;
                Ok(())
            })
        };
        later("a").unwrap();
        insert(&engine, "b".to_owned(), Ok(())).await.unwrap();
        assert_eq!(names(&engine), ["a", "b"]);
        later("c").unwrap();
        while names(&engine).len() < 3 {
            SystemClock.sleep(std::time::Duration::from_millis(5)).await;
        }
        // One that fails takes nobody with it who has not written yet, and the writer goes on.
        engine.write_later(|_| Err(PlatformError::Invalid("told to".to_owned()))).unwrap();
        later("d").unwrap();
        engine.shutdown().await.unwrap();
        drop(engine);
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        assert_eq!(names(&engine), ["a", "b", "c", "d"]);
    }

    /// As SQLite does by itself where the disk is full.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_the_transaction_ends_early_everyone_is_told_and_the_next_group_works() {
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let lost = engine
            .write(|step| -> Result<(), PlatformError> {
                step.conn.execute("INSERT INTO wake_up VALUES ('lost', 0, '')", [])?;
                Ok(step.conn.execute_batch("ROLLBACK")?)
            })
            .await;
        assert!(matches!(lost, Err(PlatformError::Unavailable { .. })), "{lost:?}");
        insert(&engine, "kept".to_owned(), Ok(())).await.unwrap();
        assert_eq!(names(&engine), ["kept"]);
    }
}
