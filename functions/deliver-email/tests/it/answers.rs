//! What SES answers, as it comes over the wire, and what it means.

use std::time::Duration;

use deliver_email::{Answer, NotAccepted, Refusal};

use crate::endpoint::{Endpoint, Reply};
use crate::{send_to, ses};

/// An answer as a word.
fn kind(answer: &Answer) -> String {
    match answer {
        Answer::Accepted { .. } => "accepted".to_owned(),
        Answer::Refused { reason, .. } => format!("{reason:?}"),
        Answer::NotAccepted { cause, .. } => format!("{cause:?}"),
        Answer::Ambiguous { .. } => "doubt".to_owned(),
    }
}

/// I1, I9: a throttled account loses nobody. And none of these is tried again by anybody but the loop.
#[tokio::test]
async fn each_error_is_told_apart_and_asked_for_once() {
    let cases: [(u16, &str, &str, &str); 17] = [
        (429, "TooManyRequestsException", "Maximum sending rate exceeded.", "Throttled"),
        (400, "Throttling", "Maximum sending rate exceeded.", "Throttled"),
        (503, "ThrottlingException", "Rate exceeded", "Throttled"),
        (429, "TooManyRequestsException", "Daily message quota exceeded.", "QuotaExceeded"),
        (400, "LimitExceededException", "Daily message quota exceeded.", "QuotaExceeded"),
        (400, "AccountSuspendedException", "Account suspended.", "Misconfigured"),
        (400, "SendingPausedException", "Sending paused for this account.", "Misconfigured"),
        (400, "MailFromDomainNotVerifiedException", "Domain not verified.", "Misconfigured"),
        (404, "NotFoundException", "Configuration set <bulk> does not exist.", "Misconfigured"),
        (403, "AccessDeniedException", "User is not authorized to perform ses:SendEmail", "Misconfigured"),
        (403, "InvalidClientTokenId", "The security token is invalid.", "Misconfigured"),
        (
            400,
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region EU-WEST-1: TO",
            "Misconfigured",
        ),
        (400, "MessageRejected", "Address blacklisted.", "Policy"),
        (400, "BadRequestException", "Invalid email address TO.", "BadAddress"),
        (
            400,
            "BadRequestException",
            "Message length is more than 41943040 bytes long: '41943041'.",
            "TooLarge",
        ),
        (500, "InternalFailure", "", "doubt"),
        (503, "ServiceUnavailable", "", "doubt"),
    ];
    let endpoint = Endpoint::start(move |request| {
        let case: usize =
            request.to().trim_start_matches("case-").split('@').next().unwrap().parse().unwrap();
        let (status, code, message, _) = cases[case];
        Reply::Error(status, code, message.replace("TO", request.to()))
    });
    let recipients: Vec<_> = (0..cases.len()).map(|case| format!("case-{case}@example.org")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();

    let answers = send_to(&ses(&endpoint.url), &recipients).await;

    for (answer, (status, code, message, expected)) in answers.iter().zip(cases) {
        assert_eq!(kind(answer), expected, "{status} {code}: {message}");
        let shown = format!("{answer:?}");
        assert!(shown.contains(&format!("{status} {code}")), "{shown}");
        assert!(!shown.contains("case-") && !shown.contains('@'), "{shown}");
    }
    assert_eq!(endpoint.requests().len(), cases.len(), "somebody was asked for twice");
}

#[tokio::test]
async fn one_bad_message_says_nothing_of_the_others() {
    let endpoint = Endpoint::start(|request| match request.to() {
        "bad@example.org" => Reply::Error(400, "BadRequestException", "Header section too long.".to_owned()),
        to => Reply::Taken(to.to_owned()),
    });
    let answers = send_to(&ses(&endpoint.url), &["a@example.org", "bad@example.org", "b@example.org"]).await;
    assert_eq!(answers.iter().map(kind).collect::<Vec<_>>(), ["accepted", "Other", "accepted"]);
    assert!(matches!(answers[1], Answer::Refused { reason: Refusal::Other, .. }));
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_kept() {
    let endpoint = Endpoint::start(|_| {
        Reply::Bytes("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}")
    });
    let answers = send_to(&ses(&endpoint.url), &["jane@example.org"]).await;
    assert!(
        matches!(
            answers[..],
            [Answer::NotAccepted { cause: NotAccepted::Throttled, retry_after: Some(wait), .. }]
                if wait == Duration::from_secs(7)
        ),
        "{answers:?}"
    );
}

/// A proxy's page is no word of SES on a recipient.
#[tokio::test]
async fn an_answer_in_no_language_of_ses_fails_no_recipient() {
    let endpoint = Endpoint::start(|_| {
        Reply::Bytes("HTTP/1.1 400 Bad\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>")
    });
    let answers = send_to(&ses(&endpoint.url), &["jane@example.org"]).await;
    assert_eq!(kind(&answers[0]), "Unreachable");
}

/// Taken is taken, whatever it is called.
#[tokio::test]
async fn a_yes_without_a_name_is_a_yes() {
    let endpoint = Endpoint::start(|_| Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
    let answers = send_to(&ses(&endpoint.url), &["jane@example.org"]).await;
    assert_eq!(answers, [Answer::Accepted { provider_id: None }]);
}
