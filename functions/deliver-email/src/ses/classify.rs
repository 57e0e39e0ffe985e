//! What an error answer means: its code first, then the words that SES is known to use, then the status.
//!
//! The rule is that of the SMTP client: whatever concerns *us* (credentials, sender, account, configuration set) is
//! [`NotAccepted::Misconfigured`] and never a recipient's failure, for it would fail a whole campaign; and a bad address is
//! only one that the answer calls so, for it may end on a suppression list. What is left, SES said no to this one message,
//! and the other recipients must not wait for it.

use std::time::Duration;

use crate::redact::holds_part_of;
use crate::{Answer, NotAccepted, Refusal};

/// The longest part of a message's own words that is kept.
const MAX_TEXT_BYTES: usize = 200;

/// An error answer.
pub(super) struct Rejection<'a> {
    pub(super) status: u16,
    pub(super) code: Option<&'a str>,
    pub(super) message: &'a str,
    /// What it asks to wait, where it does.
    pub(super) retry_after: Option<Duration>,
}

/// The answer that a rejection amounts to, for a message of these addresses.
pub(super) fn refusal(rejection: &Rejection<'_>, from: &str, to: &str) -> Answer {
    let Rejection { status, code, message, retry_after } = *rejection;
    let code = code.unwrap_or_default();
    let words = own_words(message);
    let lower = words.to_ascii_lowercase();
    let detail = detail(status, code, words, to);
    let not_accepted = |cause| Answer::NotAccepted { cause, retry_after, detail: detail.clone() };

    if let Some(cause) = limit(status, code, &lower) {
        return not_accepted(cause);
    }
    if !(300..500).contains(&status) || code == "RequestAbortedException" {
        // It failed somewhere behind the door, perhaps after it had taken the message; or it is a yes in words that are no
        // answer of SES's, and then who knows whose yes.
        return Answer::Ambiguous { detail };
    }
    if matches!(status, 401 | 403 | 404) || is_about_us(code) || says_it_is_about_us(&lower) {
        return not_accepted(NotAccepted::Misconfigured);
    }
    if status == 408 {
        return not_accepted(NotAccepted::Transient);
    }
    if status == 413 || says_too_large(&lower) {
        return Answer::refused(Refusal::TooLarge, detail);
    }
    if code.is_empty() {
        // SES names its errors: somebody in between answered, who has not passed the message on.
        return not_accepted(NotAccepted::Unreachable);
    }
    if lower.contains("blacklisted") || lower.contains("suppression list") {
        return Answer::refused(Refusal::Policy, detail);
    }
    if says_bad_address(&lower) {
        return if names(message, from) && !names(message, to) {
            not_accepted(NotAccepted::Misconfigured)
        } else {
            Answer::refused(Refusal::BadAddress, detail)
        };
    }
    Answer::refused(Refusal::Other, detail)
}

/// Whether it says that we send too fast or too much, by any status.
fn limit(status: u16, code: &str, lower: &str) -> Option<NotAccepted> {
    let is_limit = status == 429
        || matches!(
            code,
            "TooManyRequestsException"
                | "TooManyRequests"
                | "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "RequestLimitExceeded"
                | "LimitExceeded"
                | "LimitExceededException"
                | "SlowDown"
        );
    if !is_limit {
        return None;
    }
    // "Daily message quota exceeded.", "Maximum sending rate exceeded."; and LimitExceeded is the quota's own code.
    let is_daily = lower.contains("daily") || lower.contains("quota") || lower.contains("24-hour");
    let is_rate = lower.contains("rate");
    Some(if is_daily || (code.starts_with("LimitExceeded") && !is_rate) {
        NotAccepted::QuotaExceeded
    } else {
        NotAccepted::Throttled
    })
}

/// Codes about the account, its rights, its sender or its configuration set, whoever the recipient may be. The first are
/// SES's own, the rest those that all of AWS shares.
fn is_about_us(code: &str) -> bool {
    matches!(
        code,
        "AccountSuspendedException"
            | "SendingPausedException"
            | "MailFromDomainNotVerifiedException"
            | "NotFoundException"
            | "AccessDenied"
            | "AccessDeniedException"
            | "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
            | "OptInRequired"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch"
            | "UnknownOperationException"
            | "UnrecognizedClientException"
    )
}

/// Words about us that come under the codes of a bad message. An unverified recipient is one of them: only an account in
/// the sandbox is asked to verify recipients, and it is the account that has to leave it.
fn says_it_is_about_us(lower: &str) -> bool {
    lower.contains("address is not verified")
        || lower.contains("domain is not verified")
        || lower.contains("configuration set")
        || lower.contains("sending paused")
        || lower.contains("sending suspended")
        || lower.contains("not authorized")
}

fn says_too_large(lower: &str) -> bool {
    lower.starts_with("message length is more than")
        || lower.contains("message too large")
        || lower.contains("message size exceeds")
        || lower.contains("maximum message size")
}

/// What SES's address parser says, which names neither whose address it means nor, mostly, the address.
fn says_bad_address(lower: &str) -> bool {
    const STARTS: [&str; 13] = [
        "invalid email address",
        "invalid address",
        "illegal address",
        "empty address",
        "missing final",
        "missing domain",
        "missing local name",
        "invalid domain name",
        "domain ",
        "local address ",
        "quote not at",
        "quoted local address",
        "unescaped quote",
    ];
    STARTS.iter().any(|start| lower.starts_with(start))
}

/// Whether the message quotes the address.
fn names(message: &str, address: &str) -> bool {
    message.to_ascii_lowercase().contains(&address.to_ascii_lowercase())
}

/// The words of the message up to the first that quotes something, which may be an address: "Message length is more than
/// 10485760 bytes long: '…'", "Missing final '@domain'", "Configuration set <…> does not exist".
fn own_words(message: &str) -> &str {
    let message = ["Transaction failed:", "Message rejected:"]
        .iter()
        .find_map(|lead| message.trim_start().strip_prefix(lead))
        .unwrap_or(message)
        .trim();
    let end = message
        .find(|c: char| !(c.is_ascii_alphanumeric() || " .,;()/-".contains(c)))
        .unwrap_or(message.len());
    let (words, rest) = message.split_at(end);
    // A word that goes on with an `@` or a quote is a part of what is quoted.
    let is_end_of_word = rest.is_empty() || rest.starts_with([':', ' ']) || words.ends_with(' ');
    let words = if is_end_of_word { words } else { words.rfind(' ').map_or("", |space| &words[..space]) };
    words.trim_end()
}

/// For people: status, code, and as many of the words as surely hold no part of the recipient's address.
fn detail(status: u16, code: &str, words: &str, to: &str) -> String {
    let mut detail = status.to_string();
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if !code.is_empty() {
        detail.push(' ');
        detail.push_str(&code);
    }
    let mut separator = ": ";
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        if holds_part_of(word, to) || detail.len() + word.len() > MAX_TEXT_BYTES {
            break;
        }
        detail.push_str(separator);
        detail.push_str(word);
        separator = " ";
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "news@shop.example";
    const TO: &str = "jane.doe@example.org";

    fn answer(status: u16, code: &str, message: &str) -> Answer {
        let code = (!code.is_empty()).then_some(code);
        refusal(&Rejection { status, code, message, retry_after: None }, FROM, TO)
    }

    fn cause_of(status: u16, code: &str, message: &str) -> NotAccepted {
        match answer(status, code, message) {
            Answer::NotAccepted { cause, .. } => cause,
            other => panic!("{status} {code} {message}: {other:?}"),
        }
    }

    fn reason_of(status: u16, code: &str, message: &str) -> Refusal {
        match answer(status, code, message) {
            Answer::Refused { reason, .. } => reason,
            other => panic!("{status} {code} {message}: {other:?}"),
        }
    }

    fn detail_of(status: u16, code: &str, message: &str) -> String {
        match answer(status, code, message) {
            Answer::Refused { detail, .. }
            | Answer::NotAccepted { detail, .. }
            | Answer::Ambiguous { detail } => detail,
            Answer::Accepted { .. } => panic!("accepted"),
        }
    }

    /// I1 and I9: too fast, too much and not now are three things.
    #[test]
    fn throttles_and_quotas_are_told_apart() {
        use NotAccepted::*;
        for (status, code, message, expected) in [
            (429, "TooManyRequestsException", "Maximum sending rate exceeded.", Throttled),
            (429, "TooManyRequestsException", "Too many requests", Throttled),
            (400, "Throttling", "Maximum sending rate exceeded.", Throttled),
            (400, "ThrottlingException", "Rate exceeded", Throttled),
            (503, "ThrottlingException", "", Throttled),
            (503, "SlowDown", "Please reduce your request rate.", Throttled),
            (429, "", "", Throttled),
            (429, "TooManyRequestsException", "Daily message quota exceeded.", QuotaExceeded),
            (400, "LimitExceededException", "Daily message quota exceeded.", QuotaExceeded),
            (400, "LimitExceededException", "", QuotaExceeded),
            (400, "LimitExceededException", "Maximum sending rate exceeded.", Throttled),
            (400, "Throttling", "Daily message quota exceeded.", QuotaExceeded),
        ] {
            assert_eq!(cause_of(status, code, message), expected, "{status} {code} {message}");
        }
    }

    #[test]
    fn what_concerns_us_fails_no_recipient() {
        for (status, code, message) in [
            (400, "AccountSuspendedException", "Account has been suspended."),
            (400, "SendingPausedException", "Sending paused for this account."),
            (400, "SendingPausedException", "Configuration set <bulk> sending is paused."),
            (400, "MailFromDomainNotVerifiedException", "The MAIL FROM domain is not verified"),
            (404, "NotFoundException", "Configuration set <bulk> does not exist."),
            (400, "BadRequestException", "Configuration set <bulk> does not exist."),
            (
                400,
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region US-EAST-1: \
                 news@shop.example",
            ),
            // The sandbox: it is the recipient who failed the check, but the account that asks for it.
            (
                400,
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region US-EAST-1: \
                 jane.doe@example.org",
            ),
            (400, "MessageRejected", "Sending suspended for this account. For more information, see"),
            (
                403,
                "AccessDeniedException",
                "User `arn:aws:sts::1:assumed-role/x/y' is not authorized to perform `ses:SendEmail'",
            ),
            (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
            (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
            (403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
            (403, "ExpiredTokenException", "The security token included in the request is expired"),
            (400, "RequestExpired", ""),
            (403, "", ""),
            (400, "BadRequestException", "Invalid email address <News@shop.example>."),
        ] {
            assert_eq!(cause_of(status, code, message), NotAccepted::Misconfigured, "{code} {message}");
        }
    }

    #[test]
    fn permanent_refusals_are_told_apart() {
        use Refusal::*;
        for (status, code, message, expected) in [
            (400, "BadRequestException", "Invalid email address jane.doe@example.org.", BadAddress),
            (400, "BadRequestException", "Invalid email address .", BadAddress),
            (400, "BadRequestException", "Missing final '@domain'", BadAddress),
            (400, "BadRequestException", "Domain contains control or whitespace", BadAddress),
            (400, "BadRequestException", "Domain contains illegal character", BadAddress),
            (400, "BadRequestException", "Local address contains control or whitespace", BadAddress),
            (400, "MessageRejected", "Transaction failed: Missing domain", BadAddress),
            (400, "InvalidParameterValue", "Invalid domain name: 'example..org'.", BadAddress),
            (400, "MessageRejected", "Address blacklisted.", Policy),
            (
                400,
                "BadRequestException",
                "Message length is more than 41943040 bytes long: '41943041'.",
                TooLarge,
            ),
            (413, "RequestEntityTooLargeException", "", TooLarge),
            (413, "", "", TooLarge),
            (400, "BadRequestException", "Header section too long.", Other),
            (400, "BadRequestException", "Duplicate header 'DATE'.", Other),
            (400, "MessageRejected", "The message was rejected.", Other),
        ] {
            assert_eq!(reason_of(status, code, message), expected, "{status} {code} {message}");
        }
    }

    #[test]
    fn what_broke_behind_the_door_is_in_doubt() {
        for (status, code) in [
            (500, "InternalFailure"),
            (500, "InternalServiceErrorException"),
            (503, "ServiceUnavailable"),
            (502, ""),
            (504, ""),
            (400, "RequestAbortedException"),
            (200, ""),
        ] {
            assert!(matches!(answer(status, code, ""), Answer::Ambiguous { .. }), "{status} {code}");
        }
    }

    #[test]
    fn an_answer_that_is_not_the_services_fails_no_recipient() {
        assert_eq!(cause_of(400, "", ""), NotAccepted::Unreachable);
        assert_eq!(cause_of(307, "", ""), NotAccepted::Unreachable);
        assert_eq!(cause_of(408, "RequestTimeoutException", ""), NotAccepted::Transient);
    }

    #[test]
    fn details_hold_the_code_and_no_part_of_an_address() {
        let sandbox = "Email address is not verified. The following identities failed the check in region US-EAST-1: \
                       \"Jane Doe\" <jane.doe@example.org>";
        assert_eq!(
            detail_of(400, "MessageRejected", sandbox),
            "400 MessageRejected: Email address is not verified. The following identities failed the check in region \
             US-EAST-1"
        );
        for (message, expected) in [
            ("Invalid email address jane.doe@example.org.", "Invalid email address"),
            ("Invalid email address jane doe", "Invalid email address"),
            ("Invalid email address \"jane roe\"@example.org", "Invalid email address"),
            ("Invalid domain name: 'example..org'.", "Invalid domain name"),
            ("Local address <jane", "Local address"),
            ("Missing final '@domain'", "Missing final"),
            ("o'jane@example.org is invalid", ""),
        ] {
            let expected = if expected.is_empty() { String::new() } else { format!(": {expected}") };
            assert_eq!(
                detail_of(400, "BadRequestException", message),
                format!("400 BadRequestException{expected}"),
                "{message}"
            );
        }
        assert_eq!(detail_of(500, "a@b <x>", ""), "500 abx");
    }

    #[test]
    fn an_address_of_words_that_errors_use_hides_no_error() {
        let sandbox = "Email address is not verified. The following identities failed the check in region X: \
                       verified.message@example.org";
        let rejection =
            Rejection { status: 400, code: Some("MessageRejected"), message: sandbox, retry_after: None };
        let answer = refusal(&rejection, FROM, "verified.message@example.org");
        assert!(
            matches!(answer, Answer::NotAccepted { cause: NotAccepted::Misconfigured, .. }),
            "{answer:?}"
        );
    }
}
