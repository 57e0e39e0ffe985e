//! Several channels: how their actions, configurations and secrets come in and go out.

use campaign::{Channel, ConfigurationId};
use http::Method;
use serde_json::{Value, json};
use store::keys::Role;
use store::tables;

use crate::app::TestApp;

fn sender(channel: &str) -> Value {
    match channel {
        "email" => json!({ "channel": "email", "from": "a@x.io" }),
        "sms" => json!({
            "channel": "sms", "max_segments": 3, "default_country": "FR",
            "provider": { "http": {
                "url": "https://sms.example.org/send", "format": "json",
                "body": r#"{"to": "{{to}}", "text": "{{text}}"}"#,
                "headers": { "authorization": "Bearer {{secret.token}}" },
            } },
        }),
        "push" => json!({ "channel": "push", "project_id": "my-app-1a2b3" }),
        _ => json!({ "channel": "webhook", "allowed_hosts": ["*.example.org"], "timeout_seconds": 5 }),
    }
}

async fn configuration(app: &TestApp, channel: &str) -> String {
    let body = json!({ "name": channel, "category": "marketing", "sender": sender(channel) });
    app.create("/configurations", &body).await
}

fn content(channel: &str) -> Value {
    match channel {
        "email" => {
            json!({ "subject": "Hello", "body": { "html": "<p>Hello</p><a href='{{links.unsubscribe}}'>no more</a>" } })
        }
        "sms" => json!({ "text": "Hello {{profile.name}}", "transliterate": true }),
        "push" => json!({
            "title": "Hello", "body": "{{profile.name}}", "data": { "order": "{{context.id}}" },
            "ios": { "badge": 3, "interruption_level": "time_sensitive" },
        }),
        _ => json!({
            "method": "PUT", "url": "https://hooks.example.org/{{profile.external_id}}", "body": "{}",
        }),
    }
}

async fn with_actions(app: &TestApp, actions: &Value) -> String {
    let campaign = app.create("/campaigns", &json!({ "name": "n", "category": "marketing" })).await;
    let path = format!("/campaigns/{campaign}");
    app.patch(&path).json(&json!({ "actions": actions })).send().await.expect(200);
    path
}

const ALL: [&str; 4] = ["email", "sms", "push", "webhook"];

#[tokio::test]
async fn an_action_of_every_channel_comes_back_as_it_was_given() {
    let app = TestApp::new().await;
    let actions = ALL.map(|channel| {
        json!({
            "channel": channel, "configuration_id": null, "content": content(channel),
            "condition": format!("profile.channel == '{channel}'"),
        })
    });
    let path = with_actions(&app, &json!(actions)).await;
    let campaign = app.get(&path).send().await.expect(200);
    assert_eq!(campaign["channels"], json!(ALL));
    for (given, shown) in actions.iter().zip(campaign["draft"]["actions"].as_array().unwrap()) {
        let fields = given["content"].as_object().unwrap();
        for (name, value) in fields {
            assert_eq!(&shown["content"][name], value, "{given}");
        }
        assert_eq!((&shown["channel"], &shown["condition"]), (&given["channel"], &given["condition"]));
    }
    // What is shown is what a patch takes.
    let shown = campaign["draft"]["actions"].clone();
    let again = app.patch(&path).json(&json!({ "actions": shown })).send().await.expect(200);
    assert_eq!(again["draft"], campaign["draft"]);
}

#[tokio::test]
async fn what_is_wrong_in_an_action_is_named_by_its_path() {
    let app = TestApp::new().await;
    let path = with_actions(&app, &json!([])).await;
    for (action, field) in [
        (json!({ "channel": "sms", "content": { "subject": "x" } }), "actions[0].content.subject"),
        (
            json!({ "channel": "push", "content": { "ios": { "badge": "x" } } }),
            "actions[0].content.ios.badge",
        ),
        (json!({ "channel": "webhook", "content": { "method": "TRACE" } }), "actions[0].content.method"),
        (json!({ "channel": "email", "content": { "body": { "text": "x" } } }), "actions[0].content.body"),
        (json!({ "channel": "sms", "condition": "profile.x =" }), "actions[0].condition"),
        (json!({ "channel": "fax" }), "actions[0].channel"),
    ] {
        let refused = app.patch(&path).json(&json!({ "actions": [action] })).send().await;
        let refused = refused.expect(400);
        let named = refused["errors"][0]["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{action}: {refused}");
    }
}

#[tokio::test]
async fn a_configuration_of_every_channel_comes_back_as_it_was_given() {
    let app = TestApp::new().await;
    for channel in ALL {
        let path = format!("/configurations/{}", configuration(&app, channel).await);
        let shown = app.get(&path).send().await.expect(200);
        let given = sender(channel);
        for (name, value) in given.as_object().unwrap() {
            assert_eq!(&shown["sender"][name], value, "{shown}");
        }
        assert_eq!(shown["disabled"], false);
        let patch = json!({ "sender": shown["sender"], "disabled": true });
        let patched = app.patch(&path).json(&patch).send().await.expect(200);
        assert_eq!((&patched["sender"], &patched["disabled"]), (&shown["sender"], &json!(true)));
    }
    let wrong =
        json!({ "name": "n", "category": "marketing", "sender": { "channel": "push", "project": "x" } });
    let refused = app.post("/configurations").json(&wrong).send().await.problem(400, "invalid_field");
    assert_eq!(refused["errors"][0]["field"], "sender.project");
}

#[tokio::test]
async fn one_that_a_campaign_under_way_uses_is_disabled_and_deleted_only_by_force() {
    let app = TestApp::new().await;
    let id = configuration(&app, "email").await;
    let action = json!({ "channel": "email", "configuration_id": id, "content": content("email") });
    let campaign = with_actions(&app, &json!([action])).await;
    app.post(&format!("{campaign}/activate")).send().await.expect(202);
    let path = format!("/configurations/{id}");
    let disable = json!({ "disabled": true });
    app.patch(&path).json(&disable).send().await.problem(409, "in_use");
    app.patch(&path).json(&json!({ "name": "another" })).send().await.expect(200);
    app.delete(&path).send().await.problem(409, "in_use");
    app.patch(&format!("{path}?force=true")).json(&disable).send().await.expect(200);
    app.delete(&format!("{path}?force=true")).send().await.expect(204);
}

#[tokio::test]
async fn secrets_are_written_and_never_read_back() {
    let app = TestApp::new().await;
    let id = configuration(&app, "sms").await;
    let path = format!("/configurations/{id}/secrets");
    let put = async |name: &str, value: &str| {
        let path = format!("{path}/{name}");
        app.as_role(Role::Admin, Method::PUT, &path).json(&json!({ "value": value })).send().await
    };
    put("token", "open sesame").await.expect(204);
    put("token", "open barley").await.expect(204);
    let listed = app.as_role(Role::Admin, Method::GET, &path).send().await.expect(200);
    assert_eq!(listed["items"][0]["name"], "token");
    assert!(!listed.to_string().contains("barley"));
    let stored: ConfigurationId = id.parse().unwrap();
    let opened = app.store.secrets.of_configuration(Channel::Sms, stored).await.unwrap();
    assert_eq!(opened["token"], "open barley");
    put("Not-A-Name", "x").await.problem(404, "not_found");
    put("token", "").await.problem(400, "invalid_field");
    for number in 1..10 {
        put(&format!("more_{number}"), "x").await.expect(204);
    }
    put("one_too_many", "x").await.problem(409, "conflict");
    app.as_role(Role::Publisher, Method::GET, &path).send().await.problem(403, "forbidden");
    app.as_role(Role::Admin, Method::DELETE, &format!("{path}/token")).send().await.expect(204);
    assert_eq!(app.store.secrets.of_configuration(Channel::Sms, stored).await.unwrap().len(), 9);
    app.delete(&format!("/configurations/{id}")).send().await.expect(204);
    assert!(app.store.secrets.of_configuration(Channel::Sms, stored).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_signing_key_is_told_once_and_the_one_before_stays_until_it_is_deleted() {
    let app = TestApp::new().await;
    let id = configuration(&app, "webhook").await;
    let path = format!("/configurations/{id}");
    let rotate = async || {
        let path = format!("{path}/rotate-signing-key");
        let told = app.as_role(Role::Admin, Method::POST, &path).send().await.expect(200);
        told["signing_key"].as_str().unwrap().to_owned()
    };
    let (first, second) = (rotate().await, rotate().await);
    assert!(first.starts_with("whsec_") && first != second);
    let stored: ConfigurationId = id.parse().unwrap();
    let opened = app.store.secrets.of_configuration(Channel::Webhook, stored).await.unwrap();
    assert_eq!((&opened["signing_key"], &opened["previous_signing_key"]), (&second, &first));
    let previous = format!("{path}/secrets/previous_signing_key");
    app.as_role(Role::Admin, Method::DELETE, &previous).send().await.expect(204);
    let other = format!("/configurations/{}/rotate-signing-key", configuration(&app, "email").await);
    app.as_role(Role::Admin, Method::POST, &other).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_signing_key_that_is_given_has_the_form_of_one() {
    let app = TestApp::new().await;
    let path = format!("/configurations/{}/secrets", configuration(&app, "webhook").await);
    let put = async |name: &str, value: &str| {
        let path = format!("{path}/{name}");
        app.as_role(Role::Admin, Method::PUT, &path).json(&json!({ "value": value })).send().await
    };
    for name in ["signing_key", "previous_signing_key"] {
        put(name, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await.expect(204);
        for value in
            ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_not base64", "open sesame"]
        {
            let problem = put(name, value).await.problem(400, "invalid_field");
            assert_eq!(problem["errors"][0]["field"], "value", "{value}");
            assert!(!problem.to_string().contains("sesame"), "{problem}");
        }
    }
    put("token", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_in_a_webhook_s_configuration_is_named() {
    let app = TestApp::new().await;
    for (name, value, field) in [
        ("timeout_seconds", json!(0), "sender.timeout_seconds"),
        ("timeout_seconds", json!(16), "sender.timeout_seconds"),
        ("allowed_hosts", json!(["a.example.org", "https://example.org"]), "sender.allowed_hosts[1]"),
        ("allowed_hosts", json!(["*"]), "sender.allowed_hosts[0]"),
        ("allowed_hosts", json!(vec!["a.example.org"; 101]), "sender.allowed_hosts"),
    ] {
        let mut body = json!({ "name": "n", "category": "marketing", "sender": { "channel": "webhook" } });
        body["sender"][name] = value;
        let problem = app.post("/configurations").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn a_webhook_is_previewed_as_it_is_made_and_says_where_it_is_wrong() {
    let app = TestApp::new().await;
    let preview = async |content: Value| {
        let path = with_actions(&app, &json!([{ "channel": "webhook", "content": content }])).await;
        let body = json!({ "profile": { "external_id": "a/b", "attributes": { "tags": ["x\n", 1] } } });
        app.post(&format!("{path}/preview")).json(&body).send().await
    };
    let call = preview(json!({
        "method": "PUT", "url": "https://hooks.example.org/{{profile.external_id}}", "headers": { "X-Id": "{{profile.external_id}}" },
        "body": r#"{"id": "{{profile.external_id}}", "tags": {{json profile.tags}}}"#,
    }));
    let call = call.await.expect(200);
    assert_eq!(
        (&call["channel"], &call["method"], &call["url"], &call["headers"], &call["body"]),
        (
            &json!("webhook"),
            &json!("PUT"),
            &json!("https://hooks.example.org/a%2Fb"),
            &json!({ "X-Id": "a/b" }),
            &json!(r#"{"id": "a/b", "tags": ["x\n",1]}"#)
        )
    );
    let broken =
        json!({ "url": "https://hooks.example.org/", "body": "{\n\"id\": {{profile.external_id}}}" });
    let problem = preview(broken).await.problem(422, "render_failed");
    assert!(problem["detail"].as_str().unwrap().contains("line 2 column 7"), "{problem}");
    let reserved = json!({ "url": "https://hooks.example.org/", "headers": { "Host": "evil.example" } });
    let problem = preview(reserved).await.problem(422, "invalid_content");
    assert_eq!(problem["errors"][0]["field"], "actions[0].content.headers.Host");
}

#[tokio::test]
async fn data_does_not_choose_a_webhook_s_host_unless_the_configuration_names_some() {
    let app = TestApp::new().await;
    let anywhere = json!({ "name": "n", "category": "marketing", "sender": { "channel": "webhook" } });
    let anywhere = app.create("/configurations", &anywhere).await;
    let below = configuration(&app, "webhook").await;
    let codes = async |configuration: &str, url: &str| {
        let content = json!({ "url": url });
        let action = json!({ "channel": "webhook", "configuration_id": configuration, "content": content });
        let path = with_actions(&app, &json!([action])).await;
        let validation = app.post(&format!("{path}/validate")).send().await.expect(200);
        let findings = validation["findings"].as_array().unwrap().iter();
        let of_url = findings.filter(|finding| finding["field"] == "actions[0].content.url");
        of_url.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&anywhere, "{{{profile.hook}}}").await, ["templated_host"]);
    assert_eq!(codes(&anywhere, "https://hooks.example.com/{{profile.id}}").await, [""; 0]);
    assert_eq!(codes(&below, "{{{profile.hook}}}").await, [""; 0]);
    assert_eq!(codes(&below, "https://hooks.example.com/{{profile.id}}").await, ["host_not_allowed"]);
}

#[tokio::test]
async fn a_test_goes_to_its_channels_priority_queue() {
    let app = TestApp::new().await;
    let test = async |channel: &str, body: Value| {
        let id = configuration(&app, channel).await;
        app.post(&format!("/configurations/{id}/test")).json(&body).send().await
    };
    for (channel, queue, body) in [
        ("email", tables::DELIVER_EMAIL_PRIORITY, json!({ "addresses": ["ann@example.org"] })),
        ("sms", tables::DELIVER_SMS_PRIORITY, json!({ "addresses": ["+33 6 12 34 56 78"] })),
        ("push", tables::DELIVER_PUSH_PRIORITY, json!({ "addresses": ["a-token"] })),
        ("webhook", tables::DELIVER_WEBHOOK_PRIORITY, json!({ "url": "https://hooks.example.org/x" })),
    ] {
        let sent = test(channel, body).await.expect(202);
        let messages = app.take(queue).await;
        assert_eq!(messages.len(), 1, "{channel}");
        assert_eq!(
            (&messages[0]["id"], &messages[0]["content"]["channel"]),
            (&sent["test_id"], &json!(channel))
        );
    }
    for (channel, body, field) in [
        ("email", json!({ "addresses": ["+33612345678"] }), "addresses[0]"),
        ("sms", json!({ "addresses": ["ann@example.org"] }), "addresses[0]"),
        ("push", json!({ "addresses": [] }), "addresses"),
        ("webhook", json!({}), "url"),
        ("webhook", json!({ "url": "not a URL" }), "url"),
        ("webhook", json!({ "url": "http://hooks.example.org/" }), "url"),
        ("webhook", json!({ "url": "https://169.254.169.254/" }), "url"),
        ("webhook", json!({ "url": "https://hooks.example.com/" }), "url"),
        ("webhook", json!({ "addresses": ["x"], "url": "https://hooks.example.org/x" }), "addresses"),
        ("email", json!({ "addresses": ["ann@example.org"], "url": "https://x.io" }), "url"),
    ] {
        let refused = test(channel, body).await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field, "{channel}");
    }
}

#[tokio::test]
async fn a_proof_of_every_channel_goes_to_its_own_queue_in_its_own_kind_of_address() {
    let app = TestApp::new().await;
    for (channel, queue, given, taken) in [
        ("sms", tables::DELIVER_SMS_PRIORITY, json!(["+33 6 12 34 56 78"]), json!(["+33612345678"])),
        ("push", tables::DELIVER_PUSH_PRIORITY, json!(["a-token"]), json!(["a-token"])),
        ("webhook", tables::DELIVER_WEBHOOK_PRIORITY, json!([]), json!([])),
    ] {
        let id = configuration(&app, channel).await;
        let action = json!({ "channel": channel, "configuration_id": id, "content": content(channel) });
        let path = with_actions(&app, &json!([action])).await;
        let body = json!({ "addresses": given, "context": { "id": "7" } });
        app.post(&format!("{path}/proof")).json(&body).send().await.expect(202);
        let messages = app.take(queue).await;
        assert_eq!(messages[0]["addresses"], taken, "{channel}");
        assert_eq!(messages[0]["content"]["channel"], channel);
    }
}
