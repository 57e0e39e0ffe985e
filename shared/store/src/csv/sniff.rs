//! What a file's first bytes say of it: its encoding, its delimiter, where its header begins.

use super::{Encoding, FileError, PREVIEW_BYTES};

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sniffed {
    /// Where the header begins.
    pub(super) start: usize,
    /// The line where it begins, from 1.
    pub(super) line: u64,
    /// What stands between two fields.
    pub(super) delimiter: u8,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Looks at the beginning of a file: all of it, or [`PREVIEW_BYTES`] and more.
pub(super) fn sniff(bytes: &[u8]) -> Result<Sniffed, FileError> {
    let is_whole = bytes.len() < PREVIEW_BYTES;
    let preview = &bytes[..bytes.len().min(PREVIEW_BYTES)];
    check_encoding(preview, is_whole)?;
    let mut start = if preview.starts_with(BOM) { BOM.len() } else { 0 };
    let mut line = 1;
    skip_blank_lines(preview, &mut start, &mut line);
    let named = separator_line(&preview[start..]);
    if let Some((delimiter, len)) = named {
        if !matches!(delimiter, b',' | b';' | b'\t' | b'|') {
            return Err(FileError::Delimiter);
        }
        start += len;
        skip_blank_lines(preview, &mut start, &mut line);
    }
    let rest = &preview[start..];
    if rest.is_empty() && is_whole {
        return Err(FileError::Empty);
    }
    let header = header_of(rest);
    if header.is_none() && !is_whole {
        return Err(FileError::HeaderTooLong { line });
    }
    let delimiter = named.map_or_else(|| most_frequent(header.unwrap_or(rest)), |(delimiter, _)| delimiter);
    Ok(Sniffed { start, line, delimiter })
}

fn check_encoding(preview: &[u8], is_whole: bool) -> Result<(), FileError> {
    let refuse = |suspected, line| Err(FileError::Encoding { suspected, line });
    if preview.starts_with(b"\xFF\xFE") {
        return refuse(Encoding::Utf16Le, 1);
    }
    if preview.starts_with(b"\xFE\xFF") {
        return refuse(Encoding::Utf16Be, 1);
    }
    let even = preview.iter().step_by(2).filter(|byte| **byte == 0).count();
    let odd = preview.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    // Latin text in UTF-16 has a zero in nearly every other byte, other scripts at every space and digit.
    if even.max(odd) * 16 > preview.len() {
        return refuse(if odd > even { Encoding::Utf16Le } else { Encoding::Utf16Be }, 1);
    }
    let Err(error) = std::str::from_utf8(preview) else {
        return Ok(());
    };
    if error.error_len().is_none() && !is_whole {
        return Ok(());
    }
    refuse(suspect(preview), line_at(preview, error.valid_up_to()))
}

/// What bytes that are no UTF-8 seem to be, if not UTF-16.
pub(super) fn suspect(bytes: &[u8]) -> Encoding {
    let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
    let is_assigned = |byte: &u8| !matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D);
    if high * 3 <= bytes.len() && bytes.iter().all(is_assigned) {
        Encoding::Windows1252
    } else {
        Encoding::Unknown
    }
}

/// The line, from 1, of the byte at this offset.
fn line_at(bytes: &[u8], offset: usize) -> u64 {
    let mut line = 1;
    let mut at = 0;
    while let Some(end) = bytes[at..offset].iter().position(|byte| is_line_end(*byte)) {
        at += end + line_end_len(&bytes[at + end..]);
        line += 1;
        if at >= offset {
            break;
        }
    }
    line
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The length of the line end at the front: CRLF is one.
fn line_end_len(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

fn skip_blank_lines(bytes: &[u8], start: &mut usize, line: &mut u64) {
    loop {
        let len = line_end_len(&bytes[*start..]);
        if len == 0 {
            return;
        }
        *start += len;
        *line += 1;
    }
}

/// The delimiter that an Excel `sep=;` line names, and the line's length without its end.
fn separator_line(bytes: &[u8]) -> Option<(u8, usize)> {
    let len = bytes.iter().position(|byte| is_line_end(*byte)).unwrap_or(bytes.len());
    let line = &bytes[..len];
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (key, delimiter) = line.split_last_chunk::<1>()?;
    key.eq_ignore_ascii_case(b"sep=").then_some((delimiter[0], len))
}

/// The header's line or lines: up to the first line end outside quotes; `None` where there is none.
fn header_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut is_quoted = false;
    let end = bytes.iter().position(|byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && is_line_end(*byte)
    });
    end.map(|end| &bytes[..end])
}

/// The delimiter that the header has most of; the comma where it has none.
fn most_frequent(header: &[u8]) -> u8 {
    let mut counts = [(b'\t', 0_usize), (b';', 0), (b',', 0)];
    let mut is_quoted = false;
    for byte in header {
        is_quoted ^= *byte == b'"';
        if !is_quoted && let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| delimiter == byte) {
            *count += 1;
        }
    }
    counts.iter().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}
