//! Imports: a CSV file of any size becomes profiles, members of a list, or suppressed addresses, in memory that does not grow with it.
//!
//! The bytes are read as they come, rows are gathered into batches, and a few batches are written at once. Every data
//! row is accounted for: `rows = created + updated + duplicates + invalid`.

mod columns;
mod members;
mod profiles;
mod rows;
mod steps;
mod suppressions;

#[cfg(test)]
mod tests;

pub use columns::ColumnError;
pub use members::MemberName;
pub use rows::Position;
pub use steps::{ImportCounts, Step, Steps};
pub use suppressions::{MAX_SOURCE, SuppressionReport, Unsaid, canonical as canonical_address};
use thiserror::Error;

use crate::StoreError;
use crate::csv::FileError;

/// The most row errors a report names.
pub const MAX_REPORTED: usize = 1000;
/// How many rows are written together.
const BATCH_ROWS: usize = 200;
/// How many bytes of text end a batch early.
const BATCH_BYTES: usize = 1024 * 1024;
/// How many batches are written at once.
const IN_FLIGHT: usize = 3;
/// Among how many names a file's repetitions are looked for: some 36 MiB of hashes at most. Someone who appears again
/// later than that is still imported right, but counted as updated.
const MOST_SEEN: usize = 2_000_000;

/// One row that was left out, or one of several things that are wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Which data row, from 1; the header is none.
    pub row: u64,
    /// The line of the file where it begins, from 1.
    pub line: u64,
    /// The field, where it is one field's fault.
    pub field: Option<String>,
    /// What is wrong. It never repeats the cell.
    pub message: String,
}

/// How much of its file a report is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// The rows that were read before the time was over; those behind them were not looked at.
    Part,
}

/// What became of a file of profiles. `rows = created + updated + duplicates + invalid`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileReport {
    /// Whether the file was read to its end.
    pub extent: Extent,
    /// Data rows of the file, as far as it was read.
    pub rows: u64,
    /// Profiles made.
    pub created: u64,
    /// Profiles that were there before the import and were changed, or already said the same.
    pub updated: u64,
    /// Rows that name somebody an earlier row named; they were taken too, and the last one's fields hold.
    pub duplicates: u64,
    /// Rows left out.
    pub invalid: u64,
    /// Why, for the first [`MAX_REPORTED`] of them.
    pub faults: Vec<RowFault>,
}

/// What became of a file of list members. `rows = added + unchanged + invalid`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberReport {
    /// Whether the file was read to its end.
    pub extent: Extent,
    /// Data rows of the file, as far as it was read.
    pub rows: u64,
    /// Members added.
    pub added: u64,
    /// Rows that name somebody who was on the list already, by an earlier row too.
    pub unchanged: u64,
    /// Rows left out: unreadable, or nobody has that identity.
    pub invalid: u64,
    /// Why, for the first [`MAX_REPORTED`] of them.
    pub faults: Vec<RowFault>,
}

/// Why an import stopped.
#[derive(Debug, Error)]
pub enum ImportError<E> {
    /// The file can't be read; nothing was imported.
    #[error(transparent)]
    File(#[from] FileError),
    /// A column can't be imported; nothing was.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// The bytes stopped coming. The rows before may have been imported; the same file may be imported again.
    #[error("the upload broke off")]
    Source(#[source] E),
    /// The store failed. The rows before may have been imported; the same file may be imported again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rows that were left out, as many as are asked for.
struct Faults {
    most: usize,
    list: Vec<RowFault>,
}

impl Faults {
    fn up_to(most: usize) -> Self {
        Self { most, list: Vec::new() }
    }

    fn note(&mut self, fault: RowFault) {
        if self.list.len() < self.most {
            self.list.push(fault);
        }
    }

    /// Those so far, in the order of the rows.
    fn take(&mut self) -> Vec<RowFault> {
        let mut faults = std::mem::take(&mut self.list);
        faults.sort_by_key(|fault| fault.row);
        faults
    }
}
