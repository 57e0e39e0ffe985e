//! The reader: one pass over the bytes, which may stop and go on anywhere.

use memchr::{memchr, memchr2_iter, memchr3};
use serde::{Deserialize, Serialize};

use super::sniff::{sniff, suspect};
use super::{FileError, Limits, PREVIEW_BYTES, ReadError, RowError, RowProblem};

/// Reads rows from bytes that come in chunks.
///
/// ```
/// use store::csv::{Limits, RowReader};
///
/// let mut reader = RowReader::new(Limits::default());
/// for chunk in [&b"email;na"[..], b"me\r\na@x.io;\"Ann \"\"A\"\"", b"\"\nb@x.io"] {
///     reader.push(chunk);
///     while let Some(row) = reader.next_row() {
///         row?;
///     }
/// }
/// reader.finish();
/// let mut rows = Vec::new();
/// while let Some(row) = reader.next_row() {
///     let row = row?;
///     rows.push((row.line(), row.fields().map(str::to_owned).collect::<Vec<_>>()));
/// }
/// assert_eq!(reader.header().unwrap().names(), ["email", "name"]);
/// assert_eq!(rows, [(2, vec!["a@x.io".to_owned(), "Ann \"A\"".to_owned()]), (3, vec!["b@x.io".to_owned(), String::new()])]);
/// # Ok::<(), store::csv::ReadError>(())
/// ```
#[derive(Debug)]
pub struct RowReader {
    limits: Limits,
    /// What was pushed and not yet read begins at `at`.
    input: Vec<u8>,
    at: usize,
    /// Where in the file `input` begins, and where the row began.
    base: u64,
    row_at: u64,
    is_finished: bool,
    stage: Stage,
    delimiter: u8,
    header: Option<Header>,
    state: State,
    /// The line being read, and the one where the row began.
    line: u64,
    row_line: u64,
    /// Whether the last byte was a CR, so that an LF now ends no other line.
    is_after_cr: bool,
    is_too_long: bool,
    /// The row so far: its fields' text and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Whether the row was given, so that the next byte begins another.
    is_given: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Preview,
    Rows,
    Over,
}

/// Where a reading stands, to go on from: behind the last row that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// How many bytes of the file need not be read again.
    pub offset: u64,
    /// The line, from 1, where the next byte stands.
    pub(super) line: u64,
    /// Whether the byte before is a CR.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_after_cr: bool,
    /// Within a row that is too long already, of which nothing is kept: the line where it begins, and where in it the next
    /// byte stands. Such a row may be longer than what can be read at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) too_long: Option<(u64, State)>,
}

/// Where in a row the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    RowStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote within quotes: the closing one, or the first of two.
    QuoteInQuoted,
}

/// What stopped the reading.
enum Step {
    /// A whole row.
    Row,
    /// The file ended within quotes.
    Unclosed,
    /// There are no more bytes.
    Dry,
}

impl RowReader {
    /// A reader for one file.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            input: Vec::new(),
            at: 0,
            base: 0,
            row_at: 0,
            is_finished: false,
            stage: Stage::Preview,
            delimiter: b',',
            header: None,
            state: State::RowStart,
            line: 1,
            row_line: 1,
            is_after_cr: false,
            is_too_long: false,
            text: Vec::new(),
            ends: Vec::new(),
            is_given: false,
        }
    }

    /// A reader that goes on at `position` of a file that another has begun. `preview` is the file's beginning:
    /// [`PREVIEW_BYTES`] of it, or the whole file where it is shorter. What is pushed is what stands at the position.
    ///
    /// # Errors
    /// [`FileError`] where it is not the file that was begun.
    pub fn resume(limits: Limits, preview: &[u8], position: Position) -> Result<Self, FileError> {
        let mut reader = Self::new(limits);
        reader.input.extend_from_slice(preview);
        reader.is_finished = preview.len() < PREVIEW_BYTES;
        reader.begin()?;
        reader.is_finished = false;
        reader.input.clear();
        reader.at = 0;
        reader.base = position.offset;
        reader.line = position.line;
        reader.is_after_cr = position.is_after_cr;
        // The header was given, so the next byte drops it, but it must not drop what is known of a row that is too long.
        reader.is_given = false;
        reader.text.clear();
        reader.ends.clear();
        reader.state = State::RowStart;
        if let Some((row_line, state)) = position.too_long {
            reader.row_line = row_line;
            reader.state = state;
            reader.is_too_long = true;
        }
        Ok(reader)
    }

    /// Where the reading stands, once the header is known: after [`next_row`](Self::next_row) has given `None`.
    pub fn position(&self) -> Option<Position> {
        self.header.as_ref()?;
        let here = self.base + self.at as u64;
        Some(match self.state {
            State::RowStart => {
                Position { offset: here, line: self.line, is_after_cr: self.is_after_cr, too_long: None }
            }
            state if self.is_too_long => Position {
                offset: here,
                line: self.line,
                is_after_cr: self.is_after_cr,
                too_long: Some((self.row_line, state)),
            },
            _ => Position { offset: self.row_at, line: self.row_line, is_after_cr: false, too_long: None },
        })
    }

    /// Takes the file's next bytes. Take the rows they complete before pushing more: what is not read is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Over {
            return;
        }
        self.input.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        self.input.extend_from_slice(bytes);
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The header, once [`next_row`](Self::next_row) has come by it: it takes [`PREVIEW_BYTES`] or the whole file.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The next row; `None` where more bytes must be pushed first, or, after [`finish`](Self::finish), none is left.
    ///
    /// # Errors
    /// [`ReadError::Row`] for a row that cannot be read, after which others follow; [`ReadError::File`] for a file that
    /// cannot be read, after which none does.
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, ReadError>> {
        if self.stage == Stage::Preview {
            if self.input.len() < PREVIEW_BYTES && !self.is_finished {
                return None;
            }
            if let Err(error) = self.begin() {
                self.end();
                return Some(Err(error.into()));
            }
        }
        let problem = match self.advance() {
            Step::Dry => {
                if self.is_finished {
                    self.end();
                }
                return None;
            }
            Step::Unclosed => Some(RowProblem::Unclosed),
            Step::Row if self.is_too_long => Some(RowProblem::TooLong { max: self.limits.max_row_bytes }),
            Step::Row => None,
        };
        let line = self.row_line;
        let row = match problem {
            Some(problem) => Err(problem),
            None => self.row(),
        };
        Some(row.map_err(|problem| RowError { line, problem }.into()))
    }

    /// How many bytes it holds at present: what was pushed and not yet read, and the row so far.
    pub fn held_bytes(&self) -> usize {
        self.input.capacity() + self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Drops everything: the file is over.
    fn end(&mut self) {
        self.stage = Stage::Over;
        self.base += self.at as u64;
        self.input = Vec::new();
        self.at = 0;
    }

    /// Looks at the preview and reads the header.
    fn begin(&mut self) -> Result<(), FileError> {
        let sniffed = sniff(&self.input)?;
        self.at = sniffed.start;
        self.line = sniffed.line;
        self.delimiter = sniffed.delimiter;
        self.stage = Stage::Rows;
        // The header's own length is bounded by the preview's.
        let limits = std::mem::replace(&mut self.limits, Limits { max_row_bytes: usize::MAX });
        let step = self.advance();
        self.limits = limits;
        let line = self.row_line;
        if !matches!(step, Step::Row) || self.at > PREVIEW_BYTES {
            return Err(FileError::HeaderTooLong { line });
        }
        let text = std::str::from_utf8(&self.text)
            .map_err(|_| FileError::Encoding { suspected: suspect(&self.text), line })?;
        let names = Row { line, text, ends: &self.ends, given: self.ends.len() };
        self.header = Some(Header::new(names.fields().map(|name| name.trim().to_owned()).collect())?);
        Ok(())
    }

    /// The row that was just read.
    fn row(&mut self) -> Result<Row<'_>, RowProblem> {
        let expected = self.header.as_ref().map_or(0, |header| header.names.len());
        let given = self.ends.len();
        if given > expected {
            return Err(RowProblem::TooManyFields { expected, found: given });
        }
        self.ends.resize(expected, self.text.len());
        let text = std::str::from_utf8(&self.text)
            .map_err(|_| RowProblem::Encoding { suspected: suspect(&self.text) })?;
        Ok(Row { line: self.row_line, text, ends: &self.ends, given })
    }

    /// Reads on to the end of a row, or of the bytes.
    fn advance(&mut self) -> Step {
        if std::mem::take(&mut self.is_given) {
            self.text.clear();
            self.ends.clear();
            self.is_too_long = false;
        }
        while let Some(&byte) = self.input.get(self.at) {
            match self.state {
                State::RowStart => {
                    let is_second_half = std::mem::take(&mut self.is_after_cr) && byte == b'\n';
                    if is_second_half {
                        self.at += 1;
                    } else if matches!(byte, b'\n' | b'\r') {
                        self.end_line(byte);
                    } else {
                        self.row_line = self.line;
                        self.row_at = self.base + self.at as u64;
                        self.state = State::FieldStart;
                    }
                }
                State::FieldStart if byte == b'"' => {
                    self.at += 1;
                    self.state = State::Quoted;
                }
                State::FieldStart | State::Unquoted => {
                    self.state = State::Unquoted;
                    let rest = &self.input[self.at..];
                    let Some(len) = memchr3(self.delimiter, b'\n', b'\r', rest) else {
                        self.keep(self.input.len() - self.at);
                        break;
                    };
                    let found = rest[len];
                    self.keep(len);
                    self.end_field();
                    if found == self.delimiter {
                        self.at += 1;
                        self.state = State::FieldStart;
                    } else {
                        self.end_line(found);
                        return self.give(Step::Row);
                    }
                }
                State::Quoted => {
                    let rest = &self.input[self.at..];
                    let quote = memchr(b'"', rest);
                    let len = quote.unwrap_or(rest.len());
                    self.count_lines(len);
                    self.keep(len);
                    if quote.is_some() {
                        self.at += 1;
                        self.is_after_cr = false;
                        self.state = State::QuoteInQuoted;
                    }
                }
                State::QuoteInQuoted if byte == b'"' => {
                    self.keep(1);
                    self.state = State::Quoted;
                }
                State::QuoteInQuoted => self.state = State::Unquoted,
            }
        }
        match self.state {
            _ if !self.is_finished => Step::Dry,
            State::RowStart => Step::Dry,
            State::Quoted => self.give(Step::Unclosed),
            State::FieldStart | State::Unquoted | State::QuoteInQuoted => {
                self.end_field();
                self.give(Step::Row)
            }
        }
    }

    fn give(&mut self, step: Step) -> Step {
        self.state = State::RowStart;
        self.is_given = true;
        step
    }

    /// Moves over the next bytes, and keeps them as the field's unless the row is too long already.
    fn keep(&mut self, len: usize) {
        let end = self.at + len;
        if self.text.len() + self.ends.len() + len > self.limits.max_row_bytes {
            self.drop_row();
        }
        if !self.is_too_long {
            self.text.extend_from_slice(&self.input[self.at..end]);
        }
        self.at = end;
    }

    fn end_field(&mut self) {
        if self.text.len() + self.ends.len() >= self.limits.max_row_bytes {
            self.drop_row();
        }
        if !self.is_too_long {
            self.ends.push(self.text.len());
        }
    }

    /// Gives up on a row that is too long; its bytes are still read, to know where it ends.
    fn drop_row(&mut self) {
        self.is_too_long = true;
        self.text.clear();
        self.ends.clear();
    }

    /// Moves over the first byte of a line end.
    fn end_line(&mut self, byte: u8) {
        self.at += 1;
        self.line += 1;
        self.is_after_cr = byte == b'\r';
    }

    /// Counts the line ends in the next bytes, which are in quotes.
    fn count_lines(&mut self, len: usize) {
        let bytes = &self.input[self.at..self.at + len];
        for end in memchr2_iter(b'\n', b'\r', bytes) {
            let is_after_cr = if end == 0 { self.is_after_cr } else { bytes[end - 1] == b'\r' };
            if !(is_after_cr && bytes[end] == b'\n') {
                self.line += 1;
            }
        }
        if let Some(last) = bytes.last() {
            self.is_after_cr = *last == b'\r';
        }
    }
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    fn new(names: Vec<String>) -> Result<Self, FileError> {
        let mut seen = std::collections::HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(FileError::NoName { column: index + 1 });
            }
            if let Some(first) = seen.insert(name.as_str(), index + 1) {
                return Err(FileError::SameName { name: name.clone(), first, second: index + 1 });
            }
        }
        Ok(Self { names })
    }

    /// The columns' names, trimmed, in the file's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Which column has this name, from 0.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }
}

/// A row: as many fields as the header has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'r> {
    line: u64,
    text: &'r str,
    ends: &'r [usize],
    given: usize,
}

impl<'r> Row<'r> {
    /// The line of the file, from 1, where it begins.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// How many fields the file gives; the others are padding.
    pub const fn given(&self) -> usize {
        self.given
    }

    /// The field in this column, from 0, as it stands: not trimmed. `None` beyond the header.
    pub fn get(&self, column: usize) -> Option<&'r str> {
        let end = *self.ends.get(column)?;
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// The fields, in the header's order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &'r str> + use<'r> {
        let (text, ends) = (self.text, self.ends);
        let mut start = 0;
        ends.iter().map(move |end| &text[std::mem::replace(&mut start, *end)..*end])
    }
}
