//! The rows of a file, one at a time.

use std::pin::pin;

use futures::{Stream, StreamExt};
use platform::{Clock, Deadline};
use serde::{Deserialize, Serialize};

use super::{Extent, ImportError, RowFault};
use crate::Store;
use crate::csv::{self, Header, Limits, ReadError, RowReader};

/// After how many bytes is looked what time it is.
const PIECE: usize = 32 * 1024;

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

/// Where an import stands in its file, to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// How many bytes need not be read again, and in what state.
    pub bytes: csv::Position,
    /// How many data rows came before.
    pub rows: u64,
}

/// Reads a file that comes in pieces into a sink.
pub(super) struct Rows {
    reader: RowReader,
    number: u64,
    has_header: bool,
}

impl Rows {
    /// From the beginning of a file.
    pub(super) fn new() -> Self {
        Self { reader: RowReader::new(Limits::default()), number: 0, has_header: false }
    }

    /// From a position on, in a file that begins with `preview` ([`RowReader::resume`]).
    pub(super) fn resume<E>(
        preview: &[u8],
        position: &Position,
        sink: &mut impl Sink<E>,
    ) -> Result<Self, ImportError<E>> {
        let reader = RowReader::resume(Limits::default(), preview, position.bytes)?;
        sink.header(reader.header().map_or(&[], Header::names))?;
        Ok(Self { reader, number: position.rows, has_header: true })
    }

    /// Where it stands: behind every row that the sink was given. `None` before the header is known.
    pub(super) fn position(&self) -> Option<Position> {
        Some(Position { bytes: self.reader.position()?, rows: self.number })
    }

    /// Takes the next bytes, and gives the sink the rows they complete.
    pub(super) async fn push<E>(
        &mut self,
        bytes: &[u8],
        sink: &mut impl Sink<E>,
    ) -> Result<(), ImportError<E>> {
        self.reader.push(bytes);
        self.drain(sink).await
    }

    /// Says that there are no more bytes.
    pub(super) async fn finish<E>(&mut self, sink: &mut impl Sink<E>) -> Result<(), ImportError<E>> {
        self.reader.finish();
        self.drain(sink).await?;
        if !self.has_header
            && let Some(header) = self.reader.header()
        {
            self.has_header = true;
            sink.header(header.names())?;
        }
        Ok(())
    }

    async fn drain<E>(&mut self, sink: &mut impl Sink<E>) -> Result<(), ImportError<E>> {
        while let Some(row) = self.reader.next_row() {
            if !matches!(row, Err(ReadError::File(_))) {
                self.number += 1;
            }
            match row {
                Err(ReadError::File(error)) => return Err(error.into()),
                Err(ReadError::Row(error)) => {
                    let message = error.problem.to_string();
                    sink.unreadable(RowFault { row: self.number, line: error.line, field: None, message });
                }
                Ok(row) if self.has_header => sink.row(self.number, row.line(), row.fields()),
                // The header is read on the way to the first row, which must be copied to look at it.
                Ok(row) => {
                    let (line, cells) = (row.line(), row.fields().map(str::to_owned).collect::<Vec<_>>());
                    self.has_header = true;
                    sink.header(self.reader.header().map_or(&[], Header::names))?;
                    sink.row(self.number, line, cells.iter().map(String::as_str));
                }
            }
            sink.relieve().await?;
        }
        Ok(())
    }
}

/// Until when a file is read.
pub(super) struct Until<'c> {
    deadline: Option<Deadline>,
    clock: &'c dyn Clock,
}

impl<'c> Until<'c> {
    /// `None`: until its end, however long that takes.
    pub(super) fn of(store: &'c Store, deadline: Option<Deadline>) -> Self {
        Self { deadline, clock: &*store.platform.clock }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.remaining(self.clock).is_zero())
    }
}

/// Reads the stream into the sink: to its end, or to the end of a row once the time is over. A row that has begun by then is none
/// of the rows read.
pub(super) async fn read<B, E, S>(
    bytes: S,
    until: Until<'_>,
    sink: &mut impl Sink<E>,
) -> Result<Extent, ImportError<E>>
where
    B: AsRef<[u8]>,
    S: Stream<Item = Result<B, E>>,
{
    let mut bytes = pin!(bytes);
    let mut rows = Rows::new();
    while let Some(chunk) = bytes.next().await {
        // A body may come as a whole.
        for piece in chunk.map_err(ImportError::Source)?.as_ref().chunks(PIECE) {
            if until.is_over() {
                return Ok(Extent::Part);
            }
            rows.push(piece, sink).await?;
        }
    }
    rows.finish(sink).await?;
    Ok(Extent::Whole)
}
