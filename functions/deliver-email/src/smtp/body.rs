//! The message as it goes over the wire.

use memchr::memchr2;

/// What ends a message.
pub(super) const TERMINATOR: &[u8] = b".\r\n";

/// Appends `message` to `out`, ready for [`TERMINATOR`]: every line ends in CRLF, and a line that starts with a dot gets
/// a second one (RFC 5321, 4.5.2).
///
/// A stray CR or LF becomes a CRLF: RFC 5321 forbids sending it, and a server that took it for a line end would see a
/// message end where we saw none ("SMTP smuggling").
pub(super) fn append(out: &mut Vec<u8>, message: &[u8]) {
    out.reserve(message.len() + 64);
    let mut copied = 0;
    let mut at = 0;
    loop {
        // Here a line starts.
        if message.get(at) == Some(&b'.') {
            out.extend_from_slice(&message[copied..at]);
            out.push(b'.');
            copied = at;
        }
        let Some(found) = memchr2(b'\r', b'\n', &message[at..]) else {
            break;
        };
        let end = at + found;
        if message[end] == b'\r' && message.get(end + 1) == Some(&b'\n') {
            at = end + 2;
        } else {
            out.extend_from_slice(&message[copied..end]);
            out.extend_from_slice(b"\r\n");
            at = end + 1;
            copied = at;
        }
    }
    out.extend_from_slice(&message[copied..]);
    if !message.is_empty() && at < message.len() {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stuffed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, message);
        out
    }

    /// What a receiver makes of a stuffed message.
    fn undo(wire: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in wire.split_inclusive(|&b| b == b'\n') {
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        out
    }

    #[test]
    fn dots_at_line_starts_are_doubled_and_no_others() {
        assert_eq!(stuffed(b".first\r\nno.dot\r\n.com\r\n..\r\n"), b"..first\r\nno.dot\r\n..com\r\n...\r\n");
    }

    /// F2: a quoted-printable line that breaks before `.com` keeps its dot.
    #[test]
    fn a_line_broken_before_dot_com_keeps_its_dot() {
        let message = b"<a href=3D\"https://shop.example=\r\n.com/offer\">\r\n";
        assert_eq!(undo(&stuffed(message)), message);
        assert!(stuffed(message).windows(8).any(|w| w == b"=\r\n..com"));
    }

    #[test]
    fn a_message_without_a_last_line_end_gets_one() {
        assert_eq!(stuffed(b"a\r\nb"), b"a\r\nb\r\n");
        assert_eq!(stuffed(b"a\r\n."), b"a\r\n..\r\n");
        assert_eq!(stuffed(b"."), b"..\r\n");
        assert_eq!(stuffed(b""), b"");
    }

    #[test]
    fn stray_line_ends_become_whole_ones() {
        assert_eq!(stuffed(b"a\nb\rc\r\r\nd\n"), b"a\r\nb\r\nc\r\n\r\nd\r\n");
        assert_eq!(stuffed(b"a\r"), b"a\r\n");
        assert_eq!(stuffed(b"x\n.\r\nMAIL"), b"x\r\n..\r\nMAIL\r\n");
    }

    /// The right value by another road: split into lines first.
    fn with_whole_line_ends(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = message;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| b"\r\n".contains(b)).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..end]);
            out.extend_from_slice(b"\r\n");
            rest = match &rest[end..] {
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => &[],
            };
        }
        out
    }

    proptest! {
        #[test]
        fn a_receiver_gets_back_what_was_sent(
            pieces in prop::collection::vec(
                prop::sample::select(vec![&b"."[..], b"..", b"\r\n", b"\r", b"\n", b"a", b"=", b"long text", b"\r\n."]), 0..40)
        ) {
            let message = pieces.concat();
            let wire = stuffed(&message);
            prop_assert_eq!(undo(&wire), with_whole_line_ends(&message));
            // Nothing within ends the message early, whatever a server takes for a line end.
            let mut whole = b"\r\n".to_vec();
            whole.extend_from_slice(&wire);
            for end in [&b"\n.\n"[..], b"\n.\r", b"\r.\r", b"\r.\n"] {
                prop_assert!(!whole.windows(end.len()).any(|w| w == end));
            }
            prop_assert!(wire.is_empty() || wire.ends_with(b"\r\n"));
        }
    }
}
