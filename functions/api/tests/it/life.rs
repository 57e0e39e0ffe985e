//! The life of a campaign by its commands: each in every status, drafts beside the live version, duplicates, history.
//! What Envoi itself does to it is done to the store here; the whole is in the workspace's tests.

use std::time::Duration;

use campaign::CampaignId;
use campaign::model::{Actor, Finding};
use campaign::status::Command;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::keys::Role;
use store::tables;

use crate::app::{Answer, TestApp};

const NEXT: &str = "2027-01-01T08:00:00Z";

fn mail(subject: &str) -> Value {
    json!({ "channel": "email", "content": { "subject": subject, "body": { "html": "<p>x</p>" } } })
}

fn daily(time: &str) -> Value {
    json!({
        "kind": "recurring", "frequency": "daily", "every": 1, "time": time, "start": "2027-01-01", "time_zone": "UTC",
    })
}

async fn draft(app: &TestApp) -> String {
    let body = json!({
        "name": "Spring", "description": "d", "tags": ["a", "b"], "category": "marketing", "actions": [mail("first")],
        "schedule": daily("08:00:00"),
    });
    format!("/campaigns/{}", app.create("/campaigns", &body).await)
}

fn id(path: &str) -> CampaignId {
    path.strip_prefix("/campaigns/").unwrap().parse().unwrap()
}

/// What Envoi itself does; `next` is when it is to start next.
async fn envoi(app: &TestApp, path: &str, command: Command, next: Option<&str>) {
    let next: Option<Timestamp> = next.map(|next| next.parse().unwrap());
    let by = Actor::envoi();
    let done = app.store.campaigns.command(id(path), command, &by, |campaign| {
        if matches!(command, Command::BecomeScheduled | Command::BecomeLive | Command::Replace) {
            campaign.next_occurrence = next;
        }
        Ok(())
    });
    done.await.unwrap();
}

async fn activate(app: &TestApp, path: &str) {
    app.post(&format!("{path}/activate")).send().await.expect(202);
}

async fn edit(app: &TestApp, path: &str, subject: &str) -> Value {
    app.patch(path).json(&json!({ "actions": [mail(subject)] })).send().await.expect(200)
}

async fn get(app: &TestApp, path: &str) -> Value {
    app.get(path).send().await.expect(200)
}

async fn etag(app: &TestApp, path: &str) -> String {
    app.get(path).send().await.etag()
}

async fn scheduled(app: &TestApp) -> String {
    let path = draft(app).await;
    activate(app, &path).await;
    envoi(app, &path, Command::BecomeScheduled, Some(NEXT)).await;
    path
}

async fn live(app: &TestApp) -> String {
    let path = scheduled(app).await;
    envoi(app, &path, Command::BecomeLive, Some("2027-01-02T08:00:00Z")).await;
    path
}

/// The entries, the latest first.
async fn history(app: &TestApp, path: &str) -> Vec<Value> {
    let page = app.get(&format!("{path}/history?limit=100")).send().await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn commands(app: &TestApp, path: &str) -> Vec<String> {
    let entries = history(app, path).await;
    entries.iter().rev().map(|entry| entry["command"].as_str().unwrap().to_owned()).collect()
}

/// Brings a new campaign to where a row of the table begins. `+` is with a draft beside the live version, `?` while that
/// is being checked.
async fn brought(app: &TestApp, to: &str) -> String {
    let (status, beside) = to.split_at(to.find(['+', '?']).unwrap_or(to.len()));
    let path = draft(app).await;
    if status == "draft" {
        return path;
    }
    activate(app, &path).await;
    if status == "activating" {
        return path;
    }
    envoi(app, &path, Command::BecomeScheduled, Some(NEXT)).await;
    if !beside.is_empty() {
        edit(app, &path, "second").await;
    }
    match status {
        "scheduled" => {}
        "live" => envoi(app, &path, Command::BecomeLive, Some("2027-01-02T08:00:00Z")).await,
        // The last start has come.
        _ => envoi(app, &path, Command::BecomeLive, None).await,
    }
    match status {
        "stopped" => drop(app.post(&format!("{path}/stop")).send().await.expect(200)),
        "completed" => envoi(app, &path, Command::Complete, None).await,
        "archived" => {
            envoi(app, &path, Command::Complete, None).await;
            app.post(&format!("{path}/archive")).send().await.expect(200);
        }
        _ => {}
    }
    if beside == "?" {
        activate(app, &path).await;
    }
    path
}

async fn ask(app: &TestApp, path: &str, command: &str) -> Answer {
    match command {
        "edit" => app.patch(path).json(&json!({ "on_missing": "skip" })).send().await,
        "rename" => app.patch(path).json(&json!({ "name": "Other" })).send().await,
        "discard_draft" => app.delete(&format!("{path}/draft")).send().await,
        "delete" => app.delete(path).send().await,
        "activate" | "stop" | "duplicate" | "archive" => app.post(&format!("{path}/{command}")).send().await,
        other => unreachable!("{other}"),
    }
}

/// The commands, and where each is allowed.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("edit", &["draft", "scheduled", "live"]),
    ("rename", &[]),
    ("activate", &["draft", "activating", "scheduled", "live"]),
    ("discard_draft", &["scheduled", "live", "stopped", "completed", "archived"]),
    ("stop", &["activating", "scheduled", "live", "stopped"]),
    ("duplicate", &[]),
    ("archive", &["stopped", "completed", "archived"]),
    ("delete", &["draft"]),
];

/// A column for each command. A capital is the status it leads to (X is stopped, C completed, R archived, 0 none); `=` is
/// done before, so that nothing changes; a small letter is why it is refused: by its status, because it has run, because
/// there is no draft, because that is being activated. `ended` is live with no start left.
const TABLE: [(&str, &str); 17] = [
    ("draft", "DDAssDs0"),
    ("activating", "sA=sDAss"),
    ("scheduled", "SS=dXSss"),
    ("scheduled+", "SSSSXSss"),
    ("scheduled?", "aS=aXSss"),
    ("live", "LL=dXLss"),
    ("live+", "LLLLXLss"),
    ("live?", "aL=aXLss"),
    ("ended", "rL=dXLss"),
    ("ended+", "rLrLXLss"),
    ("stopped", "sXsd=XRs"),
    ("stopped+", "sXsX=XRs"),
    ("completed", "sC=dsCRs"),
    ("completed+", "sCsCsCRs"),
    ("archived", "sRsdsR=s"),
    ("archived+", "sRsRsR=s"),
    // By hand in the midst of a check: that is over, too.
    ("stopped?", "sXsX=XRs"),
];

fn status_of(letter: char) -> Option<&'static str> {
    Some(match letter {
        'D' => "draft",
        'A' => "activating",
        'S' => "scheduled",
        'L' => "live",
        'X' => "stopped",
        'C' => "completed",
        'R' => "archived",
        _ => return None,
    })
}

#[tokio::test]
async fn every_command_in_every_status_is_done_or_refused_with_a_reason() {
    let app = TestApp::new().await;
    for (from, row) in TABLE {
        for ((command, allowed), expected) in ALLOWED.into_iter().zip(row.chars()) {
            let story = format!("{command} of a campaign that is {from}");
            let path = match from {
                "stopped?" => {
                    let path = brought(&app, "live?").await;
                    app.post(&format!("{path}/stop")).send().await.expect(200);
                    path
                }
                from => brought(&app, from).await,
            };
            let (before, tag) = (get(&app, &path).await, etag(&app, &path).await);
            let entries = history(&app, &path).await.len();
            let answer = ask(&app, &path, command).await;
            let offered = before["actions"].as_array().unwrap().contains(&json!(command));
            let is_done = expected == '=' || expected == '0' || status_of(expected).is_some();
            assert_eq!(offered, is_done && expected != '=', "{story}: {before}");
            if is_done {
                assert!(answer.status.is_success(), "{story}: {answer:?}");
            }
            if expected == '0' {
                app.get(&path).send().await.problem(404, "not_found");
                continue;
            }
            let now = get(&app, &path).await;
            if let Some(status) = status_of(expected) {
                assert_eq!(now["status"], status, "{story}");
                assert_eq!(history(&app, &path).await.len(), entries + 1, "{story}");
                continue;
            }
            // Nothing has changed.
            assert_eq!((&now, etag(&app, &path).await), (&before, tag), "{story}");
            assert_eq!(history(&app, &path).await.len(), entries, "{story}");
            if expected != '=' {
                assert_eq!(answer.status, 409, "{story}");
                let reason = match expected {
                    's' => "status",
                    'r' => "has_run",
                    'd' => "no_draft",
                    'a' => "being_activated",
                    other => unreachable!("{other}"),
                };
                let problem = answer.problem(409, "status_not_allowed");
                assert_eq!(problem["reason"], reason, "{story}: {problem}");
                assert_eq!(problem["allowed_in"], json!(allowed), "{story}: {problem}");
                assert_eq!(problem["campaign_status"], before["status"], "{story}: {problem}");
            }
        }
    }
}

#[tokio::test]
async fn an_edit_of_what_is_scheduled_or_live_opens_a_draft_beside_it() {
    let app = TestApp::new().await;
    for path in [scheduled(&app).await, live(&app).await] {
        let before = get(&app, &path).await;
        assert_eq!((&before["has_draft"], &before["draft"]), (&json!(false), &Value::Null));
        let edited = edit(&app, &path, "second").await;
        assert_eq!((&edited["status"], &edited["has_draft"]), (&before["status"], &json!(true)));
        assert_eq!((&edited["live"], &edited["live"]["number"]), (&before["live"], &json!(1)));
        assert_eq!(edited["draft"]["number"], 2);
        assert_eq!(edited["draft"]["actions"][0]["content"]["subject"], "second");
        // The rest of it is a copy.
        assert_eq!(edited["draft"]["schedule"], before["live"]["schedule"]);
        assert_eq!(edited["next_occurrence"], before["next_occurrence"]);
        assert_eq!(get(&app, &path).await, edited);
        let listed = app.get("/campaigns").send().await.expect(200);
        let row =
            listed["items"].as_array().unwrap().iter().find(|row| row["id"] == edited["id"]).unwrap().clone();
        assert_eq!(row["has_draft"], true);
        // The coming occurrences are those of what runs.
        let patch = json!({ "schedule": daily("20:00:00") });
        let again = app.patch(&path).json(&patch).send().await.expect(200);
        assert_eq!((&again["draft"]["number"], &again["live"]), (&json!(2), &before["live"]));
        assert_eq!(again["draft"]["actions"][0]["content"]["subject"], "second");
        let coming = app.get(&format!("{path}/occurrences?n=1")).send().await.expect(200);
        assert_eq!(
            (&coming["version"], &coming["items"][0]["instant"]),
            (&json!(1), &before["next_occurrence"])
        );

        let dropped = app.delete(&format!("{path}/draft")).send().await.expect(200);
        assert_eq!(dropped["actions"], before["actions"]);
        assert_eq!((&dropped["has_draft"], &dropped["draft"]), (&json!(false), &Value::Null));
        assert_eq!((&dropped["live"], &dropped["status"]), (&before["live"], &before["status"]));
        // A number is given once, and the new draft begins as the live version.
        let anew = app.patch(&path).json(&json!({ "on_missing": "skip" })).send().await.expect(200);
        assert_eq!(
            (&anew["draft"]["number"], &anew["draft"]["actions"]),
            (&json!(3), &before["live"]["actions"])
        );
        // It takes the live one's place.
        activate(&app, &path).await;
        envoi(&app, &path, Command::Replace, Some("2027-01-05T08:00:00Z")).await;
        let replaced = get(&app, &path).await;
        assert_eq!((&replaced["live"], &replaced["draft"]), (&anew["draft"], &Value::Null));
        assert_eq!(
            (&replaced["status"], &replaced["next_occurrence"]),
            (&before["status"], &json!("2027-01-05T08:00:00Z"))
        );
        assert_eq!(edit(&app, &path, "fourth").await["draft"]["number"], 4);
    }
}

#[tokio::test]
async fn fewer_actions_beside_the_live_version_take_nothing_from_it() {
    let app = TestApp::new().await;
    let path = draft(&app).await;
    app.patch(&path).json(&json!({ "actions": [mail("1"), mail("2"), mail("3")] })).send().await.expect(200);
    activate(&app, &path).await;
    envoi(&app, &path, Command::BecomeScheduled, Some(NEXT)).await;
    let before = get(&app, &path).await;
    for actions in [json!([mail("4")]), json!([mail("4"), mail("5")]), json!([]), Value::Null] {
        let edited = app.patch(&path).json(&json!({ "actions": actions })).send().await.expect(200);
        assert_eq!(edited["live"], before["live"]);
        let count = actions.as_array().map_or(0, Vec::len);
        assert_eq!(edited["draft"]["actions"].as_array().unwrap().len(), count);
    }
    app.delete(&format!("{path}/draft")).send().await.expect(200);
    assert_eq!(get(&app, &path).await["live"], before["live"]);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    for path in [draft(&app).await, scheduled(&app).await, live(&app).await, brought(&app, "live+").await] {
        let (before, entries) = (app.get(&path).send().await, history(&app, &path).await);
        let tag = before.etag();
        let before = before.json();
        let now = if before["draft"].is_null() { &before["live"] } else { &before["draft"] };
        for patch in [
            json!({}),
            json!({ "name": before["name"] }),
            json!({ "tags": ["a", "b"], "description": "d" }),
            json!({ "schedule": now["schedule"], "on_missing": now["on_missing"], "segment_id": null }),
            json!({ "actions": now["actions"], "ends": null, "category": "marketing" }),
            // Another way to write the same time.
            json!({ "schedule": daily("08:00") }),
        ] {
            let answer = app.patch(&path).header("if-match", &tag).json(&patch).send().await;
            assert_eq!(answer.etag(), tag, "{patch}");
            assert_eq!(answer.expect(200), before, "{patch}");
        }
        assert_eq!((etag(&app, &path).await, history(&app, &path).await), (tag, entries));
    }
}

#[tokio::test]
async fn the_category_stays_once_it_has_been_activated() {
    let app = TestApp::new().await;
    let change = json!({ "category": "transactional" });
    // A draft whose activation was called off never ran.
    let path = draft(&app).await;
    activate(&app, &path).await;
    app.post(&format!("{path}/stop")).send().await.expect(200);
    assert_eq!(app.patch(&path).json(&change).send().await.expect(200)["category"], "transactional");
    for from in ["scheduled", "live", "live+"] {
        let path = brought(&app, from).await;
        let refused = app.patch(&path).json(&change).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], "category", "{from}: {refused}");
        assert_eq!(get(&app, &path).await["category"], "marketing");
    }
}

#[tokio::test]
async fn a_one_shot_that_has_started_is_duplicated_instead() {
    let app = TestApp::new().await;
    let path = brought(&app, "ended").await;
    let refused = app.patch(&path).json(&json!({ "schedule": daily("09:00") })).send().await;
    let refused = refused.problem(409, "status_not_allowed");
    assert_eq!((&refused["reason"], &refused["campaign_status"]), (&json!("has_run"), &json!("live")));
    assert!(refused["detail"].as_str().unwrap().contains("duplicate it"), "{refused}");
    app.patch(&path).json(&json!({ "name": "Other" })).send().await.expect(200);
}

#[tokio::test]
async fn a_draft_beside_what_has_ended_can_be_read_and_duplicated() {
    let app = TestApp::new().await;
    for from in ["ended+", "stopped+", "completed+", "archived+"] {
        let path = brought(&app, from).await;
        let before = get(&app, &path).await;
        assert_eq!((&before["has_draft"], &before["draft"]["number"]), (&json!(true), &json!(2)), "{from}");
        let duplicate = format!("{path}/duplicate");
        let of = async |body: Value| {
            let made = app.post(&duplicate).json(&body).send().await.expect(201);
            assert_eq!(
                (&made["draft"]["number"], &made["live"], &made["status"]),
                (&json!(1), &Value::Null, &json!("draft"))
            );
            made["draft"]["actions"][0]["content"]["subject"].as_str().unwrap().to_owned()
        };
        assert_eq!(of(json!({ "version": "draft" })).await, "second", "{from}");
        assert_eq!(of(json!({ "version": "live" })).await, "first", "{from}");
        assert_eq!(of(json!({})).await, "first", "{from}");
        assert_eq!(get(&app, &path).await, before, "{from}");
        let dropped = app.delete(&format!("{path}/draft")).send().await.expect(200);
        assert_eq!((&dropped["has_draft"], &dropped["status"]), (&json!(false), &before["status"]), "{from}");
    }
}

#[tokio::test]
async fn a_draft_beside_that_fails_its_checks_leaves_the_live_version_going() {
    let app = TestApp::new().await;
    for from in ["scheduled+", "live+"] {
        let path = brought(&app, from).await;
        let before = get(&app, &path).await;
        activate(&app, &path).await;
        let checking = get(&app, &path).await;
        assert_eq!((&checking["status"], &checking["live"]), (&before["status"], &before["live"]));
        assert_eq!(checking["activating_since"], "2026-11-25T09:00:00Z");
        let finding = Finding::error("no_segment", "segment_id", "is missing");
        let by = Actor::envoi();
        let failed = app.store.campaigns.command(id(&path), Command::FailActivation, &by, |campaign| {
            campaign.activation_errors = vec![finding.clone()];
            Ok(())
        });
        failed.await.unwrap();
        let after = get(&app, &path).await;
        assert_eq!(after["activation_errors"][0]["code"], "no_segment");
        for field in ["status", "live", "draft", "next_occurrence", "actions", "activating_since"] {
            assert_eq!(after[field], before[field], "{from}: {field}");
        }
        // It can be put right, and tried again.
        edit(&app, &path, "third").await;
        activate(&app, &path).await;
        assert_eq!(get(&app, &path).await["activation_errors"], json!([]));
    }
}

/// Corpus A20, for a draft beside a live version.
#[tokio::test]
async fn activating_a_draft_beside_twice_is_activating_it_once() {
    let app = TestApp::new().await;
    let path = brought(&app, "live+").await;
    app.take(tables::WAKE_UP).await;
    let pressed = async |tag: Option<&str>| {
        let call = app.post(&format!("{path}/activate"));
        let call = if let Some(tag) = tag { call.header("if-match", tag) } else { call };
        call.send().await
    };
    let tag = etag(&app, &path).await;
    pressed(Some("\"1\"")).await.problem(412, "precondition_failed");
    let first = pressed(Some(&tag)).await;
    let second = pressed(Some(&tag)).await;
    let third = pressed(None).await;
    assert_eq!((first.etag(), second.etag()), (second.etag(), third.etag()));
    assert_eq!((first.expect(202), second.expect(202)), (third.json(), third.expect(202)));
    let asked = json!([{ "wake_up": "activate", "campaign": id(&path) }]);
    assert_eq!(json!(app.take(tables::WAKE_UP).await), asked);
    envoi(&app, &path, Command::Replace, Some("2027-01-02T08:00:00Z")).await;
    // After it is through.
    let late = pressed(None).await.expect(200);
    assert_eq!((&late["live"]["number"], &late["has_draft"]), (&json!(2), &json!(false)));
    pressed(Some(&tag)).await.expect(200);
    assert!(app.take(tables::WAKE_UP).await.is_empty());
}

#[tokio::test]
async fn if_match_is_held_to_by_every_command_that_takes_it() {
    let app = TestApp::new().await;
    let strong = |tag: &str| tag.to_owned();
    let weak = |tag: &str| format!("W/{tag}");
    let one_of = |tag: &str| format!("\"77\", {tag}");
    let any = |_: &str| "*".to_owned();
    let holding: [fn(&str) -> String; 4] = [strong, weak, one_of, any];
    for (from, command) in [
        ("live+", "edit"),
        ("live+", "rename"),
        ("live+", "discard_draft"),
        ("live+", "activate"),
        ("draft", "delete"),
        ("draft", "activate"),
    ] {
        let call = |path: &str| match command {
            "edit" => app.patch(path).json(&json!({ "on_missing": "skip" })),
            "rename" => app.patch(path).json(&json!({ "name": "Other" })),
            "discard_draft" => app.delete(&format!("{path}/draft")),
            "delete" => app.delete(path),
            _ => app.post(&format!("{path}/activate")),
        };
        let path = brought(&app, from).await;
        let before = get(&app, &path).await;
        for wrong in ["\"1000\"", "W/\"1000\"", "\"998\", \"999\"", "\"\"", "nonsense"] {
            call(&path).header("if-match", wrong).send().await.problem(412, "precondition_failed");
        }
        assert_eq!(get(&app, &path).await, before, "{command}");
        for hold in holding {
            let path = brought(&app, from).await;
            let tag = hold(&etag(&app, &path).await);
            let answer = call(&path).header("if-match", &tag).send().await;
            assert!(answer.status.is_success(), "{command} of {from} if {tag}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_duplicate_is_a_draft_of_its_own() {
    let app = TestApp::new().await;
    for from in ["draft", "activating", "scheduled", "live+", "stopped", "completed", "archived"] {
        let path = brought(&app, from).await;
        let original = get(&app, &path).await;
        let version = if original["live"].is_null() { &original["draft"] } else { &original["live"] };
        app.clock.advance(Duration::from_secs(1));
        let duplicate = format!("{path}/duplicate");
        let answer = app.post(&duplicate).send().await;
        assert_eq!(answer.etag(), "\"1\"");
        let made = answer.expect(201);
        assert_ne!(made["id"], original["id"]);
        assert_eq!((&made["name"], &made["status"]), (&json!("Spring (copy)"), &json!("draft")), "{from}");
        for field in ["description", "tags", "category", "type", "channels"] {
            assert_eq!(made[field], original[field], "{from}: {field}");
        }
        for field in ["segment_id", "actions", "schedule", "ends", "on_missing", "misfire_grace_seconds"] {
            assert_eq!(made["draft"][field], version[field], "{from}: {field}");
        }
        assert_eq!(
            (&made["next_occurrence"], &made["activation_errors"]),
            (&Value::Null, &json!([])),
            "{from}"
        );
        assert_eq!(made["created_by"]["name"], "test");
        let copy = format!("/campaigns/{}", made["id"].as_str().unwrap());
        assert_eq!(get(&app, &copy).await, made);
        let named = app.post(&duplicate).json(&json!({ "name": "Autumn" })).send().await.expect(201);
        assert_eq!(named["name"], "Autumn");
        // Both know of the other.
        let of_original = history(&app, &path).await;
        assert_eq!(
            of_original.iter().filter(|entry| entry["command"] == "duplicate").count(),
            2,
            "{of_original:?}"
        );
        let told = of_original.iter().find(|entry| entry["campaign_id"] == made["id"]).unwrap();
        assert_eq!(
            (&told["command"], &told["from"], &told["to"]),
            (&json!("duplicate"), &Value::Null, &Value::Null)
        );
        let of_copy = history(&app, &copy).await;
        assert_eq!(of_copy.len(), 1);
        let born =
            (&of_copy[0]["command"], &of_copy[0]["campaign_id"], &of_copy[0]["from"], &of_copy[0]["to"]);
        assert_eq!(born, (&json!("create"), &original["id"], &Value::Null, &json!("draft")));
        // Neither is changed with the other.
        edit(&app, &copy, "of the copy").await;
        assert_eq!(get(&app, &path).await, original);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_duplicate_is_said() {
    let app = TestApp::new().await;
    let path = draft(&app).await;
    let duplicate = format!("{path}/duplicate");
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(201) }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "version": "live" }), "version"),
        (json!({ "version": 1 }), "version"),
        (json!({ "tags": [] }), "tags"),
    ] {
        let refused = app.post(&duplicate).json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    app.post(&duplicate)
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .problem(400, "malformed_body");
    app.post(&duplicate).body("name=x").send().await.problem(415, "unsupported_media_type");
    app.post("/campaigns/00000000000000000000000000/duplicate").send().await.problem(404, "not_found");
    assert_eq!(commands(&app, &path).await, ["create"]);
    // The longest name has no room for what is put behind it.
    let longest = "ä".repeat(200);
    app.patch(&path).json(&json!({ "name": longest })).send().await.expect(200);
    let made = app.post(&duplicate).json(&json!({ "version": null })).send().await.expect(201);
    assert_eq!(made["name"].as_str().unwrap().chars().count(), 200);
}

#[tokio::test]
async fn the_history_outlives_what_was_deleted() {
    let app = TestApp::new().await;
    let path = draft(&app).await;
    edit(&app, &path, "second").await;
    app.delete(&path).send().await.expect(204);
    app.get(&path).send().await.problem(404, "not_found");
    let entries = history(&app, &path).await;
    assert_eq!(commands(&app, &path).await, ["create", "edit", "delete"]);
    assert_eq!((&entries[0]["from"], &entries[0]["version"]), (&json!("draft"), &json!(1)));
    // Of what never was there is none.
    app.get("/campaigns/00000000000000000000000000/history").send().await.problem(404, "not_found");
    app.delete(&path).send().await.problem(404, "not_found");
    assert_eq!(commands(&app, &path).await.len(), 3);
}

#[tokio::test]
async fn the_history_says_who_did_what_when_and_what_changed() {
    let app = TestApp::new().await;
    let path = draft(&app).await;
    let second = async || app.clock.advance(Duration::from_secs(1));
    second().await;
    app.patch(&path)
        .json(&json!({ "name": "Other", "tags": ["c"], "on_missing": "skip", "actions": [mail("x")] }))
        .send()
        .await
        .expect(200);
    second().await;
    app.patch(&path)
        .json(&json!({ "description": "e", "segment_id": "00000000000000000000000004" }))
        .send()
        .await
        .expect(200);
    second().await;
    app.patch(&path).json(&json!({ "description": "f" })).send().await.expect(200);
    second().await;
    activate(&app, &path).await;
    second().await;
    envoi(&app, &path, Command::BecomeScheduled, Some(NEXT)).await;
    second().await;
    app.patch(&path).json(&json!({ "schedule": daily("10:00") })).send().await.expect(200);
    second().await;
    activate(&app, &path).await;
    second().await;
    envoi(&app, &path, Command::Replace, Some("2027-01-01T10:00:00Z")).await;
    second().await;
    edit(&app, &path, "third").await;
    second().await;
    app.delete(&format!("{path}/draft")).send().await.expect(200);
    edit(&app, &path, "fourth").await;
    app.post(&format!("{path}/stop")).send().await.expect(200);
    app.post(&format!("{path}/archive")).send().await.expect(200);
    let entries = history(&app, &path).await;
    let told: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
            (
                text("command"),
                text("from"),
                text("to"),
                entry["version"].as_u64().unwrap_or(0),
                entry["changed"].clone(),
            )
        })
        .collect();
    let none = json!([]);
    let expected = [
        ("create", "-", "draft", 1, none.clone()),
        ("edit", "draft", "draft", 1, json!(["name", "tags", "on_missing", "actions"])),
        ("edit", "draft", "draft", 1, json!(["description", "segment_id"])),
        ("rename", "draft", "draft", 0, json!(["description"])),
        ("activate", "draft", "activating", 1, none.clone()),
        ("become_scheduled", "activating", "scheduled", 1, none.clone()),
        ("edit", "scheduled", "scheduled", 2, json!(["schedule"])),
        ("activate", "scheduled", "scheduled", 2, none.clone()),
        ("replace", "scheduled", "scheduled", 2, none.clone()),
        ("edit", "scheduled", "scheduled", 3, json!(["actions"])),
        ("discard_draft", "scheduled", "scheduled", 3, none.clone()),
        ("edit", "scheduled", "scheduled", 4, json!(["actions"])),
        // What is stopped and put away is the campaign as it runs, whatever is being edited beside.
        ("stop", "scheduled", "stopped", 2, none.clone()),
        ("archive", "stopped", "archived", 2, none),
    ];
    let expected = expected.map(|(command, from, to, version, changed)| {
        (command.to_owned(), from.to_owned(), to.to_owned(), version, changed)
    });
    assert_eq!(told, expected);
    for (place, entry) in entries.iter().rev().take(11).enumerate() {
        assert_eq!(entry["at"], format!("2026-11-25T09:00:{place:02}Z"));
    }
    // Who: the beginning of the key's id, and its name.
    let keys = app.store.keys.list(None, 10).await.unwrap();
    let id_of = |role: Role| keys.0.iter().find(|key| key.role == role).unwrap().id.clone();
    for entry in &entries {
        let by = match entry["command"].as_str().unwrap() {
            "become_scheduled" | "replace" => json!({ "id": "envoi", "name": "Envoi" }),
            "create" | "activate" | "stop" | "archive" => {
                json!({ "id": &id_of(Role::Publisher)[..16], "name": "test" })
            }
            _ => json!({ "id": &id_of(Role::Manager)[..16], "name": "test" }),
        };
        assert_eq!(entry["by"], by, "{entry}");
    }
    let whole = json!(entries).to_string();
    for key in &keys.0 {
        assert!(key.id.len() > 16 && !whole.contains(&key.id), "the hash that a key is checked by");
    }
}

#[tokio::test]
async fn entries_of_one_instant_keep_their_order_and_pages_hold_each_once() {
    let app = TestApp::new().await;
    let path = draft(&app).await;
    for number in 0..25 {
        app.patch(&path)
            .json(&json!({ "name": format!("n{number}"), "tags": [number.to_string()] }))
            .send()
            .await
            .expect(200);
        app.post(&format!("{path}/duplicate")).send().await.expect(201);
    }
    let whole = history(&app, &path).await;
    assert_eq!(whole.len(), 51);
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("{path}/history?limit=7{cursor}")).send().await.expect(200);
        pages.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, whole);
    let renames = whole.iter().filter(|entry| entry["command"] == "rename").count();
    assert_eq!(renames, 25);
    // A cursor is one list's.
    let other = draft(&app).await;
    let page = app.get(&format!("{path}/history?limit=7")).send().await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    app.get(&format!("{other}/history?cursor={cursor}")).send().await.problem(400, "invalid_cursor");
    for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
        app.get(&format!("{path}/history?{query}")).send().await.problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn the_history_can_t_be_edited() {
    let app = TestApp::new().await;
    let path = format!("{}/history", draft(&app).await);
    let before = app.get(&path).send().await.expect(200);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = app.as_role(Role::Admin, method.clone(), &path).json(&json!({})).send().await;
        answer.problem(405, "method_not_allowed");
        let entry = app.as_role(Role::Admin, method, &format!("{path}/1")).json(&json!({})).send().await;
        entry.problem(404, "no_such_path");
    }
    assert_eq!(app.get(&path).send().await.expect(200), before);
}

#[tokio::test]
async fn archiving_twice_is_archiving_once() {
    let app = TestApp::new().await;
    for from in ["stopped", "completed+"] {
        let path = brought(&app, from).await;
        let first = app.post(&format!("{path}/archive")).send().await;
        let second = app.post(&format!("{path}/archive")).send().await;
        assert_eq!(first.etag(), second.etag());
        assert_eq!(first.expect(200), second.expect(200));
        assert_eq!(commands(&app, &path).await.iter().filter(|command| *command == "archive").count(), 1);
        // It is in no list unless asked for.
        let all =
            async |query: &str| app.get(&format!("/campaigns{query}")).send().await.expect(200).to_string();
        let id = path.strip_prefix("/campaigns/").unwrap();
        assert!(!all("").await.contains(id) && all("?status=archived").await.contains(id));
    }
}
