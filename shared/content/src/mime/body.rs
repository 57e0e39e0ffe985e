//! Bodies: quoted-printable, or base64 where that is shorter.

use std::borrow::Cow;

use data_encoding::BASE64_MIME;
use memchr::memchr;

/// The longest line, its line end not counted.
const LINE: usize = 76;
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Whether a byte can't stand for itself inside a line. Line feeds, and what stands at a line's ends, are seen to
/// separately.
///
/// Without a branch or a table, so that a whole text is counted many bytes at a time.
const fn must_escape(byte: u8) -> bool {
    (byte == b'=') | (byte > b'~') | ((byte < b' ') & (byte != b'\t') & (byte != b'\n'))
}

/// Writes a part's header and content, without a line end after it.
pub(super) fn push_part(out: &mut Vec<u8>, subtype: &str, content: &str) {
    for piece in ["Content-Type: text/", subtype, "; charset=utf-8\r\nContent-Transfer-Encoding: "] {
        out.extend_from_slice(piece.as_bytes());
    }
    let escapes: usize = content.bytes().map(|byte| usize::from(must_escape(byte))).sum();
    // Three characters an escape, four for three bytes in base64.
    if content.len() + escapes * 2 <= content.len() / 3 * 4 + 4 {
        out.extend_from_slice(b"quoted-printable\r\n\r\n");
        push_quoted_printable(out, content);
    } else {
        out.extend_from_slice(b"base64\r\n\r\n");
        let canonical = if content.contains('\n') {
            Cow::Owned(content.replace("\r\n", "\n").replace('\n', "\r\n"))
        } else {
            Cow::Borrowed(content)
        };
        let encoded = BASE64_MIME.encode(canonical.as_bytes());
        out.extend_from_slice(encoded.trim_end().as_bytes());
    }
}

fn push_quoted_printable(out: &mut Vec<u8>, content: &str) {
    out.reserve(content.len() + content.len() / 8);
    let mut rest = content.as_bytes();
    while let Some(end) = memchr(b'\n', rest) {
        push_line(out, &rest[..end]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[end + 1..];
    }
    push_line(out, rest);
}

fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // White space at the end of a line does not survive transport.
    let (mut rest, last) = match line.split_last() {
        Some((last @ (b' ' | b'\t'), before)) => (before, Some(*last)),
        _ => (line, None),
    };
    // One character is kept free for the soft line break.
    let mut room = LINE - 1;
    while let Some(&first) = rest.first() {
        // A dot at the start of a line may be lost by a relay that forgets to stuff or unstuff it.
        if must_escape(first) || (first == b'.' && room == LINE - 1) {
            push_escape(out, first, &mut room);
            rest = &rest[1..];
            continue;
        }
        if room == 0 {
            push_soft_break(out, &mut room);
            continue;
        }
        let most = &rest[..room.min(rest.len())];
        let length = most.iter().position(|&byte| must_escape(byte)).unwrap_or(most.len());
        out.extend_from_slice(&rest[..length]);
        room -= length;
        rest = &rest[length..];
    }
    if let Some(last) = last {
        push_escape(out, last, &mut room);
    }
}

fn push_escape(out: &mut Vec<u8>, byte: u8, room: &mut usize) {
    if *room < 3 {
        push_soft_break(out, room);
    }
    out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    *room -= 3;
}

fn push_soft_break(out: &mut Vec<u8>, room: &mut usize) {
    out.extend_from_slice(b"=\r\n");
    *room = LINE - 1;
}
