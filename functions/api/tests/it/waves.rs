//! Waves, recipients' own time and the estimate, as the API takes and shows them.

use std::time::Duration;

use campaign::plan::{By, Lane, Plan};
use campaign::schedule::{PassedHour, PinnedTime, Zone};
use campaign::segment::SegmentKind;
use campaign::waves::Sizes;
use campaign::{ProfileId, SegmentId};
use serde_json::{Value, json};
use store::Segment;
use store::ledger::{Begins, CursorClaim, NewChunk, Tenancy, Worker, Zones};
use store::messages::ChunkKey;

use crate::app::TestApp;
use crate::executions::Run;

fn body(change: &Value) -> Value {
    let action = json!({ "channel": "email", "content": { "subject": "s", "body": { "html": "<p>x</p><a href='{{links.unsubscribe}}'>no more</a>" } } });
    let mut body = json!({ "name": "c", "category": "marketing", "actions": [action] });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

fn at(date_time: &str) -> Value {
    json!({ "kind": "at", "date_time": date_time, "time_zone": "Europe/Paris" })
}

fn at_in_own_time(date_time: &str) -> Value {
    let mut schedule = at(date_time);
    schedule["recipient_time"] = json!({ "passed": "exclude" });
    schedule
}

fn daily_in_own_time() -> Value {
    json!({
        "kind": "recurring", "frequency": "daily", "every": 1, "time": "09:00:00", "start": "2027-03-01",
        "time_zone": "Europe/Paris", "recipient_time": { "passed": "next_day" },
    })
}

/// The codes and fields of what is found of a campaign's time, with the severity.
async fn findings(app: &TestApp, change: &Value) -> Vec<(String, String, String)> {
    let path = format!("/campaigns/{}", app.create("/campaigns", &body(change)).await);
    let found = app.post(&format!("{path}/validate")).send().await.expect(200);
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let of = |finding: &&Value| {
        let field = finding["field"].as_str().unwrap();
        ["waves", "schedule", "ends"].iter().any(|of| field.starts_with(of))
    };
    let found = found["findings"].as_array().unwrap().iter().filter(of);
    found.map(|found| (text(found, "code"), text(found, "field"), text(found, "severity"))).collect()
}

#[tokio::test]
async fn waves_come_back_as_they_went_in() {
    let app = TestApp::new().await;
    for waves in [
        json!({ "interval_seconds": 3600, "list": [{ "percent": 10 }, { "percent": 90 }] }),
        json!({ "interval_seconds": 60, "list": [{ "number": 500 }, { "number": 5000 }, {}] }),
        json!({
            "time_zone": "Asia/Tokyo",
            "list": [{ "percent": 10, "at": "2027-03-01T09:00:00" }, { "percent": 90, "at": "2027-03-02T00:00:00Z" }],
        }),
        // A draft may lack something.
        json!({ "list": [{ "percent": 10 }] }),
    ] {
        let change = json!({ "waves": waves, "schedule": at("2027-03-01T01:00:00") });
        let made = app.post("/campaigns").json(&body(&change)).send().await.expect(201);
        assert_eq!(made["draft"]["waves"], waves);
        let path = format!("/campaigns/{}", made["id"].as_str().unwrap());
        assert_eq!(app.get(&path).send().await.expect(200)["draft"], made["draft"]);
        let patched = app.patch(&path).json(&json!({ "waves": null })).send().await.expect(200);
        assert_eq!(patched["draft"]["waves"], Value::Null);
        assert_eq!(patched["draft"]["schedule"], made["draft"]["schedule"]);
    }
}

#[tokio::test]
async fn the_schedule_s_zone_is_that_of_local_times() {
    let app = TestApp::new().await;
    let waves = json!({ "list": [{ "percent": 10 }, { "percent": 90, "at": "2027-03-02T09:00" }] });
    let change = json!({ "waves": waves, "schedule": at("2027-03-01T09:00:00") });
    let made = app.post("/campaigns").json(&body(&change)).send().await.expect(201);
    let expected = json!({
        "time_zone": "Europe/Paris",
        "list": [{ "percent": 10 }, { "percent": 90, "at": "2027-03-02T09:00:00" }],
    });
    assert_eq!(made["draft"]["waves"], expected);
}

#[tokio::test]
async fn a_wrong_field_of_waves_is_named() {
    let app = TestApp::new().await;
    let two = |second: Value| json!({ "interval_seconds": 60, "list": [{ "percent": 10 }, second] });
    for (waves, field) in [
        (json!({ "interval_seconds": 60 }), "waves"),
        (json!({ "interval_seconds": 59, "list": [] }), "waves.interval_seconds"),
        (json!({ "interval_seconds": 604_801, "list": [] }), "waves.interval_seconds"),
        (json!({ "interval_seconds": "1 h", "list": [] }), "waves.interval_seconds"),
        (json!({ "list": [], "every": 3 }), "waves.every"),
        (json!({ "list": vec![json!({ "percent": 9 }); 11] }), "waves.list"),
        (json!({ "list": [], "time_zone": "Mars/Olympus" }), "waves.time_zone"),
        (two(json!({ "percent": 0 })), "waves.list[1].percent"),
        (two(json!({ "percent": 100 })), "waves.list[1].percent"),
        (two(json!({ "percent": 12.5 })), "waves.list[1].percent"),
        (two(json!({ "percent": 90, "number": 4 })), "waves.list[1].number"),
        (two(json!({ "number": 0 })), "waves.list[1].number"),
        (two(json!({ "at": "2027-03-02" })), "waves.list[1].at"),
        (two(json!({ "at": "soon" })), "waves.list[1].at"),
        // At its activation, it has no zone.
        (two(json!({ "at": "2027-03-02T09:00" })), "waves.time_zone"),
    ] {
        let change = json!({ "waves": waves });
        let answer = app.post("/campaigns").json(&body(&change)).send().await;
        let problem = answer.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{waves}: {problem}");
    }
}

#[tokio::test]
async fn waves_and_recipients_own_time_are_refused_together() {
    let app = TestApp::new().await;
    let waves = json!({ "interval_seconds": 60, "list": [{ "percent": 10 }, { "percent": 90 }] });
    let schedule = at_in_own_time("2027-03-01T09:00:00");
    let both = body(&json!({ "waves": waves, "schedule": schedule }));
    let problem = app.post("/campaigns").json(&both).send().await.problem(400, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "waves");
    let path = format!("/campaigns/{}", app.create("/campaigns", &body(&json!({ "waves": waves }))).await);
    let patch = json!({ "schedule": schedule });
    app.patch(&path).json(&patch).send().await.problem(400, "invalid_field");
    let patch = json!({ "schedule": schedule, "waves": null });
    app.patch(&path).json(&patch).send().await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_with_waves_is_found_before_they_start() {
    let app = TestApp::new().await;
    let percents = |list: &[u8]| list.iter().map(|percent| json!({ "percent": percent })).collect::<Vec<_>>();
    let every = |list: Vec<Value>| json!({ "interval_seconds": 3600, "list": list });
    let start = at("2027-03-01T09:00:00");
    let dates = |first: &str, second: &str| json!({ "list": [{ "percent": 10, "at": first }, { "percent": 90, "at": second }] });
    let daily = json!({
        "kind": "recurring", "frequency": "daily", "time": "09:00", "start": "2027-03-01", "time_zone": "UTC",
    });
    let error = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned(), "error".to_owned())];
    for (change, expected) in [
        (json!({ "waves": every(percents(&[10, 90])), "schedule": start }), Vec::new()),
        (json!({ "waves": every(percents(&[10, 90])) }), Vec::new()),
        (json!({ "waves": every(percents(&[100 - 1])) }), error("waves_count", "waves.list")),
        (json!({ "waves": every(percents(&[10, 80])) }), error("waves_percent", "waves.list")),
        (
            json!({ "waves": every(vec![json!({ "percent": 10 }), json!({})]) }),
            error("waves_sizes", "waves.list[1].percent"),
        ),
        (
            json!({ "waves": every(vec![json!({ "number": 10 }), json!({ "number": 10 })]) }),
            error("waves_sizes", "waves.list[1].number"),
        ),
        (json!({ "waves": { "list": percents(&[10, 90]) } }), error("waves_times", "waves.list[1].at")),
        (
            json!({ "waves": dates("2027-03-02T09:00", "2027-03-02T09:00"), "schedule": start }),
            error("waves_order", "waves.list[1].at"),
        ),
        (
            json!({ "waves": dates("2027-03-01T08:59", "2027-03-02T09:00"), "schedule": start }),
            error("waves_before_start", "waves.list[0].at"),
        ),
        (
            json!({ "waves": dates("2027-03-01T09:00", "2027-07-02T09:00"), "schedule": start }),
            error("waves_too_long", "waves.list[1].at"),
        ),
        (
            json!({ "waves": every(percents(&[10, 90])), "schedule": start, "ends": { "at": "2027-03-01T10:00" } }),
            error("waves_after_end", "waves"),
        ),
        (
            json!({ "waves": every(percents(&[10, 90])), "schedule": start, "ends": { "at": "2027-03-01T10:01" } }),
            Vec::new(),
        ),
        (
            json!({ "waves": dates("2027-03-01T09:00:00Z", "2027-03-02T08:00:00Z"), "schedule": daily }),
            error("waves_recurring", "waves.list"),
        ),
        (
            json!({ "waves": { "interval_seconds": 86_400, "list": percents(&[10, 90]) }, "schedule": daily }),
            vec![("waves_overlap".to_owned(), "waves".to_owned(), "warning".to_owned())],
        ),
    ] {
        assert_eq!(findings(&app, &change).await, expected, "{change}");
    }
}

#[tokio::test]
async fn recipients_own_time_comes_back_as_it_went_in() {
    // Corpus B15: the local time typed is the one shown again.
    let app = TestApp::new().await;
    for schedule in [at_in_own_time("2027-07-14T19:00:00"), daily_in_own_time()] {
        let made =
            app.post("/campaigns").json(&body(&json!({ "schedule": schedule }))).send().await.expect(201);
        assert_eq!(made["draft"]["schedule"], schedule);
    }
    let mut default = at("2027-07-14T19:00:00");
    default["recipient_time"] = json!({});
    let made = app.post("/campaigns").json(&body(&json!({ "schedule": default }))).send().await.expect(201);
    assert_eq!(made["draft"]["schedule"]["recipient_time"], json!({ "passed": "next_day" }));
    for (schedule, field) in [
        (json!({ "kind": "at_activation", "recipient_time": {} }), "schedule.recipient_time"),
        (
            json!({ "kind": "at", "date_time": "2027-07-14T19:00:00", "time_zone": "UTC", "recipient_time": true }),
            "schedule.recipient_time",
        ),
        (
            json!({ "kind": "at", "date_time": "2027-07-14T19:00:00", "time_zone": "UTC", "recipient_time": { "passed": "then" } }),
            "schedule.recipient_time.passed",
        ),
        // Those without a zone have the campaign's.
        (
            json!({ "kind": "at", "date_time": "2027-07-14T19:00:00", "recipient_time": {} }),
            "schedule.time_zone",
        ),
    ] {
        let answer = app.post("/campaigns").json(&body(&json!({ "schedule": schedule }))).send().await;
        let problem = answer.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{schedule}");
    }
}

#[tokio::test]
async fn an_hour_that_has_passed_somewhere_or_comes_after_the_end_is_a_warning() {
    let app = TestApp::new().await;
    let warning = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned(), "warning".to_owned())];
    let error = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned(), "error".to_owned())];
    let passed = "schedule.recipient_time.passed";
    for (schedule, ends, expected) in [
        (at_in_own_time("2026-11-26T09:00:00"), Value::Null, Vec::new()),
        // It is ten in Paris. It is not yet half past nine in New York, and never more in Tokyo.
        (at_in_own_time("2026-11-25T09:30:00"), Value::Null, warning("hour_passed", passed)),
        // In the latest zone it was nine in the evening yesterday.
        (at_in_own_time("2026-11-24T20:00:00"), Value::Null, warning("hour_passed", passed)),
        (at_in_own_time("2026-11-24T19:59:00"), Value::Null, error("start_in_past", "schedule.date_time")),
        (
            at_in_own_time("2027-07-14T09:00:00"),
            json!({ "at": "2027-07-14T20:00" }),
            warning("zones_after_end", "ends"),
        ),
        (at_in_own_time("2027-07-14T09:00:00"), json!({ "at": "2027-07-14" }), Vec::new()),
    ] {
        let change = json!({ "schedule": schedule, "ends": ends });
        assert_eq!(findings(&app, &change).await, expected, "{change}");
    }
}

#[tokio::test]
async fn occurrences_in_recipients_time_are_shown_from_the_earliest_zone_to_the_latest() {
    let app = TestApp::new().await;
    let path = format!(
        "/campaigns/{}",
        app.create("/campaigns", &body(&json!({ "schedule": daily_in_own_time() }))).await
    );
    let shown =
        app.get(&format!("{path}/occurrences?n=2&time_zone=Pacific/Kiritimati")).send().await.expect(200);
    let first = &shown["items"][0];
    assert_eq!(first["instant"], "2027-02-28T19:00:00Z");
    assert_eq!(first["asked"], json!({ "local": "2027-03-01T09:00:00", "offset": "+14:00" }));
    assert_eq!(first["campaign"], json!({ "local": "2027-02-28T20:00:00", "offset": "+01:00" }));
    let own = json!({ "local": "2027-03-01T09:00:00", "last_instant": "2027-03-01T21:00:00Z" });
    assert_eq!((&first["recipient_time"], &first["moved_from"]), (&own, &Value::Null));
    assert_eq!(shown["items"][1]["instant"], "2027-03-01T19:00:00Z");
}

async fn list_of(app: &TestApp, members: u64) -> SegmentId {
    let now = app.store.platform.clock.now();
    let segment = Segment {
        id: SegmentId::random(),
        name: "l".to_owned(),
        description: String::new(),
        kind: SegmentKind::List { generation: 1, partitions: 16, members },
        created_at: now,
        modified_at: now,
    };
    app.store.segments.put(&segment, 0).await.unwrap();
    segment.id
}

async fn configuration(app: &TestApp, rate: Option<u32>) -> Value {
    let sender = json!({
        "name": "n", "category": "marketing", "rate_per_second": rate,
        "sender": { "channel": "email", "from": "us@example.org" },
    });
    app.create("/configurations", &sender).await.into()
}

/// A campaign to so many, whose actions are sent by these configurations.
async fn rated(app: &TestApp, members: u64, configurations: &[&Value], change: Value) -> String {
    let action = |configuration: &&Value| {
        let content = json!({ "subject": "s", "body": { "html": "<p>x</p><a href='{{links.unsubscribe}}'>no more</a>" } });
        json!({ "channel": "email", "configuration_id": configuration, "content": content })
    };
    let mut campaign = body(&change);
    campaign["actions"] = configurations.iter().map(action).collect();
    campaign["segment_id"] = json!(list_of(app, members).await);
    format!("/campaigns/{}", app.create("/campaigns", &campaign).await)
}

#[tokio::test]
async fn an_activation_says_about_how_long_it_takes() {
    let app = TestApp::new().await;
    let (slow, fast) = (configuration(&app, Some(10)).await, configuration(&app, Some(15)).await);
    let free = configuration(&app, None).await;
    for (configurations, expected) in [
        (vec![&slow], json!({ "recipients": 30_000, "rate_per_second": 10, "seconds": 3000 })),
        (vec![&free, &fast, &slow], json!({ "recipients": 30_000, "rate_per_second": 10, "seconds": 3000 })),
        // Two actions of one configuration have its rate together.
        (vec![&fast, &slow, &fast], json!({ "recipients": 30_000, "rate_per_second": 15, "seconds": 4000 })),
        (vec![&free], Value::Null),
    ] {
        let path = rated(&app, 30_000, &configurations, json!({})).await;
        let found = app.post(&format!("{path}/validate")).send().await.expect(200);
        assert_eq!(found["estimate"], expected);
        let activated = app.post(&format!("{path}/activate")).send().await.expect(202);
        assert_eq!((&activated["estimate"], &activated["name"]), (&expected, &json!("c")));
    }
    let path = format!("/campaigns/{}", app.create("/campaigns", &body(&json!({}))).await);
    let found = app.post(&format!("{path}/validate")).send().await.expect(200);
    assert_eq!(found["estimate"], Value::Null);
}

#[tokio::test]
async fn a_rate_too_slow_for_what_comes_next_is_a_warning() {
    let app = TestApp::new().await;
    let ten = configuration(&app, Some(10)).await;
    let waves = |interval: u32| json!({ "waves": { "interval_seconds": interval, "list": [{ "percent": 50 }, { "percent": 50 }] } });
    let ends = |at: &str| json!({ "schedule": at_utc(), "ends": { "at": at } });
    // 36,000 at ten a second are an hour.
    for (change, expected) in [
        (waves(1800), false),
        (waves(1799), true),
        (ends("2027-03-01T10:00:00"), false),
        (ends("2027-03-01T09:59:59"), true),
        (json!({}), false),
    ] {
        let path = rated(&app, 36_000, &[&ten], change.clone()).await;
        let found = app.post(&format!("{path}/validate")).send().await.expect(200);
        assert_eq!(found["can_activate"], true, "{found}");
        let mut findings = found["findings"].as_array().unwrap().iter();
        let slow = findings.find(|finding| finding["code"] == "rate_too_slow");
        assert_eq!(slow.is_some(), expected, "{change}: {found}");
        if let Some(slow) = slow {
            assert_eq!(
                (&slow["severity"], &slow["field"]),
                (&json!("warning"), &json!("actions[0].configuration_id"))
            );
        }
    }
}

fn at_utc() -> Value {
    json!({ "kind": "at", "date_time": "2027-03-01T09:00:00", "time_zone": "UTC" })
}

/// Writes a chunk of so many in each of these lanes, in the first shard.
async fn fan_out(run: &Run, lanes: &[(Lane, u8)], zones: Option<Zones>) {
    let shard = run.head.shards().next().unwrap();
    let ledger = &run.app.store.ledger;
    let worker = Worker::new(Tenancy::Shared);
    let claimed = ledger.claim_cursor(shard, &worker, Duration::from_secs(60)).await.unwrap();
    let CursorClaim::Claimed(mut cursor) = claimed else { panic!("the cursor is free") };
    let mut chunks = Vec::new();
    for (lane, members) in lanes {
        for action in 0..cursor.actions {
            let key = ChunkKey { execution: run.head.id, shard: 0, action, number: lane.number(0) };
            let members = (0..*members).map(|n| ProfileId::from_bytes([n; 16])).collect();
            let begins = match *lane {
                Lane::EXCLUDED => Begins::Closed(campaign::Code::HourPassed),
                lane => Begins::At(run.head.plan.as_ref().unwrap().release_ms(lane).unwrap()),
            };
            chunks.push(NewChunk { key, members, begins });
        }
        let stands = cursor.lanes.entry(*lane).or_default();
        (stands.written, stands.members) = (1, u64::from(*members));
    }
    cursor.zones = zones;
    assert!(ledger.advance(&mut cursor, chunks, Vec::new()).await.unwrap());
    assert!(ledger.release_cursor(&cursor, Vec::new()).await.unwrap());
}

#[tokio::test]
async fn an_execution_shows_its_waves() {
    let sizes = Sizes::Percent(vec![40, 30, 30]);
    let releases_ms = [0, 3600, 7200].map(|at: i64| (1_795_600_800 + at) * 1000).to_vec();
    let run = Run::planned(Plan { releases_ms, by: By::Waves(sizes) }).await;
    fan_out(&run, &[(Lane::release(0), 40), (Lane::release(1), 30)], None).await;
    let shown = run.get().await;
    let expected = json!([
        { "at": "2026-11-25T10:00:00Z", "recipients": 40 },
        { "at": "2026-11-25T11:00:00Z", "recipients": 30 },
        { "at": "2026-11-25T12:00:00Z", "recipients": 0 },
    ]);
    assert_eq!((&shown["waves"], &shown["zones"]), (&expected, &Value::Null), "{shown}");
    assert_eq!((&shown["total"]["targeted"], &shown["total"]["pending"]), (&json!(140), &json!(140)));
}

#[tokio::test]
async fn an_execution_shows_its_zones_and_who_was_left_out() {
    let time = PinnedTime {
        local: "2026-11-25T09:00:00".parse().unwrap(),
        time_zone: Zone::parse("Europe/Paris").unwrap(),
        passed: PassedHour::Exclude,
        activated: "2026-11-25T09:00:00Z".parse().unwrap(),
        following: None,
    };
    let releases_ms = time.releases_ms();
    let plan = Plan { releases_ms, by: By::RecipientTime(time) };
    let new_york: jiff::Timestamp = "2026-11-25T14:00:00Z".parse().unwrap();
    let lane = plan.lane_at(new_york.as_millisecond());
    let run = Run::planned(plan).await;
    let zones = Zones { profile: 10, missing: 2, invalid: 1 };
    fan_out(&run, &[(lane, 8), (Lane::EXCLUDED, 5)], Some(zones)).await;
    let shown = run.get().await;
    assert_eq!(shown["waves"], json!([{ "at": "2026-11-25T14:00:00Z", "recipients": 8 }]), "{shown}");
    assert_eq!(shown["zones"], json!({ "profile": 10, "missing": 2, "invalid": 1 }));
    let counts = &shown["actions"][0];
    assert_eq!((&counts["targeted"], &counts["pending"]), (&json!(13), &json!(8)));
    assert_eq!(counts["excluded"], json!({ "total": 5, "reasons": { "hour_passed": 5 } }));
    let plain = Run::start(3).await.get().await;
    assert_eq!((&plain["waves"], &plain["zones"]), (&Value::Null, &Value::Null));
}
