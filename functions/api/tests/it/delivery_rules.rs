//! Delivery rules, from the outside.

use serde_json::{Value, json};

use crate::app::TestApp;

const PATH: &str = "/delivery-rules";

fn rules() -> Value {
    json!({
        "time_zone": "Europe/Paris",
        "frequency_caps": [
            { "name": "Three a week", "max_messages": 3, "period": "week", "channels": ["email", "push"] },
        ],
        "quiet_hours": [
            { "name": "Nights", "start": "21:00", "end": "08:00", "channels": ["sms"], "on_quiet": "delay" },
            {
                "name": "Sundays", "start": "00:00", "end": "00:00", "weekdays": ["sunday"], "channels": ["email"],
                "on_quiet": "exclude",
            },
        ],
    })
}

#[tokio::test]
async fn there_are_none_until_some_are_set_and_none_once_they_are_removed() {
    let app = TestApp::new().await;
    let none = json!({ "time_zone": "UTC", "frequency_caps": [], "quiet_hours": [] });
    let found = app.get(PATH).send().await;
    assert_eq!((found.etag().as_str(), found.expect(200)), ("\"0\"", none.clone()));
    assert_eq!(app.put(PATH).json(&rules()).send().await.expect(200), rules());
    assert_eq!(app.get(PATH).send().await.expect(200), rules());
    assert_eq!(app.store.rules.get().await.unwrap().value.frequency_caps[0].max_messages, 3);
    app.delete(PATH).send().await.expect(204);
    app.delete(PATH).send().await.expect(204);
    assert_eq!(app.get(PATH).send().await.expect(200), none);
}

#[tokio::test]
async fn what_is_left_out_has_a_default_and_a_zone_its_canonical_name() {
    let app = TestApp::new().await;
    let quiet = json!({ "name": "Nights", "start": "21:00", "end": "08:00", "channels": ["sms"] });
    let set = json!({ "time_zone": "asia/calcutta", "quiet_hours": [quiet] });
    let found = app.put(PATH).json(&set).send().await.expect(200);
    assert_eq!(found["time_zone"], "Asia/Kolkata");
    assert_eq!(
        (&found["quiet_hours"][0]["on_quiet"], &found["frequency_caps"]),
        (&json!("delay"), &json!([]))
    );
}

#[tokio::test]
async fn who_has_read_older_rules_changes_nothing() {
    let app = TestApp::new().await;
    let first = app.put(PATH).json(&rules()).header("if-match", "\"0\"").send().await.etag();
    let second = app.put(PATH).json(&json!({})).header("if-match", &first).send().await.etag();
    assert_ne!(first, second);
    let late = app.put(PATH).json(&rules()).header("if-match", &first).send().await;
    late.problem(412, "precondition_failed");
    app.delete(PATH).header("if-match", &first).send().await.problem(412, "precondition_failed");
    app.delete(PATH).header("if-match", &second).send().await.expect(204);
    // Nor who has read them before they were removed.
    app.put(PATH).json(&rules()).header("if-match", &second).send().await.problem(412, "precondition_failed");
}

#[tokio::test]
async fn a_rule_that_is_none_is_refused_by_its_field() {
    let app = TestApp::new().await;
    let cap = |change: fn(&mut Value)| {
        let mut rules = rules();
        change(&mut rules);
        rules
    };
    let cases: [(Value, &str); 10] = [
        (cap(|rules| rules["time_zone"] = json!("Mars")), "time_zone"),
        (
            cap(|rules| rules["frequency_caps"][0]["max_messages"] = json!(0)),
            "frequency_caps[0].max_messages",
        ),
        (cap(|rules| rules["frequency_caps"][0]["period"] = json!("year")), "frequency_caps[0].period"),
        (cap(|rules| rules["frequency_caps"][0]["channels"] = json!([])), "frequency_caps[0].channels"),
        (
            cap(|rules| rules["frequency_caps"][0]["channels"] = json!(["fax"])),
            "frequency_caps[0].channels[0]",
        ),
        (cap(|rules| rules["quiet_hours"][0]["start"] = json!("24:00")), "quiet_hours[0].start"),
        (cap(|rules| rules["quiet_hours"][0]["on_quiet"] = json!("drop")), "quiet_hours[0].on_quiet"),
        (cap(|rules| rules["quiet_hours"][1]["name"] = json!("Nights")), "quiet_hours[1].name"),
        (cap(|rules| rules["quiet_hours"][1]["weekdays"] = Value::Null), "quiet_hours"),
        (cap(|rules| rules["caps"] = json!([])), "caps"),
    ];
    for (rules, field) in cases {
        let problem = app.put(PATH).json(&rules).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(app.get(PATH).send().await.etag(), "\"0\"");
}
