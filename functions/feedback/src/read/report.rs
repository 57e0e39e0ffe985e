//! Mail that reports about mail, as it comes to the mailbox of a sender: delivery status notifications (RFC 3464), and
//! complaints by a provider's feedback loop (RFC 5965).
//!
//! A report says to whom the message went, and gives back at least its head, whose Message-ID names it. What is no report is
//! an answer, perhaps an automatic one, and tells us nothing: a mailbox for bounces never answers, and counts none.
//!
//! | `Action`, `Status` | we take it as |
//! |---|---|
//! | `delayed` | delayed |
//! | `delivered` | delivered; `relayed` and `expanded` are sent: nobody says more |
//! | `failed` 5.1.x: there is no such address or domain; 5.2.1: it is closed | hard, counts against the address |
//! | `failed` 5.1.7, 5.1.8: the sender's own; x.2.3, x.3.4: its size; x.5.x, x.6.x, x.7.x: protocol, content, policy | soft, by the message |
//! | `failed`, any other: a full mailbox, no way there, time ran out | soft, counts against the address |

use std::borrow::Cow;

use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::{MessageId, tags};
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::Unread;
use crate::event::ProviderEvent;

/// The events that a mail reports; none where it reports nothing. That they were mailed is noted of them: anybody can write
/// such a mail.
///
/// # Errors
/// [`Unread`]: it is no mail, or a report that lacks what one has.
pub fn events(mail: &[u8], now_ms: i64) -> Result<Vec<ProviderEvent>, Unread> {
    let mut events = read(mail, now_ms)?;
    events.iter_mut().for_each(|event| event.mailed = true);
    Ok(events)
}

fn read(mail: &[u8], now_ms: i64) -> Result<Vec<ProviderEvent>, Unread> {
    let mail = MessageParser::default().parse(mail).ok_or(Unread::Unknown)?;
    let at_ms = mail.date().and_then(|date| date.to_timestamp().checked_mul(1000)).unwrap_or(now_ms);
    let at_ms = if at_ms > 0 { at_ms.min(now_ms) } else { now_ms };
    let part = |kinds: &[&str]| mail.parts.iter().find(|part| kinds.iter().any(|kind| is(part, kind)));
    if let Some(status) = part(&["delivery-status", "global-delivery-status"]) {
        let of = reported(&mail);
        let text = String::from_utf8_lossy(status.contents());
        // The first block is about the report.
        let blocks = blocks(&text);
        let events: Vec<_> = blocks.iter().filter_map(|fields| delivery(fields, of.clone(), at_ms)).collect();
        return if events.is_empty() { Err(Unread::Malformed) } else { Ok(events) };
    }
    if let Some(feedback) = part(&["feedback-report"]) {
        let text = String::from_utf8_lossy(feedback.contents());
        let fields: Vec<_> = blocks(&text).into_iter().flatten().collect();
        return Ok(complaint(&mail, &fields, at_ms).into_iter().collect());
    }
    Ok(Vec::new())
}

fn is(part: &MessagePart<'_>, kind: &str) -> bool {
    part.is_content_type("message", kind)
}

/// A field's name in lower case, and its value in one line.
type Field<'a> = (String, Cow<'a, str>);

/// The fields in each of the blocks that empty lines part. Lines that go on begin with white space.
fn blocks(text: &str) -> Vec<Vec<Field<'_>>> {
    let mut blocks: Vec<Vec<Field<'_>>> = vec![Vec::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            blocks.push(Vec::new());
            continue;
        }
        let Some(block) = blocks.last_mut() else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = block.last_mut() {
                let value = value.to_mut();
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            block.push((name.trim().to_ascii_lowercase(), Cow::Borrowed(value.trim())));
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn value<'f>(fields: &'f [Field<'_>], name: &str) -> Option<&'f str> {
    fields.iter().find(|(of, _)| of == name).map(|(_, value)| &**value)
}

/// What a block says of a recipient; `None` where it is not about one.
fn delivery(fields: &[Field<'_>], of: Option<MessageId>, at_ms: i64) -> Option<ProviderEvent> {
    let action = value(fields, "action")?.to_ascii_lowercase();
    let status = value(fields, "status").and_then(status);
    let (report, cause) = match action.split_ascii_whitespace().next()? {
        "failed" => failed(status),
        "delayed" => (Report::Delayed, Cause::Address),
        "delivered" => (Report::Delivered, Cause::Address),
        "relayed" | "expanded" => (Report::Sent, Cause::Address),
        _ => return None,
    };
    // The one we wrote to, where the last server on the way knows it.
    let to = value(fields, "original-recipient").or_else(|| value(fields, "final-recipient"));
    let address = to.and_then(address);
    Some(ProviderEvent {
        of,
        cause,
        addresses: address.into_iter().collect(),
        ..ProviderEvent::new(Channel::Email, report, at_ms)
    })
}

/// `rfc822; ada@example.com`, as it stands; `None` where it is an address of another kind.
fn address(text: &str) -> Option<String> {
    let (kind, address) = text.split_once(';')?;
    let kind = kind.trim();
    let is_mail = kind.eq_ignore_ascii_case("rfc822") || kind.eq_ignore_ascii_case("utf-8");
    is_mail.then(|| address.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
}

/// `5.1.1`, perhaps with a comment.
fn status(text: &str) -> Option<(u16, u16, u16)> {
    let code = text.split(|c: char| c.is_ascii_whitespace() || c == '(').find(|part| !part.is_empty())?;
    let mut parts = code.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// What a failure with this status is (RFC 3463).
const fn failed(status: Option<(u16, u16, u16)>) -> (Report, Cause) {
    match status {
        Some((_, 1, 7 | 8) | (_, 2, 3) | (_, 3, 4) | (_, 5..=7, _)) => (Report::SoftBounced, Cause::Message),
        Some((5, 1, _) | (5, 2, 1)) => (Report::HardBounced, Cause::Address),
        _ => (Report::SoftBounced, Cause::Address),
    }
}

fn complaint(mail: &Message<'_>, fields: &[Field<'_>], at_ms: i64) -> Option<ProviderEvent> {
    let kind = value(fields, "feedback-type").unwrap_or_default();
    if kind.eq_ignore_ascii_case("not-spam") || kind.eq_ignore_ascii_case("auth-failure") {
        return None;
    }
    let given = value(fields, "original-rcpt-to").map(|to| to.trim_matches(['<', '>']).to_owned());
    let to = given.or_else(|| {
        let original = mail.parts.iter().find_map(MessagePart::message)?;
        Some(original.to()?.first()?.address()?.to_owned())
    });
    Some(ProviderEvent {
        of: reported(mail),
        addresses: to.into_iter().collect(),
        ..ProviderEvent::new(Channel::Email, Report::Complained, at_ms)
    })
}

/// The message that a report is about: by the Message-ID of what it gives back; where that is missing, by what the report
/// answers.
fn reported(mail: &Message<'_>) -> Option<MessageId> {
    let given_back = mail.parts.iter().find_map(|part| match &part.body {
        PartType::Message(original) => original.message_id().and_then(tags::parse),
        _ if part.is_content_type("text", "rfc822-headers") || is(part, "global-headers") => {
            let head = MessageParser::default().parse_headers(part.contents())?;
            head.message_id().and_then(tags::parse)
        }
        _ => None,
    });
    given_back.or_else(|| {
        let answered = [mail.in_reply_to(), mail.references()].into_iter();
        answered.filter_map(|ids| ids.as_text_list()).flatten().find_map(|id| tags::parse(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row H4.
    #[test]
    fn a_status_says_whether_it_is_about_the_address() {
        let hard = (Report::HardBounced, Cause::Address);
        let soft = (Report::SoftBounced, Cause::Address);
        let message = (Report::SoftBounced, Cause::Message);
        for (text, expected) in [
            ("5.1.1", hard),
            ("5.1.2 (no such domain)", hard),
            ("5.1.10", hard),
            ("5.2.1", hard),
            ("5.1.8", message),
            ("5.2.2", soft),
            ("4.2.2", soft),
            ("4.4.7", soft),
            ("5.4.4", soft),
            ("5.0.0", soft),
            ("5.2.3", message),
            ("5.3.4", message),
            ("5.6.1", message),
            ("5.7.1", message),
            ("4.7.0", message),
            ("5", soft),
            ("", soft),
        ] {
            assert_eq!(failed(status(text)), expected, "{text}");
        }
    }

    #[test]
    fn fields_go_on_over_lines() {
        let text = "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822;\r\n ada@x.example\r\nACTION: failed\r\n\r\n";
        let found = blocks(text);
        assert_eq!(found.len(), 2);
        assert_eq!(value(&found[1], "final-recipient"), Some("rfc822; ada@x.example"));
        assert_eq!(value(&found[1], "action"), Some("failed"));
        assert_eq!(address("rfc822; ada@x.example").as_deref(), Some("ada@x.example"));
        assert_eq!(address("x400; /s=ada"), None);
    }
}
