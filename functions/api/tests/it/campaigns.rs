use campaign::CampaignId;
use campaign::model::Actor;
use campaign::status::Command;
use http::Method;
use serde_json::{Value, json};
use store::keys::Role;
use store::tables;

use crate::app::TestApp;

fn mail(subject: &str, html: &str) -> Value {
    json!({ "channel": "email", "content": { "subject": subject, "body": { "html": html } } })
}

async fn with_mail(app: &TestApp, subject: &str, html: &str) -> String {
    let body = json!({ "name": "c", "category": "marketing", "actions": [mail(subject, html)] });
    format!("/campaigns/{}", app.create("/campaigns", &body).await)
}

/// What a worker does with an activation.
async fn command(app: &TestApp, path: &str, command: Command) {
    let id: CampaignId = path.strip_prefix("/campaigns/").unwrap().parse().unwrap();
    let by = Actor::envoi();
    let changed = app.store.campaigns.command(id, command, &by, |campaign| {
        if matches!(command, Command::BecomeScheduled | Command::BecomeLive) {
            campaign.next_occurrence = Some("2027-01-01T00:00:00Z".parse().unwrap());
        }
        Ok(())
    });
    changed.await.unwrap();
}

#[tokio::test]
async fn a_draft_may_lack_anything_but_name_and_category() {
    let app = TestApp::new().await;
    let answer = app.post("/campaigns").json(&json!({ "name": "c", "category": "marketing" })).send().await;
    assert_eq!(answer.etag(), "\"1\"");
    let made = answer.expect(201);
    assert_eq!(
        (&made["status"], &made["type"], &made["has_draft"]),
        (&json!("draft"), &json!("scheduled"), &json!(true))
    );
    assert_eq!(made["draft"]["schedule"], json!({ "kind": "at_activation" }));
    assert_eq!((&made["draft"]["actions"], &made["live"]), (&json!([]), &Value::Null));
    for missing in [json!({ "name": "c" }), json!({ "category": "marketing" })] {
        app.post("/campaigns").json(&missing).send().await.problem(400, "invalid_field");
    }
}

#[tokio::test]
async fn a_whole_campaign_comes_back_as_it_went_in() {
    let app = TestApp::new().await;
    let id = "00000000000000000000000004";
    let body = json!({
        "name": "Spring", "description": "d", "tags": ["a", "b"], "type": "scheduled", "category": "transactional",
        "segment_id": id,
        "actions": [
            { "channel": "email", "configuration_id": id, "content": {
                "subject": "s", "preheader": "p", "from_name": "f", "reply_to": "r@x.io", "body": { "mjml": "<mjml/>" }, "text": "t" } },
            mail("second", "<p>x</p>"),
        ],
        "schedule": { "kind": "at", "date_time": "2027-03-14T09:00:00", "time_zone": "Europe/Paris" },
        "on_unknown": "hold", "on_missing": "skip", "misfire_grace_seconds": 60,
    });
    let made = app.post("/campaigns").json(&body).send().await.expect(201);
    for field in ["name", "description", "tags", "type", "category"] {
        assert_eq!(made[field], body[field], "{field}");
    }
    for field in ["segment_id", "schedule", "on_unknown", "on_missing", "misfire_grace_seconds"] {
        assert_eq!(made["draft"][field], body[field], "{field}");
    }
    assert_eq!(made["draft"]["actions"][0], body["actions"][0]);
    assert_eq!(made["draft"]["actions"][1]["content"], body["actions"][1]["content"]);
    let path = format!("/campaigns/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).send().await.expect(200), made);
}

#[tokio::test]
async fn a_schedule_must_name_an_instant() {
    let app = TestApp::new().await;
    for (schedule, field) in [
        (json!({ "kind": "at", "date_time": "2027-03-14T09:00:00" }), "schedule.time_zone"),
        (json!({ "kind": "at", "time_zone": "Europe/Paris" }), "schedule.date_time"),
        (
            json!({ "kind": "at", "date_time": "2027-03-14T09:00:00", "time_zone": "Mars/Olympus" }),
            "schedule.time_zone",
        ),
        (
            json!({ "kind": "at", "date_time": "2027-02-30T09:00:00", "time_zone": "Europe/Paris" }),
            "schedule.date_time",
        ),
        // An offset would be ignored, and the campaign start at another hour than was meant.
        (
            json!({ "kind": "at", "date_time": "2027-03-14T09:00:00+02:00", "time_zone": "Europe/Paris" }),
            "schedule.date_time",
        ),
        (
            json!({ "kind": "at", "date_time": "2027-03-14T09:00:00-02:00", "time_zone": "Europe/Paris" }),
            "schedule.date_time",
        ),
        (
            json!({ "kind": "at", "date_time": "2027-03-14T09:00:00Z", "time_zone": "Europe/Paris" }),
            "schedule.date_time",
        ),
        (json!({ "kind": "at_activation", "time_zone": "Europe/Paris" }), "schedule.time_zone"),
    ] {
        let body = json!({ "name": "c", "category": "marketing", "schedule": schedule });
        let problem = app.post("/campaigns").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn content_has_a_largest_size() {
    let app = TestApp::new().await;
    let body = json!({ "name": "c", "category": "marketing", "actions": [mail("s", "x"), mail("s", &"x".repeat(257 * 1024))] });
    let problem = app.post("/campaigns").json(&body).send().await.problem(400, "content_too_large");
    assert_eq!(problem["errors"][0]["field"], "actions[1].content");
    let many = json!({ "name": "c", "category": "marketing", "actions": vec![mail("s", "x"); 11] });
    app.post("/campaigns").json(&many).send().await.problem(400, "invalid_field");
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    let patch = json!({ "name": "n", "tags": ["t"], "on_missing": "skip", "segment_id": "00000000000000000000000004" });
    let changed = app.patch(&path).header("if-match", "\"1\"").json(&patch).send().await;
    assert_eq!(changed.etag(), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["tags"], &changed["draft"]["on_missing"]),
        (&json!("n"), &json!(["t"]), &json!("skip"))
    );
    assert_eq!(changed["draft"]["actions"][0]["content"]["subject"], "s");
    let back = app
        .patch(&path)
        .json(&json!({ "segment_id": null, "tags": null, "on_missing": null }))
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&back["draft"]["segment_id"], &back["tags"], &back["draft"]["on_missing"]),
        (&Value::Null, &json!([]), &json!("blank"))
    );
    let two = app
        .patch(&path)
        .json(&json!({ "actions": [mail("1", "x"), mail("2", "x")] }))
        .send()
        .await
        .expect(200);
    assert_eq!(two["draft"]["actions"].as_array().unwrap().len(), 2);
    let none = app.patch(&path).json(&json!({ "actions": null })).send().await.expect(200);
    assert_eq!(none["draft"]["actions"], json!([]));
    assert_eq!(app.get(&path).send().await.expect(200), none);
    app.patch(&path)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "x" }))
        .send()
        .await
        .problem(412, "precondition_failed");
    app.delete(&path).header("if-match", "\"1\"").send().await.problem(412, "precondition_failed");
    app.delete(&path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn once_activated_only_what_is_for_people_changes() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    app.post(&format!("{path}/activate")).send().await.expect(202);
    command(&app, &path, Command::BecomeScheduled).await;
    let renamed = app
        .patch(&path)
        .json(&json!({ "name": "n", "description": "d", "tags": ["t"] }))
        .send()
        .await
        .expect(200);
    assert_eq!((&renamed["name"], &renamed["status"]), (&json!("n"), &json!("scheduled")));
    assert_eq!(renamed["next_occurrence"], "2027-01-01T00:00:00Z");
    // What is sent does not change with an edit: that opens a draft beside it.
    let edited = app.patch(&path).json(&json!({ "name": "m", "actions": [] })).send().await.expect(200);
    assert_eq!((&edited["name"], &edited["has_draft"]), (&json!("m"), &json!(true)));
    assert_eq!(
        (&edited["draft"]["actions"], &edited["live"]["actions"]),
        (&json!([]), &renamed["live"]["actions"])
    );
    let category = json!({ "category": "transactional" });
    let problem = app.patch(&path).json(&category).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "category");
    app.delete(&path).send().await.problem(409, "status_not_allowed");
}

/// Corpus A20.
#[tokio::test]
async fn activating_twice_is_activating_once() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    let activate = format!("{path}/activate");
    app.post(&activate).header("if-match", "\"7\"").send().await.problem(412, "precondition_failed");
    let first = app.post(&activate).header("if-match", "\"1\"").send().await.expect(202);
    assert_eq!(first["status"], "activating");
    // Pressed again, with the ETag of before.
    let again = app.post(&activate).header("if-match", "\"1\"").send().await.expect(202);
    assert_eq!(first, again);
    let wake_ups = app.take(tables::WAKE_UP).await;
    assert_eq!(wake_ups, [json!({ "wake_up": "activate", "campaign": first["id"] })]);
    command(&app, &path, Command::BecomeLive).await;
    let live = app.post(&activate).send().await.expect(200);
    assert_eq!(
        (&live["status"], &live["live"]["number"], &live["has_draft"]),
        (&json!("live"), &json!(1), &json!(false))
    );
    assert!(app.take(tables::WAKE_UP).await.is_empty());
    app.post(&format!("{path}/stop")).send().await.expect(200);
    app.post(&activate).send().await.problem(409, "status_not_allowed");
}

#[tokio::test]
async fn why_an_activation_failed_is_kept_until_the_next() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    app.post(&format!("{path}/activate")).send().await.expect(202);
    let id: CampaignId = path.strip_prefix("/campaigns/").unwrap().parse().unwrap();
    let finding = campaign::model::Finding::error("no_segment", "segment_id", "is missing");
    app.store
        .campaigns
        .command(id, Command::FailActivation, &Actor::envoi(), |campaign| {
            campaign.activation_errors = vec![finding.clone()];
            Ok(())
        })
        .await
        .unwrap();
    let failed = app.get(&path).send().await.expect(200);
    assert_eq!(
        (&failed["status"], &failed["activation_errors"][0]["code"]),
        (&json!("draft"), &json!("no_segment"))
    );
    let again = app.post(&format!("{path}/activate")).send().await.expect(202);
    assert_eq!(again["activation_errors"], json!([]));
}

#[tokio::test]
async fn stopping_is_for_good_and_may_be_repeated() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    let stop = format!("{path}/stop");
    app.post(&stop).send().await.problem(409, "status_not_allowed");
    app.post(&format!("{path}/activate")).send().await.expect(202);
    command(&app, &path, Command::BecomeScheduled).await;
    let stopped = app.post(&stop).send().await.expect(200);
    assert_eq!((&stopped["status"], &stopped["next_occurrence"]), (&json!("stopped"), &Value::Null));
    assert_eq!(app.post(&stop).send().await.expect(200), stopped);
}

#[tokio::test]
async fn a_preview_shows_what_would_be_sent_and_what_is_missing() {
    let app = TestApp::new().await;
    let html = "<p>Hello {{profile.person.first}}, {{context.code}} {{profile.city}}</p>";
    let path = with_mail(&app, "For {{profile.person.first}}", html).await;
    let preview = async |body: Value| app.post(&format!("{path}/preview")).json(&body).send().await;
    let profile = json!({ "email": "a@x.io", "attributes": { "person": { "first": "Ann <3" } } });
    let shown = preview(json!({ "profile": profile, "context": { "code": 7 } })).await.expect(200);
    assert_eq!(shown["subject"], "For Ann <3");
    assert!(shown["html"].as_str().unwrap().contains("Hello Ann &lt;3, 7"), "{shown}");
    assert!(shown["text"].as_str().unwrap().contains("Hello Ann <3, 7"), "{shown}");
    // Corpus C11.
    let undefined: Vec<_> =
        shown["undefined_variables"].as_array().unwrap().iter().map(|v| v["variable"].clone()).collect();
    assert_eq!(undefined, ["profile.city"]);
    let stored = app.create("/profiles", &profile).await;
    assert_eq!(preview(json!({ "profile_id": stored, "context": { "code": 7 } })).await.expect(200), shown);

    preview(json!({ "profile_id": "00000000000000000000000000" })).await.problem(404, "not_found");
    preview(json!({ "profile_id": stored, "profile": profile })).await.problem(400, "invalid_field");
    assert_eq!(
        preview(json!({ "action": 1 })).await.problem(400, "invalid_field")["errors"][0]["field"],
        "action"
    );
    let bad = preview(json!({ "profile": { "email": "no" } })).await.problem(400, "invalid_field");
    assert_eq!(bad["errors"][0]["field"], "profile.email");

    // Preview and send have one strictness.
    app.patch(&path).json(&json!({ "on_missing": "skip" })).send().await.expect(200);
    let skipped =
        preview(json!({ "profile": profile, "context": { "code": 7 } })).await.problem(422, "render_failed");
    assert_eq!(
        (&skipped["reason"], &skipped["errors"][0]["field"]),
        (&json!("missing_value"), &json!("actions[0].content.body.html"))
    );
}

/// Corpus C1.
#[tokio::test]
async fn an_empty_body_is_an_empty_preview_and_no_activation() {
    let app = TestApp::new().await;
    for html in ["", "   "] {
        let path = with_mail(&app, "", html).await;
        let shown = app.post(&format!("{path}/preview")).json(&json!({})).send().await.expect(200);
        assert_eq!((&shown["subject"], &shown["text"]), (&json!(""), &json!("")));
        assert_eq!(shown["html"].as_str().unwrap().trim(), "");
        let found = app.post(&format!("{path}/validate")).send().await.expect(200);
        assert_eq!(found["can_activate"], false);
        let codes: Vec<_> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["code"].as_str().unwrap())
            .collect();
        assert!(codes.contains(&"empty_body") && codes.contains(&"empty_subject"), "{codes:?}");
    }
}

#[tokio::test]
async fn a_content_that_is_wrong_says_where() {
    let app = TestApp::new().await;
    let path = with_mail(&app, "s", "<p>\n{{#if profile.a}}</p>").await;
    let problem =
        app.post(&format!("{path}/preview")).json(&json!({})).send().await.problem(422, "invalid_content");
    let error = &problem["errors"][0];
    assert_eq!(error["field"], "actions[0].content.body.html");
    assert!(error["line"].is_number(), "{problem}");
}

#[tokio::test]
async fn a_proof_is_handed_to_its_queue() {
    let app = TestApp::new().await;
    let configuration =
        json!({ "name": "n", "category": "marketing", "sender": { "channel": "email", "from": "a@x.io" } });
    let configuration = app.create("/configurations", &configuration).await;
    let path = with_mail(&app, "s", "<p>{{context.code}}</p>").await;
    let proof = async |body: Value| app.post(&format!("{path}/proof")).json(&body).send().await;
    let body = json!({ "addresses": ["me@x.io", "You@X.io"], "context": { "code": 1 } });
    assert_eq!(proof(body.clone()).await.problem(400, "invalid_field")["errors"][0]["field"], "action");
    let mut action = mail("s", "<p>{{context.code}}</p>");
    action["configuration_id"] = json!(configuration);
    app.patch(&path).json(&json!({ "actions": [action] })).send().await.expect(200);
    let sent = proof(body).await.expect(202);
    let messages = app.take(tables::DELIVER_EMAIL_PRIORITY).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0]["id"], &messages[0]["addresses"]),
        (&sent["proof_id"], &json!(["me@x.io", "You@x.io"]))
    );
    assert_eq!(
        (&messages[0]["configuration"], &messages[0]["context"]["code"]),
        (&json!(configuration), &json!(1))
    );
    let content = &messages[0]["content"];
    assert_eq!((&content["channel"], &content["text"]), (&json!("email"), &json!("{{context.code}}")));
    assert!(content["html"].as_str().unwrap().contains("<body><p>{{context.code}}</p>"), "{content}");

    let wrong = proof(json!({ "addresses": ["me@x.io", "no"] })).await.problem(400, "invalid_field");
    assert_eq!(wrong["errors"][0]["field"], "addresses[1]");
    proof(json!({ "addresses": [] })).await.problem(400, "invalid_field");
    proof(json!({ "addresses": vec!["a@x.io"; 11] })).await.problem(400, "invalid_field");
    proof(json!({ "addresses": ["a@x.io"], "profile_id": "00000000000000000000000000" }))
        .await
        .problem(404, "not_found");
    app.as_role(Role::Manager, Method::POST, &format!("{path}/proof"))
        .json(&json!({}))
        .send()
        .await
        .problem(403, "forbidden");
    assert!(app.take(tables::DELIVER_EMAIL_PRIORITY).await.is_empty());
}

#[tokio::test]
async fn a_proof_that_can_not_be_made_is_refused_at_once() {
    let app = TestApp::new().await;
    let configuration =
        json!({ "name": "n", "category": "marketing", "sender": { "channel": "email", "from": "a@x.io" } });
    let configuration = app.create("/configurations", &configuration).await;
    let path = with_mail(&app, "s", "<p>x</p>").await;
    let proof = async |subject: &str, html: &str| {
        let mut action = mail(subject, html);
        action["configuration_id"] = json!(configuration);
        app.patch(&path).json(&json!({ "actions": [action] })).send().await.expect(200);
        app.post(&format!("{path}/proof")).json(&json!({ "addresses": ["a@x.io"] })).send().await
    };
    for (subject, html, field) in [
        (" ", "<p>x</p>", "actions[0].content.subject"),
        ("s", " ", "actions[0].content.body.html"),
        ("s", "<p>{{shout profile.x}}</p>", "actions[0].content.body.html"),
    ] {
        let refused = proof(subject, html).await.problem(422, "invalid_content");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    // A style on each of so many paragraphs is more than a message takes.
    let html = format!("<style>p{{font-family:{}}}</style>{}", "x".repeat(1000), "<p>x</p>".repeat(1100));
    let refused = proof("s", &html).await.problem(400, "content_too_large");
    assert_eq!(refused["errors"][0]["field"], "actions[0].content");
    assert!(app.take(tables::DELIVER_EMAIL_PRIORITY).await.is_empty());
}

#[tokio::test]
async fn the_contents_of_a_version_have_a_limit_together() {
    let app = TestApp::new().await;
    let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "x".repeat(190 * 1024) } } });
    let body =
        |count| json!({ "name": "c", "category": "marketing", "actions": vec![action.clone(); count] });
    let problem = app.post("/campaigns").json(&body(9)).send().await.problem(400, "content_too_large");
    assert_eq!(problem["errors"][0]["field"], "actions", "{problem}");
    let path = format!("/campaigns/{}", app.create("/campaigns", &body(8)).await);
    let patch = json!({ "actions": body(9)["actions"] });
    app.patch(&path).json(&patch).send().await.problem(400, "content_too_large");
}
