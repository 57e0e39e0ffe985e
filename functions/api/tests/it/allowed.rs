//! Allowed lists, from the outside.

use campaign::Channel;
use http::Method;
use serde_json::{Value, json};
use store::keys::Role;
use store::tables;

use crate::app::TestApp;

async fn switch(app: &TestApp, channel: &str, enabled: bool) -> Value {
    let path = format!("/allowed/{channel}");
    let body = json!({ "enabled": enabled });
    app.as_role(Role::Publisher, Method::PUT, &path).json(&body).send().await.expect(200)
}

async fn add(app: &TestApp, channel: &str, entries: Value) -> Value {
    let path = format!("/allowed/{channel}/entries");
    app.post(&path).json(&json!({ "entries": entries })).send().await.expect(200)
}

async fn lets(app: &TestApp, address: &str) -> bool {
    app.store.allowed.lately(Channel::Email).await.unwrap().lets(Channel::Email, Some(address))
}

#[tokio::test]
async fn a_list_is_filled_turned_on_and_emptied() {
    let app = TestApp::new().await;
    let nothing = json!({ "channel": "email", "enabled": false, "entries": [] });
    assert_eq!(app.get("/allowed/email").send().await.expect(200), nothing);
    let filled = add(&app, "email", json!([" Ann@Example.ORG ", "K\u{e4}se.de", "ann@example.org"])).await;
    assert_eq!(filled["entries"], json!(["ann@example.org", "xn--kse-qla.de"]));
    assert!(lets(&app, "bob@example.org").await, "it is off");
    assert_eq!(switch(&app, "email", true).await["enabled"], true);
    app.clock.advance(std::time::Duration::from_secs(2));
    assert!(!lets(&app, "bob@example.org").await && lets(&app, "ann@example.org").await);
    assert!(lets(&app, "anybody@xn--kse-qla.de").await);
    let all = app.get("/allowed").send().await.expect(200);
    assert_eq!(all["items"][0], json!({ "channel": "email", "enabled": true, "entries": 2 }));
    assert_eq!(all["items"][3], json!({ "channel": "webhook", "enabled": false, "entries": 0 }));

    let one = "/allowed/email/entries?entry=ANN@example.org";
    app.as_role(Role::Publisher, Method::DELETE, one).send().await.expect(204);
    app.as_role(Role::Publisher, Method::DELETE, one).send().await.problem(404, "not_found");
    app.delete(one).send().await.problem(403, "forbidden");
    app.put("/allowed/email").json(&json!({ "enabled": false })).send().await.problem(403, "forbidden");
    app.clock.advance(std::time::Duration::from_secs(2));
    assert!(!lets(&app, "ann@example.org").await);
    switch(&app, "email", false).await;
    assert!(lets(&app, "ann@example.org").await);
}

#[tokio::test]
async fn an_entry_is_of_its_channel() {
    let app = TestApp::new().await;
    assert_eq!(add(&app, "sms", json!(["+44 20 7946 0000"])).await["entries"], json!(["+442079460000"]));
    assert_eq!(add(&app, "push", json!(["Token:1"])).await["entries"], json!(["Token:1"]));
    for (channel, entries, field) in [
        ("email", json!(["a@x.io", "ann"]), "entries[1]"),
        ("sms", json!(["a@x.io"]), "entries[0]"),
        ("webhook", json!(["example.org"]), "entries[0]"),
        ("email", json!([]), "entries"),
        ("email", json!(vec!["a@x.io"; 1001]), "entries"),
    ] {
        let path = format!("/allowed/{channel}/entries");
        let refused = app.post(&path).json(&json!({ "entries": entries })).send().await;
        assert_eq!(refused.problem(400, "invalid_field")["errors"][0]["field"], field, "{channel}");
    }
    assert_eq!(app.get("/allowed/email").send().await.expect(200)["entries"], json!([]));
    app.get("/allowed/fax").send().await.problem(404, "not_found");
}

#[tokio::test]
async fn proofs_and_tests_keep_to_the_list() {
    let app = TestApp::new().await;
    let sender = json!({ "channel": "email", "from": "a@x.io" });
    let body = json!({ "name": "n", "category": "marketing", "sender": sender });
    let configuration = app.create("/configurations", &body).await;
    let content = json!({ "subject": "Hello", "body": { "html": "<p>Hello</p><a href='{{links.unsubscribe}}'>no more</a>" } });
    let action = json!({ "channel": "email", "configuration_id": configuration, "content": content });
    let body = json!({ "name": "n", "category": "marketing", "actions": [action] });
    let campaign = app.create("/campaigns", &body).await;
    add(&app, "email", json!(["me@x.io"])).await;
    switch(&app, "email", true).await;
    for path in [format!("/campaigns/{campaign}/proof"), format!("/configurations/{configuration}/test")] {
        let to = json!({ "addresses": ["me@x.io", "you@x.io"] });
        let refused = app.post(&path).json(&to).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], "addresses[1]");
        app.post(&path).json(&json!({ "addresses": ["Me@X.io"] })).send().await.expect(202);
    }
    assert_eq!(app.take(tables::DELIVER_EMAIL_PRIORITY).await.len(), 2);
    let sender = json!({ "channel": "webhook" });
    let body = json!({ "name": "n", "category": "marketing", "sender": sender });
    let webhook = app.create("/configurations", &body).await;
    switch(&app, "webhook", true).await;
    let test = app.post(&format!("/configurations/{webhook}/test"));
    let refused = test.json(&json!({ "url": "https://example.org/" })).send().await;
    assert_eq!(refused.problem(400, "invalid_field")["errors"][0]["field"], "addresses");
}
