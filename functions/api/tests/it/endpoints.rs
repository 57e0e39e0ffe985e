//! Webhook endpoints.

use http::Method;
use serde_json::{Value, json};
use store::endpoints::Parked;
use store::keys::Role;
use store::tables;

use crate::app::TestApp;

const PATH: &str = "/webhook-endpoints";

async fn made(app: &TestApp) -> Value {
    let body = json!({ "url": "https://example.com/hook", "description": "Shop", "events": ["message.failed", "message.sent", "message.sent"] });
    app.as_role(Role::Admin, Method::POST, PATH).json(&body).send().await.expect(201)
}

fn path(endpoint: &Value) -> String {
    format!("{PATH}/{}", endpoint["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_endpoint_is_registered_with_a_secret_that_is_shown_this_once() {
    let app = TestApp::new().await;
    let made = made(&app).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["events"], json!(["message.sent", "message.failed"]));
    let read = app.get(&path(&made)).send().await.expect(200);
    let mut without = made.clone();
    without.as_object_mut().unwrap().remove("secret");
    assert_eq!(read, without);
    let listed = app.get(PATH).send().await.expect(200);
    assert_eq!(listed, json!({ "items": [without] }));
}

#[tokio::test]
async fn what_leads_inside_or_is_no_address_is_refused() {
    let app = TestApp::new().await;
    for url in [
        "",
        "example.com",
        "/hook",
        "http://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0177.1/",
        "https://[::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://exa mple.com/",
    ] {
        let body = json!({ "url": url });
        let answer = app.as_role(Role::Admin, Method::POST, PATH).json(&body).send().await;
        let problem = answer.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], "url", "{url}");
    }
    let body = json!({ "url": "https://example.com", "events": ["message.eaten"] });
    let answer = app.as_role(Role::Admin, Method::POST, PATH).json(&body).send().await;
    assert_eq!(answer.problem(400, "invalid_field")["errors"][0]["field"], "events[0]");
}

#[tokio::test]
async fn an_endpoint_is_changed_and_removed() {
    let app = TestApp::new().await;
    let made = made(&app).await;
    let (path, admin) = (path(&made), |method, path: &str| app.as_role(Role::Admin, method, path));
    let patch = json!({ "events": [], "disabled": true, "url": "https://example.org/" });
    let changed =
        admin(Method::PATCH, &path).header("if-match", "\"1\"").json(&patch).send().await.expect(200);
    assert_eq!((&changed["events"], &changed["disabled"]), (&json!([]), &json!(true)));
    assert_eq!((&changed["url"], &changed["description"]), (&json!("https://example.org/"), &json!("Shop")));
    let stale = admin(Method::PATCH, &path).header("if-match", "\"1\"").json(&patch).send().await;
    stale.problem(412, "precondition_failed");
    let inside = admin(Method::PATCH, &path).json(&json!({ "url": "https://10.0.0.1/" })).send().await;
    inside.problem(400, "invalid_field");
    // Whoever tells it is asked to look again.
    assert_eq!(app.take(tables::NOTIFY).await, [json!({ "notify": "go_on", "endpoint": made["id"] })]);
    admin(Method::DELETE, &path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
    admin(Method::DELETE, &path).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_secret_is_exchanged_and_never_kept_with_an_answer() {
    let app = TestApp::new().await;
    let made = made(&app).await;
    let rotate = format!("{}/rotate-secret", path(&made));
    let admin = |path: &str| app.as_role(Role::Admin, Method::POST, path);
    let changed = admin(&rotate).send().await.expect(200);
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let now = platform::Clock::now(&*app.clock);
    let secrets = app.store.endpoints.secrets(id, now).await.unwrap();
    assert_eq!(json!(secrets), json!([changed["secret"], made["secret"]]));
    let at_once = admin(&rotate).json(&json!({ "overlap_seconds": 0 })).send().await.expect(200);
    assert_eq!(json!(app.store.endpoints.secrets(id, now).await.unwrap()), json!([at_once["secret"]]));
    let too_long = admin(&rotate).json(&json!({ "overlap_seconds": 604_801 })).send().await;
    too_long.problem(400, "invalid_field");
    for path in [PATH, &rotate] {
        let body = json!({ "url": "https://example.com" });
        let kept = admin(path).header("idempotency-key", "k").json(&body).send().await;
        kept.problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn dead_letters_are_listed_and_sent_again() {
    let app = TestApp::new().await;
    let made = made(&app).await;
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let letters: Vec<_> = (0..3_u8)
        .map(|number| Parked {
            event: campaign::EventId::from_bytes([number; 16]),
            body: json!({ "type": "message.sent", "data": { "number": number } }).to_string(),
            since_ms: 0,
            tries: 8,
            error: Some("it answered 500".to_owned()),
            due_ms: 0,
        })
        .collect();
    app.store.endpoints.bury(id, letters.clone()).await.unwrap();
    let path = format!("{}/dead-letters", path(&made));
    let page = app.get(&format!("{path}?limit=2")).send().await.expect(200);
    let first = &page["items"][0];
    assert_eq!((&first["event"]["data"]["number"], &first["tries"]), (&json!(0), &json!(8)));
    assert_eq!(
        (&first["error"], &first["given_up_at"]),
        (&json!("it answered 500"), &json!("2026-11-25T09:00:00Z"))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("{path}?limit=2&cursor={cursor}")).send().await.expect(200);
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));

    let replay = format!("{path}/{}/replay", letters[1].event);
    app.as_role(Role::Manager, Method::POST, &replay).send().await.expect(202);
    app.as_role(Role::Manager, Method::POST, &replay).send().await.problem(404, "not_found");
    let waiting = app.store.endpoints.waiting(id, None, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].event, waiting[0].tries), (1, letters[1].event, 0));
    app.as_role(Role::Manager, Method::POST, &format!("{path}/replay")).send().await.expect(202);
    let asked = app.take(tables::NOTIFY).await;
    assert!(asked.iter().any(|message| message["notify"] == "replay"), "{asked:?}");

    app.as_role(Role::Manager, Method::POST, &format!("{path}/nonsense/replay"))
        .send()
        .await
        .problem(404, "not_found");
    let none = format!("{PATH}/00000000000000000000000000/dead-letters");
    app.get(&none).send().await.problem(404, "not_found");
    app.as_role(Role::Manager, Method::POST, &format!("{none}/replay"))
        .send()
        .await
        .problem(404, "not_found");
}
