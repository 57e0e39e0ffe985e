//! Topics, from the outside.

use campaign::{Campaign, Status};
use http::Method;
use serde_json::{Value, json};
use store::keys::Role;

use crate::app::TestApp;

fn names() -> Value {
    json!({ "names": { "en": "News", "fr": "Nouvelles" } })
}

#[tokio::test]
async fn a_topic_is_put_listed_and_deleted() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/topics").send().await.expect(200), json!({ "items": [] }));
    let made = app.put("/topics/newsletter").json(&names()).send().await.expect(201);
    assert_eq!(made, json!({ "id": "newsletter", "names": { "en": "News", "fr": "Nouvelles" } }));
    let changed = json!({ "names": { "en": "Our news" } });
    let changed = app.put("/topics/newsletter").json(&changed).send().await.expect(200);
    assert_eq!(changed["names"], json!({ "en": "Our news" }));
    app.put("/topics/best-offers").json(&names()).send().await.expect(201);
    let listed = app.get("/topics").send().await.expect(200);
    assert_eq!((&listed["items"][0]["id"], &listed["items"][1]), (&json!("best-offers"), &changed));
    app.delete("/topics/newsletter").send().await.expect(204);
    app.delete("/topics/newsletter").send().await.problem(404, "not_found");
    app.delete("/topics/No%20Topic").send().await.problem(404, "not_found");
    app.as_role(Role::Viewer, Method::PUT, "/topics/x").json(&names()).send().await.problem(403, "forbidden");
}

#[tokio::test]
async fn what_is_wrong_with_a_topic_is_named() {
    let app = TestApp::new().await;
    for (path, body, field) in [
        ("/topics/News", names(), "id"),
        ("/topics/news", json!({ "names": {} }), "names"),
        ("/topics/news", json!({ "names": { "e": "News" } }), "names"),
        ("/topics/news", json!({ "names": { "en": " " } }), "names.en"),
        ("/topics/news", json!({ "names": { "en": "News" }, "title": "x" }), "title"),
    ] {
        let refused = app.put(path).json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(app.get("/topics").send().await.expect(200)["items"], json!([]));
}

async fn findings(app: &TestApp, path: &str) -> Vec<Value> {
    let validation = app.post(&format!("{path}/validate")).send().await.expect(200);
    let findings = validation["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["field"] == "topic").map(|finding| finding["code"].clone()).collect()
}

#[tokio::test]
async fn a_campaign_names_a_topic_that_there_must_be() {
    let app = TestApp::new().await;
    let body = json!({ "name": "n", "category": "marketing", "topic": "newsletter" });
    let path = format!("/campaigns/{}", app.create("/campaigns", &body).await);
    assert_eq!(app.get(&path).send().await.expect(200)["draft"]["topic"], "newsletter");
    assert_eq!(findings(&app, &path).await, ["topic_missing"]);
    app.put("/topics/newsletter").json(&names()).send().await.expect(201);
    assert_eq!(findings(&app, &path).await, [] as [Value; 0]);
    app.patch(&path).json(&json!({ "category": "transactional" })).send().await.expect(200);
    assert_eq!(findings(&app, &path).await, ["topic_category"]);
    let without = app.patch(&path).json(&json!({ "topic": null })).send().await.expect(200);
    assert_eq!(without["draft"]["topic"], Value::Null);
    assert_eq!(findings(&app, &path).await, [] as [Value; 0]);
    let wrong = app.patch(&path).json(&json!({ "topic": "No topic" })).send().await;
    assert_eq!(wrong.problem(400, "invalid_field")["errors"][0]["field"], "topic");
    let history = app.get(&format!("{path}/history")).send().await.expect(200);
    assert!(history.to_string().contains("\"topic\""), "{history}");
}

#[tokio::test]
async fn a_topic_of_a_live_campaign_stays() {
    let app = TestApp::new().await;
    app.put("/topics/newsletter").json(&names()).send().await.expect(201);
    let body = json!({ "name": "n", "category": "marketing", "topic": "newsletter" });
    let id = app.create("/campaigns", &body).await;
    let campaign = app.store.campaigns.get(id.parse().unwrap()).await.unwrap();
    let live = Campaign { status: Status::Live, live_version: Some(1), draft_version: None, ..campaign };
    app.store
        .campaigns
        .save_draft(&live, None, 0, &campaign::model::Actor::envoi(), Vec::new())
        .await
        .unwrap();
    let refused = app.delete("/topics/newsletter").send().await.problem(409, "in_use");
    assert_eq!(refused["campaign_id"], id);
}

#[tokio::test]
async fn a_profile_says_yes_or_no_to_topics() {
    let app = TestApp::new().await;
    let said = json!({ "newsletter": "out", "offers": "in" });
    let id = app.create("/profiles", &json!({ "email": "a@x.io", "topics": said })).await;
    let path = format!("/profiles/{id}");
    let profile = app.get(&path).send().await.expect(200);
    assert_eq!((&profile["topics"], &profile["attributes"]), (&said, &json!({})));
    for (topics, field) in
        [(json!({ "newsletter": "pending" }), "topics.newsletter"), (json!({ "News!": "in" }), "topics")]
    {
        let body = json!({ "email": "a@x.io", "topics": topics });
        let refused = app.put(&path).json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let file = "email,topics.offers\na@x.io,out\nb@x.io,perhaps\n";
    let report = app.post("/profiles/import").csv(file).send().await.expect(200);
    assert_eq!((&report["updated"], &report["errors"][0]["field"]), (&json!(1), &json!("topics.offers")));
    let profile = app.get(&path).send().await.expect(200);
    assert_eq!(profile["topics"], json!({ "newsletter": "out", "offers": "out" }));
}
