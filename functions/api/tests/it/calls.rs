//! The execution API: every call, every answer, every case that its contract leaves open.

use std::time::Duration;

use campaign::model::Actor;
use campaign::status::Command;
use campaign::{CampaignId, ProfileId};
use http::Method;
use platform::Source;
use serde_json::{Value, json};
use store::ledger::State;
use store::tables;

use crate::app::TestApp;

const UNITARY: &str = "/im/executions/unitary";
const HIGH_THROUGHPUT: &str = "/im/executions/highthroughput";
const AUDIENCE: &str = "/im/executions/audience";

/// An API-triggered campaign that is live, changed by `more`; its id.
async fn live(app: &TestApp, more: Value) -> String {
    let mut body = json!({
        "name": "Orders", "category": "transactional", "type": "api_triggered",
        "actions": [{ "channel": "email", "content": { "subject": "s", "body": { "html": "<p>{{context.id}}</p>" } } }],
    });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let id = app.create("/campaigns", &body).await;
    go_live(app, &id).await;
    id
}

/// What the activation's worker does.
async fn go_live(app: &TestApp, id: &str) {
    let id: CampaignId = id.parse().unwrap();
    let campaigns = &app.store.campaigns;
    let by = Actor::envoi();
    campaigns.command(id, Command::Activate, &by, |_| Ok(())).await.unwrap();
    let draft = campaigns.get(id).await.unwrap().draft_version.unwrap();
    let closes = campaigns.version(id, draft).await.unwrap().closes().unwrap();
    let live = campaigns.command(id, Command::BecomeLive, &by, |campaign| {
        campaign.closes = closes;
        Ok(())
    });
    live.await.unwrap();
}

fn external(address: &str) -> Value {
    json!({ "type": "external", "userId": address, "namespace": "email", "context": { "id": 7 } })
}

#[allow(clippy::needless_pass_by_value, reason = "it is made for the call")]
fn call(campaign: &str, request: &str, recipients: Value) -> Value {
    json!({ "requestId": request, "campaignId": campaign, "recipients": recipients })
}

/// How many messages wait on the queue of calls.
async fn messages(app: &TestApp) -> usize {
    let received = app.engine.receive(tables::DELIVER_EMAIL_PRIORITY, 10, Duration::from_secs(60), 10).await;
    received.unwrap().len()
}

async fn profile(app: &TestApp, body: Value) -> String {
    app.create("/profiles", &body).await
}

#[tokio::test]
async fn a_call_is_answered_with_its_execution_and_is_one_message() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io"), external("b@x.io")]));
    let answer = app.post(UNITARY).json(&body).send().await.expect(202);
    assert_eq!((&answer["requestId"], &answer["createdBy"]), (&json!("r1"), &json!("test")));
    assert_eq!(answer["createdAt"], answer["modifiedAt"]);
    assert_eq!(messages(&app).await, 1);
    let path = format!("{AUDIENCE}/{}", answer["executionId"].as_str().unwrap());
    let status = app.get(&path).send().await.expect(200);
    assert_eq!((&status["status"], &status["targetedProfileCount"]), (&json!("InProgress"), &json!(2)));
    assert_eq!((&status["campaignId"], &status["counts"]["pending"]), (&json!(campaign), &json!(2)));
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_is_sent_once() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    let first = app.post(UNITARY).json(&body).send().await.expect(202);
    app.clock.advance(Duration::from_secs(20 * 3600));
    // Other spacing and another order of fields are the same body.
    let shuffled = r#"{ "recipients":[{"context":{"id":7},"namespace":"email","type":"external","userId":"a@x.io"}],"campaignId":"ID","requestId":"r1" }"#;
    let again = app.post(UNITARY).header("content-type", "application/json");
    let again = again.body(shuffled.replace("ID", &campaign)).send().await.expect(202);
    assert_eq!(first, again);
    // A stop does not change what was answered; it does what is new.
    app.post(&format!("/campaigns/{campaign}/stop")).send().await.expect(200);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(app.post(UNITARY).json(&body).send().await.expect(202), first);
    let new = call(&campaign, "r2", json!([external("a@x.io")]));
    let problem = app.post(UNITARY).json(&new).send().await.problem(409, "campaign_not_live");
    assert_eq!(problem["campaign_status"], "stopped");
    assert_eq!(problem["report"]["additionalContext"], json!({ "requestId": "r2", "campaignId": campaign }));
    assert_eq!(messages(&app).await, 1);
}

// A26: fifty clients at once with one request id are one message.
#[tokio::test]
async fn fifty_clients_with_one_request_are_one_message() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    let all = (0..50).map(|_| app.post(UNITARY).json(&body).send());
    let answers: Vec<Value> =
        futures::future::join_all(all).await.into_iter().map(|answer| answer.expect(202)).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(messages(&app).await, 1);
}

#[tokio::test]
async fn the_same_request_id_with_another_body_is_refused() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    app.post(UNITARY).json(&body).send().await.expect(202);
    let other = call(&campaign, "r1", json!([external("b@x.io")]));
    let problem = app.post(UNITARY).json(&other).send().await.problem(422, "request_id_reused");
    assert_eq!(problem["errors"][0]["field"], "requestId");
    // Another campaign's requests are its own.
    let another = live(&app, json!({ "name": "Another" })).await;
    app.post(UNITARY).json(&call(&another, "r1", json!([external("b@x.io")]))).send().await.expect(202);
    assert_eq!(messages(&app).await, 2);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_sent() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let many: Vec<_> = (0..21).map(|n| external(&format!("u{n}@x.io"))).collect();
    let with = |name: &str, value: Value| {
        let mut recipient = external("a@x.io");
        recipient[name] = value;
        json!([recipient])
    };
    for (recipients, field) in [
        (json!([]), "recipients"),
        (json!(many), "recipients"),
        (json!([external("a@x.io"), external("A@x.io")]), "recipients[1].userId"),
        (json!([external("nobody")]), "recipients[0].userId"),
        (with("type", json!("friend")), "recipients[0].type"),
        (with("userId", Value::Null), "recipients[0].userId"),
        (with("context", json!({ "system": 1 })), "recipients[0].context.system"),
        (with("context", json!({ "x": "y".repeat(201 * 1024) })), "recipients[0].context"),
        (with("context", json!([1])), "recipients[0].context"),
        (with("profile", json!({ "consent": { "email": "in" } })), "recipients[0].profile.consent"),
        (with("profile", json!({ "email": "b@x.io" })), "recipients[0].profile.email"),
        (with("channelData", json!({ "emailAddress": "b" })), "recipients[0].channelData.emailAddress"),
        (
            with("channelData", json!({ "mobilePhoneNumber": "12" })),
            "recipients[0].channelData.mobilePhoneNumber",
        ),
        (json!([{ "type": "aep", "userId": "a@x.io", "namespace": "fax" }]), "recipients[0].namespace"),
    ] {
        let body = call(&campaign, "r1", recipients);
        let problem = app.post(UNITARY).json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert_eq!(problem["report"]["additionalContext"]["requestId"], "r1", "{problem}");
    }
    let nameless = call(&campaign, " ", json!([external("a@x.io")]));
    let problem = app.post(UNITARY).json(&nameless).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "requestId");
    let malformed = app.post(UNITARY).header("content-type", "application/json").body("{").send().await;
    malformed.problem(400, "malformed_body");
    assert_eq!(messages(&app).await, 0);
}

#[tokio::test]
async fn what_brings_nothing_stored_uses_nothing_stored() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    app.post(HIGH_THROUGHPUT).json(&body).send().await.expect(202);
    let mut stored = external("b@x.io");
    stored["type"] = json!("aep");
    let mut profile = external("c@x.io");
    profile["profile"] = json!({ "city": "Lyon" });
    let body = call(&campaign, "r2", json!([stored, profile]));
    let problem = app.post(HIGH_THROUGHPUT).json(&body).send().await.problem(400, "invalid_field");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["recipients[0].type", "recipients[1].profile"]);
    assert_eq!(messages(&app).await, 1);
}

#[tokio::test]
async fn an_unknown_profile_is_named_and_nobody_is_sent_to() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let id =
        profile(&app, json!({ "email": "ada@x.io", "phone": "+33 6 12 34 56 78", "external_id": "crm-1" }))
            .await;
    let known =
        [("Ada@x.io", "email"), ("+33612345678", "Phone"), ("crm-1", "external_id"), (id.as_str(), "ECID")];
    for (n, (user, namespace)) in known.into_iter().enumerate() {
        let body = call(&campaign, &format!("k{n}"), json!([stored(user, namespace)]));
        app.post(UNITARY).json(&body).send().await.expect(202);
    }
    let sent = messages(&app).await;
    let nobody = ProfileId::random().to_string();
    for unknown in [stored("bob@x.io", "email"), stored(&nobody, "ecid")] {
        let body = call(&campaign, "r1", json!([stored("ada@x.io", "email"), unknown]));
        let problem = app.post(UNITARY).json(&body).send().await.problem(404, "profile_not_found");
        assert_eq!(problem["errors"][0]["field"], "recipients[1].userId");
        assert!(
            problem["errors"][0]["message"].as_str().unwrap().contains(unknown["userId"].as_str().unwrap())
        );
    }
    assert_eq!((sent, messages(&app).await), (4, 0));
}

#[tokio::test]
async fn an_unknown_profile_is_made_where_the_campaign_says_so() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({ "create_profiles": true })).await;
    let recipient = json!({
        "type": "aep", "userId": "bob@x.io", "namespace": "email",
        "channelData": { "mobilePhoneNumber": "+33 6 12 34 56 78" }, "profile": { "city": "Lyon" },
    });
    let body = call(&campaign, "r1", json!([recipient]));
    let first = app.post(UNITARY).json(&body).send().await.expect(202);
    let found = app.get("/profiles?email=bob%40x.io").send().await.expect(200);
    let made = &found["items"][0];
    assert_eq!((&made["email"], &made["phone"]), (&json!("bob@x.io"), &json!("+33612345678")), "{found}");
    // What the call says of the person is for its message only.
    assert_eq!(made["attributes"], json!({}), "{found}");
    assert_eq!(app.post(UNITARY).json(&body).send().await.expect(202), first);
    // No profile is made by a request that is refused.
    let other = call(&campaign, "r1", json!([{ "type": "aep", "userId": "eve@x.io", "namespace": "email" }]));
    app.post(UNITARY).json(&other).send().await.problem(422, "request_id_reused");
    let eve = app.get("/profiles?email=eve%40x.io").send().await.expect(200);
    assert_eq!(eve["items"], json!([]));
}

#[tokio::test]
async fn a_campaign_takes_calls_from_its_start_to_its_end() {
    let app = TestApp::new().await;
    let scheduled = json!({ "name": "c", "category": "transactional" });
    let scheduled = app.create("/campaigns", &scheduled).await;
    let of = |campaign: &str, request: &str| call(campaign, request, json!([external("a@x.io")]));
    app.post(UNITARY).json(&of(&scheduled, "r")).send().await.problem(409, "not_api_triggered");
    let nobody = CampaignId::random().to_string();
    app.post(UNITARY).json(&of(&nobody, "r")).send().await.problem(404, "not_found");
    let draft = json!({ "name": "c", "category": "transactional", "type": "api_triggered" });
    let draft = app.create("/campaigns", &draft).await;
    app.post(UNITARY).json(&of(&draft, "r")).send().await.problem(409, "campaign_not_live");
    let window = json!({
        "schedule": { "kind": "at", "date_time": "2026-11-26T09:00:00", "time_zone": "UTC" },
        "ends": { "at": "2026-11-27T09:00:00", "time_zone": "UTC" },
    });
    let campaign = live(&app, window).await;
    let early = app.post(UNITARY).json(&of(&campaign, "r1")).send().await;
    assert_eq!(early.problem(409, "campaign_not_started")["starts_at"], "2026-11-26T09:00:00Z");
    app.clock.advance(Duration::from_secs(24 * 3600));
    app.post(UNITARY).json(&of(&campaign, "r1")).send().await.expect(202);
    app.clock.advance(Duration::from_secs(24 * 3600));
    app.post(UNITARY).json(&of(&campaign, "r2")).send().await.problem(409, "campaign_ended");
    // What was taken is still answered.
    app.post(UNITARY).json(&of(&campaign, "r1")).send().await.expect(202);
}

#[tokio::test]
async fn every_call_takes_a_key_with_the_right() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    for path in [UNITARY, HIGH_THROUGHPUT, AUDIENCE] {
        app.anonymous(Method::POST, path).json(&body).send().await.problem(401, "unauthenticated");
        app.as_role(store::keys::Role::Manager, Method::POST, path)
            .json(&body)
            .send()
            .await
            .problem(403, "forbidden");
    }
    let key = app.key(store::keys::Role::Publisher).to_owned();
    // The other headers of the contract may come and mean nothing here.
    let answer = app
        .anonymous(Method::POST, UNITARY)
        .header("authorization", "Bearer a-token-of-theirs")
        .header("x-api-key", key)
        .header("x-gw-ims-org-id", "org")
        .header("x-sandbox-name", "prod")
        .header("x-request-id", "q")
        .json(&body);
    answer.send().await.expect(202);
    app.anonymous(Method::GET, "/im/health").send().await.expect(200);
}

async fn segment(app: &TestApp) -> String {
    app.create("/segments", &json!({ "name": "All", "kind": "rule", "expression": "true" })).await
}

#[tokio::test]
async fn an_audience_is_called_at_once() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    let body = json!({ "requestId": "r1", "campaignId": campaign, "audience": { "id": segment }, "context": { "a": 1 } });
    let first = app.post(AUDIENCE).json(&body).send().await.expect(202);
    assert_eq!(app.post(AUDIENCE).json(&body).send().await.expect(202), first);
    let mut other = body.clone();
    other["context"] = json!({ "a": 2 });
    app.post(AUDIENCE).json(&other).send().await.problem(422, "request_id_reused");
    let path = format!("{AUDIENCE}/{}", first["executionId"].as_str().unwrap());
    let status = app.get(&path).send().await.expect(200);
    assert_eq!((&status["status"], &status["audienceId"]), (&json!("InProgress"), &json!(segment)));
    let executions = app.get(&format!("/campaigns/{campaign}/executions")).send().await.expect(200);
    assert_eq!(executions["items"].as_array().unwrap().len(), 1);
    // Without a name each request is another.
    let nameless = json!({ "campaignId": campaign, "audience": { "id": segment } });
    let one = app.post(AUDIENCE).json(&nameless).send().await.expect(202);
    let two = app.post(AUDIENCE).json(&nameless).send().await.expect(202);
    assert_ne!(one["executionId"], two["executionId"]);
    let nobody = json!({ "campaignId": campaign });
    let problem = app.post(AUDIENCE).json(&nobody).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "audience");
    let gone = json!({ "campaignId": campaign, "audience": { "id": "00000000000000000000000004" } });
    app.post(AUDIENCE).json(&gone).send().await.problem(404, "not_found");
    let system = json!({ "campaignId": campaign, "audience": { "id": segment }, "context": { "system": 1 } });
    let problem = app.post(AUDIENCE).json(&system).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "context.system");
    app.get(&format!("{AUDIENCE}/00000000000000000000000004")).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn an_audience_is_called_at_an_instant_unless_that_is_taken_back() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    let body = |request: &str, at: &str| {
        json!({
            "requestId": request, "campaignId": campaign, "audience": { "id": segment },
            "schedule": { "executeAt": at },
        })
    };
    let problem = app.post(AUDIENCE).json(&body("r", "2026-11-25T08:59:59Z")).send().await;
    assert_eq!(problem.problem(400, "invalid_field")["errors"][0]["field"], "schedule.executeAt");
    let planned = body("r1", "2026-11-25T12:00:00+01:00");
    let first = app.post(AUDIENCE).json(&planned).send().await.expect(202);
    assert_eq!(
        (&first["scheduleStatus"], &first["executeAt"]),
        (&json!("Scheduled"), &json!("2026-11-25T11:00:00Z"))
    );
    assert_eq!(app.post(AUDIENCE).json(&planned).send().await.expect(202), first);
    app.post(AUDIENCE)
        .json(&body("r1", "2026-11-25T13:00:00Z"))
        .send()
        .await
        .problem(422, "request_id_reused");
    let back = app.post(AUDIENCE).json(&body("r2", "2026-11-25T11:00:00Z")).send().await.expect(202);
    let path =
        |schedule: &Value| format!("/im/executions/schedules/{}", schedule["scheduleId"].as_str().unwrap());
    let delete = async |schedule: &Value| {
        app.as_role(store::keys::Role::Publisher, Method::DELETE, &path(schedule)).send().await
    };
    assert_eq!(delete(&back).await.expect(200), json!({}));
    app.get(&path(&back)).send().await.problem(404, "not_found");
    delete(&back).await.problem(404, "not_found");
    // Too early nothing happens, and once its time has come it happens once.
    let id = first["scheduleId"].as_str().unwrap().parse().unwrap();
    app.store.make_call(id).await.unwrap();
    assert_eq!(app.get(&path(&first)).send().await.expect(200), first);
    app.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(app.store.due_calls(app.store.platform.clock.now(), 10).await.unwrap(), [id]);
    app.store.make_call(id).await.unwrap();
    app.store.make_call(id).await.unwrap();
    let run = app.get(&path(&first)).send().await.expect(200);
    assert_eq!(
        (&run["scheduleStatus"], &run["executionDetails"]["status"]),
        (&json!("Triggered"), &json!("InProgress"))
    );
    let executions = app.get(&format!("/campaigns/{campaign}/executions")).send().await.expect(200);
    assert_eq!(executions["items"].as_array().unwrap().len(), 1);
    delete(&first).await.problem(409, "already_triggered");
    assert!(app.store.due_calls(app.store.platform.clock.now(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_planned_call_to_a_campaign_that_was_stopped_has_failed() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    let body = json!({
        "campaignId": campaign, "audience": { "id": segment }, "schedule": { "executeAt": "2026-11-25T11:00:00Z" },
    });
    let planned = app.post(AUDIENCE).json(&body).send().await.expect(202);
    app.post(&format!("/campaigns/{campaign}/stop")).send().await.expect(200);
    app.clock.advance(Duration::from_secs(2 * 3600));
    let id = planned["scheduleId"].as_str().unwrap();
    app.store.make_call(id.parse().unwrap()).await.unwrap();
    let run = app.get(&format!("/im/executions/schedules/{id}")).send().await.expect(200);
    let details = &run["executionDetails"];
    assert_eq!(
        (&details["status"], &details["reason"]),
        (&json!("Failed"), &json!("the campaign was stopped"))
    );
}

#[tokio::test]
async fn a_draft_beside_a_live_one_takes_its_place_for_the_next_call() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let path = format!("/campaigns/{campaign}");
    app.patch(&path).json(&json!({ "create_profiles": true })).send().await.expect(200);
    let id: CampaignId = campaign.parse().unwrap();
    let by = Actor::envoi();
    app.store.campaigns.command(id, Command::Activate, &by, |_| Ok(())).await.unwrap();
    app.store.campaigns.command(id, Command::Replace, &by, |_| Ok(())).await.unwrap();
    app.clock.advance(Duration::from_secs(2));
    let body = call(&campaign, "r1", json!([external("a@x.io")]));
    let answer = app.post(UNITARY).json(&body).send().await.expect(202);
    let head = app.store.ledger.head(answer["executionId"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let head = head.unwrap();
    assert_eq!((head.version, head.state), (2, State::Running));
}

#[tokio::test]
async fn two_names_of_one_profile_are_one_recipient_named_twice() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({})).await;
    let id = profile(&app, json!({ "email": "ada@x.io", "phone": "+33612345678" })).await;
    let recipients = [stored("ada@x.io", "email"), stored("+33612345678", "phone"), stored(&id, "ecid")];
    let body = call(&campaign, "r1", json!(recipients));
    let problem = app.post(UNITARY).json(&body).send().await.problem(400, "invalid_field");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["recipients[1].userId", "recipients[2].userId"]);
    assert_eq!(messages(&app).await, 0);
}

#[tokio::test]
async fn the_recipients_of_a_call_are_listed_in_its_order_before_anything_is_known_of_them() {
    let app = TestApp::new().await;
    let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "<p>x</p>" } } });
    let campaign = live(&app, json!({ "actions": [action, action] })).await;
    let id = profile(&app, json!({ "email": "ada@x.io" })).await;
    let stored = json!({ "type": "aep", "userId": id, "namespace": "ecid" });
    let body = call(&campaign, "r1", json!([external("b@x.io"), stored, external("c@x.io")]));
    let answer = app.post(UNITARY).json(&body).send().await.expect(202);
    let path = format!("/executions/{}/recipients", answer["executionId"].as_str().unwrap());
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}?limit=2{cursor}")).send().await.expect(200);
        listed.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let of = |action: u8, index: u8, profile: Value| {
        json!({
            "profile_id": profile, "index": index, "action": action,
            "outcome": "pending", "reason": "pending", "detail": null, "events": [],
        })
    };
    let expected: Vec<_> = (0..2)
        .flat_map(|action| [of(action, 0, Value::Null), of(action, 1, json!(id)), of(action, 2, Value::Null)])
        .collect();
    assert_eq!(listed, expected);
    let second = app.get(&format!("{path}?action=1&outcome=pending")).send().await.expect(200);
    assert_eq!(second["items"].as_array().unwrap().len(), 3);
}

/// The request for an audience at an instant, or at once.
fn to_audience(campaign: &str, segment: &str, request: &str, at: Option<&str>) -> Value {
    let mut body = json!({ "requestId": request, "campaignId": campaign, "audience": { "id": segment } });
    if let Some(at) = at {
        body["schedule"] = json!({ "executeAt": at });
    }
    body
}

const LATER: Option<&str> = Some("2026-11-25T11:00:00Z");

async fn schedule(app: &TestApp, id: &Value) -> Value {
    app.get(&format!("/im/executions/schedules/{}", id.as_str().unwrap())).send().await.expect(200)
}

#[tokio::test]
async fn a_planned_call_s_request_id_is_no_other_call_s() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    let body = to_audience(&campaign, &segment, "r1", LATER);
    let planned = app.post(AUDIENCE).json(&body).send().await.expect(202);
    let at_once = to_audience(&campaign, &segment, "r1", None);
    app.post(AUDIENCE).json(&at_once).send().await.problem(422, "request_id_reused");
    let unitary = call(&campaign, "r1", json!([external("a@x.io")]));
    app.post(UNITARY).json(&unitary).send().await.problem(422, "request_id_reused");
    app.post(HIGH_THROUGHPUT).json(&unitary).send().await.problem(422, "request_id_reused");
    assert_eq!(messages(&app).await, 0);
    // It is nothing yet that could be looked at, and its time comes as if nobody had asked.
    let id = planned["scheduleId"].as_str().unwrap();
    app.get(&format!("{AUDIENCE}/{id}")).send().await.problem(404, "not_found");
    app.get(&format!("/executions/{id}/recipients")).send().await.problem(404, "not_found");
    app.clock.advance(Duration::from_secs(2 * 3600));
    app.store.make_call(id.parse().unwrap()).await.unwrap();
    let made = schedule(&app, &planned["scheduleId"]).await;
    assert_eq!(made["executionDetails"]["status"], "InProgress", "{made}");
    // A repeat is answered with how it stands by now.
    assert_eq!(app.post(AUDIENCE).json(&body).send().await.expect(202), made);
    app.post(AUDIENCE).json(&at_once).send().await.problem(422, "request_id_reused");
}

#[tokio::test]
async fn nothing_is_planned_under_the_request_id_of_a_call_that_was_made() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    app.post(AUDIENCE).json(&to_audience(&campaign, &segment, "r1", None)).send().await.expect(202);
    let unitary = call(&campaign, "r2", json!([external("a@x.io")]));
    app.post(UNITARY).json(&unitary).send().await.expect(202);
    for request in ["r1", "r2"] {
        let planned = to_audience(&campaign, &segment, request, LATER);
        app.post(AUDIENCE).json(&planned).send().await.problem(422, "request_id_reused");
    }
    app.clock.advance(Duration::from_secs(2 * 3600));
    assert!(app.store.due_calls(app.store.platform.clock.now(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_a_plan_and_a_call_at_once_under_one_request_id_one_is_taken() {
    let app = TestApp::on_disk().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    for n in 0..10 {
        let planned = to_audience(&campaign, &segment, &format!("r{n}"), LATER);
        let unitary = call(&campaign, &format!("r{n}"), json!([external("a@x.io")]));
        let (one, other) =
            futures::join!(app.post(AUDIENCE).json(&planned).send(), app.post(UNITARY).json(&unitary).send());
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 422]);
    }
}

#[tokio::test]
async fn a_late_repeat_of_a_plan_that_was_taken_back_plans_nothing() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = live(&app, json!({})).await;
    let body = to_audience(&campaign, &segment, "r1", LATER);
    let planned = app.post(AUDIENCE).json(&body).send().await.expect(202);
    let path = format!("/im/executions/schedules/{}", planned["scheduleId"].as_str().unwrap());
    app.as_role(store::keys::Role::Publisher, Method::DELETE, &path).send().await.expect(200);
    app.post(AUDIENCE).json(&body).send().await.problem(409, "taken_back");
    let at_once = to_audience(&campaign, &segment, "r1", None);
    app.post(AUDIENCE).json(&at_once).send().await.problem(422, "request_id_reused");
    app.get(&path).send().await.problem(404, "not_found");
    app.clock.advance(Duration::from_secs(2 * 3600));
    assert!(app.store.due_calls(app.store.platform.clock.now(), 10).await.unwrap().is_empty());
    app.post(AUDIENCE).json(&to_audience(&campaign, &segment, "r2", None)).send().await.expect(202);
}

/// An API-triggered campaign that takes calls from noon to six o'clock.
async fn in_the_afternoon(app: &TestApp) -> String {
    let window = json!({
        "schedule": { "kind": "at", "date_time": "2026-11-25T12:00:00", "time_zone": "UTC" },
        "ends": { "at": "2026-11-25T18:00:00", "time_zone": "UTC" },
    });
    live(app, window).await
}

#[tokio::test]
async fn a_call_that_could_not_run_then_is_not_planned() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = in_the_afternoon(&app).await;
    let plan = async |at: &str| {
        let body = to_audience(&campaign, &segment, at, Some(at));
        app.post(AUDIENCE).json(&body).send().await
    };
    let early = plan("2026-11-25T11:59:59Z").await.problem(409, "campaign_not_started");
    assert_eq!(early["starts_at"], "2026-11-25T12:00:00Z");
    let late = plan("2026-11-25T18:00:00Z").await.problem(409, "campaign_ended");
    assert_eq!(late["ended_at"], "2026-11-25T18:00:00Z");
    plan("2026-11-25T12:00:00Z").await.expect(202);
    // The campaign names no segment either.
    let mut nobody = to_audience(&campaign, &segment, "r", Some("2026-11-25T13:00:00Z"));
    nobody.as_object_mut().unwrap().remove("audience");
    let problem = app.post(AUDIENCE).json(&nobody).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "audience");
    nobody["audience"] = json!({ "id": "00000000000000000000000004" });
    app.post(AUDIENCE).json(&nobody).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_planned_call_that_comes_too_late_says_so() {
    let app = TestApp::new().await;
    let segment = segment(&app).await;
    let campaign = in_the_afternoon(&app).await;
    let body = to_audience(&campaign, &segment, "r1", Some("2026-11-25T17:59:00Z"));
    let planned = app.post(AUDIENCE).json(&body).send().await.expect(202);
    app.clock.advance(Duration::from_secs(10 * 3600));
    app.store.make_call(planned["scheduleId"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let details = schedule(&app, &planned["scheduleId"]).await["executionDetails"].clone();
    assert_eq!(
        (&details["status"], &details["reason"]),
        (&json!("Failed"), &json!("the campaign had ended at 2026-11-25T18:00:00Z"))
    );
}

/// How many profiles there are.
async fn people(app: &TestApp) -> u64 {
    app.store.profiles.estimate().await.unwrap()
}

#[tokio::test]
async fn a_call_that_no_table_would_hold_is_refused_by_the_recipient_that_is_too_much() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({ "create_profiles": true })).await;
    let recipients = |bytes: usize| {
        let recipient = |n| {
            json!({
                "type": "aep", "userId": format!("u{n}@x.io"), "namespace": "email",
                "profile": { "note": "y".repeat(bytes) },
            })
        };
        json!((0..20).map(recipient).collect::<Vec<_>>())
    };
    let large = call(&campaign, "r1", recipients(30 * 1024));
    let problem = app.post(UNITARY).json(&large).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "recipients[9]", "{problem}");
    assert_eq!((people(&app).await, messages(&app).await), (0, 0));
    let fits = call(&campaign, "r1", recipients(15 * 1000));
    app.post(UNITARY).json(&fits).send().await.expect(202);
    assert_eq!((people(&app).await, messages(&app).await), (20, 1));
}

fn stored(user: &str, namespace: &str) -> Value {
    json!({ "type": "aep", "userId": user, "namespace": namespace })
}

#[tokio::test]
async fn two_names_of_one_new_person_are_one_recipient_named_twice() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({ "create_profiles": true })).await;
    let with_email = |user: &str, email: &str| {
        let mut recipient = stored(user, "external_id");
        recipient["channelData"] = json!({ "emailAddress": email });
        recipient
    };
    let new = || stored("new@x.io", "email");
    for same in [
        [stored("+33 6 12 34 56 78", "phone"), stored("+33612345678", "Phone")],
        [stored("Ada@x.io", "email"), stored(" ada@X.io", "Email")],
        [with_email("C1", "a@x.io"), stored("A@x.io", "email")],
        [stored("a@x.io", "email"), with_email("C1", "a@x.io")],
        [with_email("C1", "a@x.io"), with_email("C2", "a@x.io")],
    ] {
        let [one, other] = same;
        let body = call(&campaign, "r1", json!([new(), one, other]));
        let problem = app.post(UNITARY).json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], "recipients[2].userId", "{problem}");
        assert_eq!(people(&app).await, 0, "{problem}");
    }
    // Ids of another system may differ by their case alone.
    let body = call(&campaign, "r1", json!([stored("C1a", "external_id"), stored("c1A", "external_id")]));
    app.post(UNITARY).json(&body).send().await.expect(202);
    assert_eq!((people(&app).await, messages(&app).await), (2, 1));
}

#[tokio::test]
async fn a_call_that_is_refused_leaves_nobody_behind() {
    let app = TestApp::new().await;
    let campaign = live(&app, json!({ "create_profiles": true })).await;
    profile(&app, json!({ "email": "taken@x.io", "external_id": "C1" })).await;
    let mut taken = stored("C2", "external_id");
    taken["channelData"] = json!({ "emailAddress": "Taken@x.io" });
    let nobody = stored(&ProfileId::random().to_string(), "ecid");
    let body = |last: &Value| call(&campaign, "r1", json!([stored("new@x.io", "email"), last]));
    let problem = app.post(UNITARY).json(&body(&taken)).send().await.problem(409, "identity_taken");
    assert_eq!(problem["errors"][0]["field"], "recipients[1].email", "{problem}");
    let problem = app.post(UNITARY).json(&body(&nobody)).send().await.problem(404, "profile_not_found");
    assert_eq!(problem["errors"][0]["field"], "recipients[1].userId", "{problem}");
    assert_eq!((people(&app).await, messages(&app).await), (1, 0));
}
