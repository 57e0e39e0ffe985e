//! Header lines: refusing what would break out of them, encoding (RFC 2047) and folding.

use super::{Mailbox, MimeError};

/// The longest line that folding aims at (RFC 2047 allows no more for encoded words).
const LINE: usize = 76;
/// The longest line there may ever be (RFC 5322), its line end not counted.
const LONGEST: usize = 998;

pub(super) fn refuse_controls(header: &str, value: &str) -> Result<(), MimeError> {
    if value.chars().any(char::is_control) {
        return Err(MimeError::ControlCharacter { header: header.to_owned() });
    }
    Ok(())
}

pub(super) fn check_name(name: &str) -> Result<(), MimeError> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if name.is_empty() || name.len() > 70 || !name.bytes().all(fits) {
        return Err(MimeError::Invalid {
            header: name.chars().filter(|next| !next.is_control()).take(70).collect(),
            expected: "a header name",
        });
    }
    Ok(())
}

fn invalid(header: &str, expected: &'static str) -> MimeError {
    MimeError::Invalid { header: header.to_owned(), expected }
}

/// An unstructured header: a subject, or one of the caller's own.
pub(super) fn push_text(out: &mut String, header: &str, value: &str) -> Result<(), MimeError> {
    refuse_controls(header, value)?;
    out.push_str(header);
    out.push_str(": ");
    let column = header.len() + 2;
    if reads_plain(value, column) {
        push_folded(out, value, column);
    } else {
        push_encoded(out, value, column);
    }
    out.push_str("\r\n");
    Ok(())
}

pub(super) fn push_mailbox(out: &mut String, header: &str, mailbox: &Mailbox<'_>) -> Result<(), MimeError> {
    let Mailbox { name, address } = mailbox;
    refuse_controls(header, address)?;
    check_address(header, address)?;
    out.push_str(header);
    out.push_str(": ");
    let mut column = header.len() + 2;
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    if let Some(name) = name {
        refuse_controls(header, name)?;
        let start = out.len();
        if reads_plain(name, column) && name.len() + column <= LINE {
            push_phrase(out, name);
        } else {
            push_encoded(out, name, column);
        }
        let written = &out[start..];
        column = written.rfind('\n').map_or(column + written.len(), |at| written.len() - at - 1);
        if column + address.len() + 3 > LINE {
            out.push_str("\r\n");
        }
        out.extend([" <", address, ">\r\n"]);
    } else {
        out.push_str(address);
        out.push_str("\r\n");
    }
    Ok(())
}

/// The address was validated where it came from; here only what would change the header's meaning matters.
fn check_address(header: &str, address: &str) -> Result<(), MimeError> {
    let (local, domain) = address.rsplit_once('@').ok_or_else(|| invalid(header, "an email address"))?;
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_graphic()
                    && !matches!(byte, b'<' | b'>' | b',' | b';' | b'"' | b'(' | b')' | b'@' | b'\\')
            })
    };
    if address.is_ascii() && address.len() <= 254 && plain(domain) && (quoted || plain(local)) {
        Ok(())
    } else {
        Err(invalid(header, "an email address"))
    }
}

pub(super) fn push_message_id(out: &mut String, id: &str) -> Result<(), MimeError> {
    refuse_controls("Message-ID", id)?;
    let fits = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'@' | b'"'))
    };
    match id.split_once('@') {
        Some((left, right)) if fits(left) && fits(right) && id.len() <= 250 => {
            out.extend(["Message-ID: <", id, ">\r\n"]);
            Ok(())
        }
        _ => Err(invalid("Message-ID", "of the form left@right")),
    }
}

/// The URLs as they are: neither encoded nor folded inside, each on a line of its own where it needs one (RFC 2369). One-click
/// is only announced where the first is `https`, which it takes (RFC 8058).
pub(super) fn push_list_unsubscribe(out: &mut String, urls: &[&str]) -> Result<(), MimeError> {
    const HEADER: &str = "List-Unsubscribe";
    let Some(first) = urls.first() else { return Ok(()) };
    out.push_str(HEADER);
    out.push(':');
    let mut column = HEADER.len() + 1;
    for (index, url) in urls.iter().enumerate() {
        refuse_controls(HEADER, url)?;
        let is_known = ["https://", "http://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
        let fits = url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'));
        if !fits || url.len() + 4 > LONGEST || !is_known {
            return Err(invalid(HEADER, "a list of https, http and mailto URLs"));
        }
        if index > 0 {
            out.push(',');
            column += 1;
        }
        let length = " <>".len() + url.len();
        // A comma may follow.
        if column + length + 1 > LINE {
            out.push_str("\r\n");
            column = 0;
        }
        out.extend([" <", url, ">"]);
        column += length;
    }
    out.push_str("\r\n");
    if first.starts_with("https://") {
        out.push_str("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    }
    Ok(())
}

/// Whether the text may stand as it is: ASCII that can be folded at single spaces without a reader seeing it, and
/// that can't be taken for an encoded word.
fn reads_plain(value: &str, column: usize) -> bool {
    value.is_ascii()
        && !value.contains("=?")
        && !value.contains("  ")
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && value.split(' ').all(|word| word.len() < LINE - 1)
        && value.split(' ').next().is_some_and(|word| word.len() + column <= LINE)
}

/// Folds plain text before spaces.
fn push_folded(out: &mut String, value: &str, mut column: usize) {
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 {
            if column + 1 + word.len() > LINE {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
}

/// A display name as atoms, or quoted where it holds anything else.
fn push_phrase(out: &mut String, name: &str) {
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(&byte);
    if name.bytes().all(is_atom) {
        out.push_str(name);
        return;
    }
    out.push('"');
    for next in name.chars() {
        if matches!(next, '"' | '\\') {
            out.push('\\');
        }
        out.push(next);
    }
    out.push('"');
}

/// Writes encoded words of at most 75 characters, folded so that no line has more than 76, each whole in characters.
fn push_encoded(out: &mut String, value: &str, mut column: usize) {
    const FRAME: usize = "=?utf-8?Q?".len() + "?=".len();
    let quoted = |byte: u8| if reads_in_word(byte) { 1 } else { 3 };
    let as_quoted: usize = value.bytes().map(quoted).sum();
    let base64 = as_quoted > value.len().div_ceil(3) * 4;
    let mut rest = value;
    while !rest.is_empty() {
        let room = LINE.saturating_sub(column + FRAME);
        let mut taken = 0;
        let mut length = 0;
        for next in rest.chars() {
            let bytes = next.len_utf8();
            let longer = if base64 {
                (taken + bytes).div_ceil(3) * 4
            } else {
                length + rest[taken..taken + bytes].bytes().map(quoted).sum::<usize>()
            };
            if longer > room.min(75 - FRAME) {
                break;
            }
            taken += bytes;
            length = longer;
        }
        if taken > 0 {
            push_word(out, &rest[..taken], base64);
            rest = &rest[taken..];
        }
        // White space between encoded words is not part of the text.
        if !rest.is_empty() {
            out.push_str("\r\n ");
            column = 1;
        }
    }
}

fn reads_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'!' | b'*' | b'+' | b'-' | b'/')
}

fn push_word(out: &mut String, text: &str, base64: bool) {
    if base64 {
        out.push_str("=?utf-8?B?");
        data_encoding::BASE64.encode_append(text.as_bytes(), out);
    } else {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        out.push_str("=?utf-8?Q?");
        for byte in text.bytes() {
            if byte == b' ' {
                out.push('_');
            } else if reads_in_word(byte) {
                out.push(char::from(byte));
            } else {
                out.push('=');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str("?=");
}
