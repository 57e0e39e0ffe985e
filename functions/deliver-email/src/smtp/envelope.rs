//! Addresses in commands.

use super::{Outgoing, reply::Extensions};
use crate::{Answer, NotAccepted, Refusal};

/// The longest address: 64 bytes, an at sign and 255 bytes (RFC 5321, 4.5.3.1).
const MAX_ADDRESS_BYTES: usize = 320;

/// Whether `address` can stand between angle brackets without ending them or the line.
fn is_safe(address: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    for byte in address.bytes() {
        if byte.is_ascii_control() {
            return false;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' | b'>' | b' ' if !quoted => return false,
            _ => {}
        }
    }
    !quoted && address.len() <= MAX_ADDRESS_BYTES
}

/// What can be said of a message before the server is asked.
pub(super) fn check(message: &Outgoing<'_>) -> Result<(), Answer> {
    if !is_safe(message.from) || (!message.from.is_empty() && !message.from.contains('@')) {
        return Err(Answer::not_accepted(NotAccepted::Misconfigured, "the sender is not an email address"));
    }
    if !is_safe(message.to) || !message.to.contains('@') {
        return Err(Answer::refused(Refusal::BadAddress, "the recipient is not an email address"));
    }
    Ok(())
}

/// What can be said of a message once the server's extensions are known.
pub(super) fn check_for(message: &Outgoing<'_>, extensions: &Extensions) -> Result<(), Answer> {
    if !extensions.smtp_utf8 {
        if !message.from.is_ascii() {
            let detail = "the sender is not ASCII and the server has no SMTPUTF8";
            return Err(Answer::not_accepted(NotAccepted::Misconfigured, detail));
        }
        if !message.to.is_ascii() {
            let detail = "the recipient is not ASCII and the server has no SMTPUTF8";
            return Err(Answer::refused(Refusal::BadAddress, detail));
        }
    }
    match extensions.size {
        Some(limit) if message.message.len() as u64 > limit => {
            let detail = format!("the message has {} bytes, the server takes {limit}", message.message.len());
            Err(Answer::refused(Refusal::TooLarge, detail))
        }
        _ => Ok(()),
    }
}

/// Appends MAIL.
pub(super) fn append_mail(out: &mut Vec<u8>, message: &Outgoing<'_>, extensions: &Extensions) {
    out.extend_from_slice(b"MAIL FROM:<");
    out.extend_from_slice(message.from.as_bytes());
    out.push(b'>');
    if extensions.eight_bit && !message.message.is_ascii() {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if extensions.smtp_utf8 && !(message.from.is_ascii() && message.to.is_ascii()) {
        out.extend_from_slice(b" SMTPUTF8");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends RCPT.
pub(super) fn append_rcpt(out: &mut Vec<u8>, message: &Outgoing<'_>) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend_from_slice(message.to.as_bytes());
    out.extend_from_slice(b">\r\n");
}

/// DATA.
pub(super) const DATA: &[u8] = b"DATA\r\n";
/// RSET.
pub(super) const RSET: &[u8] = b"RSET\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: &str) -> Result<(), Answer> {
        check(&Outgoing { from: "news@example.com", to, message: b"" })
    }

    #[test]
    fn an_address_can_never_become_a_command() {
        for bad in [
            "a@example.com>\r\nRCPT TO:<b@example.com",
            "a@example.com\nQUIT",
            "a@example.com> SIZE=1",
            "a b@example.com",
            "\"a@example.com",
            "a\0@example.com",
            "nobody",
            "",
        ] {
            assert!(matches!(to(bad), Err(Answer::Refused { reason: Refusal::BadAddress, .. })), "{bad:?}");
        }
        assert!(to(&format!("{}@example.com", "x".repeat(320))).is_err());
        to("\"a <b>\\\" c\"@example.com").unwrap();
        to("o'hara+tag@example.com").unwrap();
    }

    #[test]
    fn a_bad_sender_is_the_configuration_and_not_the_recipient() {
        for from in ["news", "news@example.com>\r\n", "<news@example.com>"] {
            let answer = check(&Outgoing { from, to: "a@example.com", message: b"" }).unwrap_err();
            assert!(matches!(answer, Answer::NotAccepted { cause: NotAccepted::Misconfigured, .. }));
        }
        check(&Outgoing { from: "", to: "a@example.com", message: b"" }).unwrap();
    }

    #[test]
    fn extensions_decide_what_can_be_sent() {
        let plain = Extensions { size: Some(10), ..Extensions::default() };
        let rich = Extensions { smtp_utf8: true, eight_bit: true, ..Extensions::default() };
        let long = Outgoing { from: "", to: "a@example.com", message: &[b'x'; 11] };
        assert!(matches!(check_for(&long, &plain), Err(Answer::Refused { reason: Refusal::TooLarge, .. })));
        check_for(&long, &rich).unwrap();
        let beyond = Outgoing { from: "", to: "é@example.com", message: "é".as_bytes() };
        assert!(matches!(
            check_for(&beyond, &plain),
            Err(Answer::Refused { reason: Refusal::BadAddress, .. })
        ));
        check_for(&beyond, &rich).unwrap();
        let mut out = Vec::new();
        append_mail(&mut out, &beyond, &rich);
        assert_eq!(out, b"MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\n");
    }
}
