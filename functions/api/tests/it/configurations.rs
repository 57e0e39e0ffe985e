use campaign::model::Actor;
use campaign::status::Command;
use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn a_configuration_is_made_changed_listed_and_deleted() {
    let app = TestApp::new().await;
    let body = json!({
        "name": "news",
        "category": "marketing",
        "rate_per_second": 14,
        "sender": { "channel": "email", "from": "News@Example.ORG", "from_name": "News", "reply_to": "help@example.org" },
    });
    let answer = app.post("/configurations").json(&body).send().await;
    assert_eq!(answer.etag(), "\"1\"");
    let made = answer.expect(201);
    assert_eq!(
        (&made["retry_period_seconds"], &made["sender"]["from"]),
        (&json!(43_200), &json!("News@example.org"))
    );
    let path = format!("/configurations/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).send().await.expect(200), made);
    assert_eq!(app.get("/configurations").send().await.expect(200)["items"], json!([made]));

    let changed = app
        .patch(&path)
        .header("if-match", "\"1\"")
        .json(&json!({ "rate_per_second": null, "name": "n2" }))
        .send()
        .await;
    assert_eq!(changed.etag(), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!((&changed["name"], changed.get("rate_per_second")), (&json!("n2"), None));
    app.patch(&path)
        .header("if-match", "\"1\"")
        .json(&json!({}))
        .send()
        .await
        .problem(412, "precondition_failed");
    app.delete(&path).header("if-match", "\"1\"").send().await.problem(412, "precondition_failed");
    app.delete(&path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
    app.patch(&path).json(&json!({})).send().await.problem(404, "not_found");
    app.delete(&path).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn bad_fields_are_named() {
    let app = TestApp::new().await;
    let good =
        json!({ "name": "n", "category": "marketing", "sender": { "channel": "email", "from": "a@x.io" } });
    for (pointer, value, field) in [
        ("/name", json!(" "), "name"),
        ("/rate_per_second", json!(0), "rate_per_second"),
        ("/retry_period_seconds", json!(10_000_000), "retry_period_seconds"),
        ("/sender/from", json!("a@b"), "sender.from"),
        ("/sender/channel", json!("fax"), "sender.channel"),
        ("/sender/from_name", json!("a\nb"), "sender.from_name"),
        ("/sender/unsubscribe_mailto", json!("a@b"), "sender.unsubscribe_mailto"),
        ("/sender/tracking", json!({ "clicks": 1 }), "sender.tracking.clicks"),
        ("/sender/tracking", json!({ "pixels": true }), "sender.tracking.pixels"),
        ("/sender/tracking", json!({ "domain": "https://links.example.org" }), "sender.tracking.domain"),
        ("/sender/tracking", json!({ "domain": "*.example.org" }), "sender.tracking.domain"),
        ("/sender/tracking", json!({ "domain": "localhost" }), "sender.tracking.domain"),
        ("/sender/tracking", json!({ "domain": "10.0.0.1" }), "sender.tracking.domain"),
        ("/category", json!("spam"), "category"),
    ] {
        let mut body = good.clone();
        match body.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                body.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        let problem = app.post("/configurations").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn a_configuration_in_use_stays() {
    let app = TestApp::new().await;
    let body =
        json!({ "name": "n", "category": "marketing", "sender": { "channel": "email", "from": "a@x.io" } });
    let configuration = app.create("/configurations", &body).await;
    let body = json!({ "name": "c", "category": "marketing", "actions": [{ "channel": "email", "configuration_id": configuration }] });
    let campaign = app.create("/campaigns", &body).await;
    app.store
        .campaigns
        .command(campaign.parse().unwrap(), Command::Activate, &Actor::envoi(), |_| Ok(()))
        .await
        .unwrap();
    let path = format!("/configurations/{configuration}");
    app.delete(&path).send().await.problem(409, "in_use");
    app.store
        .campaigns
        .command(campaign.parse().unwrap(), Command::FailActivation, &Actor::envoi(), |_| Ok(()))
        .await
        .unwrap();
    app.delete(&path).send().await.expect(204);
}

#[tokio::test]
async fn an_email_configuration_says_what_is_tracked_and_who_reads_what_unsubscribes() {
    let app = TestApp::new().await;
    let sender = json!({ "channel": "email", "from": "a@x.io" });
    let body = json!({ "name": "n", "category": "marketing", "sender": sender });
    let made = app.post("/configurations").json(&body).send().await.expect(201);
    assert_eq!(made["sender"]["tracking"], json!({ "opens": true, "clicks": true }));
    let path = format!("/configurations/{}", made["id"].as_str().unwrap());
    let sender = json!({
        "channel": "email",
        "from": "a@x.io",
        "unsubscribe_mailto": "u@x.io",
        "tracking": { "opens": false, "clicks": true, "domain": "links.example.org" },
    });
    let changed = app.patch(&path).json(&json!({ "sender": sender })).send().await.expect(200);
    assert_eq!(changed["sender"], sender);
    assert_eq!(app.get(&path).send().await.expect(200), changed);
}
