//! What an error answer means: its code first, then the reason it names, then the status.
//!
//! Whatever concerns *us* (credentials, identity, account, configuration set, money) is [`Cause::Misconfigured`] or
//! [`Cause::Quota`] and never a recipient's failure, for it would fail a whole campaign; and a bad address is only one that
//! the answer calls so. What depends on the recipient's country is the recipient's: the others must not wait for it.

use std::time::Duration;

use campaign::Code;
use delivery::{Answer, Cause};

/// An error answer.
pub(super) struct Rejection<'a> {
    pub(super) status: u16,
    pub(super) code: Option<&'a str>,
    /// The reason that the service names, of those that it lists.
    pub(super) reason: Option<&'a str>,
    /// The first field that is not valid.
    pub(super) field: Option<&'a str>,
    /// What it asks to wait, where it does.
    pub(super) retry_after: Option<Duration>,
}

/// The answer that a rejection amounts to.
pub(super) fn refusal(rejection: &Rejection<'_>) -> Answer {
    let Rejection { status, code, reason, field, retry_after } = *rejection;
    let code = code.unwrap_or_default();
    let reason = reason.unwrap_or_default();
    let detail = detail(status, code, reason, field);
    let not_accepted = |cause| Answer::NotAccepted { cause, retry_after, detail: detail.clone() };
    let refused = |code| Answer::Refused { code, detail: detail.clone() };

    if status == 429
        || code.starts_with("Throttl")
        || matches!(code, "TooManyRequestsException" | "RequestLimitExceeded")
    {
        return not_accepted(Cause::Throttled);
    }
    if code == "ServiceQuotaExceededException" {
        return not_accepted(Cause::Quota);
    }
    if !(300..500).contains(&status) || code == "InternalServerException" {
        // It failed somewhere behind the door, perhaps after it had taken the message; or it is a yes in words that are no
        // answer of the service's, and then who knows whose yes.
        return Answer::Ambiguous { detail };
    }
    match code {
        "ConflictException" => match reason {
            "DESTINATION_PHONE_NUMBER_OPTED_OUT" => refused(Code::NoConsent),
            "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"
            | "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE" => refused(Code::Policy),
            // Verified recipients are all that an account in the sandbox may write to: it has to leave it.
            _ => not_accepted(Cause::Misconfigured),
        },
        "ValidationException" => match reason {
            "MAXIMUM_SIZE_EXCEEDED" => refused(Code::TooLarge),
            "COUNTRY_CODE_MISMATCH" | "CANNOT_PARSE" if concerns_number(field) => refused(Code::BadAddress),
            "COUNTRY_NOT_ENABLED"
            | "DESTINATION_COUNTRY_BLOCKED"
            | "INTERNATIONAL_SENDING_NOT_SUPPORTED"
            | "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY"
            | "PRICE_OVER_THRESHOLD"
            | "SENDER_ID_NOT_SUPPORTED"
            | "SENDER_ID_REQUIRES_REGISTRATION" => refused(Code::Policy),
            "INVALID_ARN" | "RESOURCE_NOT_ACCESSIBLE" | "SENDER_ID_NOT_REGISTERED" | "UNKNOWN_OPERATION" => {
                not_accepted(Cause::Misconfigured)
            }
            _ => match field {
                Some("DestinationPhoneNumber") => refused(Code::BadAddress),
                Some("MessageBody") | None => refused(Code::Refused),
                Some(_) => not_accepted(Cause::Misconfigured),
            },
        },
        "" if status != 408 => {
            // The service names its errors: somebody in between answered, who has not passed the message on.
            not_accepted(Cause::Unreachable)
        }
        _ if status == 408 => not_accepted(Cause::Transient),
        // AccessDeniedException and ResourceNotFoundException, and those that all of AWS shares: signatures, tokens, clocks.
        _ => not_accepted(Cause::Misconfigured),
    }
}

fn concerns_number(field: Option<&str>) -> bool {
    field.is_none_or(|field| field == "DestinationPhoneNumber")
}

/// For people: status, code, reason and field. The message's own words may repeat the number.
fn detail(status: u16, code: &str, reason: &str, field: Option<&str>) -> String {
    let mut detail = status.to_string();
    for word in [code, reason, field.unwrap_or_default()] {
        let is_of_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let word: String = word.chars().filter(is_of_word).take(80).collect();
        if !word.is_empty() {
            detail.push(' ');
            detail.push_str(&word);
        }
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, reason: &str, field: &str) -> Answer {
        let given = |text: &'static str| (!text.is_empty()).then_some(text);
        let leak = |text: &str| given(Box::leak(text.to_owned().into_boxed_str()));
        refusal(&Rejection {
            status,
            code: leak(code),
            reason: leak(reason),
            field: leak(field),
            retry_after: Some(Duration::from_secs(3)),
        })
    }

    fn cause(status: u16, code: &str, reason: &str, field: &str) -> Cause {
        match answer(status, code, reason, field) {
            Answer::NotAccepted { cause, retry_after: Some(_), .. } => cause,
            other => panic!("{status} {code} {reason}: {other:?}"),
        }
    }

    fn refused(code: &str, reason: &str, field: &str) -> Code {
        match answer(400, code, reason, field) {
            Answer::Refused { code, .. } => code,
            other => panic!("{code} {reason}: {other:?}"),
        }
    }

    /// Rows I1 and I9: too fast, too much and not us are three things.
    #[test]
    fn what_concerns_us_fails_no_recipient() {
        assert_eq!(cause(400, "ThrottlingException", "", ""), Cause::Throttled);
        assert_eq!(cause(429, "", "", ""), Cause::Throttled);
        let quota = "ServiceQuotaExceededException";
        assert_eq!(cause(402, quota, "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", ""), Cause::Quota);
        assert_eq!(cause(400, quota, "", ""), Cause::Quota);
        for (code, reason, field) in [
            ("AccessDeniedException", "ACCOUNT_DISABLED", ""),
            ("ResourceNotFoundException", "", ""),
            ("UnrecognizedClientException", "", ""),
            ("InvalidSignatureException", "", ""),
            ("ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND", ""),
            ("ConflictException", "MESSAGE_TYPE_MISMATCH", ""),
            ("ConflictException", "DESTINATION_PHONE_NUMBER_NOT_VERIFIED", ""),
            ("ValidationException", "INVALID_PARAMETER", "OriginationIdentity"),
            ("ValidationException", "FIELD_VALIDATION_FAILED", "ConfigurationSetName"),
            ("ValidationException", "INVALID_ARN", ""),
        ] {
            assert_eq!(cause(400, code, reason, field), Cause::Misconfigured, "{code} {reason}");
        }
        assert_eq!(cause(403, "", "", ""), Cause::Unreachable);
        assert_eq!(cause(408, "RequestTimeout", "", ""), Cause::Transient);
        assert_eq!(cause(408, "", "", ""), Cause::Transient);
    }

    #[test]
    fn what_concerns_the_recipient_is_refused_for_its_reason() {
        let (conflict, invalid) = ("ConflictException", "ValidationException");
        assert_eq!(refused(conflict, "DESTINATION_PHONE_NUMBER_OPTED_OUT", ""), Code::NoConsent);
        assert_eq!(
            refused(conflict, "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", ""),
            Code::Policy
        );
        assert_eq!(refused(invalid, "INVALID_PARAMETER", "DestinationPhoneNumber"), Code::BadAddress);
        assert_eq!(refused(invalid, "CANNOT_PARSE", ""), Code::BadAddress);
        assert_eq!(refused(invalid, "SENDER_ID_NOT_SUPPORTED", ""), Code::Policy);
        assert_eq!(refused(invalid, "MAXIMUM_SIZE_EXCEEDED", "MessageBody"), Code::TooLarge);
        assert_eq!(refused(invalid, "FIELD_VALIDATION_FAILED", "MessageBody"), Code::Refused);
        assert_eq!(refused(invalid, "", ""), Code::Refused);
    }

    #[test]
    fn what_broke_behind_the_door_is_in_doubt() {
        for (status, code) in [
            (500, "InternalServerException"),
            (400, "InternalServerException"),
            (500, ""),
            (502, ""),
            (503, "ServiceUnavailable"),
            (504, ""),
            (200, ""),
        ] {
            assert!(matches!(answer(status, code, "", ""), Answer::Ambiguous { .. }), "{status} {code}");
        }
    }

    #[test]
    fn details_hold_what_the_service_lists_and_nothing_else() {
        let Answer::Refused { detail, .. } =
            answer(400, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", "")
        else {
            panic!("it is refused")
        };
        assert_eq!(detail, "400 ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT");
        let Answer::Ambiguous { detail } = answer(500, "a b<+1>", "", "x@y") else {
            panic!("it is in doubt")
        };
        assert_eq!(detail, "500 ab1 xy");
    }
}
