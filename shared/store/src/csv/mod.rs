//! CSV as people have it: read for imports, written for exports.
//!
//! [`RowReader`] takes bytes in chunks of any size and gives rows, in memory bounded by the largest row. What it makes
//! of a file:
//!
//! | in the file | what becomes of it |
//! |---|---|
//! | UTF-8's byte order mark | dropped |
//! | UTF-16, windows-1252 or another encoding in the first [`PREVIEW_BYTES`] | the file is refused, before any row, and the error says what it seems to be |
//! | bytes that are no UTF-8 further on | an error for that row |
//! | `sep=;` as the first line, as Excel writes it | says the delimiter, and is skipped |
//! | no such line | the one of `,` `;` tab that the header has most of outside quotes |
//! | CR, LF, CRLF | each ends a line; within quotes they are kept as they are |
//! | blank lines | skipped, but counted in line numbers |
//! | text behind a closing quote, quotes within a field that has none in front | taken as they are |
//! | a row shorter than the header | padded with empty fields |
//! | a row longer than the header, or over [`Limits::max_row_bytes`], or whose quote never closes | an error for that row |
//! | header names | trimmed; an empty or a repeated one refuses the file |
//!
//! A reading can be broken off at a [`Position`] and gone on with by another reader.
//!
//! [`write_row`] quotes what needs it and defuses cells that a spreadsheet would run as formulas.

mod reader;
mod sniff;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

pub use reader::{Header, Position, Row, RowReader};
pub use write::{write_row, write_row_verbatim};

/// How much of a file is looked at before its first row is given: its encoding is judged by this much, and its header
/// must end within it.
pub const PREVIEW_BYTES: usize = 64 * 1024;

/// Bounds on what a reader holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest row, in bytes of its unquoted text, one more counted for each field. A longer one is an error.
    pub max_row_bytes: usize,
}

impl Default for Limits {
    /// One MiB a row.
    fn default() -> Self {
        Self { max_row_bytes: 1024 * 1024 }
    }
}

/// What bytes that are no UTF-8 seem to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// windows-1252, or a sibling of it with one byte a character: mostly ASCII with a few other letters.
    Windows1252,
    /// None of these.
    Unknown,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16Le => "UTF-16 (little endian)",
            Self::Utf16Be => "UTF-16 (big endian)",
            Self::Windows1252 => "windows-1252 or a similar encoding",
            Self::Unknown => "an unknown encoding",
        })
    }
}

/// What is wrong with a file as a whole; nothing can be read of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileError {
    /// It has no header: it is empty or blank.
    #[error("the file is empty")]
    Empty,
    /// It is not UTF-8.
    #[error("line {line}: the file is not UTF-8, it seems to be {suspected}: save it as UTF-8")]
    Encoding {
        /// What it seems to be.
        suspected: Encoding,
        /// The line, from 1, of the first byte that shows it.
        line: u64,
    },
    /// Its `sep=` line names a delimiter other than `,` `;` tab and `|`.
    #[error("the first line names a delimiter other than comma, semicolon, tab and bar")]
    Delimiter,
    /// Its header does not end within [`PREVIEW_BYTES`], or its quotes do not close.
    #[error("line {line}: the header does not end within {PREVIEW_BYTES} bytes: is a quote not closed?")]
    HeaderTooLong {
        /// The line where it begins.
        line: u64,
    },
    /// A column has no name.
    #[error("column {column} has no name in the header")]
    NoName {
        /// The column, from 1.
        column: usize,
    },
    /// Two columns have one name.
    #[error("columns {first} and {second} are both named {name:?}")]
    SameName {
        /// The name.
        name: String,
        /// The first such column, from 1.
        first: usize,
        /// The second.
        second: usize,
    },
}

/// What is wrong with one row; the ones after it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct RowError {
    /// The line, from 1, where the row begins.
    pub line: u64,
    /// What is wrong.
    pub problem: RowProblem,
}

/// What can be wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowProblem {
    /// It has more fields than the header.
    #[error("the row has {found} fields, the header {expected}")]
    TooManyFields {
        /// The header's.
        expected: usize,
        /// The row's.
        found: usize,
    },
    /// It is longer than [`Limits::max_row_bytes`].
    #[error("the row is longer than {max} bytes: is a quote not closed?")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// It is not UTF-8.
    #[error("the row is not UTF-8, it seems to be {suspected}")]
    Encoding {
        /// What it seems to be.
        suspected: Encoding,
    },
    /// A quote opens in it that is not closed before the file ends.
    #[error("a quote opens in this row that is never closed")]
    Unclosed,
}

/// What a reader meets instead of a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The file cannot be read; no row follows.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row cannot be read; others follow.
    #[error(transparent)]
    Row(#[from] RowError),
}
