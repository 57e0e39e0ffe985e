//! SQLite's errors in the words of the ports.

use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::PlatformError;

impl From<rusqlite::Error> for PlatformError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable { what: "the database", source: Box::new(error) },
        }
    }
}

/// Why a write whose own work had succeeded was not kept.
#[derive(Debug, Error)]
#[error("the group of writes was rolled back")]
struct GroupLost(#[source] Arc<rusqlite::Error>);

/// The writer thread has ended.
#[derive(Debug, Error)]
#[error("the database is closed")]
struct Closed;

/// For a write in a group that could not be committed.
pub(super) fn group_lost(cause: &Arc<rusqlite::Error>) -> PlatformError {
    PlatformError::Unavailable { what: "the database", source: Box::new(GroupLost(Arc::clone(cause))) }
}

/// For a write after the engine was shut down.
pub(super) fn closed() -> PlatformError {
    PlatformError::Unavailable { what: "the database", source: Box::new(Closed) }
}
