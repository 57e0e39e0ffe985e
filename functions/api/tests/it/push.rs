//! Push notifications: how they are sent, what they take, and what is said of them before.

use campaign::{Channel, ConfigurationId};
use http::Method;
use serde_json::{Value, json};
use store::keys::Role;

use crate::app::TestApp;

/// Made for tests.
const KEY: &str = include_str!("../../../../shared/outbound/src/service_account/test_key.pem");

async fn configuration(app: &TestApp) -> String {
    let sender = json!({ "channel": "push", "project_id": "my-app-1a2b3", "app_id": "app" });
    app.create("/configurations", &json!({ "name": "App", "category": "marketing", "sender": sender })).await
}

async fn with_content(app: &TestApp, content: &Value) -> String {
    let segment = json!({ "name": "All", "kind": "rule", "expression": "has(profile.external_id)" });
    let segment = app.create("/segments", &segment).await;
    let action =
        json!({ "channel": "push", "configuration_id": configuration(app).await, "content": content });
    let campaign =
        json!({ "name": "n", "category": "marketing", "segment_id": segment, "actions": [action] });
    format!("/campaigns/{}", app.create("/campaigns", &campaign).await)
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_named() {
    let app = TestApp::new().await;
    let post = async |sender: Value| {
        let body = json!({ "name": "App", "category": "marketing", "sender": sender });
        app.post("/configurations").json(&body).send().await
    };
    for project in ["my-app", "example.com:my-app", "123456789012"] {
        post(json!({ "channel": "push", "project_id": project })).await.expect(201);
    }
    for project in
        ["", "app", "My-App", "my-app-", "-my-app", "my/app", "my app", "../../v2", &"a".repeat(65)]
    {
        let refused = post(json!({ "channel": "push", "project_id": project })).await;
        assert_eq!(
            refused.problem(400, "invalid_field")["errors"][0]["field"],
            "sender.project_id",
            "{project}"
        );
    }
    for app_id in ["", "a\nb", &"a".repeat(257)] {
        let refused = post(json!({ "channel": "push", "project_id": "my-app", "app_id": app_id })).await;
        assert_eq!(refused.problem(400, "invalid_field")["errors"][0]["field"], "sender.app_id");
    }
}

#[tokio::test]
async fn a_service_account_is_read_before_it_is_stored_and_never_told() {
    let app = TestApp::new().await;
    let id = configuration(&app).await;
    let path = format!("/configurations/{id}/secrets/service_account");
    let put = async |value: &str| {
        app.as_role(Role::Admin, Method::PUT, &path).json(&json!({ "value": value })).send().await
    };
    let account = json!({
        "type": "service_account", "project_id": "my-app-1a2b3", "private_key_id": "k1", "private_key": KEY,
        "client_email": "push@example.org", "client_id": "1", "auth_uri": "https://accounts.example.com/auth",
        "token_uri": "https://oauth2.example.com/token", "universe_domain": "example.com",
    });
    put(&account.to_string()).await.expect(204);
    let stored: ConfigurationId = id.parse().unwrap();
    let kept = async || {
        let mut secrets = app.store.secrets.of_configuration(Channel::Push, stored).await.unwrap();
        secrets.remove("service_account").unwrap()
    };
    assert_eq!(kept().await, account.to_string());
    for (field, value) in [
        ("private_key", json!("hush")),
        ("token_uri", json!("hush")),
        ("client_email", Value::Null),
        ("type", json!("hush")),
    ] {
        let mut wrong = account.clone();
        wrong[field] = value;
        let problem = put(&wrong.to_string()).await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], "value", "{field}");
        assert!(!problem.to_string().contains("hush"), "{problem}");
    }
    let problem = put("hush").await.problem(400, "invalid_field");
    assert!(!problem.to_string().contains("hush"), "{problem}");
    assert_eq!(kept().await, account.to_string(), "what was there stays");
    let listed = format!("/configurations/{id}/secrets");
    let listed = app.as_role(Role::Admin, Method::GET, &listed).send().await.expect(200);
    assert!(!listed.to_string().contains("PRIVATE"), "{listed}");
}

#[tokio::test]
async fn a_notification_is_previewed_as_it_is_sent_with_its_size() {
    let app = TestApp::new().await;
    let content = json!({
        "title": "Hello {{profile.attributes_name}}", "body": "{{profile.city}}", "link": "shop://orders/7",
        "data": { "order": "{{context.order}}" }, "ios": { "subtitle": "News" },
    });
    let path = with_content(&app, &content).await;
    let body = json!({
        "profile": { "attributes": { "attributes_name": "Zoë", "city": "Lyon" } }, "context": { "order": 7 },
    });
    let shown = app.post(&format!("{path}/preview")).json(&body).send().await.expect(200);
    let expected = json!({
        "channel": "push", "title": "Hello Zoë", "body": "Lyon", "image": null, "link": "shop://orders/7",
        "subtitle": "News", "data": { "order": "7" }, "undefined_variables": [],
        // title 5 + 10, body 4 + 4, subtitle 8 + 4, link 4 + 15, order 5 + 1
        "payload_bytes": 60,
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn what_is_wrong_with_a_notification_is_found_before_it_is_sent() {
    let app = TestApp::new().await;
    let codes = async |content: &Value| {
        let path = with_content(&app, content).await;
        let validation = app.post(&format!("{path}/validate")).send().await.expect(200);
        let mut found: Vec<_> = validation["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["severity"] == "error")
            .map(|finding| {
                (finding["code"].as_str().unwrap().to_owned(), finding["field"].as_str().unwrap().to_owned())
            })
            .collect();
        found.sort();
        found
    };
    let found = |code: &str, field: &str| (code.to_owned(), format!("actions[0].content{field}"));
    let wrong = json!({
        "title": "Hello", "image": "http://x.example.com/a.png", "data": { "google.x": "" },
        "android": { "color": "red" },
    });
    assert_eq!(
        codes(&wrong).await,
        [
            found("invalid_color", ".android.color"),
            found("invalid_name", ".data.google.x"),
            found("invalid_url", ".image")
        ]
    );
    let long = json!({ "title": "{{profile.notes}}" });
    assert_eq!(codes(&long).await, []);
    for (name, bytes) in [("E1", 4091), ("E2", 4092)] {
        let row = json!({ "external_id": name, "attributes": { "notes": "x".repeat(bytes) } });
        app.post("/profiles/batch").json(&json!({ "profiles": [row] })).send().await.expect(200);
        let expected = if bytes > 4091 { vec![found("push_too_large", "")] } else { Vec::new() };
        assert_eq!(codes(&long).await, expected, "{bytes}");
    }
}
