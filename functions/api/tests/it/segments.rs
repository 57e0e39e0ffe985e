use campaign::ExecutionId;
use campaign::call::Call;
use campaign::model::Actor;
use campaign::status::Command;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::calls::{AudienceCall, CallSchedule, CallState, call_schedule_id};
use store::ledger::{Audience, CallRequest, Head, State};

use crate::app::TestApp;
use crate::executions::Run;

async fn people(app: &TestApp) {
    let profiles: Vec<_> = (0..50)
        .map(|n| {
            let mut profile =
                json!({ "external_id": n.to_string(), "email": format!("p{n}@x.io"), "attributes": {} });
            if n % 5 != 0 {
                profile["attributes"]["country"] = json!(if n % 2 == 0 { "de" } else { "fr" });
            }
            profile
        })
        .collect();
    app.post("/profiles/batch").json(&json!({ "profiles": profiles })).send().await.expect(200);
}

#[tokio::test]
async fn a_rule_is_made_changed_counted_and_sampled() {
    let app = TestApp::new().await;
    people(&app).await;
    let body = json!({ "name": "germans", "description": "d", "kind": "rule", "expression": "profile.country == 'de'" });
    let answer = app.post("/segments").json(&body).send().await;
    assert_eq!(answer.etag(), "\"1\"");
    let made = answer.expect(201);
    assert_eq!((&made["kind"], &made["expression"]), (&json!("rule"), &body["expression"]));
    let path = format!("/segments/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).send().await.expect(200), made);

    let count = app.post(&format!("{path}/count")).send().await.expect(200);
    assert_eq!(count, json!({ "members": 20, "undecided": 10, "scanned": 50, "complete": true }));
    let sample = app.get(&format!("{path}/sample?limit=7")).send().await.expect(200);
    let sample = sample["items"].as_array().unwrap();
    assert_eq!(sample.len(), 7);
    assert!(sample.iter().all(|profile| profile["attributes"]["country"] == "de"));
    app.get(&format!("{path}/sample?limit=21")).send().await.problem(400, "invalid_parameter");

    let changed = app
        .patch(&path)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "french", "expression": "profile.country == 'fr'" }));
    let changed = changed.send().await.expect(200);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("french"), &json!("d")));
    app.patch(&path)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "x" }))
        .send()
        .await
        .problem(412, "precondition_failed");
    assert_eq!(
        app.patch(&path).json(&json!({ "description": null })).send().await.expect(200)["description"],
        ""
    );
    app.delete(&path).header("if-match", "\"1\"").send().await.problem(412, "precondition_failed");
    app.delete(&path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_rule_that_is_wrong_says_where() {
    let app = TestApp::new().await;
    let body = json!({ "name": "r", "kind": "rule", "expression": "profile.age >\n old" });
    let problem = app.post("/segments").json(&body).send().await.problem(400, "invalid_rule");
    let error = &problem["errors"][0];
    assert_eq!(
        (&error["field"], &error["line"], &error["column"]),
        (&json!("expression"), &json!(2), &json!(2))
    );
    let id = app.create("/segments", &json!({ "name": "r", "kind": "rule", "expression": "true" })).await;
    let path = format!("/segments/{id}");
    app.patch(&path).json(&json!({ "expression": "(" })).send().await.problem(400, "invalid_rule");
    app.post("/segments")
        .json(&json!({ "name": "r", "kind": "rule" }))
        .send()
        .await
        .problem(400, "invalid_field");
    let list = json!({ "name": "l", "kind": "list", "expression": "true" });
    app.post("/segments").json(&list).send().await.problem(400, "invalid_field");
    let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    app.patch(&format!("/segments/{list}"))
        .json(&json!({ "expression": "true" }))
        .send()
        .await
        .problem(400, "invalid_field");
}

#[tokio::test]
async fn a_list_takes_names_of_every_kind_and_counts_each_person_once() {
    let app = TestApp::new().await;
    people(&app).await;
    let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    let members = format!("/segments/{list}/members");
    let found = app.get("/profiles?email=p3@x.io").send().await.expect(200);
    let id = &found["items"][0]["id"];
    // Corpus J1: three ways to name one person, and one other.
    let body = json!({ "profiles": [id, "nonsense", "00000000000000000000000000"], "emails": ["P3@x.io", "p4@x.io", "zz@x.io"], "external_ids": ["3"] });
    let added = app.put(&members).json(&body).send().await.expect(200);
    assert_eq!((&added["changed"], &added["members"]), (&json!(2), &json!(2)));
    let unknown: Vec<_> =
        added["unknown"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(unknown, ["profiles[1]", "profiles[2]", "emails[2]"]);
    assert_eq!(
        app.put(&members).json(&json!({ "external_ids": ["3"] })).send().await.expect(200)["changed"],
        0
    );
    let sample = app.get(&format!("/segments/{list}/sample")).send().await.expect(200);
    assert_eq!(sample["items"].as_array().unwrap().len(), 2);

    let file = "name,email\nx,p4@x.io\ny,p5@x.io\nz,nobody\nw,no@x.io\nv,P5@x.io\n";
    let report = app.post(&format!("{members}/import")).csv(file).send().await.expect(200);
    assert_eq!(
        (&report["rows"], &report["added"], &report["unchanged"], &report["invalid"]),
        (&json!(5), &json!(1), &json!(2), &json!(2))
    );
    assert_eq!((&report["errors"][0]["row"], &report["errors"][1]["row"]), (&json!(3), &json!(4)));

    let removed =
        app.delete(&members).json(&json!({ "emails": ["p4@x.io", "p6@x.io"] })).send().await.expect(200);
    assert_eq!(
        (&removed["changed"], &removed["unchanged"], &removed["members"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let count = app.post(&format!("/segments/{list}/count")).send().await.expect(200);
    assert_eq!(count, json!({ "members": 2, "undecided": 0, "scanned": 2, "complete": true }));

    app.put(&members).json(&json!({})).send().await.problem(400, "invalid_field");
    app.post(&format!("{members}/import")).csv("name\nx\n").send().await.problem(400, "invalid_csv");
    let rule = app.create("/segments", &json!({ "name": "r", "kind": "rule", "expression": "true" })).await;
    app.put(&format!("/segments/{rule}/members")).json(&body).send().await.problem(409, "not_a_list");
    app.delete(&format!("/segments/{rule}/members")).json(&body).send().await.problem(409, "not_a_list");
    app.post(&format!("/segments/{rule}/members/import")).csv(file).send().await.problem(409, "not_a_list");
}

#[tokio::test]
async fn segments_that_were_made_in_one_instant_are_all_listed_once() {
    let app = TestApp::new().await;
    for n in 0..23 {
        app.create("/segments", &json!({ "name": format!("s{n}"), "kind": "list" })).await;
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/segments?limit=5{cursor}")).send().await.expect(200);
        names.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names.len(), 23);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 23);
}

#[tokio::test]
async fn a_segment_in_use_stays() {
    let app = TestApp::new().await;
    let segment = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    let campaign = json!({ "name": "c", "category": "marketing", "segment_id": segment });
    let campaign = app.create("/campaigns", &campaign).await;
    let path = format!("/segments/{segment}");
    let command = async |command| {
        app.store
            .campaigns
            .command(campaign.parse().unwrap(), command, &Actor::envoi(), |_| Ok(()))
            .await
            .unwrap();
    };
    command(Command::Activate).await;
    let problem: Value = app.delete(&path).send().await.problem(409, "in_use");
    assert_eq!(problem["campaign_id"], json!(campaign));
    command(Command::BecomeScheduled).await;
    app.delete(&path).send().await.problem(409, "in_use");
    command(Command::Stop).await;
    app.delete(&path).send().await.expect(204);
}

#[tokio::test]
async fn a_list_stays_that_an_open_execution_reads_or_a_planned_call_names() {
    let Run { app, campaign, head, .. } = Run::start(1).await;
    let list = app.create("/segments", &json!({ "name": "another", "kind": "list" })).await;
    let path = format!("/segments/{list}");
    // No version names it: it is the execution of a call, or of a version that another has replaced since.
    let mut campaign = app.store.campaigns.get(campaign).await.unwrap();
    campaign.open_executions += 1;
    let audience = Audience::List { segment: list.parse().unwrap(), generation: 1, partitions: 16 };
    let head = Head { id: ExecutionId::random(), audience, ..head };
    assert!(app.store.ledger.start(&campaign, &head, Vec::new()).await.unwrap());
    let problem = app.delete(&path).send().await.problem(409, "in_use");
    assert_eq!(problem["execution_id"], json!(head.id));
    app.store.ledger.turn(head.id, &State::OPEN, State::Stopping).await.unwrap();

    let request = CallRequest { id: "r".to_owned(), by: Actor::envoi(), hash: "0".repeat(64) };
    let segment = Some(list.parse().unwrap());
    let schedule = CallSchedule {
        id: call_schedule_id(campaign.id, "r"),
        call: AudienceCall { campaign: campaign.id, segment, request, call: Call::default() },
        execute_at: app.store.platform.clock.now() + SignedDuration::from_hours(1),
        created_at: app.store.platform.clock.now(),
        state: CallState::Scheduled,
        execution: None,
        why: None,
    };
    app.store.plan_call(&schedule).await.unwrap();
    let problem = app.delete(&path).send().await.problem(409, "in_use");
    assert_eq!(problem["schedule_id"], json!(schedule.id));
    app.store.cancel_call(schedule.id).await.unwrap();

    app.delete(&path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
    let jobs = app.get("/jobs").send().await.expect(200);
    let job = &jobs["items"][0];
    assert_eq!((&job["kind"], &job["state"]), (&json!("delete_list"), &json!("queued")));
    assert_eq!((&job["segment_id"], &job["result"]), (&json!(list), &json!({ "removed": 0 })));
}
