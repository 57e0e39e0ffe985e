//! The data folder: its lock, its database, and how each connection is set up.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use crate::private;

/// The database in a data folder.
pub(super) const DATABASE: &str = "envoi.db";
/// The version of the schema this build writes; kept in `user_version`.
const SCHEMA_VERSION: i32 = 1;
/// Marks our databases ("Envo"); kept in `application_id`.
const APPLICATION_ID: i32 = 0x456e_766f;
/// How many prepared statements a connection keeps: a dozen for each table and queue.
const STATEMENTS: usize = 256;
/// No two of our own connections are meant to wait for each other; this covers the moments when SQLite recovers a log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('epoch', 0);
CREATE TABLE wake_up (name TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX wake_up_at ON wake_up (at);
";

/// Why a data folder can't be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder, or a file in it, can't be created or written.
    #[error("the data folder {} can't be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process, or another engine in this one, has the folder open.
    #[error("the data folder {} is in use by another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not an Envoi database; it was left as it is.
    #[error("{} is not an Envoi database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database was written by a newer version of Envoi; it was left as it is.
    #[error("the database has schema version {found}, this version of Envoi knows up to {known}")]
    Newer {
        /// The version it has.
        found: i32,
        /// The newest version this build knows.
        known: i32,
    },
    /// The database can't be opened for another reason.
    #[error("the database can't be opened")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl OpenError {
    pub(super) fn engine(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine(error.into())
    }
}

/// A data folder that this process has to itself for as long as this lives, even if it is killed.
pub(super) struct Folder {
    pub(super) database: PathBuf,
    /// Its lock is the system's and ends with the process.
    _lock: File,
}

impl Folder {
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Folder { path: path.to_owned(), source };
        private::make_folder(path).map_err(refused)?;
        let made = |name| private::file_options().create(true).truncate(false).open(path.join(name));
        let lock = made("envoi.lock").map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        // Left to SQLite, it would be what the user's umask says; SQLite gives its log the database's own mode.
        made(DATABASE).map_err(refused)?;
        Ok(Self { database: path.join(DATABASE), _lock: lock })
    }

    /// The connection that writes, its schema in place.
    pub(super) fn open_writer(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Result<Connection, OpenError>> {
            let conn = Connection::open_with_flags(&self.database, flags)?;
            conn.busy_timeout(BUSY_TIMEOUT)?;
            if let Err(refusal) = recognise(&conn, &self.database)? {
                return Ok(Err(refusal));
            }
            // The row of a profile or a chunk fits; larger pages cost reads and the log more than they spare.
            conn.pragma_update(None, "page_size", 4096)?;
            conn.pragma_update(None, "journal_mode", "WAL")?;
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update(None, "wal_autocheckpoint", 0)?;
            conn.pragma_update(None, "cache_size", -32_768)?;
            conn.pragma_update(None, "temp_store", "MEMORY")?;
            // What is deleted is written over, so that people who were erased are not still to be read in the file. It costs
            // one page more in the log for each page that becomes empty: of queues and calls one for some twenty rows. The
            // milder FAST spares that page, and so leaves on it what it held: the rest of a large profile, say.
            conn.pragma_update(None, "secure_delete", true)?;
            keep_statements(&conn)?;
            migrate(&conn)?;
            Ok(Ok(conn))
        };
        open().unwrap_or_else(|error| Err(unopened(error, &self.database)))
    }
}

/// Looks before anything is written: a stranger's database must stay as it is.
fn recognise(conn: &Connection, path: &Path) -> rusqlite::Result<Result<(), OpenError>> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables > 0 && pragma("application_id")? != APPLICATION_ID {
        return Ok(Err(OpenError::NotADatabase { path: path.to_owned() }));
    }
    let found = pragma("user_version")?;
    if found > SCHEMA_VERSION {
        return Ok(Err(OpenError::Newer { found, known: SCHEMA_VERSION }));
    }
    Ok(Ok(()))
}

/// What SQLite says of the database at `path`, in our words.
fn unopened(error: rusqlite::Error, path: &Path) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: path.to_owned() },
        _ => OpenError::engine(error),
    }
}

/// Has a connection keep its prepared statements, each as it was planned the first time. Else SQLite would plan a range anew
/// whenever its bounds are bound, in case others suit another plan; without statistics, which we never gather, none do.
fn keep_statements(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// A database that lives in memory only.
pub(super) fn open_in_memory() -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    keep_statements(&conn)?;
    migrate(&conn)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn open_reader(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "cache_size", -4096)?;
    keep_statements(&conn)?;
    Ok(conn)
}

/// A connection for a copy of a database of ours, which others may have open.
pub(super) fn open_to_copy(database: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let conn = open_reader(database)?;
        recognise(&conn, database).map(|recognised| recognised.map(|()| conn))
    };
    open().unwrap_or_else(|error| Err(unopened(error, database)))
}

/// The connection of the checkpoints.
pub(super) fn open_checkpointer(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    // Short: while it waits for a reader, the writer waits for it.
    conn.busy_timeout(Duration::from_millis(200))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

/// Brings the schema to [`SCHEMA_VERSION`].
fn migrate(conn: &Connection) -> rusqlite::Result<()> {
    let version: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// Counts the times the database was opened; each gives out message ids of its own.
pub(super) fn next_epoch(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("UPDATE counter SET value = value + 1 WHERE name = 'epoch' RETURNING value", [], |row| {
        row.get(0)
    })
}
