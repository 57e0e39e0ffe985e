//! When campaigns start and end, as the API takes and shows it.

use campaign::model::Actor;
use campaign::segment::SegmentKind;
use campaign::status::Command;
use campaign::{CampaignId, SegmentId};
use serde_json::{Value, json};
use store::Segment;
use store::ledger::{ExecutionSummary, State, execution_id};

use crate::app::TestApp;

fn recurring(fields: &Value) -> Value {
    let mut schedule = json!({
        "kind": "recurring", "frequency": "daily", "every": 1, "time": "09:00:00", "start": "2027-03-01",
        "time_zone": "Europe/Paris",
    });
    schedule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    schedule
}

fn body(schedule: &Value, ends: &Value) -> Value {
    let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "<p>x</p><a href='{{links.unsubscribe}}'>no more</a>" } } });
    json!({
        "name": "c", "category": "marketing", "actions": [action], "schedule": schedule, "ends": ends,
    })
}

async fn campaign(app: &TestApp, schedule: &Value, ends: &Value) -> String {
    format!("/campaigns/{}", app.create("/campaigns", &body(schedule, ends)).await)
}

#[tokio::test]
async fn a_recurring_schedule_comes_back_as_it_went_in() {
    let app = TestApp::new().await;
    for fields in [
        json!({}),
        json!({ "frequency": "weekly", "every": 2, "weekdays": ["monday", "friday"], "end": "2028-01-31" }),
        json!({ "frequency": "monthly", "days": [1, 31, "last"], "occurrences": 10 }),
    ] {
        let schedule = recurring(&fields);
        let ends = json!({ "at": "2028-12-31", "time_zone": "Asia/Tokyo" });
        let made = app.post("/campaigns").json(&body(&schedule, &ends)).send().await.expect(201);
        assert_eq!((&made["draft"]["schedule"], &made["draft"]["ends"]), (&schedule, &ends));
        let path = format!("/campaigns/{}", made["id"].as_str().unwrap());
        assert_eq!(app.get(&path).send().await.expect(200), made);
    }
}

#[tokio::test]
async fn a_zone_is_shown_under_its_canonical_name() {
    let app = TestApp::new().await;
    let once = json!({ "kind": "at", "date_time": "2027-03-14T09:00:00", "time_zone": "US/Pacific" });
    for schedule in [once, recurring(&json!({ "time_zone": "us/pacific" }))] {
        let path = campaign(&app, &schedule, &json!({ "at": "2028-12-31T10:00" })).await;
        let draft = app.get(&path).send().await.expect(200)["draft"].clone();
        assert_eq!(draft["schedule"]["time_zone"], "America/Los_Angeles");
        let ends = json!({ "at": "2028-12-31T10:00:00", "time_zone": "America/Los_Angeles" });
        assert_eq!(draft["ends"], ends);
    }
}

#[tokio::test]
async fn a_wrong_field_of_a_schedule_is_named() {
    let app = TestApp::new().await;
    let once = json!({ "kind": "at", "date_time": "2027-03-14T09:00:00", "time_zone": "UTC" });
    let mut mixed = once.clone();
    mixed["every"] = json!(2);
    let day = json!({ "at": "2028-12-31" });
    for (schedule, ends, field) in [
        (recurring(&json!({ "every": 0 })), Value::Null, "schedule.every"),
        (recurring(&json!({ "every": "2" })), Value::Null, "schedule.every"),
        (recurring(&json!({ "frequency": "hourly" })), Value::Null, "schedule.frequency"),
        (recurring(&json!({ "time_zone": "Mars/Olympus" })), Value::Null, "schedule.time_zone"),
        (recurring(&json!({ "time": "9 am" })), Value::Null, "schedule.time"),
        (recurring(&json!({ "time": null })), Value::Null, "schedule.time"),
        (recurring(&json!({ "start": "9001-01-01" })), Value::Null, "schedule.start"),
        (recurring(&json!({ "end": "2027-02-28" })), Value::Null, "schedule.end"),
        (recurring(&json!({ "end": "2027-04-01", "occurrences": 3 })), Value::Null, "schedule.occurrences"),
        (recurring(&json!({ "weekdays": ["monday"] })), Value::Null, "schedule.weekdays"),
        (recurring(&json!({ "frequency": "monthly", "days": [1, 32] })), Value::Null, "schedule.days[1]"),
        (recurring(&json!({ "date_time": "2027-03-14T09:00:00" })), Value::Null, "schedule.date_time"),
        (recurring(&json!({ "hour": 9 })), Value::Null, "schedule.hour"),
        (mixed, Value::Null, "schedule.every"),
        (json!({ "kind": "at_activation", "start": "2027-03-14" }), Value::Null, "schedule.start"),
        (once.clone(), json!({ "at": "soon" }), "ends.at"),
        (once.clone(), json!({ "at": "2028-12-31", "time_zone": "Mars" }), "ends.time_zone"),
        (once, json!({ "at": "9999-12-31" }), "ends.at"),
        (json!({ "kind": "at_activation" }), day, "ends.time_zone"),
    ] {
        let answer = app.post("/campaigns").json(&body(&schedule, &ends)).send().await;
        let problem = answer.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn an_end_can_be_given_changed_and_taken_back() {
    let app = TestApp::new().await;
    let path = campaign(&app, &json!({ "kind": "at_activation" }), &Value::Null).await;
    let patched =
        async |patch: Value| app.patch(&path).json(&patch).send().await.expect(200)["draft"]["ends"].clone();
    let instant = json!({ "ends": { "at": "2027-01-01T00:00:00+01:00" } });
    assert_eq!(patched(instant).await, json!({ "at": "2026-12-31T23:00:00Z", "time_zone": "UTC" }));
    let both = json!({ "ends": { "at": "2027-12-31" }, "schedule": recurring(&json!({})) });
    assert_eq!(patched(both).await, json!({ "at": "2027-12-31", "time_zone": "Europe/Paris" }));
    assert_eq!(patched(json!({ "schedule": null })).await["at"], "2027-12-31");
    assert_eq!(patched(json!({ "ends": null })).await, Value::Null);
}

#[tokio::test]
async fn the_coming_occurrences_are_shown_in_both_zones_and_utc() {
    let app = TestApp::new().await;
    let schedule = recurring(&json!({ "start": "2027-03-13", "time": "02:30", "time_zone": "US/Eastern" }));
    let path = campaign(&app, &schedule, &json!({ "at": "2027-03-15" })).await;
    let shown = app.get(&format!("{path}/occurrences?time_zone=asia/calcutta")).send().await.expect(200);
    assert_eq!(
        (&shown["version"], &shown["campaign_time_zone"], &shown["time_zone"]),
        (&json!(1), &json!("America/New_York"), &json!("Asia/Kolkata"))
    );
    assert_eq!(
        shown["items"],
        json!([
            {
                "number": 1, "instant": "2027-03-13T07:30:00Z", "moved_from": null, "recipient_time": null,
                "campaign": { "local": "2027-03-13T02:30:00", "offset": "-05:00" },
                "asked": { "local": "2027-03-13T13:00:00", "offset": "+05:30" },
            },
            {
                "number": 2, "instant": "2027-03-14T07:30:00Z", "moved_from": "2027-03-14T02:30:00", "recipient_time": null,
                "campaign": { "local": "2027-03-14T03:30:00", "offset": "-04:00" },
                "asked": { "local": "2027-03-14T13:00:00", "offset": "+05:30" },
            },
            {
                "number": 3, "instant": "2027-03-15T06:30:00Z", "moved_from": null, "recipient_time": null,
                "campaign": { "local": "2027-03-15T02:30:00", "offset": "-04:00" },
                "asked": { "local": "2027-03-15T12:00:00", "offset": "+05:30" },
            },
        ])
    );
    let two = app.get(&format!("{path}/occurrences?n=2")).send().await.expect(200);
    assert_eq!(two["items"].as_array().unwrap().len(), 2);
    assert_eq!((&two["time_zone"], &two["items"][0]["asked"]), (&Value::Null, &Value::Null));
    for query in ["n=0", "n=101", "n=x", "time_zone=Mars", "m=1"] {
        app.get(&format!("{path}/occurrences?{query}")).send().await.problem(400, "invalid_parameter");
    }
    app.get("/campaigns/00000000000000000000000000/occurrences").send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_live_campaign_s_occurrences_go_on_from_its_next_one() {
    let app = TestApp::new().await;
    let path = campaign(&app, &recurring(&json!({ "start": "2026-11-20" })), &Value::Null).await;
    let numbers = async || {
        let shown = app.get(&format!("{path}/occurrences?n=3")).send().await.expect(200);
        let items = shown["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // It is ten o'clock in Paris on the 25th: today's has passed.
    assert_eq!(numbers().await, [7, 8, 9]);
    app.post(&format!("{path}/activate")).send().await.expect(202);
    let id: CampaignId = path.strip_prefix("/campaigns/").unwrap().parse().unwrap();
    let next = "2026-11-28T08:00:00Z";
    let by = Actor::envoi();
    let live = app.store.campaigns.command(id, Command::BecomeScheduled, &by, |campaign| {
        campaign.next_occurrence = Some(next.parse().unwrap());
        Ok(())
    });
    live.await.unwrap();
    assert_eq!(numbers().await, [9, 10, 11]);
    assert_eq!(app.get(&path).send().await.expect(200)["next_occurrence"], next);
    app.post(&format!("{path}/stop")).send().await.expect(200);
    assert_eq!(numbers().await, [0; 0]);
}

#[tokio::test]
async fn one_start_is_one_occurrence_and_an_activation_is_none_before_it_is_asked_for() {
    let app = TestApp::new().await;
    let once = json!({ "kind": "at", "date_time": "2027-07-14T09:00:00", "time_zone": "Europe/Paris" });
    let path = campaign(&app, &once, &Value::Null).await;
    let shown = app.get(&format!("{path}/occurrences")).send().await.expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
    assert_eq!(shown["items"][0]["instant"], "2027-07-14T07:00:00Z");
    let path = campaign(&app, &json!({ "kind": "at_activation" }), &Value::Null).await;
    let shown = app.get(&format!("{path}/occurrences")).send().await.expect(200);
    assert_eq!((&shown["items"], &shown["campaign_time_zone"]), (&json!([]), &Value::Null));
}

/// The findings of a campaign about its schedule.
async fn findings(app: &TestApp, schedule: Value, ends: Value) -> Vec<(String, String)> {
    let path = campaign(app, &schedule, &ends).await;
    let found = app.post(&format!("{path}/validate")).send().await.expect(200);
    let findings = found["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            (finding["field"].as_str().unwrap().to_owned(), finding["code"].as_str().unwrap().to_owned())
        })
        .filter(|(field, _)| field.starts_with("schedule") || field.starts_with("ends"))
        .collect()
}

#[tokio::test]
async fn a_schedule_with_nothing_ahead_can_t_be_activated() {
    let app = TestApp::new().await;
    let past = |fields: &Value| {
        let mut schedule = recurring(&json!({ "start": "2026-11-20" }));
        schedule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        schedule
    };
    let once = |time: &str| json!({ "kind": "at", "date_time": time, "time_zone": "UTC" });
    let ends = |at: &str| json!({ "at": at, "time_zone": "UTC" });
    let now = json!({ "kind": "at_activation" });
    for (schedule, ends, expected) in [
        // A start in the past rolls to the next slot.
        (past(&json!({})), Value::Null, None),
        (past(&json!({})), ends("2026-11-26"), None),
        (past(&json!({ "end": "2026-11-25" })), Value::Null, Some(("schedule.end", "no_occurrence_left"))),
        (
            past(&json!({ "occurrences": 6 })),
            Value::Null,
            Some(("schedule.occurrences", "no_occurrence_left")),
        ),
        (past(&json!({ "occurrences": 7 })), Value::Null, None),
        (recurring(&json!({})), ends("2027-02-28"), Some(("ends", "ends_before_start"))),
        (recurring(&json!({})), ends("2027-03-01T08:00:00Z"), Some(("ends", "ends_before_start"))),
        (recurring(&json!({})), ends("2027-03-01"), None),
        (once("2027-01-01T09:00:00"), ends("2027-01-01T09:00:00"), Some(("ends", "ends_before_start"))),
        (once("2027-01-01T09:00:00"), ends("2027-01-01T09:00:01"), None),
        (once("2026-11-25T08:00:00"), Value::Null, None),
        (once("2026-11-25T07:59:59"), Value::Null, Some(("schedule.date_time", "start_in_past"))),
        (once("2026-11-25T08:50:00"), ends("2026-11-25T08:55:00"), Some(("ends", "ends_in_past"))),
        (now.clone(), ends("2026-11-24"), Some(("ends", "ends_in_past"))),
        (now, ends("2026-11-25"), None),
    ] {
        let story = format!("{schedule} {ends}");
        let found = findings(&app, schedule, ends).await;
        let found: Vec<_> = found.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!(found, Vec::from_iter(expected), "{story}");
    }
}

#[tokio::test]
async fn a_rate_that_is_too_slow_for_the_next_occurrence_is_a_warning() {
    let app = TestApp::new().await;
    let now = app.store.platform.clock.now();
    let segment = Segment {
        id: SegmentId::random(),
        name: "l".to_owned(),
        description: String::new(),
        kind: SegmentKind::List { generation: 1, partitions: 16, members: 100_000 },
        created_at: now,
        modified_at: now,
    };
    app.store.segments.put(&segment, 0).await.unwrap();
    let sender = json!({
        "name": "n", "category": "marketing", "rate_per_second": 1,
        "sender": { "channel": "email", "from": "us@example.org" },
    });
    let configuration = app.create("/configurations", &sender).await;
    // 100,000 seconds are 27 hours.
    for (frequency, expected) in [("daily", "rate_too_slow"), ("weekly", "rate_slow")] {
        let mut campaign = body(&recurring(&json!({ "frequency": frequency })), &Value::Null);
        campaign["segment_id"] = json!(segment.id);
        campaign["actions"][0]["configuration_id"] = json!(configuration);
        let path = format!("/campaigns/{}", app.create("/campaigns", &campaign).await);
        let found = app.post(&format!("{path}/validate")).send().await.expect(200);
        assert_eq!(found["can_activate"], true, "{found}");
        let of_rate = found["findings"].as_array().unwrap().iter().find(|finding| {
            finding["field"] == "actions[0].configuration_id" && finding["severity"] == "warning"
        });
        assert_eq!(of_rate.unwrap()["code"], expected, "{found}");
    }
}

#[tokio::test]
async fn an_occurrence_that_was_missed_can_be_read() {
    let app = TestApp::new().await;
    let path = campaign(&app, &recurring(&json!({})), &Value::Null).await;
    app.post(&format!("{path}/activate")).send().await.expect(202);
    let id: CampaignId = path.strip_prefix("/campaigns/").unwrap().parse().unwrap();
    let mut live =
        app.store.campaigns.command(id, Command::BecomeScheduled, &Actor::envoi(), |_| Ok(())).await.unwrap();
    let occurrence = "2026-11-25T08:00:00Z".parse().unwrap();
    live.next_occurrence = Some("2026-11-26T08:00:00Z".parse().unwrap());
    let summary = ExecutionSummary {
        id: execution_id(id, "2026-11-25T08:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond()),
        campaign: id,
        version: 1,
        occurrence,
        state: State::Missed,
        started_at: None,
        paused_at: None,
        ended_at: Some("2026-11-25T09:00:00Z".parse().unwrap()),
        counts: Vec::new(),
        shards: 0,
    };
    assert!(app.store.ledger.miss(&live, &summary).await.unwrap());
    let shown = app.get(&format!("/executions/{}", summary.id)).send().await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["started_at"], &shown["ended_at"]),
        (&json!("missed"), &Value::Null, &json!("2026-11-25T09:00:00Z"))
    );
    assert_eq!((&shown["campaign_id"], &shown["occurrence"]), (&json!(id), &json!("2026-11-25T08:00:00Z")));
    assert_eq!((&shown["total"]["targeted"], &shown["actions"][0]["channel"]), (&json!(0), &json!("email")));
    let listed = app.get(&format!("{path}/executions")).send().await.expect(200);
    assert_eq!(listed["items"][0]["id"], shown["id"]);
}
