//! Corpus A26.

use std::time::Duration;

use http::Method;
use serde_json::json;
use store::idempotency::{Begun, CallKey, KeptAnswer};
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
async fn a_repeat_is_told_to_wait_while_the_first_call_is_under_way() {
    let app = TestApp::new().await;
    let body = json!({ "name": "l", "kind": "list" });
    let caller = app.store.keys.find(app.key(Role::Publisher)).await.unwrap().unwrap();
    // What names a call is its query, of which there is none here, and its body.
    let whole = format!("\n{body}");
    let key = CallKey::new(&caller.id, "POST", "/segments", "k");
    let Begun::First(first) = app.store.idempotency.begin(key, whole.as_bytes()).await.unwrap() else {
        panic!("nobody has called before")
    };
    let repeat = |body| app.post("/segments").header("idempotency-key", "k").json(body).send();
    repeat(&body).await.problem(409, "idempotency_in_progress");
    let other = json!({ "name": "other", "kind": "list" });
    repeat(&other).await.problem(422, "idempotency_key_reused");
    assert_eq!(app.get("/segments").send().await.expect(200)["items"], json!([]));

    let answer = KeptAnswer {
        status: 201,
        headers: vec![("etag".to_owned(), "\"1\"".to_owned())],
        body: b"{\"id\":\"of the first\"}".to_vec(),
    };
    app.store.idempotency.keep(&first, &answer).await.unwrap();
    let replayed = repeat(&body).await;
    assert_eq!((replayed.etag(), &replayed.body[..]), ("\"1\"".to_owned(), &answer.body[..]));
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
    replayed.expect(201);
    assert_eq!(app.get("/segments").send().await.expect(200)["items"], json!([]), "nothing was done again");
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

/// What comes of a future that is given up when it has been polled so often.
async fn poll_at_most<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_client_that_hangs_up_and_repeats_its_call_has_it_carried_out_once() {
    let app = TestApp::on_disk().await;
    let body = json!({ "name": "c", "category": "marketing" });
    let mut hung_up = 0;
    // It hangs up at each moment there is, until one comes too late to hang up.
    for polls in 0.. {
        let key = format!("k{polls}");
        let call = || app.post("/campaigns").header("idempotency-key", &key).json(&body).send();
        let first = poll_at_most(call(), polls).await;
        let mut answer = call().await;
        for _ in 0..1000 {
            if answer.status != http::StatusCode::CONFLICT {
                break;
            }
            tokio::task::yield_now().await;
            answer = call().await;
        }
        answer.expect(201);
        let campaigns = app.get("/campaigns?limit=100").send().await.expect(200);
        assert_eq!(campaigns["items"].as_array().unwrap().len(), polls + 1, "given up after {polls} polls");
        if first.is_some() {
            break;
        }
        hung_up += 1;
    }
    assert!(hung_up > 1, "{hung_up}");
}
