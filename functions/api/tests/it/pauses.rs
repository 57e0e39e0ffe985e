//! Pausing and resuming an execution.

use std::time::Duration;

use campaign::report::Counts;
use campaign::status::Command;
use campaign::{Code, ExecutionId};
use http::Method;
use platform::Source;
use serde_json::{Value, json};
use store::keys::Role;
use store::ledger::{ExecutionSummary, State};
use store::tables;

use crate::app::Answer;
use crate::executions::Run;

const MINUTE: Duration = Duration::from_secs(60);

async fn press(run: &Run, button: &str) -> Answer {
    run.app.post(&format!("{}/{button}", run.path())).send().await
}

/// How many sweeps were asked for and are not answered yet.
async fn sweeps(run: &Run) -> usize {
    let taken = run.app.engine.receive(tables::WAKE_UP, 10, MINUTE, 5).await.unwrap();
    taken.iter().filter(|message| message.body.contains("sweep")).count()
}

async fn listed(run: &Run) -> Value {
    let path = format!("/campaigns/{}/executions", run.campaign);
    run.app.get(&path).send().await.expect(200)["items"][0].clone()
}

#[tokio::test]
async fn an_execution_is_paused_and_resumed_and_says_so_everywhere() {
    let run = Run::start(60).await;
    let before = run.get().await;
    assert_eq!((&before["state"], &before["paused_at"]), (&json!("running"), &Value::Null));

    let paused = press(&run, "pause").await.expect(200);
    let expected = json!("2026-11-25T09:00:00Z");
    assert_eq!((&paused["state"], &paused["paused_at"]), (&json!("paused"), &expected));
    assert_eq!(
        (&paused["id"], &paused["total"], &paused["ended_at"]),
        (&before["id"], &before["total"], &Value::Null)
    );
    assert_eq!(run.get().await, paused);
    let row = listed(&run).await;
    assert_eq!(
        (&row["state"], &row["paused_at"], &row["total"]),
        (&json!("paused"), &expected, &Value::Null)
    );
    let campaign = run.app.get(&format!("/campaigns/{}", run.campaign)).send().await.expect(200);
    assert_eq!(campaign["status"], "live");

    // Again, later: the same answer, and the first pause counts.
    run.app.clock.advance(MINUTE);
    assert_eq!(press(&run, "pause").await.expect(200), paused);
    assert_eq!(sweeps(&run).await, 0);

    let resumed = press(&run, "resume").await.expect(200);
    assert_eq!(resumed, before);
    assert_eq!(press(&run, "resume").await.expect(200), before);
    let row = listed(&run).await;
    assert_eq!((&row["state"], &row["paused_at"]), (&json!("running"), &Value::Null));
    run.app.clock.advance(MINUTE);
    assert_eq!(sweeps(&run).await, 1, "the resume asks for a sweep, and its repetition for none");
}

#[tokio::test]
async fn what_is_ended_or_ending_can_be_neither_paused_nor_resumed() {
    let completed = Run::start(10).await;
    completed.deliver(|_, _| Code::Sent).await;
    completed.complete().await;
    let stopping = Run::start(10).await;
    stopping.app.post(&format!("/campaigns/{}/stop", stopping.campaign)).send().await.expect(200);
    for (run, state) in [(&completed, "completed"), (&stopping, "stopping")] {
        for (button, participle) in [("pause", "paused"), ("resume", "resumed")] {
            let problem = press(run, button).await.problem(409, "state_not_allowed");
            let detail =
                format!("an execution that is {state} can't be {participle}: allowed in running, paused");
            assert_eq!(problem["detail"], json!(detail));
            assert_eq!(problem["execution_state"], state);
            assert_eq!(problem["allowed_in"], json!(["running", "paused"]));
        }
        assert_eq!(run.get().await["state"], state);
    }
}

#[tokio::test]
async fn ids_without_an_execution_are_answered_as_by_a_resend() {
    let run = Run::start(1).await;
    let missed = ExecutionSummary {
        id: ExecutionId::random(),
        campaign: run.campaign,
        version: 1,
        occurrence: "2026-11-25T10:00:00Z".parse().unwrap(),
        state: State::Missed,
        started_at: None,
        paused_at: None,
        ended_at: None,
        counts: vec![Counts::default()],
        shards: 0,
    };
    assert!(run.app.store.ledger.miss(&run.campaign().await, &missed).await.unwrap());
    for id in [missed.id.to_string(), ExecutionId::random().to_string(), "x".to_owned(), "%ff".to_owned()] {
        let path = format!("/executions/{id}");
        let resend =
            run.app.post(&format!("{path}/resend")).json(&json!({ "outcomes": ["failed"] })).send().await;
        for button in ["pause", "resume"] {
            let answer = run.app.post(&format!("{path}/{button}")).send().await;
            assert_eq!(answer.status, resend.status, "{button} {id}");
            assert_eq!(answer.json()["code"], resend.json()["code"], "{button} {id}");
        }
    }
    run.app.post(&format!("/executions/{}/pause", missed.id)).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_paused_execution_is_stopped_with_its_campaign_and_stays_so() {
    let run = Run::start(10).await;
    press(&run, "pause").await.expect(200);
    // A stop that died before it came to the executions counts: nothing of it goes on.
    let by = campaign::model::Actor::envoi();
    run.app.store.campaigns.command(run.campaign, Command::Stop, &by, |_| Ok(())).await.unwrap();
    let problem = press(&run, "resume").await.problem(409, "state_not_allowed");
    assert_eq!(problem["execution_state"], "stopped with its campaign");
    assert_eq!(run.get().await["state"], "paused");
    run.app.post(&format!("/campaigns/{}/stop", run.campaign)).send().await.expect(200);
    let stopping = run.get().await;
    assert_eq!((&stopping["state"], &stopping["paused_at"]), (&json!("stopping"), &Value::Null));
    press(&run, "resume").await.problem(409, "state_not_allowed");
}

#[tokio::test]
async fn the_failed_of_a_paused_execution_are_opened_again_and_wait_with_the_others() {
    let run = Run::start(60).await;
    run.deliver(|profile, _| if profile.as_bytes()[15] < 3 { Code::Policy } else { Code::Sent }).await;
    press(&run, "pause").await.expect(200);
    assert_eq!(run.resend(json!(["failed"])).await["reopened"], 12);
    let paused = run.get().await;
    assert_eq!((&paused["state"], &paused["total"]["pending"]), (&json!("paused"), &json!(12)));
    assert_eq!(run.campaign().await.open_executions, 1);
}

#[tokio::test]
async fn only_a_publisher_pauses_and_resumes() {
    let run = Run::start(1).await;
    for button in ["pause", "resume"] {
        let path = format!("{}/{button}", run.path());
        for role in [Role::Viewer, Role::Manager] {
            run.app.as_role(role, Method::POST, &path).send().await.problem(403, "forbidden");
        }
        run.app.as_role(Role::Publisher, Method::POST, &path).send().await.expect(200);
    }
}

#[tokio::test]
async fn the_history_of_the_campaign_tells_of_both_once() {
    let run = Run::start(10).await;
    for button in ["pause", "pause", "resume", "resume"] {
        press(&run, button).await.expect(200);
    }
    let path = format!("/campaigns/{}/history", run.campaign);
    let history = run.app.get(&path).send().await.expect(200);
    let told: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["execution_id"] == json!(run.head.id))
        .filter(|entry| entry["by"]["name"] == "test")
        .map(|entry| entry["command"].as_str().unwrap().to_owned())
        .collect();
    let expected = std::collections::BTreeSet::from(["pause".to_owned(), "resume".to_owned()]);
    assert_eq!((told.len(), std::collections::BTreeSet::from_iter(told)), (2, expected));
}
