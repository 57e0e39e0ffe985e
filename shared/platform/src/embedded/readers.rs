//! Reading in file mode: connections of their own, used on the calling thread.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::files;
use crate::PlatformError;

/// How many idle connections are kept; reads block their thread, so no more are in use than there are threads.
const MAX_IDLE: usize = 8;

/// Read-only connections, opened as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    /// Runs the read. It sees every write that was committed before.
    pub(super) fn read<T, E: From<PlatformError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => files::open_reader(&self.path).map_err(PlatformError::from)?,
        };
        let outcome = work(&conn);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(conn);
        }
        outcome
    }

    /// Closes the idle connections.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs several reads on one snapshot, which also spares each a lock of its own.
pub(super) fn snapshot<T, E: From<PlatformError>>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let execute =
        |sql| -> Result<(), PlatformError> { Ok(conn.prepare_cached(sql)?.execute([]).map(|_| ())?) };
    execute("BEGIN")?;
    let outcome = work(conn);
    // Nothing was written, so ending it is the same either way, and must happen either way.
    let ended = execute("COMMIT");
    let done = outcome?;
    ended?;
    Ok(done)
}
