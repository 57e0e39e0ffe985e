//! What a provider's answer means: what the configuration says of it, else what its status says.
//!
//! Whatever concerns *us* (credentials, balance, a wrong URL) is [`Cause::Misconfigured`] and never a recipient's failure,
//! for it would fail a whole campaign. Details hold the status and which rule it was; the answer's own words may repeat the
//! number.

use std::time::Duration;

use campaign::Code;
use campaign::configuration::{AnswerMeaning, AnswerRule};
use delivery::{Answer, Cause};
use http::StatusCode;
use outbound::Error;

use crate::sender::not_accepted;

/// The meaning of a whole answer.
pub(super) fn meaning(
    rules: &[AnswerRule],
    status: StatusCode,
    body: &str,
    retry_after: Option<Duration>,
) -> Answer {
    let rule = rules.iter().enumerate().find(|(_, rule)| rule.fits(status.as_u16(), body));
    let detail = match rule {
        Some((index, _)) => format!("the provider answered {}, by answers[{index}]", status.as_u16()),
        None => format!("the provider answered {}", status.as_u16()),
    };
    let not_accepted = |cause| Answer::NotAccepted { cause, retry_after, detail: detail.clone() };
    let refused = |code| Answer::Refused { code, detail: detail.clone() };
    if let Some((_, rule)) = rule {
        return match rule.means {
            AnswerMeaning::Accepted => Answer::Accepted,
            AnswerMeaning::Refused => refused(Code::Refused),
            AnswerMeaning::BadAddress => refused(Code::BadAddress),
            AnswerMeaning::OptedOut => refused(Code::NoConsent),
            AnswerMeaning::Retry => not_accepted(Cause::Transient),
            AnswerMeaning::Throttled => not_accepted(Cause::Throttled),
            AnswerMeaning::Misconfigured => not_accepted(Cause::Misconfigured),
        };
    }
    match status.as_u16() {
        200..300 => Answer::Accepted,
        // Redirects are not followed: whoever took the message there would not be whom the configuration names.
        300..400 | 401..=405 | 407 => not_accepted(Cause::Misconfigured),
        408 => not_accepted(Cause::Transient),
        413 => refused(Code::TooLarge),
        429 => not_accepted(Cause::Throttled),
        400..500 => refused(Code::Refused),
        // Whoever is too busy for this message is too busy for the next.
        503 => not_accepted(Cause::Unreachable),
        _ => Answer::Ambiguous { detail },
    }
}

/// The meaning of an answer that is not whole, or not there.
pub(super) fn broken(rules: &[AnswerRule], error: &Error) -> Answer {
    if let Error::Refused(refusal) = error {
        return not_accepted(
            Cause::Misconfigured,
            format!("the provider's address is not called: {refusal}"),
        );
    }
    if error.is_surely_not_taken() {
        return not_accepted(Cause::Unreachable, "there is no connection to the provider");
    }
    match error.status() {
        // What was not read could only have mattered to a rule.
        Some(status) if rules.iter().all(|rule| rule.contains.is_none()) => meaning(rules, status, "", None),
        _ => Answer::Ambiguous { detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(status: &str, contains: &str, means: AnswerMeaning) -> AnswerRule {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        AnswerRule { status: given(status), contains: given(contains), means }
    }

    fn of(rules: &[AnswerRule], status: u16, body: &str) -> Answer {
        meaning(rules, StatusCode::from_u16(status).unwrap(), body, Some(Duration::from_secs(7)))
    }

    fn cause(status: u16) -> Option<Cause> {
        match of(&[], status, "") {
            Answer::NotAccepted { cause, retry_after, .. } => {
                assert_eq!(retry_after, Some(Duration::from_secs(7)));
                Some(cause)
            }
            _ => None,
        }
    }

    /// Rows I1 and I9: too fast, not now and not us are three things.
    #[test]
    fn without_rules_the_status_says_it() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(of(&[], status, "error"), Answer::Accepted, "{status}");
        }
        for status in [301, 302, 307, 401, 402, 403, 404, 405, 407] {
            assert_eq!(cause(status), Some(Cause::Misconfigured), "{status}");
        }
        assert_eq!(cause(408), Some(Cause::Transient));
        assert_eq!(cause(429), Some(Cause::Throttled));
        assert_eq!(cause(503), Some(Cause::Unreachable));
        for (status, refused) in [(400, Code::Refused), (413, Code::TooLarge), (422, Code::Refused)] {
            assert!(
                matches!(of(&[], status, ""), Answer::Refused { code, .. } if code == refused),
                "{status}"
            );
        }
        for status in [500, 501, 502, 504, 599] {
            assert!(matches!(of(&[], status, ""), Answer::Ambiguous { .. }), "{status}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_goes_before_the_status() {
        let rules = [
            rule("200", "INVALID_NUMBER", AnswerMeaning::BadAddress),
            rule("2xx", "UNSUBSCRIBED", AnswerMeaning::OptedOut),
            rule("500", "", AnswerMeaning::Retry),
            rule("4xx", "balance", AnswerMeaning::Misconfigured),
            rule("", "slow down", AnswerMeaning::Throttled),
            rule("422", "", AnswerMeaning::Accepted),
        ];
        let refused = |status, body, expected: Code| {
            let answer = of(&rules, status, body);
            assert!(matches!(answer, Answer::Refused { code, .. } if code == expected), "{answer:?}");
        };
        refused(200, "code: INVALID_NUMBER", Code::BadAddress);
        refused(202, "UNSUBSCRIBED", Code::NoConsent);
        refused(400, "what?", Code::Refused);
        let not_accepted = |status, body, expected: Cause| {
            let answer = of(&rules, status, body);
            assert!(matches!(answer, Answer::NotAccepted { cause, .. } if cause == expected), "{answer:?}");
        };
        not_accepted(500, "", Cause::Transient);
        not_accepted(400, "no balance", Cause::Misconfigured);
        not_accepted(200, "slow down", Cause::Throttled);
        assert_eq!(of(&rules, 200, "fine"), Answer::Accepted);
        assert_eq!(of(&rules, 422, ""), Answer::Accepted);
        let Answer::Refused { detail, .. } = of(&rules, 200, "INVALID_NUMBER +33612345678") else { panic!() };
        assert_eq!(detail, "the provider answered 200, by answers[0]");
    }

    #[test]
    fn an_answer_that_broke_off_means_what_its_status_does_unless_a_rule_asks_for_its_words() {
        let broke = |status| Error::Late { status, within: Duration::from_secs(1) };
        let taken = Some(StatusCode::ACCEPTED);
        assert_eq!(broken(&[], &broke(taken)), Answer::Accepted);
        let by_words = [rule("", "ERR", AnswerMeaning::Refused)];
        assert!(matches!(broken(&by_words, &broke(taken)), Answer::Ambiguous { .. }));
        assert!(matches!(broken(&[], &broke(None)), Answer::Ambiguous { .. }));
        let late = broken(&[], &Error::NotConnected("no".into()));
        assert!(matches!(late, Answer::NotAccepted { cause: Cause::Unreachable, .. }), "{late:?}");
    }
}
