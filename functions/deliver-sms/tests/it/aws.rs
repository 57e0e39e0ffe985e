//! AWS End User Messaging, by its own protocol: awsJson1.0.

use std::time::Duration;

use campaign::configuration::AwsSms;
use campaign::{Category, Code};
use delivery::{Answer, Cause, MessageId, Sender, tags};
use outbound::Policy;
use serde_json::json;

use crate::endpoint::{Endpoint, Event, Reply, nobody, resetting};
use crate::{Sms, TEXT, TIME, TO, anonymous, by_aws};

fn plain() -> campaign::Configuration {
    by_aws(Category::Marketing, AwsSms::default())
}

fn taken() -> Reply {
    Reply::Answer(200, "", json!({ "MessageId": "m-1" }).to_string())
}

/// An error as the service gives it.
fn error(status: u16, code: &str, more: &serde_json::Value) -> Reply {
    let mut body = json!({
        "__type": format!("com.amazonaws.pinpointsmsvoicev2#{code}"),
        "Message": format!("It is about {TO}"),
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::Answer(
        status,
        "x-amzn-requestid: r\r\ncontent-type: application/x-amz-json-1.0\r\n",
        body.to_string(),
    )
}

async fn answer(status: u16, code: &'static str, more: serde_json::Value) -> Answer {
    let endpoint = Endpoint::start(move |_| error(status, code, &more));
    let answer = Sms::by_aws(&endpoint.url).send(&plain()).await;
    assert_eq!(endpoint.requests().len(), 1, "a call is not repeated");
    let shown = format!("{answer:?}");
    assert!(!shown.contains(TO), "{shown}");
    answer
}

#[tokio::test]
async fn a_message_is_asked_for_as_the_service_has_it() {
    let endpoint = Endpoint::start(|_| taken());
    let settings = AwsSms {
        origination_identity: Some("pool-1".to_owned()),
        configuration_set: Some("envoi".to_owned()),
        protect_configuration: Some("protect-1".to_owned()),
        time_to_live_seconds: Some(600),
    };
    let sms = Sms::by_aws(&endpoint.url);
    assert_eq!(sms.send(&by_aws(Category::Marketing, settings.clone())).await, Answer::Accepted);
    let request = &endpoint.requests()[0];
    assert_eq!(request.line, "POST /");
    assert_eq!(request.header("x-amz-target"), Some("PinpointSMSVoiceV2.SendTextMessage"));
    assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.0"));
    assert!(request.header("authorization").unwrap().contains("/eu-west-1/sms-voice/aws4_request"));
    let execution = campaign::ExecutionId::from_bytes([7; 16]).to_string();
    assert_eq!(
        request.body,
        json!({
            "DestinationPhoneNumber": TO, "MessageBody": TEXT, "MessageType": "PROMOTIONAL",
            "OriginationIdentity": "pool-1", "ConfigurationSetName": "envoi",
            "ProtectConfigurationId": "protect-1", "TimeToLive": 600,
            "Context": {
                tags::EXECUTION: execution, tags::SHARD: "3", tags::ACTION: "1", tags::CHUNK: "42", tags::MEMBER: "0",
            },
        })
    );
    let transactional = by_aws(Category::Transactional, AwsSms::default());
    let proof = sms.text(&transactional, "Hello", MessageId::Proof { proof: "p1".to_owned(), index: 0 });
    assert_eq!(sms.sender.send(&transactional, vec![proof], TIME).await, [Answer::Accepted]);
    assert_eq!(
        endpoint.requests()[1].body,
        json!({
            "DestinationPhoneNumber": TO, "MessageBody": "Hello", "MessageType": "TRANSACTIONAL",
            "Context": { tags::PROOF: "p1" },
        })
    );
}

#[tokio::test]
async fn each_message_of_a_window_has_an_answer_of_its_own() {
    let endpoint = Endpoint::start(|request| match request.body["Context"][tags::MEMBER].as_str() {
        Some("1") => {
            error(400, "ConflictException", &json!({ "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT" }))
        }
        Some("2") => error(400, "ThrottlingException", &json!({})),
        Some("3") => Reply::Bytes(""),
        _ => taken(),
    });
    let answers = Sms::by_aws(&endpoint.url).send_many(&plain(), TEXT, 5).await;
    assert!(
        matches!(
            answers[..],
            [
                Answer::Accepted,
                Answer::Refused { code: Code::NoConsent, .. },
                Answer::NotAccepted { cause: Cause::Throttled, .. },
                Answer::Ambiguous { .. },
                Answer::Accepted,
            ]
        ),
        "{answers:?}"
    );
}

#[tokio::test]
async fn what_the_service_refuses_is_told_apart() {
    let reason = |reason: &str| json!({ "Reason": reason });
    let number = json!({
        "Reason": "INVALID_PARAMETER", "Fields": [{ "Name": "DestinationPhoneNumber", "Message": "no" }],
    });
    let identity = json!({
        "Reason": "INVALID_PARAMETER", "Fields": [{ "Name": "OriginationIdentity", "Message": "no" }],
    });
    for (code, more, expected) in [
        ("ConflictException", reason("DESTINATION_PHONE_NUMBER_OPTED_OUT"), Code::NoConsent),
        ("ConflictException", reason("DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"), Code::Policy),
        ("ValidationException", number, Code::BadAddress),
        ("ValidationException", reason("INVALID_IDENTITY_FOR_DESTINATION_COUNTRY"), Code::Policy),
    ] {
        let answer = answer(400, code, more.clone()).await;
        assert!(matches!(answer, Answer::Refused { code, .. } if code == expected), "{more}: {answer:?}");
    }
    for (status, code, more, expected) in [
        (400, "ThrottlingException", json!({}), Cause::Throttled),
        (402, "ServiceQuotaExceededException", reason("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"), Cause::Quota),
        (400, "AccessDeniedException", reason("ACCOUNT_DISABLED"), Cause::Misconfigured),
        (400, "ResourceNotFoundException", json!({ "ResourceType": "pool" }), Cause::Misconfigured),
        (400, "ValidationException", identity, Cause::Misconfigured),
        (403, "UnrecognizedClientException", json!({}), Cause::Misconfigured),
    ] {
        let answer = answer(status, code, more).await;
        assert!(
            matches!(answer, Answer::NotAccepted { cause, .. } if cause == expected),
            "{code}: {answer:?}"
        );
    }
    let broken = answer(500, "InternalServerException", json!({ "RequestId": "r" })).await;
    assert!(matches!(broken, Answer::Ambiguous { .. }), "{broken:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_a_doubt_and_nothing_going_on() {
    let mut endpoint = Endpoint::start(|_| Reply::Silence);
    let sms = Sms::by_aws(&endpoint.url);
    let configuration = plain();
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
    for end in ["", "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"Mess", "what?\r\n\r\n"] {
        let endpoint = Endpoint::start(move |_| Reply::Bytes(end));
        let answer = Sms::by_aws(&endpoint.url).send(&plain()).await;
        assert!(matches!(answer, Answer::Ambiguous { .. }), "{end:?}: {answer:?}");
        assert_eq!(endpoint.requests().len(), 1, "{end:?}");
    }
    let answer = Sms::by_aws(&resetting()).send(&plain()).await;
    assert!(matches!(answer, Answer::Ambiguous { .. }), "{answer:?}");
}

#[tokio::test]
async fn what_never_reached_the_service_was_not_taken() {
    let answer = Sms::by_aws(&nobody()).send(&plain()).await;
    assert!(matches!(answer, Answer::NotAccepted { cause: Cause::Unreachable, .. }), "{answer:?}");
    let endpoint = Endpoint::start(|_| Reply::Silence);
    for nameless in [Some(anonymous(&endpoint.url)), None] {
        let answer = Sms::with(Policy::public_only(), nameless).send(&plain()).await;
        assert!(matches!(answer, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{answer:?}");
    }
    assert!(endpoint.requests().is_empty());
    // An address of documentation's own, which leads nowhere.
    let sms = Sms::by_aws("http://192.0.2.1:9");
    let configuration = plain();
    let message = sms.text(&configuration, TEXT, crate::member(0));
    let answers = sms.sender.send(&configuration, vec![message], Duration::from_millis(20)).await;
    assert!(matches!(answers[..], [Answer::NotAccepted { cause: Cause::Unreachable, .. }]), "{answers:?}");
}
