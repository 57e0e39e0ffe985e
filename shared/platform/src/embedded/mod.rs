//! Table, queue and scheduler on SQLite, in one file of a data folder or in memory.
//!
//! **In a folder** ([`Embedded::open`]) one thread writes: it takes whatever writes wait, runs them one after another,
//! commits them as one transaction and only then tells their callers. A write that fails leaves nothing: it has looked
//! before it changed anything, or runs in a savepoint of its own. Reads run on the calling thread over connections of
//! their own and see every write acknowledged before. A third thread copies the write-ahead log into the database. A
//! write whose future is dropped may still happen.
//!
//! **In memory** ([`Embedded::in_memory`]) the same SQL runs on the caller, and no future ever waits, so that a
//! simulation on a paused clock stays deterministic.

mod backup;
mod blob;
mod catalog;
mod checkpoint;
mod codec;
mod consumer;
mod failure;
mod files;
mod hash;
mod janitor;
mod pages;
mod queue;
mod readers;
mod rows;
mod scheduler;
mod table;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::watch;

pub use self::backup::copy_database;
pub use self::blob::BlobFolder;
use self::catalog::{Catalog, Entry};
pub use self::consumer::Consumer;
use self::files::Folder;
pub use self::files::OpenError;
pub use self::queue::QueueCounts;
use self::readers::Readers;
use self::writer::{Gate, Step, Undo, Writer};
use crate::{Clock, Platform, PlatformError};

/// Running numbers are the epoch of the database's opening above this many bits of a counter.
const EPOCH_SHIFT: u32 = 40;

/// The embedded engine: [`Table`](crate::Table), [`Queue`](crate::Queue), [`Source`](crate::Source) and
/// [`Scheduler`](crate::Scheduler) in one. Clones are cheap and share it; the last one to go closes it, after everything
/// queued is written.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// What jobs and callers share. It holds no thread, so that no thread can end up waiting for itself.
struct Shared {
    clock: Arc<dyn Clock>,
    catalog: Catalog,
    /// Counts the commits that may have changed the next wake-up.
    schedule: watch::Sender<u64>,
    next_number: AtomicI64,
    next_row: AtomicU64,
    /// Tells this store from others in the process.
    store_id: u64,
}

struct Inner {
    shared: Arc<Shared>,
    store: Store,
}

enum Store {
    Inline(Mutex<Connection>),
    Files(Files),
}

struct Files {
    /// `None` only while it is dropped.
    writer: Option<Writer>,
    readers: Readers,
    threads: Vec<JoinHandle<()>>,
    folder: Folder,
}

impl Embedded {
    /// Opens the database in `folder`, creating both where they are missing.
    ///
    /// # Errors
    /// [`OpenError`] says whether the folder can't be used, is in use, or holds something else or something newer.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let folder = Folder::claim(folder)?;
        let mut conn = folder.open_writer()?;
        let epoch = files::next_epoch(&conn).map_err(OpenError::engine)?;
        let shared = Arc::new(Shared::new(clock, epoch));
        let gate = Arc::new(Gate::default());
        let checkpointer = files::open_checkpointer(&folder.database).map_err(OpenError::engine)?;
        let checkpoints =
            checkpoint::start(&mut conn, checkpointer, Arc::clone(&gate)).map_err(OpenError::engine)?;
        let (writer, writing) = Writer::start(conn, Arc::clone(&shared), gate).map_err(OpenError::engine)?;
        let store = Store::Files(Files {
            writer: Some(writer),
            readers: Readers::new(folder.database.clone()),
            threads: vec![writing, checkpoints],
            folder,
        });
        Ok(Self { inner: Arc::new(Inner { shared, store }) })
    }

    /// An engine in memory that does everything on the calling thread and never waits.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let conn = files::open_in_memory()?;
            let epoch = files::next_epoch(&conn)?;
            Ok((conn, epoch))
        };
        let (conn, epoch) = open().expect("a new database in memory takes our schema");
        let shared = Arc::new(Shared::new(clock, epoch));
        Self { inner: Arc::new(Inner { shared, store: Store::Inline(Mutex::new(conn)) }) }
    }

    /// All ports of this engine, and its clock.
    pub fn platform(&self) -> Platform {
        Platform {
            table: Arc::new(self.clone()),
            queue: Arc::new(self.clone()),
            scheduler: Arc::new(self.clone()),
            clock: Arc::clone(&self.inner.shared.clock),
        }
    }

    /// Waits until everything queued is written, then copies the write-ahead log into the database. Writes that come
    /// later fail as [`PlatformError::Unavailable`]; the folder stays locked until the last handle is dropped. In memory
    /// it does nothing.
    ///
    /// # Errors
    /// [`PlatformError`] if the log could not be copied; nothing is lost then, the next opening reads it.
    pub async fn shutdown(&self) -> Result<(), PlatformError> {
        let Store::Files(files) = &self.inner.store else {
            return Ok(());
        };
        if let Some(writer) = &files.writer {
            writer.close().await;
        }
        files.readers.close();
        let conn = files::open_checkpointer(&files.folder.database)?;
        Ok(checkpoint::truncate(&conn)?)
    }

    /// Copies the write-ahead log into the database and cuts its file, which else holds what was changed or deleted since as
    /// it was, until it happens to be written over. Where somebody reads or writes at this moment, the next time will do. In
    /// memory it does nothing.
    ///
    /// # Errors
    /// [`PlatformError`] if the log can't be copied; nothing is lost then.
    pub async fn cut_log(&self) -> Result<(), PlatformError> {
        let Store::Files(files) = &self.inner.store else {
            return Ok(());
        };
        let conn = files::open_checkpointer(&files.folder.database)?;
        let cut = tokio::task::spawn_blocking(move || checkpoint::cut(&conn)).await;
        Ok(cut.map_err(|error| PlatformError::Unavailable { what: "the database", source: error.into() })??)
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Runs `work` in a transaction that is committed when this returns `Ok`, and undone on an error.
    async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Step<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PlatformError> + Send + 'static,
    {
        self.write_or_undo(Undo::Job, work).await
    }

    /// As [`write`](Self::write), for work that looks at everything before it changes anything: it is cheaper, and where
    /// the disk fails it on the way, whatever is written at the same moment fails with it.
    async fn write_checked<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Step<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PlatformError> + Send + 'static,
    {
        self.write_or_undo(Undo::Group, work).await
    }

    async fn write_or_undo<T, E, F>(&self, undo: Undo, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Step<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PlatformError> + Send + 'static,
    {
        match &self.inner.store {
            Store::Inline(conn) => {
                let conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
                writer::run_alone(&conn, &self.inner.shared, work)
            }
            Store::Files(files) => match &files.writer {
                Some(writer) => writer.write(undo, work).await,
                None => Err(failure::closed().into()),
            },
        }
    }

    /// Has `work`, which looks before it changes anything, done with the next commit. Nobody hears of it, and a death of
    /// the process before leaves it undone.
    fn write_later<F>(&self, work: F) -> Result<(), PlatformError>
    where
        F: FnOnce(&mut Step<'_>) -> Result<(), PlatformError> + Send + 'static,
    {
        match &self.inner.store {
            Store::Inline(conn) => {
                let conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
                writer::run_alone(&conn, &self.inner.shared, work)
            }
            Store::Files(files) => {
                files.writer.as_ref().ok_or_else(failure::closed)?.write_later(Box::new(work));
                Ok(())
            }
        }
    }

    /// Runs `work` on the calling thread; it sees every write acknowledged before.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, PlatformError>,
    ) -> Result<T, PlatformError> {
        match &self.inner.store {
            Store::Inline(conn) => work(&conn.lock().unwrap_or_else(PoisonError::into_inner)),
            Store::Files(files) => files.readers.read(work),
        }
    }

    /// Creates the SQL table behind an entry if it is not known to be there.
    async fn ensure<E: Entry>(&self, entry: Arc<E>) -> Result<Arc<E>, PlatformError> {
        if !entry.created().load(Ordering::Acquire) {
            let wanted = Arc::clone(&entry);
            self.write(move |step| -> Result<(), PlatformError> {
                Ok(step.conn.execute_batch(wanted.schema())?)
            })
            .await?;
            entry.created().store(true, Ordering::Release);
        }
        Ok(entry)
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match &self.inner.store {
            Store::Inline(_) => "in memory",
            Store::Files(_) => "in a folder",
        };
        f.debug_struct("Embedded").field("mode", &mode).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(clock: Arc<dyn Clock>, epoch: i64) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(1);
        Self {
            clock,
            catalog: Catalog::default(),
            schedule: watch::Sender::new(0),
            next_number: AtomicI64::new(epoch << EPOCH_SHIFT),
            // Somewhere else at each opening, and the same for the same history.
            next_row: AtomicU64::new(epoch.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            store_id: STORES.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// A positive number that this database has not given out before, greater than all that it has.
    fn running_number(&self) -> i64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The running number of a new row that lies by its hash.
    fn row_number(&self) -> u64 {
        self.next_row.fetch_add(1, Ordering::Relaxed)
    }

    /// The clock in whole seconds, as expiries are kept.
    fn now_seconds(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// The clock in microseconds, as queues and the schedule are kept.
    fn now_micros(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

impl Drop for Files {
    /// The writer is closed last but one, since SQLite deletes the log only where the last connection can write.
    fn drop(&mut self) {
        self.readers.close();
        self.writer = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the database ended by a panic");
            }
        }
    }
}
