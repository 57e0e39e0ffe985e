//! The rows of a stream of bytes, one at a time.

use std::pin::pin;

use futures::{Stream, StreamExt};

use super::{ImportError, RowFault};
use crate::csv::{Header, Limits, ReadError, RowReader};

/// What a file gives, in order.
pub(super) trait Sink<E> {
    /// The columns, once, before any row.
    fn header(&mut self, names: &[String]) -> Result<(), ImportError<E>>;
    /// A row that can be read.
    fn row<'r>(&mut self, number: u64, line: u64, cells: impl Iterator<Item = &'r str>);
    /// A row that can't.
    fn unreadable(&mut self, fault: RowFault);
    /// Waits until there is room for more rows, writing what is ready; called after every row.
    async fn relieve(&mut self) -> Result<(), ImportError<E>>;
}

/// Reads the whole stream into the sink.
pub(super) async fn read<B, E, S>(bytes: S, sink: &mut impl Sink<E>) -> Result<(), ImportError<E>>
where
    B: AsRef<[u8]>,
    S: Stream<Item = Result<B, E>>,
{
    let mut bytes = pin!(bytes);
    let mut reader = RowReader::new(Limits::default());
    let (mut number, mut has_header, mut is_over) = (0, false, false);
    while !is_over {
        match bytes.next().await {
            Some(chunk) => reader.push(chunk.map_err(ImportError::Source)?.as_ref()),
            None => {
                reader.finish();
                is_over = true;
            }
        }
        while let Some(row) = reader.next_row() {
            number += 1;
            match row {
                Err(ReadError::File(error)) => return Err(error.into()),
                Err(ReadError::Row(error)) => {
                    let message = error.problem.to_string();
                    sink.unreadable(RowFault { row: number, line: error.line, field: None, message });
                }
                Ok(row) if has_header => sink.row(number, row.line(), row.fields()),
                // The header is read on the way to the first row, which must be copied to look at it.
                Ok(row) => {
                    let (line, cells) = (row.line(), row.fields().map(str::to_owned).collect::<Vec<_>>());
                    has_header = true;
                    sink.header(reader.header().map_or(&[], Header::names))?;
                    sink.row(number, line, cells.iter().map(String::as_str));
                }
            }
            sink.relieve().await?;
        }
    }
    if !has_header && let Some(header) = reader.header() {
        sink.header(header.names())?;
    }
    Ok(())
}
