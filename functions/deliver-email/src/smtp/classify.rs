//! What a refusal means: the enhanced status code first, then the words that providers use, then the basic code.
//!
//! The rule where a reply can be read two ways: whatever concerns *us* (credentials, sender, account, relaying) is
//! [`NotAccepted::Misconfigured`] and never a recipient's failure, for it would fail a whole campaign; and a bad address
//! is only one that the reply calls so, for it may end on a suppression list.

use std::time::Duration;

use super::reply::Words;
use crate::redact::holds_part_of;
use crate::{Answer, NotAccepted, Refusal};

/// How servers say that they pass nothing on for us. The bare word says less: "User unknown in relay recipient table".
const NO_RELAY: [&str; 18] = [
    "relay access denied",
    "relay denied",
    "relay is denied",
    "relay not permitted",
    "relay not allowed",
    "relay prohibited",
    "relay rejected",
    "relaying denied",
    "relaying is denied",
    "relaying not permitted",
    "relaying not allowed",
    "relaying prohibited",
    "relaying mail",
    "relaying to [address]",
    "not permitted to relay",
    "not relay",
    "n't relay",
    "to relay",
];

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The greeting, EHLO or STARTTLS.
    Connect,
    /// A login.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the message.
    Data,
    /// The end of the message.
    End,
}

/// The answer that a 4yz or 5yz reply amounts to, for a message to this address; empty where it answers none.
///
/// A 4yz after the end of a message, 421 too, says that the server will not deliver it (RFC 5321, 4.2.5).
pub(super) fn refusal(step: Step, code: u16, words: &Words, to: &str) -> Answer {
    let Words { enhanced, text } = words;
    let lower = text.to_ascii_lowercase();
    let text = nameless(text, to);
    let detail = match enhanced {
        Some([class, subject, detail]) => format!("{code} {class}.{subject}.{detail} {text}"),
        None => format!("{code} {text}"),
    };
    let not_accepted =
        |cause| Answer::NotAccepted { cause, retry_after: asked_wait(&lower), detail: detail.clone() };
    if concerns_us(step, code, *enhanced, &lower) {
        return not_accepted(NotAccepted::Misconfigured);
    }
    if let Some(cause) = limit(code, *enhanced, &lower) {
        return not_accepted(cause);
    }
    if code < 500 || (code == 503 && step != Step::End) {
        // 503 before the message is a quarrel about the order of commands, not about the recipient.
        return not_accepted(if step == Step::Connect {
            NotAccepted::Unreachable
        } else {
            NotAccepted::Transient
        });
    }
    if step == Step::Connect {
        return not_accepted(NotAccepted::Unreachable);
    }
    Answer::refused(reason(step, code, *enhanced, &lower), detail)
}

/// Whether a reply is about the sender, the account or the login, whoever the recipient may be.
fn concerns_us(step: Step, code: u16, enhanced: Option<[u16; 3]>, lower: &str) -> bool {
    if code < 500 {
        return false;
    }
    match (step, code) {
        (Step::Auth, _) | (_, 530 | 534 | 535 | 538) => return true,
        // Too large can be said at MAIL; everything else there is about the sender.
        (Step::Mail, 503 | 552) => return false,
        (Step::Mail, _) => {
            return !matches!(enhanced, Some([5, 3, 4])) && limit(code, enhanced, lower).is_none();
        }
        _ => {}
    }
    // Sender's address bad, sender's domain without mail, login or encryption wanted, account disabled.
    if matches!(enhanced, Some([5, 1, 7 | 8] | [5, 7, 8 | 9 | 11 | 13 | 27 | 54])) {
        return true;
    }
    // SES: "Email address is not verified", "Sending paused for this account".
    (step == Step::Rcpt && !is_bad_mailbox(enhanced) && NO_RELAY.iter().any(|phrase| lower.contains(phrase)))
        || lower.contains("address is not verified")
        || lower.contains("sending paused for this account")
        || lower.contains("sending suspended for this account")
}

/// Whether a code says that the recipient's mailbox or domain is none (RFC 3463, RFC 7505).
fn is_bad_mailbox(enhanced: Option<[u16; 3]>) -> bool {
    matches!(enhanced, Some([_, 1, 1 | 2 | 3 | 6 | 10] | [_, 2, 1]))
}

/// A reply's text without what names the recipient: servers like to repeat the part before the `@`, too.
fn nameless(text: &str, to: &str) -> String {
    let local = to.rsplit_once('@').map_or(to, |(local, _)| local);
    let mut nameless = String::with_capacity(text.len());
    for word in text.split(' ') {
        if !nameless.is_empty() {
            nameless.push(' ');
        }
        nameless.push_str(if holds_part_of(word, local) { "[address]" } else { word });
    }
    nameless
}

/// Whether a reply says that we send too fast or too much.
fn limit(code: u16, enhanced: Option<[u16; 3]>, lower: &str) -> Option<NotAccepted> {
    // A limit is a matter of time. The one permanent code that means it all the same is 5.4.5, Gmail's daily quota.
    if code >= 500 && enhanced != Some([5, 4, 5]) {
        return None;
    }
    match enhanced {
        Some([5, 4, 5]) => return Some(NotAccepted::QuotaExceeded),
        // The recipient's mailbox or the number of recipients of one message: not our rate.
        Some([4, 2, _] | [4, 5, 3]) => return None,
        // Gmail's rate limits.
        Some([4, 7, 28]) => return Some(NotAccepted::Throttled),
        _ => {}
    }
    if lower.contains("greylist") || lower.contains("graylist") {
        return None;
    }
    let has_quota = has_word(lower, |word| word.starts_with("quota"));
    if (has_quota && has_word(lower, |word| word == "daily" || word == "day"))
        || lower.contains("credits exceeded")
        || lower.contains("24-hour")
    {
        return Some(NotAccepted::QuotaExceeded);
    }
    let is_rate = has_word(lower, |word| matches!(word, "rate" | "ratelimit" | "ratelimited" | "rates"));
    (lower.contains("throttl") || lower.contains("too many") || is_rate || has_quota)
        .then_some(NotAccepted::Throttled)
}

/// Why the recipient's server will never take the message.
fn reason(step: Step, code: u16, enhanced: Option<[u16; 3]>, lower: &str) -> Refusal {
    match enhanced {
        _ if is_bad_mailbox(enhanced) => return Refusal::BadAddress,
        Some([_, 4, 4]) => return Refusal::BadAddress,
        Some([_, 2, 2]) => return Refusal::MailboxFull,
        Some([_, 2, 3] | [_, 3, 4]) => return Refusal::TooLarge,
        Some([_, 7, _]) => return Refusal::Policy,
        // X.0.0 and its like say nothing; go by the basic code.
        None | Some([_, 0, _] | [_, 1 | 2, 0]) => {}
        Some(_) => return Refusal::Other,
    }
    let is_policy = ["spam", "block", "blacklist", "policy", "reputation", "dmarc", "spf", "dkim"]
        .iter()
        .any(|sign| lower.contains(sign));
    match code {
        552 if has_word(lower, |word| matches!(word, "mailbox" | "quota" | "full" | "storage")) => {
            Refusal::MailboxFull
        }
        552 => Refusal::TooLarge,
        _ if is_policy => Refusal::Policy,
        550 | 551 | 553 | 501 if step == Step::Rcpt => Refusal::BadAddress,
        // After the message, the mailbox has been accepted already: what remains of 550's meanings is policy.
        550 if step == Step::End => Refusal::Policy,
        _ => Refusal::Other,
    }
}

fn has_word(lower: &str, is_it: impl Fn(&str) -> bool) -> bool {
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(is_it)
}

/// "Try again in 5 minutes", "greylisted for 300 seconds": the wait a reply asks for, at most a day.
fn asked_wait(lower: &str) -> Option<Duration> {
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.windows(3).find_map(|three| {
        let [lead, number, unit] = three else { return None };
        if !matches!(*lead, "in" | "after" | "for" | "wait" | "least") {
            return None;
        }
        let seconds = match *unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return None,
        };
        let wait = number.parse::<u64>().ok()?.saturating_mul(seconds);
        (wait > 0).then(|| Duration::from_secs(wait.min(86_400)))
    })
}

/// The name a server gave a message in its 250: "2.0.0 Ok: queued as 4XyZ" is `4XyZ`, SES's "Ok 0100..." is `0100...`.
pub(super) fn provider_id(words: &Words) -> Option<String> {
    let text = words.text.trim();
    let text = match text.get(..2) {
        Some(ok)
            if ok.eq_ignore_ascii_case("ok") && !text[2..].starts_with(|c: char| c.is_alphanumeric()) =>
        {
            text[2..].trim_start_matches([':', ',', ' '])
        }
        _ => text,
    };
    let lower = text.to_ascii_lowercase();
    let text = lower.find("queued as ").map_or(text, |at| &text[at + "queued as ".len()..]).trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::reply::words_of, *};

    fn answer(step: Step, reply: &str) -> Answer {
        let (code, words) = words_of(&format!("{reply}\r\n"));
        refusal(step, code, &words, "jane.doe@example.com")
    }

    fn reason_of(step: Step, reply: &str) -> Refusal {
        match answer(step, reply) {
            Answer::Refused { reason, .. } => reason,
            other => panic!("{reply}: {other:?}"),
        }
    }

    fn cause_of(step: Step, reply: &str) -> NotAccepted {
        match answer(step, reply) {
            Answer::NotAccepted { cause, .. } => cause,
            other => panic!("{reply}: {other:?}"),
        }
    }

    #[test]
    fn permanent_replies_are_told_apart() {
        use Refusal::*;
        use Step::*;
        for (step, reply, expected) in [
            (Rcpt, "550 5.1.1 <bob@example.com>: user unknown", BadAddress),
            (Rcpt, "550 5.1.2 no such domain", BadAddress),
            (Rcpt, "501 5.1.3 Bad recipient address syntax", BadAddress),
            (Rcpt, "556 5.1.10 null MX", BadAddress),
            (Rcpt, "550 5.2.1 mailbox disabled", BadAddress),
            (Rcpt, "550 No such user here", BadAddress),
            (
                Rcpt,
                "550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in relay recipient table",
                BadAddress,
            ),
            (Rcpt, "550 User unknown in relay recipient table", BadAddress),
            (Rcpt, "550 5.1.2 relay access denied: no such domain", BadAddress),
            (Rcpt, "550 5.1.6 mailbox has moved, relaying denied", BadAddress),
            (Rcpt, "550 5.2.1 mailbox disabled on this relay", BadAddress),
            (Rcpt, "553 mailbox name not allowed", BadAddress),
            (Rcpt, "501 syntax error in parameters", BadAddress),
            (Rcpt, "550 rejected by our spam filter", Policy),
            (Rcpt, "550 5.7.1 you are on a block list", Policy),
            (Rcpt, "554 5.7.1 Service unavailable; client host blocked", Policy),
            (Rcpt, "552 5.2.2 over quota", MailboxFull),
            (Rcpt, "552 mailbox full", MailboxFull),
            (Rcpt, "554 no", Other),
            (Mail, "552 5.3.4 message size exceeds fixed limit", TooLarge),
            (Data, "554 no valid recipients", Other),
            (End, "552 too much data", TooLarge),
            (End, "552 5.3.4 message too big", TooLarge),
            (End, "554 5.7.1 looks like spam", Policy),
            (End, "550 message content rejected", Policy),
            (End, "554 transaction failed", Other),
            (End, "554 5.6.0 malformed", Other),
        ] {
            assert_eq!(reason_of(step, reply), expected, "{reply}");
        }
    }

    #[test]
    fn what_concerns_us_fails_no_recipient() {
        use Step::*;
        for (step, reply) in [
            (Auth, "535 5.7.8 authentication credentials invalid"),
            (Auth, "504 mechanism not supported"),
            (Mail, "530 5.7.0 Authentication required"),
            (Rcpt, "530 5.7.0 Must issue a STARTTLS command first"),
            (Mail, "550 5.7.1 sender not allowed"),
            (Mail, "553 5.1.7 sender address syntax"),
            (Mail, "554 no"),
            (Rcpt, "550 5.1.8 <x@example.com>: Sender address rejected: Domain not found"),
            (Rcpt, "554 5.7.1 <bob@example.com>: Relay access denied"),
            (Rcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
            (Rcpt, "550 relay not permitted"),
            (Rcpt, "550 we do not relay"),
            (Rcpt, "553 sorry, we don't relay for you"),
            (Rcpt, "554 Relay rejected for policy reasons"),
            (Rcpt, "550 relaying mail to <bob@example.com> is not allowed"),
            (Rcpt, "550 5.7.1 Relaying denied. Proper authentication required."),
            (Rcpt, "550 relaying to <bob@example.com> prohibited by administrator"),
            (Rcpt, "554 we are not permitted to relay"),
            (End, "554 Message rejected: Email address is not verified. The following identities failed"),
            (End, "554 Sending paused for this account. For more information"),
        ] {
            assert_eq!(cause_of(step, reply), NotAccepted::Misconfigured, "{reply}");
        }
    }

    /// I1 and I9: too fast, too much and not now are three things.
    #[test]
    fn throttles_quotas_and_delays_are_told_apart() {
        use NotAccepted::*;
        use Step::*;
        for (step, reply, expected) in [
            (End, "454 Throttling failure: Maximum sending rate exceeded.", Throttled),
            (End, "454 Throttling failure: Daily message quota exceeded.", QuotaExceeded),
            (Mail, "421 4.7.0 Too many messages, slow down", Throttled),
            (Rcpt, "450 4.7.1 rate limit exceeded", Throttled),
            (End, "421 4.7.28 Gmail has detected an unusual amount of mail", Throttled),
            (Mail, "550 5.4.5 Daily user sending quota exceeded", QuotaExceeded),
            (Mail, "451 Authentication failed: Maximum credits exceeded", QuotaExceeded),
            (Connect, "421 4.7.0 too many connections from your host", Throttled),
            (Rcpt, "451 4.7.1 Greylisted, please try again", Transient),
            (Rcpt, "450 4.2.0 Recipient address rejected: Greylisted", Transient),
            (Rcpt, "452 4.2.2 mailbox over quota", Transient),
            (Rcpt, "452 4.5.3 Too many recipients", Transient),
            (Data, "451 4.3.0 could not generate a queue file for a separate operator", Transient),
            (End, "421 4.3.2 shutting down", Transient),
            (Mail, "503 nested MAIL command", Transient),
            (Auth, "454 4.7.0 temporary authentication failure", Transient),
            (Connect, "554 go away", Unreachable),
            (Connect, "421 busy", Unreachable),
        ] {
            assert_eq!(cause_of(step, reply), expected, "{reply}");
        }
    }

    #[test]
    fn the_wait_a_reply_asks_for_is_kept() {
        let wait = |reply| match answer(Step::Rcpt, reply) {
            Answer::NotAccepted { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("450 4.2.0 Greylisted for 5 minutes"), Some(300));
        assert_eq!(wait("451 try again in 60 seconds."), Some(60));
        assert_eq!(wait("451 4.7.1 retry after 2 hours"), Some(7200));
        assert_eq!(wait("451 come back in 99999999999999 hours"), Some(86_400));
        assert_eq!(wait("451 try again later"), None);
    }

    #[test]
    fn details_keep_the_codes_and_no_address() {
        let Answer::Refused { detail, .. } = answer(Step::Rcpt, "550 5.1.1 <bob@example.com>: user unknown")
        else {
            panic!("not refused")
        };
        assert_eq!(detail, "550 5.1.1 [address] user unknown");
    }

    #[test]
    fn details_keep_no_part_of_the_recipient_s_name() {
        for (reply, expected) in [
            ("550 5.1.1 jane.doe: user unknown", "550 5.1.1 [address] user unknown"),
            ("550 unknown user \"Jane-Doe\"", "550 unknown user [address]"),
            ("450 4.2.0 janedoe is greylisted", "450 4.2.0 [address] is greylisted"),
        ] {
            let (Answer::Refused { detail, .. } | Answer::NotAccepted { detail, .. }) =
                answer(Step::Rcpt, reply)
            else {
                panic!("{reply}")
            };
            assert_eq!(detail, expected);
        }
        // What the name is made of changes nothing of what the reply means.
        let (code, words) = words_of("550 5.7.1 relay access denied\r\n");
        let answer = refusal(Step::Rcpt, code, &words, "relay.access@example.com");
        assert_eq!(
            answer,
            Answer::not_accepted(NotAccepted::Misconfigured, "550 5.7.1 [address] [address] denied")
        );
    }

    #[test]
    fn the_servers_name_for_a_message_is_found() {
        let id = |reply| provider_id(&words_of(reply).1);
        assert_eq!(id("250 2.0.0 Ok: queued as 4XyZ\r\n").as_deref(), Some("4XyZ"));
        assert_eq!(id("250 Ok 0100018f-abc-000000\r\n").as_deref(), Some("0100018f-abc-000000"));
        assert_eq!(id("250 2.0.0 OK  1693 x-y.1 - gsmtp\r\n").as_deref(), Some("1693 x-y.1 - gsmtp"));
        assert_eq!(id("250 okra\r\n").as_deref(), Some("okra"));
        assert_eq!(id("250 2.0.0 Ok\r\n"), None);
        assert_eq!(id("250\r\n"), None);
    }
}
