//! What each answer of Firebase Cloud Messaging, or of the network, comes to.

use tokio::net::TcpListener;

use super::*;

async fn answer_to(reply: Reply) -> Answer {
    let world = World::new(move |_| reply.clone()).await;
    world.send_to(&["secret-token"]).await.0
}

fn refused(answer: &Answer) -> Option<Code> {
    match answer {
        Answer::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

#[tokio::test]
async fn a_message_is_asked_for_as_the_documentation_says() {
    let world = World::new(|_| Reply::taken()).await;
    let content = json!({
        "title": "Hello {{profile.name}}", "body": "\"{{profile.name}}\"", "link": "https://x.example.com/{{profile.name}}",
        "data": { "who": "{{profile.external_id}}" }, "ttl_seconds": 60, "ios": { "subtitle": "S", "badge": 1 },
    });
    let row = json!({
        "external_id": "E1", "name": "Zoë",
        "push_tokens": [device("app", "ios", "i"), device("app", "web", "w"), device("other", "ios", "o")],
    });
    let push = world.prepare(&content, nobody(row)).unwrap();
    assert_eq!(world.send(vec![push]).await, [Answer::Accepted]);
    let mut asked = world.google.asked();
    asked.sort_by_key(|asked| asked.token().to_owned());
    let paths: Vec<_> = asked.iter().map(|asked| (asked.token(), asked.path.as_str())).collect();
    let path = "/v1/projects/my-app/messages:send";
    assert_eq!(paths, [("i", path), ("w", path)]);
    let shared = json!({
        "notification": { "title": "Hello Zoë", "body": "\"Zoë\"" },
        "data": { "link": "https://x.example.com/Zoë", "who": "E1" },
    });
    for (asked, name, part) in [
        (
            &asked[0],
            "apns",
            json!({
                "headers": { "apns-priority": "10", "apns-expiration": "1800000060" },
                "payload": { "aps": { "alert": { "title": "Hello Zoë", "subtitle": "S", "body": "\"Zoë\"" }, "badge": 1 } },
            }),
        ),
        (
            &asked[1],
            "webpush",
            json!({ "headers": { "TTL": "60" }, "fcm_options": { "link": "https://x.example.com/Zoë" } }),
        ),
    ] {
        let mut expected = shared.clone();
        expected["token"] = json!(asked.token());
        expected[name] = part;
        assert_eq!(asked.message, expected);
    }
}

#[tokio::test]
async fn what_is_taken_is_accepted_though_the_rest_of_the_answer_is_lost() {
    for reply in [
        Reply::taken(),
        Reply::Answer(200, "", String::new()),
        Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
    ] {
        assert_eq!(answer_to(reply.clone()).await, Answer::Accepted, "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_with_its_reason() {
    let invalid = |message: &str| {
        let error = json!({ "code": 400, "message": message, "status": "INVALID_ARGUMENT" });
        Reply::Answer(400, "", json!({ "error": error }).to_string())
    };
    for (reply, code) in [
        (Reply::unregistered(), Code::BadAddress),
        (Reply::error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Code::BadAddress),
        (invalid("The registration token is not a valid FCM registration token"), Code::BadAddress),
        (invalid("Android message is too big"), Code::TooLarge),
        (invalid("Request contains an invalid argument."), Code::Refused),
    ] {
        let answer = answer_to(reply.clone()).await;
        assert_eq!(refused(&answer), Some(code), "{reply:?}: {answer:?}");
    }
}

#[tokio::test]
async fn what_was_surely_not_taken_is_tried_again_when_the_provider_says() {
    let quota = |header| match Reply::error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED") {
        Reply::Answer(status, _, body) => Reply::Answer(status, header, body),
        other => other,
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (reply, expected, wait) in [
        (quota("retry-after: 17\r\n"), Cause::Throttled, seconds(17)),
        (quota("retry-after: Fri, 15 Jan 2027 08:01:00 GMT\r\n"), Cause::Throttled, seconds(60)),
        (quota(""), Cause::Throttled, seconds(60)),
        (Reply::Answer(503, "retry-after: 9\r\n", String::new()), Cause::Transient, seconds(9)),
        (Reply::error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), Cause::Transient, None),
        (Reply::Answer(404, "", String::new()), Cause::Misconfigured, None),
        (Reply::Answer(301, "location: http://127.0.0.1/\r\n", String::new()), Cause::Misconfigured, None),
    ] {
        let Answer::NotAccepted { cause, retry_after, .. } = answer_to(reply.clone()).await else {
            panic!("{reply:?} is not taken")
        };
        assert_eq!((cause, retry_after), (expected, wait), "{reply:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_taken_is_in_doubt() {
    for reply in [
        Reply::error(500, "INTERNAL", "INTERNAL"),
        Reply::error(503, "UNAVAILABLE", "UNAVAILABLE"),
        Reply::Answer(502, "", "<!DOCTYPE html>".to_owned()),
        // The request was read, and the connection closed.
        Reply::Bytes(""),
        Reply::Bytes("HTTP/1.1 "),
        Reply::Bytes("HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\n{"),
    ] {
        let answer = answer_to(reply.clone()).await;
        assert!(matches!(answer, Answer::Ambiguous { .. }), "{reply:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_silent_provider_leaves_a_doubt_when_time_is_up() {
    let world = World::new(|_| Reply::Silence).await;
    let profile = world.profile("p", &["t"]).await;
    let message = world.prepare(&hello(), profile).unwrap();
    let answers = world.sender.send(&world.configuration, vec![message], Duration::from_millis(1500)).await;
    assert!(matches!(answers[..], [Answer::Ambiguous { .. }]), "{answers:?}");
    assert_eq!(world.google.asked().len(), 1);
}

#[tokio::test]
async fn without_time_enough_nothing_is_begun() {
    let world = World::new(|_| Reply::taken()).await;
    let profile = world.profile("p", &["t"]).await;
    let message = world.prepare(&hello(), profile).unwrap();
    let answers = world.sender.send(&world.configuration, vec![message], Duration::from_millis(900)).await;
    assert_eq!(answers.iter().map(cause).collect::<Vec<_>>(), [Some(Cause::Transient)]);
    assert_eq!(world.google.asked().len(), 0);
}

#[tokio::test]
async fn a_provider_that_can_t_be_reached_has_surely_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    // The second is an address that only we can reach.
    for (fcm, expected) in [(closed.as_str(), Cause::Unreachable), ("http://[::1]:9", Cause::Misconfigured)] {
        let world = World::with(Google::start(|_| Reply::taken()).await, fcm);
        world.set_account(&world.google.account().to_string()).await;
        let (answer, _) = world.send_to(&["t"]).await;
        assert_eq!(cause(&answer), Some(expected), "{answer:?}");
    }
}

#[tokio::test]
async fn no_answer_repeats_the_token_or_what_was_in_the_message() {
    let message = "Invalid value at 'message.token': secret-token of Zoë";
    let violation = json!([{
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{ "field": "message.data[0].value", "description": message }],
    }]);
    for details in [json!([]), violation] {
        let error =
            json!({ "code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": details });
        let answer = answer_to(Reply::Answer(400, "", json!({ "error": error }).to_string())).await;
        assert_eq!(refused(&answer), Some(Code::Refused));
        assert!(!format!("{answer:?}").contains("secret-token"), "{answer:?}");
    }
}

#[tokio::test]
async fn what_can_t_be_prepared_says_why() {
    let world = World::new(|_| Reply::taken()).await;
    let with = |document: Value| {
        let mut document = document;
        document["push_tokens"] = json!([device("app", "ios", "t")]);
        nobody(document)
    };
    let code = |content: &Value, profile| world.prepare(content, profile).unwrap_err().0;
    assert_eq!(code(&hello(), with(json!({}))), Code::MissingValue);
    let long = json!({ "title": "{{profile.name}}" });
    assert_eq!(code(&long, with(json!({ "name": "x".repeat(5000) }))), Code::TooLarge);
    assert_eq!(code(&long, with(json!({ "name": { "first": "x" } }))), Code::RenderFailed);
    let elsewhere = json!({ "name": "x", "push_tokens": [device("other", "ios", "t")] });
    assert_eq!(code(&long, nobody(elsewhere.clone())), Code::NoAddress);
    let address = |profile: &Profile| world.sender.address(&world.configuration, profile).map(|_| ());
    assert_eq!(address(&nobody(elsewhere)), Err(Code::NoAddress));
    assert_eq!(address(&nobody(json!({}))), Err(Code::NoAddress));
    assert_eq!(address(&with(json!({}))), Ok(()));
}
