//! The suppression list, from the outside.

use campaign::{Category, Channel};
use serde_json::{Value, json};

use crate::app::TestApp;

async fn stopped(app: &TestApp, category: Category, address: &str) -> bool {
    !app.store.suppressions.which(Channel::Email, category, &[address]).await.unwrap().is_empty()
}

fn ann(reason: &str) -> Value {
    json!({ "channel": "email", "address": " Ann@Example.ORG ", "reason": reason, "source": "support" })
}

#[tokio::test]
async fn an_address_is_added_found_listed_and_removed() {
    let app = TestApp::new().await;
    let added = app.post("/suppressions").json(&ann("complaint")).send().await.expect(201);
    assert_eq!((&added["address"], &added["reason"]), (&json!("Ann@example.org"), &json!("complaint")));
    let again = app.post("/suppressions").json(&ann("hard_bounce")).send().await.expect(200);
    assert_eq!((&again["reason"], &again["at"]), (&json!("hard_bounce"), &added["at"]));
    let lesser = app.post("/suppressions").json(&ann("complaint")).send().await.expect(200);
    assert_eq!(lesser["reason"], "hard_bounce");
    assert!(stopped(&app, Category::Transactional, "ann@example.org").await);

    let listed = app.get("/suppressions").send().await.expect(200);
    assert_eq!(listed["items"], json!([again]));
    let one = "/suppressions?channel=email&address=ANN@example.org";
    assert_eq!(app.get(one).send().await.expect(200)["items"], json!([again]));
    app.delete(one).send().await.expect(204);
    app.delete(one).send().await.problem(404, "not_found");
    assert_eq!(app.get(one).send().await.expect(200)["items"], json!([]));
    assert!(!stopped(&app, Category::Marketing, "ann@example.org").await);
}

#[tokio::test]
async fn the_list_is_paged_the_newest_first() {
    let app = TestApp::new().await;
    for number in 0..5 {
        let body = json!({ "channel": "sms", "address": format!("+3361234567{number}") });
        app.post("/suppressions").json(&body).send().await.expect(201);
        app.clock.advance(std::time::Duration::from_secs(1));
    }
    let mut found = Vec::new();
    let mut path = "/suppressions?channel=sms&limit=2".to_owned();
    loop {
        let page = app.get(&path).send().await.expect(200);
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["address"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/suppressions?channel=sms&limit=2&cursor={next}");
    }
    let expected: Vec<_> = (0..5).rev().map(|number| json!(format!("+3361234567{number}"))).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_domain_is_suppressed_with_all_its_addresses() {
    let app = TestApp::new().await;
    let path = "/suppressions/domains/K%C3%A4se.de";
    app.put(path).json(&json!({ "source": "legal" })).send().await.expect(204);
    assert!(stopped(&app, Category::Transactional, "anybody@xn--kse-qla.de").await);
    let listed = app.get("/suppressions/domains").send().await.expect(200);
    assert_eq!(listed["items"][0]["domain"], "xn--kse-qla.de");
    assert_eq!(
        (&listed["items"][0]["reason"], &listed["items"][0]["source"]),
        (&json!("manual"), &json!("legal"))
    );
    app.delete(path).send().await.expect(204);
    app.delete(path).send().await.problem(404, "not_found");
    assert!(!stopped(&app, Category::Marketing, "anybody@xn--kse-qla.de").await);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let app = TestApp::new().await;
    for (body, field) in [
        (json!({ "channel": "email", "address": "ann" }), "address"),
        (json!({ "channel": "sms", "address": "ann@example.org" }), "address"),
        (json!({ "channel": "push", "address": "x" }), "channel"),
        (json!({ "channel": "email", "address": "a@x.io", "reason": "whim" }), "reason"),
        (json!({ "channel": "email", "address": "a@x.io", "source": "x".repeat(201) }), "source"),
    ] {
        let refused = app.post("/suppressions").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    app.put("/suppressions/domains/localhost").json(&json!({})).send().await.problem(400, "invalid_field");
    app.get("/suppressions?channel=webhook&address=x").send().await.problem(400, "invalid_parameter");
    app.delete("/suppressions?channel=email&address=x").send().await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn only_a_transactional_configuration_may_ignore_the_list() {
    let app = TestApp::new().await;
    let body = |category: &str| {
        let sender = json!({ "channel": "email", "from": "a@x.io" });
        json!({ "name": "n", "category": category, "ignores_suppression": true, "sender": sender })
    };
    let created = app.post("/configurations").json(&body("transactional")).send().await.expect(201);
    assert_eq!(created["ignores_suppression"], true);
    let refused = app.post("/configurations").json(&body("marketing")).send().await;
    assert_eq!(refused.problem(400, "invalid_field")["errors"][0]["field"], "ignores_suppression");
}
