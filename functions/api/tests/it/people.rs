//! Exports and erasures of people, as far as the API has to do with them.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use store::jobs::{Claim, Failure, JobState};
use store::keys::Role;
use store::ledger::{Tenancy, Worker};
use store::tables;

use crate::app::TestApp;

const NOBODY: &str = "00000000000000000000000000";

async fn ann(app: &TestApp) -> String {
    app.create("/profiles", &json!({ "email": "ann@example.org", "external_id": "a1" })).await
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// Works on a job as its function does, as far as the API sees it, and ends it.
async fn end(app: &TestApp, job: &Value, state: JobState) {
    let worker = Worker::new(Tenancy::Shared);
    let claim =
        app.store.jobs.claim(id(job).parse().unwrap(), &worker, Duration::from_secs(60)).await.unwrap();
    let Claim::Claimed(mut job) = claim else { panic!("{claim:?}") };
    if state == JobState::Failed {
        job.failure = Some(Failure { code: "gave_up".to_owned(), message: "no".to_owned() });
    }
    job.state = state;
    assert!(app.store.jobs.end(&mut job).await.unwrap());
}

#[tokio::test]
async fn an_export_is_a_job_whose_file_is_fetched_by_a_manager() {
    let app = TestApp::new().await;
    let ann = ann(&app).await;
    app.post(&format!("/profiles/{NOBODY}/export")).send().await.problem(404, "not_found");
    let job = app.post(&format!("/profiles/{ann}/export")).send().await.expect(202);
    assert_eq!((&job["kind"], &job["state"]), (&json!("export_profile"), &json!("queued")));
    assert_eq!((&job["profile_id"], &job["segment_id"]), (&json!(ann), &Value::Null));
    assert_eq!(job["progress"], json!({ "done": 0, "total": null, "unit": "records" }));
    assert_eq!((&job["result"], &job["export_url"]), (&json!({ "messages": 0 }), &Value::Null));
    assert_eq!(app.take(tables::JOBS).await, [json!({ "job": job["id"] })]);

    let file = format!("/jobs/{}/export", id(&job));
    let fetch = |role| app.as_role(role, Method::GET, &file);
    fetch(Role::Manager).send().await.problem(404, "not_found");
    let name = app.store.jobs.get(id(&job).parse().unwrap()).await.unwrap().export_file();
    platform::Blob::put(&*app.blob, &name, b"{\"profile\":{}}\n".to_vec()).await.unwrap();
    fetch(Role::Manager).send().await.problem(404, "not_found");
    end(&app, &job, JobState::Completed).await;
    let over = app.get(&format!("/jobs/{}", id(&job))).send().await.expect(200);
    assert_eq!((&over["state"], &over["export_url"]), (&json!("completed"), &json!(file)));
    let answer = fetch(Role::Manager).send().await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let disposition = format!("attachment; filename=\"profile-{}.json\"", id(&job));
    assert_eq!(answer.headers["content-disposition"], disposition);
    assert_eq!(answer.expect(200), json!({ "profile": {} }));
    fetch(Role::Viewer).send().await.problem(403, "forbidden");
    app.get(&format!("/jobs/{}/errors", id(&job))).send().await.problem(404, "not_found");

    // Erasing removes the file.
    platform::Blob::delete(&*app.blob, &name).await.unwrap();
    fetch(Role::Manager).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn an_erasure_is_asked_for_once_however_often() {
    let app = TestApp::new().await;
    let ann = ann(&app).await;
    let (erase, profile) = (format!("/profiles/{ann}/erase"), format!("/profiles/{ann}"));
    app.post(&format!("/profiles/{NOBODY}/erase")).send().await.problem(404, "not_found");
    app.as_role(Role::Viewer, Method::POST, &erase).send().await.problem(403, "forbidden");
    let job = app.as_role(Role::Manager, Method::POST, &erase).send().await.expect(202);
    assert_eq!((&job["kind"], &job["state"]), (&json!("erase_profile"), &json!("queued")));
    assert_eq!((&job["profile_id"], &job["export_url"]), (&json!(ann), &Value::Null));
    let nothing = json!({
        "profiles": 0, "lists": 0, "calls": 0, "error_texts": 0, "answers": 0, "events": 0, "exports": 0,
    });
    assert_eq!(job["result"], nothing);
    let again = app.post(&erase).send().await.expect(202);
    assert_eq!(again, job);
    assert_eq!(app.take(tables::JOBS).await, [json!({ "job": job["id"] })]);

    // Given up with the profile gone: something may be left, so it is begun anew.
    app.delete(&profile).send().await.expect(204);
    end(&app, &job, JobState::Failed).await;
    let second = app.post(&erase).send().await.expect(202);
    assert_ne!(second["id"], job["id"]);
    end(&app, &second, JobState::Completed).await;
    let third = app.post(&erase).send().await.expect(202);
    assert_eq!((&third["id"], &third["state"]), (&second["id"], &json!("completed")));

    // The id is nobody's for as long as messages are known by it.
    app.put(&profile)
        .json(&json!({ "email": "new@example.org" }))
        .send()
        .await
        .problem(410, "profile_erased");
    app.post(&format!("/profiles/{ann}/export")).send().await.problem(404, "not_found");
    app.clock.advance(Duration::from_secs(31 * 24 * 3600));
    app.put(&profile)
        .json(&json!({ "email": "new@example.org" }))
        .send()
        .await
        .problem(410, "profile_erased");
    // The job is forgotten by then.
    app.post(&erase).send().await.problem(404, "not_found");
    app.clock.advance(Duration::from_secs(90 * 24 * 3600));
    app.put(&profile).json(&json!({ "email": "new@example.org" })).send().await.expect(201);
    let new = app.post(&erase).send().await.expect(202);
    assert_ne!(new["id"], second["id"]);
}

#[tokio::test]
async fn those_who_ask_for_the_same_erasure_at_the_same_time_get_one_job() {
    let app = TestApp::new().await;
    let erase = format!("/profiles/{}/erase", ann(&app).await);
    let asked = (0..8).map(|_| async { app.post(&erase).send().await.expect(202)["id"].clone() });
    let jobs = futures::future::join_all(asked).await;
    assert!(jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    assert_eq!(app.take(tables::JOBS).await.len(), 1);
}

#[tokio::test]
async fn a_repeated_call_whose_answer_showed_an_erased_person_is_told_so() {
    let app = TestApp::new().await;
    let body = json!({ "email": "ann@example.org" });
    let create = || app.post("/profiles").header("idempotency-key", "k").json(&body);
    let made = create().send().await.expect(201);
    assert_eq!(create().send().await.expect(201), made);
    let person = made["id"].as_str().unwrap().parse().unwrap();
    let traces = app.store.ledger.traces(person, None, 1000).await.unwrap();
    let [store::ledger::Trace::Answer(partition)] = &traces.found[..] else { panic!("{traces:?}") };
    assert!(app.store.idempotency.erase(partition).await.unwrap());
    create().send().await.problem(410, "answer_erased");
    assert!(app.store.ledger.traces(person, None, 1000).await.unwrap().found.is_empty());
    // What was carried out stays so.
    let found = app.get("/profiles?email=ann@example.org").send().await.expect(200);
    assert_eq!(found["items"][0]["id"], made["id"]);
}
