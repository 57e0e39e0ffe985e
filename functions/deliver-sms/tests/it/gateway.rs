//! A provider that takes messages by HTTP, as a configuration describes it.

use std::time::Duration;

use campaign::Code;
use campaign::configuration::{AnswerMeaning, AnswerRule, Sender as Settings, SmsProvider};
use delivery::{Answer, Cause, Sender};
use outbound::Policy;
use serde_json::json;

use crate::endpoint::{Endpoint, Event, Reply, nobody, resetting};
use crate::{Sms, TEXT, TIME, TO, by_http, member};

async fn ready() -> Sms {
    let sms = Sms::new();
    sms.keep("token", "t0ken").await;
    sms
}

async fn answer(rules: Vec<AnswerRule>, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Answer {
    let endpoint = Endpoint::start(move |_| reply());
    let answer = ready().await.send(&by_http(&endpoint.url, rules)).await;
    assert_eq!(endpoint.requests().len(), 1, "a call is not repeated");
    let shown = format!("{answer:?}");
    assert!(!shown.contains(TO) && !shown.contains("t0ken"), "{shown}");
    answer
}

fn says(status: u16, body: &'static str) -> impl Fn() -> Reply + Send + Sync + 'static {
    move || Reply::Answer(status, "", body.to_owned())
}

fn rule(status: &str, contains: Option<&str>, means: AnswerMeaning) -> AnswerRule {
    AnswerRule { status: Some(status.to_owned()), contains: contains.map(str::to_owned), means }
}

#[tokio::test]
async fn a_message_is_put_as_the_configuration_says() {
    let endpoint = Endpoint::start(|_| Reply::Answer(202, "", String::new()));
    let sms = ready().await;
    let answers = sms.send_many(&by_http(&endpoint.url, Vec::new()), TEXT, 3).await;
    assert_eq!(answers, vec![Answer::Accepted; 3]);
    let mut requests = endpoint.requests();
    requests.sort_by(|one, next| one.line.cmp(&next.line));
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.line, format!("POST /v1/send?ref={}", member(index)));
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.body, json!({ "to": TO, "from": "Shop", "text": TEXT }));
    }
}

#[tokio::test]
async fn answers_mean_what_the_configuration_says_else_what_their_status_says() {
    let taken = answer(Vec::new(), says(200, "{}")).await;
    assert_eq!(taken, Answer::Accepted);
    let refused = answer(Vec::new(), says(400, "bad number +33612345678")).await;
    assert!(matches!(refused, Answer::Refused { code: Code::Refused, .. }), "{refused:?}");
    let rules = || {
        vec![
            rule("200", Some("UNKNOWN"), AnswerMeaning::BadAddress),
            rule("5xx", None, AnswerMeaning::Retry),
            rule("403", Some("stop list"), AnswerMeaning::OptedOut),
        ]
    };
    let unknown = answer(rules(), says(200, "{\"status\": \"UNKNOWN\"}")).await;
    assert!(matches!(unknown, Answer::Refused { code: Code::BadAddress, .. }), "{unknown:?}");
    let retried = answer(rules(), says(500, "")).await;
    assert!(matches!(retried, Answer::NotAccepted { cause: Cause::Transient, .. }), "{retried:?}");
    let out = answer(rules(), says(403, "on the stop list")).await;
    assert!(matches!(out, Answer::Refused { code: Code::NoConsent, .. }), "{out:?}");
    let doubt = answer(Vec::new(), says(500, "")).await;
    assert!(matches!(doubt, Answer::Ambiguous { .. }), "{doubt:?}");
}

#[tokio::test]
async fn a_provider_that_is_busy_says_for_how_long() {
    let wait = Some(Duration::from_secs(17));
    for (status, expected) in [(429, Cause::Throttled), (503, Cause::Unreachable)] {
        let busy =
            answer(Vec::new(), move || Reply::Answer(status, "retry-after: 17\r\n", String::new())).await;
        let Answer::NotAccepted { cause, retry_after, .. } = busy else { panic!("{busy:?}") };
        assert_eq!((cause, retry_after), (expected, wait), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Endpoint::start(|_| Reply::Answer(200, "", String::new()));
    let location: &'static str = Box::leak(format!("location: {}/x\r\n", elsewhere.url).into_boxed_str());
    let redirected = answer(Vec::new(), move || Reply::Answer(307, location, String::new())).await;
    assert!(matches!(redirected, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{redirected:?}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_a_doubt_and_nothing_going_on() {
    let mut endpoint = Endpoint::start(|_| Reply::Silence);
    let (sms, configuration) = (ready().await, by_http(&endpoint.url, Vec::new()));
    let (answer, ()) = tokio::join!(sms.send(&configuration), async {
        endpoint.wait_for(Event::Read).await;
        tokio::time::pause();
        tokio::time::advance(TIME).await;
        tokio::time::resume();
    });
    assert!(matches!(answer, Answer::Ambiguous { .. }), "{answer:?}");
    endpoint.wait_for(Event::HungUp).await;
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_with_the_request_in_it_leaves_a_doubt() {
    for end in ["", "what?\r\n\r\n"] {
        let broken = answer(Vec::new(), move || Reply::Bytes(end)).await;
        assert!(matches!(broken, Answer::Ambiguous { .. }), "{end:?}: {broken:?}");
    }
    // The status is there and says it, unless the rest could have said otherwise.
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"sta";
    assert_eq!(answer(Vec::new(), move || Reply::Bytes(half)).await, Answer::Accepted);
    let rules = vec![rule("2xx", Some("failed"), AnswerMeaning::Refused)];
    let half = answer(rules, move || Reply::Bytes(half)).await;
    assert!(matches!(half, Answer::Ambiguous { .. }), "{half:?}");
    let reset = ready().await.send(&by_http(&resetting(), Vec::new())).await;
    assert!(matches!(reset, Answer::Ambiguous { .. }), "{reset:?}");
}

#[tokio::test]
async fn what_never_reached_the_provider_was_not_taken() {
    let nobody = ready().await.send(&by_http(&nobody(), Vec::new())).await;
    assert!(matches!(nobody, Answer::NotAccepted { cause: Cause::Unreachable, .. }), "{nobody:?}");
    let endpoint = Endpoint::start(|_| Reply::Silence);
    for policy in [Policy::public_only(), Policy::allowing("127.0.0.1").unwrap()] {
        let sms = Sms::with(policy, None);
        sms.keep("token", "t0ken").await;
        let refused = sms.send(&by_http(&endpoint.url, Vec::new())).await;
        assert!(matches!(refused, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{refused:?}");
    }
    assert!(endpoint.requests().is_empty());
}

#[tokio::test]
async fn a_secret_that_is_missing_or_wrong_is_read_again_at_the_next_try() {
    let endpoint = Endpoint::start(|request| match request.header("authorization") {
        Some("Bearer right") => Reply::Answer(200, "", String::new()),
        _ => Reply::Answer(401, "", String::new()),
    });
    let (sms, configuration) = (Sms::new(), by_http(&endpoint.url, Vec::new()));
    let missing = sms.send(&configuration).await;
    let Answer::NotAccepted { cause: Cause::Misconfigured, detail, .. } = missing else {
        panic!("{missing:?}")
    };
    assert_eq!(detail, "the configuration has no secret token");
    assert!(endpoint.requests().is_empty());
    sms.keep("token", "wrong").await;
    let wrong = sms.send(&configuration).await;
    assert!(matches!(wrong, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{wrong:?}");
    sms.keep("token", "right").await;
    assert_eq!(sms.send(&configuration).await, Answer::Accepted);
}

#[tokio::test]
async fn an_edit_of_the_configuration_applies_at_once() {
    let endpoint = Endpoint::start(|_| Reply::Answer(200, "", String::new()));
    let (sms, mut configuration) = (ready().await, by_http(&endpoint.url, Vec::new()));
    assert_eq!(sms.send(&configuration).await, Answer::Accepted);
    let Settings::Sms(sender) = &mut configuration.sender else { panic!("it is for text messages") };
    let SmsProvider::Http(http) = &mut sender.provider else { panic!("it is by HTTP") };
    http.body = r#"{"m": "{{text}}"}"#.to_owned();
    assert_eq!(sms.send(&configuration).await, Answer::Accepted);
    assert_eq!(endpoint.requests()[1].body, json!({ "m": TEXT }));
}

#[tokio::test]
async fn no_text_ends_a_header() {
    let endpoint = Endpoint::start(|_| Reply::Answer(200, "", String::new()));
    let (sms, mut configuration) = (ready().await, by_http(&endpoint.url, Vec::new()));
    let Settings::Sms(sender) = &mut configuration.sender else { panic!("it is for text messages") };
    let SmsProvider::Http(http) = &mut sender.provider else { panic!("it is by HTTP") };
    http.headers.insert("x-text".to_owned(), "{{text}}".to_owned());
    let messages = ["fine", "a\r\nx-evil: 1", "Zoë"]
        .map(|text| sms.text(&configuration, text, member(0)))
        .into_iter()
        .collect();
    let answers = sms.sender.send(&configuration, messages, TIME).await;
    assert!(
        matches!(
            answers[..],
            [Answer::Accepted, Answer::Refused { code: Code::RenderFailed, .. }, Answer::Accepted]
        ),
        "{answers:?}"
    );
    assert_eq!(endpoint.requests().len(), 2);
    assert!(endpoint.requests().iter().all(|request| request.header("x-evil").is_none()));
}
