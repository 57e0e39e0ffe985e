//! What is asked, and what is made of the answer.

use std::time::Duration;

use campaign::Code;
use campaign::content::{Method, WebhookContent};
use delivery::{Answer, Cause, MessageId};
use serde_json::json;

use crate::receiver::{Behaviour, Receiver, said, status};
use crate::world::{World, ada, to};

#[tokio::test]
async fn a_call_is_made_as_it_was_written() {
    let (world, receiver) = (World::new().await, Receiver::start(status(200)).await);
    let mut content = to(&format!("{}/users/{{{{profile.id}}}}?n={{{{profile.name}}}}#part", receiver.url()));
    content.headers.insert("Authorization".to_owned(), "Bearer abc".to_owned());
    content.headers.insert("X-Name".to_owned(), "{{profile.name}}".to_owned());
    assert_eq!(world.answer(&content, ada()).await, Answer::Accepted);
    let asked = receiver.take().remove(0);
    assert_eq!(asked.line, "POST /users/7%2F8?n=Ada%20%22A%22%20%C5%81%C3%B3d%C5%BA HTTP/1.1");
    assert_eq!(asked.header("host"), Some(&receiver.url()["http://".len()..]));
    assert_eq!(asked.header("authorization"), Some("Bearer abc"));
    assert_eq!(asked.header("x-name"), Some("Ada \"A\" Łódź"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("user-agent"), Some(concat!("Envoi/", env!("CARGO_PKG_VERSION"))));
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body, json!({ "name": "Ada \"A\" Łódź", "order": 9 }));
}

#[tokio::test]
async fn each_method_is_asked_with_its_own_and_headers_of_the_content_go_before_ours() {
    let (world, receiver) = (World::new().await, Receiver::start(status(204)).await);
    for (method, name) in [
        (Method::Get, "GET"),
        (Method::Post, "POST"),
        (Method::Put, "PUT"),
        (Method::Patch, "PATCH"),
        (Method::Delete, "DELETE"),
    ] {
        let mut content = WebhookContent { method, url: receiver.url(), ..WebhookContent::default() };
        content.headers.insert("USER-AGENT".to_owned(), "Shop".to_owned());
        assert_eq!(world.answer(&content, ada()).await, Answer::Accepted);
        let asked = receiver.take().remove(0);
        assert_eq!(asked.line, format!("{name} / HTTP/1.1"));
        assert!(asked.body.is_empty() && asked.header("content-type").is_none(), "{asked:?}");
        let agents = asked.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case("user-agent"));
        assert_eq!(agents.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["Shop"]);
    }
    let mut events = to(&receiver.url());
    events.headers.insert("content-type".to_owned(), "application/cloudevents+json".to_owned());
    world.answer(&events, ada()).await;
    assert_eq!(receiver.take()[0].header("content-type"), Some("application/cloudevents+json"));
}

#[tokio::test]
async fn what_can_not_be_rendered_is_not_sent() {
    let (world, receiver) = (World::new().await, Receiver::start(status(200)).await);
    let mut content = to(&receiver.url());
    content.body = Some("{\"age\": {{profile.age}}}".to_owned());
    let failed = |profile| world.call(&content, profile);
    assert!(matches!(failed(json!({})).await, Err((Code::MissingValue, _))));
    let (code, why) = failed(json!({ "age": "unknown" })).await.unwrap_err();
    assert_eq!(code, Code::RenderFailed);
    assert!(why.contains("line 1 column 9") && !why.contains("unknown"), "{why}");
    assert!(receiver.take().is_empty());
}

#[tokio::test]
async fn an_answer_is_heeded_and_not_kept() {
    let (world, receiver) =
        (World::with("http://127.0.0.1", &["127.0.0.1"]).await, Receiver::start(status(200)).await);
    let content = to(&receiver.url());
    let asked = Some(Duration::from_secs(7));
    for (behaviour, cause, retry_after) in [
        (said(429, "retry-after: 7\r\n"), Cause::Throttled, asked),
        (status(429), Cause::Throttled, None),
        (said(503, "retry-after: 7\r\n"), Cause::Unreachable, asked),
        (status(500), Cause::Transient, None),
        (status(401), Cause::Misconfigured, None),
    ] {
        receiver.behave(behaviour);
        let answer = world.answer(&content, ada()).await;
        let Answer::NotAccepted { cause: found, retry_after: wait, detail } = &answer else {
            panic!("{answer:?}")
        };
        assert_eq!((*found, *wait), (cause, retry_after), "{detail}");
        assert!(detail.starts_with("it answered ") && !detail.contains("secret"), "{detail}");
    }
    for (number, code) in [(422, Code::Refused), (404, Code::Refused), (413, Code::TooLarge)] {
        receiver.behave(status(number));
        let answer = world.answer(&content, ada()).await;
        let Answer::Refused { code: found, detail } = answer else { panic!("{answer:?}") };
        assert_eq!(found, code);
        assert!(detail.contains(&number.to_string()) && !detail.contains("secret"), "{detail}");
    }
}

#[tokio::test]
async fn one_host_of_a_configuration_for_several_keeps_nobody_else_waiting() {
    let receiver = Receiver::start(said(429, "retry-after: 7\r\n")).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cause = |answer| match answer {
        Answer::NotAccepted { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    for (hosts, throttled, unreachable) in [
        (&[][..], Cause::Transient, Cause::Transient),
        (&["127.0.0.1", "*.example.org"], Cause::Transient, Cause::Transient),
        (&["127.0.0.1"], Cause::Throttled, Cause::Unreachable),
    ] {
        let world = World::with("http://127.0.0.1", hosts).await;
        assert_eq!(cause(world.answer(&to(&receiver.url()), ada()).await), throttled, "{hosts:?}");
        let nowhere = to(&format!("http://{nowhere}/"));
        assert_eq!(cause(world.answer(&nowhere, ada()).await), unreachable, "{hosts:?}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_and_its_status_counts() {
    let head = |status: u16| {
        Behaviour::Endless(format!("HTTP/1.1 {status} X\r\ncontent-length: 9999999999\r\n\r\n"))
    };
    let (world, receiver) = (World::new().await, Receiver::start(head(200)).await);
    let content = to(&receiver.url());
    assert_eq!(world.answer(&content, ada()).await, Answer::Accepted);
    receiver.behave(head(422));
    let answer = world.answer(&content, ada()).await;
    assert!(matches!(answer, Answer::Refused { code: Code::Refused, .. }), "{answer:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_disables_its_configuration_and_nobody_is_given_up() {
    // One that is for whatever host is not disabled for one of them.
    let (world, receiver) = (World::new().await, Receiver::start(status(410)).await);
    let answer = world.answer(&to(&receiver.url()), ada()).await;
    assert!(matches!(answer, Answer::Refused { code: Code::Refused, .. }), "{answer:?}");

    let world = World::with("http://127.0.0.1", &["127.0.0.1"]).await;
    let is_disabled =
        async || world.store.configurations.get(world.configuration.id).await.unwrap().value.disabled;
    // What is gone may be one recipient's own.
    let own = to(&format!("{}/{{{{profile.id}}}}", receiver.url()));
    let answer = world.answer(&own, ada()).await;
    assert!(matches!(answer, Answer::Refused { code: Code::Refused, .. }), "{answer:?}");
    // And nothing comes of a proof.
    let proof = MessageId::Proof { proof: "p".to_owned(), index: 0 };
    world.call_as(&to(&receiver.url()), ada(), proof).await.unwrap();
    assert!(!is_disabled().await);
    for _ in 0..2 {
        let answer = world.answer(&to(&receiver.url()), ada()).await;
        assert!(matches!(answer, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{answer:?}");
        assert!(is_disabled().await);
    }
}
