//! What a receiver's answer means.
//!
//! | it answered | that means |
//! |---|---|
//! | 2xx | it has it |
//! | 410 | the endpoint is gone: it is tried again while the configuration is not disabled (below) |
//! | 401, 403 | it refuses us, not this recipient, where all are told at one URL (401: at one host) |
//! | 408, 425, 5xx | it says itself that it failed: tried again, with the same `webhook-id` |
//! | 429 | tried again when it says; uses up nothing of the retry period where all go to one host |
//! | 413 | too large |
//! | any other 4xx | refused |
//! | 3xx | refused: who may be called is decided before a call, not by whom was called |
//! | nothing: no connection | tried again; where all go to one host, it is left alone for a while |
//! | nothing: time was up, or the connection broke | doubt |
//!
//! What concerns an endpoint as a whole concerns everybody only where all are told there. Where data chooses the host, or the
//! configuration is for other hosts too, one that is down or asks us to wait keeps nobody else waiting.
//!
//! A 410 from the one URL of a content disables the configuration, where that is for this one host, and so tells the operator;
//! nobody is given up for it before the retry period ends, in case it was a mistake. From a URL that is a recipient's own, or
//! where the configuration is for other hosts too, it refuses that recipient.

use std::time::Duration;

use campaign::Code;
use content::Destination;
use delivery::{Answer, Cause};
use http::StatusCode;
use outbound::Error;
use platform::batch;

/// The longest that a receiver can have us wait: it holds up everybody who is to be told there.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Whom it concerns that a host is down or asks us to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever is told anything by the configuration: it is for this host alone.
    Everybody,
    /// Those in the same chunk: other contents lead elsewhere.
    Chunk,
}

impl Audience {
    /// The answer as this audience is to take it. What holds a whole configuration would hold up others' hosts, too.
    pub(crate) fn hears(self, answer: Answer) -> Answer {
        match answer {
            Answer::NotAccepted { cause: Cause::Throttled | Cause::Unreachable, retry_after, detail }
                if self == Self::Chunk =>
            {
                Answer::NotAccepted { cause: Cause::Transient, retry_after, detail }
            }
            answer => answer,
        }
    }
}

/// What an answer's status means.
pub(crate) fn of_status(status: StatusCode, asked: Option<Duration>, destination: Destination) -> Answer {
    let refused = |code| Answer::Refused { code, detail: told(status) };
    let not_accepted = |cause, retry_after| Answer::NotAccepted { cause, retry_after, detail: told(status) };
    let asked = asked.map(|asked| asked.min(LONGEST_WAIT));
    let (is_one_url, is_one_host) = (destination == Destination::OneUrl, destination != Destination::AnyHost);
    match status.as_u16() {
        200..=299 => Answer::Accepted,
        300..=399 => Answer::Refused {
            code: Code::Policy,
            detail: format!("{}, and redirects are not followed", told(status)),
        },
        410 if is_one_url => Answer::NotAccepted {
            cause: Cause::Misconfigured,
            retry_after: None,
            detail: format!("{}: the configuration is disabled", told(status)),
        },
        401 if is_one_host => not_accepted(Cause::Misconfigured, None),
        403 if is_one_url => not_accepted(Cause::Misconfigured, None),
        408 | 425 => not_accepted(Cause::Transient, asked),
        429 if is_one_host => not_accepted(Cause::Throttled, asked),
        429 => not_accepted(Cause::Transient, asked),
        413 => refused(Code::TooLarge),
        400..=499 => refused(Code::Refused),
        503 if is_one_url => not_accepted(Cause::Unreachable, asked),
        // What is below 200 is no answer, and what is above 599 none that anybody knows.
        _ => not_accepted(Cause::Transient, asked),
    }
}

/// Whether an answer says that the endpoint of everybody is gone.
pub(crate) fn is_gone(status: StatusCode, destination: Destination) -> bool {
    status == StatusCode::GONE && destination == Destination::OneUrl
}

/// What it means that there is no whole answer.
pub(crate) fn of_error(error: &Error, destination: Destination) -> Answer {
    let detail = batch::chain(error);
    match error {
        Error::Refused(_) => Answer::Refused { code: Code::Policy, detail },
        Error::NotConnected(_) => {
            let is_one_host = destination != Destination::AnyHost;
            let cause = if is_one_host { Cause::Unreachable } else { Cause::Transient };
            Answer::NotAccepted { cause, retry_after: None, detail }
        }
        Error::Broken { .. } | Error::Late { .. } | Error::TooLarge { .. } => match error.status() {
            // Its answer was there; what it went on to say is of no interest.
            Some(status) => of_status(status, None, destination),
            None => Answer::Ambiguous { detail },
        },
    }
}

fn told(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("it answered {} {reason}", status.as_u16()),
        None => format!("it answered {}", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(status: u16, destination: Destination) -> (Option<Cause>, Option<Code>) {
        let asked = Some(Duration::from_secs(7));
        match of_status(StatusCode::from_u16(status).unwrap(), asked, destination) {
            Answer::Accepted => (None, None),
            Answer::Refused { code, .. } => (None, Some(code)),
            Answer::NotAccepted { cause, retry_after, .. } => {
                assert!(retry_after == asked || cause == Cause::Misconfigured, "{status}");
                (Some(cause), None)
            }
            Answer::Ambiguous { .. } => panic!("{status} is an answer"),
        }
    }

    #[test]
    fn an_answer_means_the_same_wherever_it_is_about_one_recipient() {
        for destination in [Destination::OneUrl, Destination::OneHost, Destination::AnyHost] {
            for status in [200, 201, 202, 204, 299] {
                assert_eq!(means(status, destination), (None, None), "{status}");
            }
            for status in [300, 301, 302, 303, 304, 307, 308] {
                assert_eq!(means(status, destination), (None, Some(Code::Policy)), "{status}");
            }
            for status in [400, 402, 404, 405, 406, 409, 415, 422, 451, 499] {
                assert_eq!(means(status, destination), (None, Some(Code::Refused)), "{status}");
            }
            for status in [101, 408, 425, 500, 501, 502, 504, 599, 600] {
                assert_eq!(means(status, destination), (Some(Cause::Transient), None), "{status}");
            }
            assert_eq!(means(413, destination), (None, Some(Code::TooLarge)));
        }
    }

    #[test]
    fn what_concerns_an_endpoint_concerns_those_who_are_told_there() {
        use Destination::{AnyHost, OneHost, OneUrl};
        let refused = (None, Some(Code::Refused));
        let cause = |cause| (Some(cause), None);
        for (status, destination, meant) in [
            (410, OneUrl, cause(Cause::Misconfigured)),
            (410, OneHost, refused),
            (410, AnyHost, refused),
            (401, OneUrl, cause(Cause::Misconfigured)),
            (401, OneHost, cause(Cause::Misconfigured)),
            (401, AnyHost, refused),
            (403, OneUrl, cause(Cause::Misconfigured)),
            (403, OneHost, refused),
            (429, OneUrl, cause(Cause::Throttled)),
            (429, OneHost, cause(Cause::Throttled)),
            (429, AnyHost, cause(Cause::Transient)),
            (503, OneUrl, cause(Cause::Unreachable)),
            (503, OneHost, cause(Cause::Transient)),
            (503, AnyHost, cause(Cause::Transient)),
        ] {
            assert_eq!(means(status, destination), meant, "{status} {destination:?}");
            let gone = is_gone(StatusCode::from_u16(status).unwrap(), destination);
            assert_eq!(gone, status == 410 && destination == OneUrl);
        }
        let refused = || Error::NotConnected("refused".into());
        let unreachable = |destination| match of_error(&refused(), destination) {
            Answer::NotAccepted { cause, .. } => cause,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [OneUrl, OneHost, AnyHost].map(unreachable),
            [Cause::Unreachable, Cause::Unreachable, Cause::Transient]
        );
    }

    #[test]
    fn a_host_among_others_holds_up_none_but_those_who_are_told_there() {
        let detail = String::new();
        let retry_after = Some(Duration::from_secs(7));
        let answer = |cause| Answer::NotAccepted { cause, retry_after, detail: detail.clone() };
        for cause in [Cause::Throttled, Cause::Unreachable, Cause::Transient] {
            assert_eq!(Audience::Chunk.hears(answer(cause)), answer(Cause::Transient));
            assert_eq!(Audience::Everybody.hears(answer(cause)), answer(cause));
        }
        assert_eq!(Audience::Chunk.hears(answer(Cause::Misconfigured)), answer(Cause::Misconfigured));
        assert_eq!(Audience::Chunk.hears(Answer::Accepted), Answer::Accepted);
    }

    #[test]
    fn nobody_can_have_us_wait_for_days() {
        let day = Some(Duration::from_secs(86_400));
        let answer = of_status(StatusCode::TOO_MANY_REQUESTS, day, Destination::OneUrl);
        assert!(matches!(answer, Answer::NotAccepted { retry_after: Some(LONGEST_WAIT), .. }), "{answer:?}");
    }

    #[test]
    fn a_status_counts_though_the_rest_of_the_answer_does_not_come() {
        let late = |status: Option<u16>| {
            let status = status.map(|status| StatusCode::from_u16(status).unwrap());
            of_error(&Error::Late { status, within: Duration::from_secs(1) }, Destination::OneUrl)
        };
        assert_eq!(late(Some(200)), Answer::Accepted);
        assert!(matches!(late(Some(422)), Answer::Refused { code: Code::Refused, .. }));
        assert!(matches!(late(None), Answer::Ambiguous { .. }));
    }
}
