//! Imports and counts by a job, in a process that is really killed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campaign::SegmentId;
use campaign::segment::SegmentKind;
use envoi_tests::clock::TestClock;
use envoi_tests::process::{Api, Envoi, GUARD};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, Source, SystemClock};
use serde_json::{Value, json};
use store::jobs::{Counting, Job, Task};
use store::{HashKey, Store, tables};

const POLL: Duration = Duration::from_millis(20);
/// How many rows the file has.
const ROWS: u64 = 40_000;
/// Every so many rows one is wrong.
const WRONG: u64 = 20;
/// After so many rows the same people come again.
const PEOPLE: u64 = 30_000;

/// A file with wrong rows and with people who come twice, far from each other.
fn file() -> String {
    let mut csv = "\u{feff}email;person.name;age:number\r\n".to_owned();
    for row in 0..ROWS {
        let age = if row % WRONG == 0 { "old" } else { "41" };
        write!(csv, "p{}@example.com;\"Ann, Lee\";{age}\r\n", row % PEOPLE).unwrap();
    }
    csv
}

/// Waits until the job's progress is beyond `done`; how far it is, or `None` where it is over.
async fn progress_beyond(api: &Api, id: &str, done: u64) -> Option<u64> {
    let since = SystemClock.monotonic();
    loop {
        let job = api.get(&format!("/jobs/{id}")).await.unwrap();
        if job["state"] == "completed" {
            return None;
        }
        assert!(job["failure"].is_null(), "{job}");
        let now = job["progress"]["done"].as_u64().unwrap();
        assert!(now >= done, "it never goes back: {job}");
        if now > done {
            return Some(now);
        }
        assert!(SystemClock.monotonic() - since < GUARD, "it stands still: {job}");
        SystemClock.sleep(POLL).await;
    }
}

fn count(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{value} has no {field}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_again_and_again_loses_no_row_and_a_count_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let mut envoi = Envoi::new(folder.path().join("data"), SocketAddr::from(([127, 0, 0, 1], 9)), &[]);
    envoi.start().await.unwrap();
    let api = envoi.api().unwrap();
    let list = api.create("/segments", &json!({ "name": "Everybody", "kind": "list" })).await.unwrap();
    let job = json!({ "kind": "profiles", "segment_id": list });
    let job = api.post("/imports", &job).await.unwrap();
    let id = job["id"].as_str().unwrap().to_owned();
    let file = file();
    api.upload(&job["upload"], file.clone()).await.unwrap();
    let started = api.act(&format!("/imports/{id}/start")).await.unwrap();
    assert_eq!(count(&started["progress"], "total"), file.len() as u64);

    // In its first step, and in the middle of each later one: what was done since the last is done again.
    let mut done = 0;
    loop {
        SystemClock.sleep(Duration::from_millis(300)).await;
        envoi.kill().unwrap();
        envoi.start().await.unwrap();
        match progress_beyond(envoi.api().unwrap(), &id, done).await {
            Some(now) => done = now,
            None => break,
        }
    }
    let api = envoi.api().unwrap();
    let job = api.job(&id, POLL).await.unwrap();
    assert_eq!((&job["state"], &job["failure"]), (&json!("completed"), &Value::Null), "{job}");
    let result = &job["result"];
    let wrong = ROWS / WRONG;
    let people = PEOPLE - PEOPLE / WRONG;
    assert_eq!((count(result, "rows"), count(result, "invalid")), (ROWS, wrong), "{result}");
    // Whom a step had created that was lost, it finds there when it is taken again.
    assert_eq!(count(result, "created") + count(result, "updated"), people, "{result}");
    assert_eq!(count(result, "duplicates"), ROWS - wrong - people, "{result}");

    let errors = api.download(job["errors_url"].as_str().unwrap()).await.unwrap();
    let rows: Vec<u64> =
        errors.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    let expected: Vec<u64> = (0..ROWS).step_by(WRONG as usize).map(|row| row + 1).collect();
    assert!(rows == expected, "every wrong row is listed once, in order: {} rows", rows.len());

    // The job's file is gone, and what it needed on its way.
    let files: Vec<_> = std::fs::read_dir(envoi.data().join("files").join("imports").join(&id))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, ["errors.csv"]);

    for segment in [list, api.rule("profile.age == 41").await.unwrap()] {
        let at_once = api.act(&format!("/segments/{segment}/count")).await.unwrap();
        assert_eq!((count(&at_once, "members"), &at_once["complete"]), (people, &json!(true)));
        let job = api.act(&format!("/segments/{segment}/count-jobs")).await.unwrap();
        let job = api.job(job["id"].as_str().unwrap(), POLL).await.unwrap();
        assert_eq!((&job["state"], &job["result"]), (&json!("completed"), &at_once), "{job}");
    }
    envoi.terminate(GUARD).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_by_a_job_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut envoi = Envoi::new(folder.path().join("data"), SocketAddr::from(([127, 0, 0, 1], 9)), &[]);
    envoi.start().await.unwrap();
    let api = envoi.api().unwrap();
    api.import("email,external_id\na@example.com,1\nb@example.com,2\nc@example.com,3\n").await.unwrap();
    let list = api.create("/segments", &json!({ "name": "Some", "kind": "list" })).await.unwrap();
    let job = json!({ "kind": "members", "segment_id": list });
    let job = api.post("/imports", &job).await.unwrap();
    let id = job["id"].as_str().unwrap();
    // Corpus G10 and G11: semicolons, and no line end behind the last row.
    let file = "external_id;note\r\n1;x\r\n2;x\r\n4;nobody\r\n\r\n1;again";
    api.upload(&job["upload"], file).await.unwrap();
    api.act(&format!("/imports/{id}/start")).await.unwrap();
    let job = api.job(id, POLL).await.unwrap();
    assert_eq!(job["result"], json!({ "rows": 4, "added": 2, "unchanged": 1, "invalid": 1 }), "{job}");
    let errors = api.download(job["errors_url"].as_str().unwrap()).await.unwrap();
    assert_eq!(errors, "row,line,field,message\r\n3,4,external_id,nobody has this identity\r\n");
    assert_eq!(api.get(&format!("/segments/{list}")).await.unwrap()["members"], 2);
    let listed = api.all("/jobs").await.unwrap();
    assert_eq!(listed, [job]);
    envoi.terminate(GUARD).await.unwrap();
}

#[tokio::test]
async fn the_sweep_sends_the_lost_message_of_a_job_again() {
    let clock = Arc::new(TestClock::default());
    let engine = Embedded::in_memory(clock.clone());
    let store = Store::new(engine.platform(), HashKey([7; 32]));
    let segment = SegmentId::random();
    let rule = SegmentKind::Rule { expression: "true".to_owned() };
    let count = Counting::begin(segment, &rule, clock.now());
    let job = Job::new(Task::CountSegment { segment, count }, clock.now());
    store.jobs.create(&job).await.unwrap();
    let take = async || {
        let taken = engine.receive(tables::JOBS, 10, GUARD, 5).await.unwrap();
        engine
            .delete(tables::JOBS, taken.iter().map(|message| message.receipt.clone()).collect())
            .await
            .unwrap();
        taken.into_iter().map(|message| message.body).collect::<Vec<_>>()
    };
    let sweep = async || {
        let context = activate::Context { store: store.clone(), sweep_every: Duration::from_secs(60) };
        activate::sweep(&context, Deadline::after(&*clock, GUARD)).await.unwrap()
    };
    let message = json!({ "job": job.id }).to_string();
    assert_eq!(take().await, [message.as_str()]);
    assert_eq!((sweep().await, take().await.len()), (0, 0));
    clock.advance(Duration::from_secs(301));
    assert_eq!(sweep().await, 1);
    assert_eq!(take().await, [message.as_str()]);
    assert_eq!((sweep().await, take().await.len()), (0, 0));
}
