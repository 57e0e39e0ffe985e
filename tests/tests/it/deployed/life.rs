//! A life from creation to archive: rescheduled before its start, and one that recurs until it is stopped.

use std::time::Duration;

use envoi_tests::deployed::{Deployment, LOOK, Sweeps, deployed};
use envoi_tests::process::GUARD;
use jiff::Timestamp;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

use super::audience::Audience;

const HTML: &str = "<p>Hello</p><a href=\"{{links.unsubscribe}}\">No more</a>";
/// What is nearer than 90 seconds does not go through the Scheduler; the rest is for the activation, on a busy machine.
const AHEAD: Duration = Duration::from_secs(130);
/// By how much it is moved.
const MOVED: Duration = Duration::from_secs(30);
/// Near enough for a delayed message.
const SOON: Duration = Duration::from_secs(15);

fn seconds_from_now(ahead: Duration) -> Timestamp {
    (SystemClock.now() + ahead).round(jiff::Unit::Second).unwrap()
}

fn local(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Each day at the time that an instant has, from its day on.
fn daily(from: Timestamp) -> Value {
    json!({
        "kind": "recurring", "frequency": "daily", "time": from.strftime("%H:%M:%S").to_string(),
        "start": from.strftime("%Y-%m-%d").to_string(), "time_zone": "UTC",
    })
}

/// Waits until the campaign is as it is wanted.
async fn until(envoi: &Deployment, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = SystemClock.monotonic() + GUARD;
    loop {
        let campaign = envoi.api.get(path).await.unwrap();
        if is_so(&campaign) {
            return campaign;
        }
        assert!(SystemClock.monotonic() < until, "it is never {what}: {campaign}");
        SystemClock.sleep(LOOK * 5).await;
    }
}

/// What was done to it, and to which version, the earliest first.
async fn history(envoi: &Deployment, path: &str) -> Vec<(String, Option<u64>)> {
    let mut entries = envoi.api.all(&format!("{path}/history")).await.unwrap();
    entries.reverse();
    for entry in &entries {
        let by = if entry["by"]["id"] == "envoi" { "Envoi" } else { "first" };
        assert_eq!(entry["by"]["name"], by, "{entry}");
    }
    entries
        .iter()
        .map(|entry| (entry["command"].as_str().unwrap().to_owned(), entry["version"].as_u64()))
        .collect()
}

fn told(history: &[(String, Option<u64>)]) -> Vec<(&str, u64)> {
    history.iter().map(|(command, version)| (command.as_str(), version.unwrap_or(0))).collect()
}

/// Opens a draft beside the live version and has it take that one's place.
async fn replace(envoi: &Deployment, path: &str, patch: &Value) -> Value {
    let edited = envoi.api.patch(path, patch).await.unwrap();
    assert_eq!(
        (&edited["has_draft"], &edited["live"]["number"], &edited["draft"]["number"]),
        (&json!(true), &json!(1), &json!(2))
    );
    envoi.api.act(&format!("{path}/activate")).await.unwrap();
    let replaced = until(envoi, path, "replaced", |campaign| campaign["activating_since"].is_null()).await;
    assert_eq!((&replaced["live"]["number"], &replaced["draft"]), (&json!(2), &Value::Null), "{replaced}");
    replaced
}

/// It runs once, is moved, and stopped before it would have run again.
async fn recurs_until_it_is_stopped(envoi: &Deployment) {
    let profile = json!({ "email": "ann@again.example", "attributes": { "again": true } });
    envoi.api.create("/profiles", &profile).await.unwrap();
    let segment = envoi.api.rule("has(profile.again)").await.unwrap();
    let campaign = envoi.api.campaign(&segment, "Again", HTML).await.unwrap();
    let path = format!("/campaigns/{campaign}");
    let first = seconds_from_now(SOON);
    envoi.api.patch(&path, &json!({ "tags": ["spring"], "schedule": daily(first) })).await.unwrap();
    envoi.api.activate(&campaign).await.unwrap();
    let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
    assert_eq!(
        (&execution["state"], &execution["total"]["sent"]),
        (&json!("completed"), &json!(1)),
        "{execution}"
    );
    assert_eq!(execution["occurrence"], first.to_string());
    let live = envoi.api.get(&path).await.unwrap();
    assert_eq!(live["status"], "live");
    let tomorrow = first + Duration::from_secs(24 * 3600);
    assert_eq!(live["next_occurrence"], tomorrow.to_string());

    // A moment from now instead of tomorrow.
    let second = seconds_from_now(SOON);
    let moved = replace(envoi, &path, &json!({ "schedule": daily(second) })).await;
    assert_eq!(moved["next_occurrence"], second.to_string(), "{moved}");
    envoi.api.act(&format!("{path}/stop")).await.unwrap();
    assert!(SystemClock.now() < second, "it is stopped in time");

    let copy = envoi.api.act(&format!("{path}/duplicate")).await.unwrap();
    assert_eq!(
        (&copy["name"], &copy["status"], &copy["tags"]),
        (&json!("Campaign (copy)"), &json!("draft"), &json!(["spring"]))
    );
    let copy = format!("/campaigns/{}", copy["id"].as_str().unwrap());
    assert_eq!(told(&history(envoi, &copy).await), [("create", 1)]);
    envoi.api.delete(&copy).await.unwrap();
    assert_eq!(told(&history(envoi, &copy).await), [("create", 1), ("delete", 1)]);

    // Its time comes, and the wake-up that was asked for.
    let wait = (second + SOON).duration_since(SystemClock.now());
    SystemClock.sleep(wait.unsigned_abs()).await;
    envoi.sweep().await.unwrap();
    let archived = envoi.api.act(&format!("{path}/archive")).await.unwrap();
    assert_eq!((&archived["status"], &archived["next_occurrence"]), (&json!("archived"), &Value::Null));
    assert!(envoi.api.execution(&campaign).await.unwrap().is_some(), "it ran once");
    assert_eq!(envoi.mails("again.example").await.unwrap().len(), 1);
    let expected = [
        ("create", 1),
        ("edit", 1),
        ("activate", 1),
        ("become_scheduled", 1),
        ("start", 1),
        ("edit", 2),
        ("activate", 2),
        ("replace", 2),
        ("stop", 2),
        ("duplicate", 0),
        ("archive", 2),
    ];
    assert_eq!(told(&history(envoi, &path).await), expected);
}

pub(super) async fn a_campaign_lives_from_its_creation_to_the_archive() {
    deployed("life", async |envoi| {
        let audience = Audience::import(envoi, "life.example", 3).await;
        // Without it, only the Scheduler starts what is far ahead.
        envoi.disable_the_rule().await.unwrap();
        let at = seconds_from_now(AHEAD);
        let campaign = audience.campaign_at(envoi, at).await;
        let path = format!("/campaigns/{campaign}");
        envoi.api.activate(&campaign).await.unwrap();
        let scheduled = until(envoi, &path, "scheduled", |campaign| campaign["status"] == "scheduled").await;
        assert_eq!(scheduled["next_occurrence"], at.to_string());

        let later = at + MOVED;
        let schedule = json!({ "kind": "at", "date_time": local(later), "time_zone": "UTC" });
        let content = json!({ "subject": "Moved", "body": { "html": HTML } });
        let configuration = &scheduled["live"]["actions"][0]["configuration_id"];
        let action = json!({ "channel": "email", "configuration_id": configuration, "content": content });
        let moved = replace(envoi, &path, &json!({ "schedule": schedule, "actions": [action] })).await;
        assert_eq!(
            (&moved["status"], &moved["next_occurrence"]),
            (&json!("scheduled"), &json!(later.to_string()))
        );
        let [old, new] = [at, later].map(|at| format!("at({})", local(at)));
        let guard = SystemClock.monotonic() + GUARD;
        loop {
            let schedules = envoi.schedules().await.unwrap();
            if schedules.contains(&old) && schedules.contains(&new) {
                break;
            }
            assert!(
                SystemClock.monotonic() < guard && SystemClock.now() < at,
                "{old} and {new}: {schedules:?}"
            );
            SystemClock.sleep(LOOK).await;
        }

        recurs_until_it_is_stopped(envoi).await;

        // The old one fires and starts nothing; the new one does.
        let guard = SystemClock.monotonic() + GUARD;
        while envoi.schedules().await.unwrap().contains(&old) {
            assert!(SystemClock.monotonic() < guard, "{old} never fires");
            SystemClock.sleep(LOOK * 5).await;
        }
        if SystemClock.now() < later {
            assert_eq!(envoi.api.get(&path).await.unwrap()["next_occurrence"], later.to_string());
        }
        while envoi.api.execution(&campaign).await.unwrap().is_none() {
            assert!(SystemClock.monotonic() < guard, "{new} never fires");
            SystemClock.sleep(LOOK * 5).await;
        }
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(
            (&execution["state"], &execution["version"]),
            (&json!("completed"), &json!(2)),
            "{execution}"
        );
        assert_eq!(execution["occurrence"], later.to_string());
        let outcomes = audience.outcomes(envoi, &execution).await;
        assert_eq!(outcomes.sent.len(), 3, "{execution}");
        assert!(audience.mails(envoi).await.values().all(|mail| mail.subject == "Moved"));
        until(envoi, &path, "completed", |campaign| campaign["status"] == "completed").await;
        envoi.api.act(&format!("{path}/archive")).await.unwrap();
        let expected = [
            ("create", 1),
            ("activate", 1),
            ("become_scheduled", 1),
            ("edit", 2),
            ("activate", 2),
            ("replace", 2),
            ("start", 2),
            ("complete", 2),
            ("archive", 2),
        ];
        assert_eq!(told(&history(envoi, &path).await), expected);
    })
    .await;
}
