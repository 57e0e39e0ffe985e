//! Corpus A26.

use std::time::Duration;

use http::Method;
use serde_json::json;
use store::idempotency::{Begun, CallKey};
use store::keys::Role;

use crate::app::TestApp;

#[tokio::test]
async fn a_repeated_call_gets_the_first_answer_and_does_nothing() {
    let app = TestApp::new().await;
    let body = json!({ "name": "l", "kind": "list" });
    let call = || app.post("/segments").header("idempotency-key", "k1").json(&body);
    let first = call().send().await;
    let again = call().send().await;
    assert_eq!((first.status, again.status), (http::StatusCode::CREATED, http::StatusCode::CREATED));
    assert_eq!(first.body, again.body);
    assert_eq!((first.etag(), again.etag()), ("\"1\"".to_owned(), "\"1\"".to_owned()));
    assert_eq!(first.headers["content-type"], again.headers["content-type"]);
    assert_eq!(
        (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"].as_bytes()),
        (None, &b"true"[..])
    );
    assert_eq!(app.get("/segments").send().await.expect(200)["items"].as_array().unwrap().len(), 1);

    let other = json!({ "name": "other", "kind": "list" });
    app.post("/segments")
        .header("idempotency-key", "k1")
        .json(&other)
        .send()
        .await
        .problem(422, "idempotency_key_reused");
    // Another caller's key of that name is another key, and so is one for another path.
    app.as_role(Role::Manager, Method::POST, "/segments")
        .header("idempotency-key", "k1")
        .json(&other)
        .send()
        .await
        .expect(201);
    let profile = app.post("/profiles").header("idempotency-key", "k1").json(&json!({})).send().await;
    assert!(profile.headers.get("idempotency-replayed").is_none());
    profile.expect(201);
    app.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert!(call().send().await.headers.get("idempotency-replayed").is_none());
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let app = TestApp::new().await;
    let call =
        || app.post("/segments").header("idempotency-key", "k").json(&json!({ "name": "", "kind": "list" }));
    call().send().await.problem(400, "invalid_field");
    let again = call().send().await;
    assert!(again.headers.contains_key("idempotency-replayed"));
    again.problem(400, "invalid_field");
}

#[tokio::test]
async fn a_large_answer_is_kept_whole() {
    let app = TestApp::new().await;
    let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "x".repeat(200 * 1024) } } });
    let body = json!({ "name": "c", "category": "marketing", "actions": [action, action, action] });
    let call = || app.post("/campaigns").header("idempotency-key", "k").json(&body);
    let (first, again) = (call().send().await, call().send().await);
    assert!(first.body.len() > 600 * 1024 && again.headers.contains_key("idempotency-replayed"));
    assert!(first.body == again.body);
}

#[tokio::test]
async fn while_the_first_call_is_under_way_others_wait() {
    let app = TestApp::new().await;
    let key = || CallKey::new("caller", "POST", "/x", "k");
    let Begun::First(first) = app.store.idempotency.begin(key(), b"body").await.unwrap() else {
        panic!("the first")
    };
    assert!(matches!(app.store.idempotency.begin(key(), b"body").await.unwrap(), Begun::InProgress));
    assert!(matches!(app.store.idempotency.begin(key(), b"other").await.unwrap(), Begun::OtherBody));
    app.store.idempotency.release(first).await.unwrap();
    assert!(matches!(app.store.idempotency.begin(key(), b"other").await.unwrap(), Begun::First(_)));
    // Its process died: after a minute the key may be used again, for the same call only.
    app.clock.advance(Duration::from_secs(61));
    assert!(matches!(app.store.idempotency.begin(key(), b"body").await.unwrap(), Begun::OtherBody));
    assert!(matches!(app.store.idempotency.begin(key(), b"other").await.unwrap(), Begun::First(_)));
}

#[tokio::test]
async fn two_calls_at_once_are_carried_out_once() {
    let app = TestApp::new().await;
    let body = json!({ "name": "l", "kind": "list" });
    let call = || app.post("/segments").header("idempotency-key", "k").json(&body).send();
    let answers = futures::future::join_all((0..8).map(|_| call())).await;
    for answer in answers {
        assert!(matches!(answer.status.as_u16(), 201 | 409), "{}", answer.status);
    }
    assert_eq!(app.get("/segments").send().await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_has_to_be_one() {
    let app = TestApp::new().await;
    let call = |key: String| {
        app.post("/segments").header("idempotency-key", key).json(&json!({ "name": "l", "kind": "list" }))
    };
    call(String::new()).send().await.problem(400, "invalid_header");
    call("x".repeat(256)).send().await.problem(400, "invalid_header");
    // Without a valid API key nothing is looked up or kept.
    let anonymous = app.anonymous(Method::POST, "/segments").header("idempotency-key", "k").json(&json!({}));
    anonymous.send().await.problem(401, "unauthenticated");
}
