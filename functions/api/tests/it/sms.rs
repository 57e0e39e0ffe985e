//! Text messages: how they are sent, what they take, and numbers as they are written within a country.

use campaign::model::Actor;
use campaign::status::Command;
use campaign::{CampaignId, ExecutionId};
use serde_json::{Value, json};
use store::tables;

use crate::app::TestApp;

fn by_http() -> Value {
    json!({
        "channel": "sms", "default_country": "FR", "max_segments": 2, "opt_out_wording": "STOP",
        "provider": { "http": {
            "url": "https://sms.example.org/send", "from": "Shop",
            "headers": { "authorization": "Bearer {{secret.token}}" },
            "body": r#"{"to": "{{to}}", "from": "{{from}}", "text": "{{text}}"}"#,
            "answers": [{ "status": "4xx", "contains": "unknown", "means": "bad_address" }],
        } },
    })
}

async fn configuration(app: &TestApp, category: &str) -> String {
    app.create("/configurations", &json!({ "name": "SMS", "category": category, "sender": by_http() })).await
}

async fn with_text(app: &TestApp, content: &Value) -> String {
    let configuration = configuration(app, "marketing").await;
    let action = json!({ "channel": "sms", "configuration_id": configuration, "content": content });
    let campaign = json!({ "name": "n", "category": "marketing", "actions": [action] });
    format!("/campaigns/{}", app.create("/campaigns", &campaign).await)
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_named() {
    let app = TestApp::new().await;
    let refused = async |sender: Value| {
        let body = json!({ "name": "SMS", "category": "marketing", "sender": sender });
        app.post("/configurations").json(&body).send().await.problem(400, "invalid_field")
    };
    for (pointer, value, field) in [
        ("/default_country", json!("XX"), "sender.default_country"),
        ("/default_country", json!("fr"), "sender.default_country"),
        ("/max_segments", json!(0), "sender.max_segments"),
        ("/max_segments", json!(11), "sender.max_segments"),
        ("/opt_out_wording", json!(" "), "sender.opt_out_wording"),
        ("/provider/http/url", json!("http://sms.example.org/"), "sender.provider.http.url"),
        ("/provider/http/url", json!("https://127.0.0.1/"), "sender.provider.http.url"),
        ("/provider/http/url", json!("https://169.254.169.254/latest"), "sender.provider.http.url"),
        ("/provider/http/url", json!("https://{{to}}/"), "sender.provider.http.url"),
        ("/provider/http/headers", json!({ "a b": "x" }), "sender.provider.http.headers.a b"),
        ("/provider/http/headers", json!({ "x": "a\r\nb: c" }), "sender.provider.http.headers.x"),
        ("/provider/http/headers", json!({ "host": "x" }), "sender.provider.http.headers.host"),
        ("/provider/http/body", json!("{{profile.name}}"), "sender.provider.http.body"),
        ("/provider/http/body", json!("{\"to\": {{to}}}"), "sender.provider.http.body"),
        ("/provider/http/from", Value::Null, "sender.provider.http.from"),
        ("/provider/http/answers/0/status", json!("9xx"), "sender.provider.http.answers[0].status"),
        ("/provider/http/answers/0/contains", json!(""), "sender.provider.http.answers[0].contains"),
    ] {
        let mut sender = by_http();
        *sender.pointer_mut(pointer).unwrap() = value.clone();
        let problem = refused(sender).await;
        assert_eq!(problem["errors"][0]["field"], field, "{value}: {problem}");
    }
    for (settings, field) in [
        (json!({ "origination_identity": "" }), "sender.provider.aws.origination_identity"),
        (json!({ "time_to_live_seconds": 4 }), "sender.provider.aws.time_to_live_seconds"),
    ] {
        let problem = refused(json!({ "channel": "sms", "provider": { "aws": settings } })).await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let aws = json!({ "origination_identity": "pool-1", "configuration_set": "envoi" });
    let right = json!({ "channel": "sms", "provider": { "aws": aws } });
    app.create("/configurations", &json!({ "name": "SMS", "category": "marketing", "sender": right })).await;
}

#[tokio::test]
async fn a_preview_says_what_the_text_takes() {
    let app = TestApp::new().await;
    let shown = async |content: Value, name: &str| {
        let path = with_text(&app, &content).await;
        let body = json!({ "profile": { "attributes": { "name": name } } });
        app.post(&format!("{path}/preview")).json(&body).send().await.expect(200)
    };
    let plain = json!({ "text": "Hi {{profile.name}}, 3 €" });
    let preview = shown(plain.clone(), "Ann").await;
    for (field, value) in [
        ("channel", json!("sms")),
        ("text", json!("Hi Ann, 3 €")),
        ("encoding", json!("gsm7")),
        ("characters", json!(11)),
        ("units", json!(12)),
        ("segments", json!(1)),
    ] {
        assert_eq!(preview[field], value, "{field}");
    }
    let preview = shown(plain.clone(), &"ł".repeat(70)).await;
    assert_eq!((&preview["encoding"], &preview["segments"]), (&json!("ucs2"), &json!(2)));
    let near = json!({ "text": "Hi {{profile.name}}, 3 €", "transliterate": true });
    let preview = shown(near, "Łukasz").await;
    assert_eq!((&preview["encoding"], &preview["text"]), (&json!("gsm7"), &json!("Hi Lukasz, 3 €")));
}

#[tokio::test]
async fn validation_says_what_is_too_long_or_lacks_the_wording() {
    let app = TestApp::new().await;
    app.create("/profiles", &json!({ "phone": "+33612345678", "attributes": { "name": "Łukasz" } })).await;
    let segment = app
        .create("/segments", &json!({ "name": "s", "kind": "rule", "expression": "has(profile.name)" }))
        .await;
    let findings = async |content: Value| -> Vec<(String, String)> {
        let path = with_text(&app, &content).await;
        app.patch(&path).json(&json!({ "segment_id": segment })).send().await.expect(200);
        let found = app.post(&format!("{path}/validate")).send().await.expect(200);
        let found = found["findings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found.iter().map(|finding| (text(&finding["code"]), text(&finding["severity"]))).collect()
    };
    let is = |code: &str, severity: &str| (code.to_owned(), severity.to_owned());
    assert_eq!(findings(json!({ "text": "Hello! STOP: 36111" })).await, []);
    assert_eq!(findings(json!({ "text": "Hello!" })).await, [is("no_opt_out_wording", "error")]);
    let named = json!({ "text": "Hello {{profile.name}}! STOP: 36111" });
    assert_eq!(findings(named).await, [is("sms_ucs2", "warning")]);
    let long = format!("{} STOP", "a".repeat(400));
    assert_eq!(findings(json!({ "text": long })).await, [is("sms_too_long", "error")]);
    assert_eq!(findings(json!({ "text": long, "max_segments": 3 })).await, []);
    assert_eq!(findings(json!({ "text": "STOP", "max_segments": 11 })).await, [is("out_of_range", "error")]);
}

/// Row K6.
#[tokio::test]
async fn a_number_without_a_country_code_is_of_the_configuration_s_country() {
    let app = TestApp::new().await;
    let id = configuration(&app, "transactional").await;
    let body = json!({ "addresses": ["06 12 34 56 78", "+49 170 1234567"] });
    app.post(&format!("/configurations/{id}/test")).json(&body).send().await.expect(202);
    let tests = app.take(tables::DELIVER_SMS_PRIORITY).await;
    assert_eq!(tests[0]["addresses"], json!(["+33612345678", "+491701234567"]));

    let action =
        json!({ "channel": "sms", "configuration_id": id, "content": { "text": "{{context.code}}" } });
    let campaign =
        json!({ "name": "n", "category": "transactional", "type": "api_triggered", "actions": [action] });
    let campaign = app.create("/campaigns", &campaign).await;
    let live: CampaignId = campaign.parse().unwrap();
    for command in [Command::Activate, Command::BecomeLive] {
        app.store.campaigns.command(live, command, &Actor::envoi(), |_| Ok(())).await.unwrap();
    }
    let call = |number: &str, request: &str| {
        json!({
            "requestId": request, "campaignId": campaign,
            "recipients": [{
                "type": "external", "userId": "crm-1", "namespace": "crm",
                "channelData": { "mobilePhoneNumber": number }, "context": { "code": 4711 },
            }],
        })
    };
    let unitary = "/im/executions/unitary";
    let answer = app.post(unitary).json(&call("06 12 34 56 78", "r1")).send().await.expect(202);
    let execution: ExecutionId = answer["executionId"].as_str().unwrap().parse().unwrap();
    let head = app.store.ledger.head(execution).await.unwrap().unwrap();
    assert_eq!(head.call.unwrap().recipients[0].addresses["phone"], "+33612345678");
    let problem = app.post(unitary).json(&call("112", "r2")).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "recipients[0].channelData.mobilePhoneNumber");
}

#[tokio::test]
async fn a_file_may_say_of_which_country_its_numbers_are() {
    let app = TestApp::new().await;
    let import = app.as_role(store::keys::Role::Manager, http::Method::POST, "/profiles/import");
    let report = import.csv("phone:FR,name\n06 12 34 56 78,Ann\n+49 170 1234567,Bob\n112,Eve\n").send().await;
    let report = report.expect(200);
    assert_eq!((&report["created"], &report["invalid"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!(report["errors"][0]["field"], "phone");
    let found = app.get("/profiles?phone=%2B33612345678").send().await.expect(200);
    assert_eq!(found["items"][0]["attributes"]["name"], "Ann");
}
