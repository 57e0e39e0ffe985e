//! What an answer of Firebase Cloud Messaging means.
//!
//! After its documentation of error codes and of sending at scale. A code is in `error.details`, in an entry of the type
//! `google.firebase.fcm.v1.FcmError`; where there is none, `error.status` is Google's canonical one.
//!
//! | answer | means |
//! |---|---|
//! | 2xx | taken |
//! | 404 `UNREGISTERED` | the token is gone |
//! | 403 `SENDER_ID_MISMATCH` | the token is another project's |
//! | 400 about the token | it is no token |
//! | 400 about the size, 413 | too large |
//! | 400 otherwise, other 4xx | refused |
//! | 401 `THIRD_PARTY_AUTH_ERROR` | not taken: the project lacks what Apple or a browser's service asks for |
//! | 401, 403 | not taken: a new access token, then misconfigured |
//! | 404 otherwise, 3xx | not taken: misconfigured, there is no such project |
//! | 429 | not taken: too fast, for the project or for one device |
//! | 503 with `Retry-After` | not taken: turned away |
//! | 503 without, 408, 500, any other 5xx | in doubt |

use std::time::Duration;

use campaign::Code;
use delivery::{Answer, Cause};
use http::StatusCode;
use outbound::Error;
use platform::batch;
use serde::Deserialize;

/// How long to wait at least where FCM says that we are too fast, and not for how long.
const THROTTLE: Duration = Duration::from_secs(60);

/// What an answer means for one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is nothing more to be done about it.
    Told(Answer),
    /// The token is none, or none any more.
    Gone(String),
    /// The token belongs to another project.
    Mismatch(String),
    /// We are not let in.
    Barred(String),
}

#[derive(Deserialize)]
struct Body {
    error: Problem,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    message: String,
    status: String,
    details: Vec<Detail>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    error_code: Option<String>,
    field_violations: Vec<Violation>,
    /// Of a quota.
    violations: Vec<Violation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Violation {
    field: String,
    subject: String,
    description: String,
}

/// What a whole answer means.
pub(crate) fn of_answer(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Verdict {
    if status.is_success() {
        return Verdict::Told(Answer::Accepted);
    }
    let problem = serde_json::from_slice(body).map_or_else(|_| Problem::default(), |body: Body| body.error);
    let code = problem.code();
    let detail = problem.detail(status);
    let not_accepted = |cause, retry_after| {
        Verdict::Told(Answer::NotAccepted { cause, retry_after, detail: detail.clone() })
    };
    match status.as_u16() {
        300..=399 => not_accepted(Cause::Misconfigured, None),
        400 if problem.is_about_the_token() => Verdict::Gone(detail),
        400 if problem.is_about_the_size() => refused(Code::TooLarge, detail),
        401 if code == "THIRD_PARTY_AUTH_ERROR" => not_accepted(Cause::Transient, None),
        403 if code == "SENDER_ID_MISMATCH" => Verdict::Mismatch(detail),
        401 | 403 => Verdict::Barred(detail),
        404 if code == "UNREGISTERED" => Verdict::Gone(detail),
        404 => not_accepted(Cause::Misconfigured, None),
        413 => refused(Code::TooLarge, detail),
        429 => {
            let cause = if problem.is_of_one_device() { Cause::Transient } else { Cause::Throttled };
            not_accepted(cause, Some(retry_after.unwrap_or(THROTTLE)))
        }
        503 if retry_after.is_some() => not_accepted(Cause::Transient, retry_after),
        408 | 500.. => Verdict::Told(Answer::Ambiguous { detail }),
        400..=499 => refused(Code::Refused, detail),
        _ => Verdict::Told(Answer::Ambiguous { detail }),
    }
}

/// What it means that there was no whole answer.
pub(crate) fn of_error(error: &Error) -> Answer {
    let detail = batch::chain(error);
    match error {
        Error::Refused(_) => Answer::NotAccepted { cause: Cause::Misconfigured, retry_after: None, detail },
        Error::NotConnected(_) => {
            Answer::NotAccepted { cause: Cause::Unreachable, retry_after: None, detail }
        }
        _ => match error.status() {
            Some(status) if status.is_success() => Answer::Accepted,
            // It says that it was not taken, and no more: why, another try will tell.
            Some(status) if status.is_redirection() || status.is_client_error() => {
                Answer::NotAccepted { cause: Cause::Transient, retry_after: None, detail }
            }
            _ => Answer::Ambiguous { detail },
        },
    }
}

fn refused(code: Code, detail: String) -> Verdict {
    Verdict::Told(Answer::Refused { code, detail })
}

impl Problem {
    /// FCM's own code, or else the canonical one.
    fn code(&self) -> &str {
        self.details.iter().find_map(|detail| detail.error_code.as_deref()).unwrap_or(&self.status)
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.details
            .iter()
            .flat_map(|detail| &detail.field_violations)
            .map(|violation| violation.field.as_str())
            .filter(|field| !field.is_empty())
    }

    fn is_about_the_token(&self) -> bool {
        self.fields().any(|field| field == "message.token")
            || (self.fields().next().is_none() && self.message.contains("not a valid FCM registration token"))
    }

    fn is_about_the_size(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        message.contains("too big") || message.contains("too large")
    }

    /// Whether it is not the project that is too fast, but what goes to this one device.
    fn is_of_one_device(&self) -> bool {
        let violations = self.details.iter().flat_map(|detail| &detail.violations);
        violations.into_iter().any(|violation| {
            let is_device = |text: &str| text.to_ascii_lowercase().starts_with("device");
            is_device(&violation.subject) || is_device(&violation.description)
        })
    }

    /// For people. Where single fields are wrong, FCM's words repeat what stands in them, which must not go into the ledger.
    fn detail(&self, status: StatusCode) -> String {
        let code = self.code();
        let mut detail = format!("{} {code}", status.as_u16()).trim_end().to_owned();
        let fields: Vec<_> = self.fields().collect();
        if !fields.is_empty() {
            detail.push_str(": ");
            detail.push_str(&fields.join(", "));
        } else if !self.message.is_empty() {
            detail.push_str(": ");
            detail.push_str(&self.message);
        }
        detail
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: &str, retry_after: Option<u64>) -> Verdict {
        let retry_after = retry_after.map(Duration::from_secs);
        of_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes(), retry_after)
    }

    fn not_accepted(cause: Cause, retry_after: Option<u64>, detail: &str) -> Verdict {
        let retry_after = retry_after.map(Duration::from_secs);
        Verdict::Told(Answer::NotAccepted { cause, retry_after, detail: detail.to_owned() })
    }

    fn ambiguous(detail: &str) -> Verdict {
        Verdict::Told(Answer::Ambiguous { detail: detail.to_owned() })
    }

    fn error(code: u16, status: &str, message: &str, details: &serde_json::Value) -> String {
        json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
            .to_string()
    }

    fn fcm(code: &str) -> serde_json::Value {
        json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }])
    }

    #[test]
    fn a_token_is_gone_only_where_fcm_says_so_of_the_token() {
        let gone = |detail: &str| Verdict::Gone(detail.to_owned());
        let unregistered = error(404, "NOT_FOUND", "Requested entity was not found.", &fcm("UNREGISTERED"));
        assert_eq!(of(404, &unregistered, None), gone("404 UNREGISTERED: Requested entity was not found."));
        let message = "The registration token is not a valid FCM registration token";
        let invalid = error(400, "INVALID_ARGUMENT", message, &fcm("INVALID_ARGUMENT"));
        assert_eq!(of(400, &invalid, None), gone(&format!("400 INVALID_ARGUMENT: {message}")));
        let violation = json!([
            { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT" },
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": "message.token", "description": "Invalid registration token" }],
            },
        ]);
        let invalid = error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.", &violation);
        assert_eq!(of(400, &invalid, None), gone("400 INVALID_ARGUMENT: message.token"));
        let mismatch = error(403, "PERMISSION_DENIED", "SenderId mismatch", &fcm("SENDER_ID_MISMATCH"));
        let detail = "403 SENDER_ID_MISMATCH: SenderId mismatch".to_owned();
        assert_eq!(of(403, &mismatch, None), Verdict::Mismatch(detail));
        // A project that is not there, and what stands between: no token's fault.
        let nowhere = error(404, "NOT_FOUND", "Requested entity was not found.", &json!([]));
        for body in [nowhere.as_str(), "<html>", ""] {
            let Verdict::Told(Answer::NotAccepted { cause, .. }) = of(404, body, None) else {
                panic!("{body}")
            };
            assert_eq!(cause, Cause::Misconfigured);
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_refused_without_repeating_it() {
        let violation = json!([{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": "message.data[0].value", "description": "Invalid value: hush" }],
        }]);
        let body = error(400, "INVALID_ARGUMENT", "Invalid value: hush", &violation);
        let detail = "400 INVALID_ARGUMENT: message.data[0].value".to_owned();
        assert_eq!(of(400, &body, None), refused(Code::Refused, detail));
        let body = error(400, "INVALID_ARGUMENT", "Android message is too big", &fcm("INVALID_ARGUMENT"));
        let detail = "400 INVALID_ARGUMENT: Android message is too big".to_owned();
        assert_eq!(of(400, &body, None), refused(Code::TooLarge, detail));
        assert_eq!(of(413, "", None), refused(Code::TooLarge, "413".to_owned()));
        assert_eq!(of(405, "no", None), refused(Code::Refused, "405".to_owned()));
    }

    #[test]
    fn what_was_surely_not_taken_may_be_tried_again() {
        let quota = error(429, "RESOURCE_EXHAUSTED", "Quota.", &fcm("QUOTA_EXCEEDED"));
        let detail = "429 QUOTA_EXCEEDED: Quota.";
        assert_eq!(of(429, &quota, Some(7)), not_accepted(Cause::Throttled, Some(7), detail));
        assert_eq!(of(429, &quota, None), not_accepted(Cause::Throttled, Some(60), detail));
        let of_device = json!([
            { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "QUOTA_EXCEEDED" },
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{ "subject": "device:x", "description": "Device message rate exceeded" }],
            },
        ]);
        let quota = error(429, "RESOURCE_EXHAUSTED", "Quota.", &of_device);
        assert_eq!(of(429, &quota, None), not_accepted(Cause::Transient, Some(60), detail));
        let busy = error(503, "UNAVAILABLE", "Overloaded.", &fcm("UNAVAILABLE"));
        let detail = "503 UNAVAILABLE: Overloaded.";
        assert_eq!(of(503, &busy, Some(30)), not_accepted(Cause::Transient, Some(30), detail));
        let third = error(401, "UNAUTHENTICATED", "Auth error from APNS.", &fcm("THIRD_PARTY_AUTH_ERROR"));
        let detail = "401 THIRD_PARTY_AUTH_ERROR: Auth error from APNS.";
        assert_eq!(of(401, &third, None), not_accepted(Cause::Transient, None, detail));
        assert_eq!(of(302, "", None), not_accepted(Cause::Misconfigured, None, "302"));
        for (status, name) in [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")] {
            let body = error(status, name, "No.", &json!([]));
            assert_eq!(of(status, &body, None), Verdict::Barred(format!("{status} {name}: No.")));
        }
    }

    #[test]
    fn what_may_have_been_taken_is_in_doubt() {
        let internal = error(500, "INTERNAL", "Internal error encountered.", &fcm("INTERNAL"));
        assert_eq!(of(500, &internal, Some(1)), ambiguous("500 INTERNAL: Internal error encountered."));
        assert_eq!(of(502, "<!DOCTYPE html>", Some(1)), ambiguous("502"));
        assert_eq!(of(503, "", None), ambiguous("503"));
        assert_eq!(of(504, "", None), ambiguous("504"));
        assert_eq!(of(408, "", None), ambiguous("408"));
        let late = |status: Option<u16>| {
            let status = status.map(|status| StatusCode::from_u16(status).unwrap());
            of_error(&Error::Late { status, within: Duration::from_secs(1) })
        };
        assert!(matches!(late(None), Answer::Ambiguous { .. }));
        assert!(matches!(late(Some(500)), Answer::Ambiguous { .. }));
        assert_eq!(late(Some(200)), Answer::Accepted);
        assert!(matches!(late(Some(404)), Answer::NotAccepted { cause: Cause::Transient, .. }));
        let unconnected = of_error(&Error::NotConnected("refused".into()));
        assert!(matches!(unconnected, Answer::NotAccepted { cause: Cause::Unreachable, .. }));
    }
}
