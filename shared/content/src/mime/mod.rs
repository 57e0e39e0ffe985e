//! The message on the wire: RFC 5322 with MIME.
//!
//! Our own encoder and not a mail crate's: it runs once a recipient, must give the same bytes for the same input
//! (a resend must be the same message), and must never write the machine's name anywhere.

mod body;
mod header;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::email::RenderedEmail;

/// A name and an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// The display name; any text without control characters.
    pub name: Option<&'a str>,
    /// The address, its domain in A-labels: ASCII.
    pub address: &'a str,
}

/// What a message needs besides its content.
#[derive(Debug, Clone)]
pub struct MessageHeaders<'a> {
    /// The sender; [`RenderedEmail::from_name`] goes before its name.
    pub from: Mailbox<'a>,
    /// The recipient.
    pub to: Mailbox<'a>,
    /// Where answers go; [`RenderedEmail::reply_to`] goes before it.
    pub reply_to: Option<Mailbox<'a>>,
    /// The message's id without its angle brackets, `left@right`; also the seed of the MIME boundary.
    pub message_id: &'a str,
    /// Seconds since the Unix epoch.
    pub date_unix_seconds: i64,
    /// The URLs to unsubscribe by, the best first: `https`, `http`, `mailto`. Where that is an `https` one, it is announced as
    /// one-click (RFC 8058). None: no such header.
    pub list_unsubscribe: &'a [&'a str],
    /// More headers, in this order, after all others. Values may be any text without control characters.
    pub extra: Vec<(&'a str, &'a str)>,
}

/// Why a message can't be built. No message repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MimeError {
    /// A line break or another control character in a header: an attempt to add headers, or broken data.
    #[error("the {header} header contains a control character")]
    ControlCharacter {
        /// The header's name.
        header: String,
    },
    /// A value that must be of a certain form is not.
    #[error("the {header} header is not {expected}")]
    Invalid {
        /// The header's name.
        header: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Neither HTML nor text.
    #[error("the message has no content")]
    Empty,
}

/// Builds the message: `multipart/alternative` of text and HTML, or the one part there is.
///
/// The same input gives the same bytes. Lines end in CRLF and have at most 76 characters in bodies and encoded
/// headers, never more than 998. Leading dots are not doubled: that is SMTP's, and the sender's.
///
/// # Errors
/// Where a header's value can't be written, or there is nothing to say.
pub fn build_message(headers: &MessageHeaders<'_>, rendered: &RenderedEmail) -> Result<Vec<u8>, MimeError> {
    let html = Some(&*rendered.html).filter(|html| !html.trim().is_empty());
    let text = Some(&*rendered.text).filter(|text| !text.trim().is_empty());
    let mut head = String::with_capacity((rendered.html.len() + rendered.text.len()) * 9 / 8 + 1024);
    write_headers(&mut head, headers, rendered)?;
    let (first, second) = match (text, html) {
        (Some(text), Some(html)) => (("plain", text), Some(html)),
        (Some(text), None) => (("plain", text), None),
        (None, Some(html)) => (("html", html), None),
        (None, None) => return Err(MimeError::Empty),
    };
    let Some(html) = second else {
        let mut out = head.into_bytes();
        body::push_part(&mut out, first.0, first.1);
        out.extend_from_slice(b"\r\n");
        return Ok(out);
    };
    let boundary = boundary(headers.message_id);
    let delimiter = format!("\r\n--{boundary}");
    head.extend(["Content-Type: multipart/alternative;\r\n boundary=\"", &boundary, "\"\r\n"]);
    head.extend([&delimiter, "\r\n"]);
    let mut out = head.into_bytes();
    body::push_part(&mut out, first.0, first.1);
    out.extend_from_slice(delimiter.as_bytes());
    out.extend_from_slice(b"\r\n");
    body::push_part(&mut out, "html", html);
    out.extend_from_slice(delimiter.as_bytes());
    out.extend_from_slice(b"--\r\n");
    Ok(out)
}

fn write_headers(
    out: &mut String,
    headers: &MessageHeaders<'_>,
    rendered: &RenderedEmail,
) -> Result<(), MimeError> {
    let from = Mailbox { name: rendered.from_name.as_deref().or(headers.from.name), ..headers.from };
    header::push_mailbox(out, "From", &from)?;
    header::push_mailbox(out, "To", &headers.to)?;
    match (&rendered.reply_to, &headers.reply_to) {
        (Some(address), _) => {
            // This one was made from data, so nobody has validated it yet.
            header::refuse_controls("Reply-To", address)?;
            let address = campaign::address::EmailAddress::parse(address).map_err(|_| {
                MimeError::Invalid { header: "Reply-To".to_owned(), expected: "an email address" }
            })?;
            header::push_mailbox(out, "Reply-To", &Mailbox { name: None, address: address.as_str() })?;
        }
        (None, Some(mailbox)) => header::push_mailbox(out, "Reply-To", mailbox)?,
        (None, None) => {}
    }
    header::push_text(out, "Subject", &rendered.subject)?;
    out.push_str("Date: ");
    let date = Timestamp::from_second(headers.date_unix_seconds).ok().and_then(|at| {
        DateTimePrinter::new().print_zoned_datetime(&at.to_zoned_datetime(TimeZone::UTC), &mut *out).ok()
    });
    date.ok_or(MimeError::Invalid {
        header: "Date".to_owned(),
        expected: "an instant of the years 0 to 9999",
    })?;
    out.push_str("\r\n");
    header::push_message_id(out, headers.message_id)?;
    header::push_list_unsubscribe(out, headers.list_unsubscribe)?;
    for (name, value) in &headers.extra {
        header::check_name(name)?;
        header::push_text(out, name, value)?;
    }
    out.push_str("MIME-Version: 1.0\r\n");
    Ok(())
}

/// A boundary that is the message's own. `=_` can stand in neither quoted-printable nor base64.
fn boundary(message_id: &str) -> String {
    // FNV-1a: it need not be secret, only the same each time.
    let hash = message_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("=_{hash:016x}")
}

#[cfg(test)]
mod tests;
