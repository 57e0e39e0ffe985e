//! Imports by a job and counts by a job, as far as the API has to do with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Method;
use platform::blob::{Presigned, Stat, Upload};
use platform::embedded::BlobFolder;
use platform::{Blob, BlobName, BlobWriter, PlatformError};
use serde_json::{Value, json};
use store::jobs::{Claim, Failure, Job, JobState};
use store::keys::Role;
use store::ledger::{Tenancy, Worker};
use store::tables;

use crate::app::TestApp;

async fn import(app: &TestApp, body: &Value) -> Value {
    app.post("/imports").json(body).send().await.expect(201)
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// Works on a started job as its function does, and ends it.
async fn work(app: &TestApp, id: &str, state: JobState, change: impl FnOnce(&mut Job)) {
    let worker = Worker::new(Tenancy::Shared);
    let claim = app.store.jobs.claim(id.parse().unwrap(), &worker, Duration::from_secs(60)).await.unwrap();
    let Claim::Claimed(mut job) = claim else { panic!("{claim:?}") };
    change(&mut job);
    job.state = state;
    assert!(app.store.jobs.end(&mut job).await.unwrap());
}

async fn started(app: &TestApp) -> String {
    let job = import(app, &json!({ "kind": "profiles" })).await;
    let path = job["upload"]["url"].as_str().unwrap();
    assert_eq!(app.put(path).csv("email\na@x.io\n").send().await.status, 204);
    app.post(&format!("/imports/{}/start", id(&job))).send().await.expect(202);
    id(&job).to_owned()
}

#[tokio::test]
async fn a_file_of_any_size_is_brought_and_the_import_started_once() {
    let app = TestApp::new().await;
    let job = import(&app, &json!({ "kind": "profiles" })).await;
    assert_eq!((&job["kind"], &job["state"]), (&json!("import_profiles"), &json!("awaiting_upload")));
    assert_eq!(job["progress"], json!({ "done": 0, "total": null, "unit": "bytes" }));
    let upload = &job["upload"];
    assert_eq!((&upload["method"], &upload["headers"]["content-type"]), (&json!("PUT"), &json!("text/csv")));
    assert_eq!(upload["expires_at"], "2026-11-27T09:00:00Z");
    let (file, start) = (upload["url"].as_str().unwrap(), format!("/imports/{}/start", id(&job)));

    app.post(&start).send().await.problem(409, "file_missing");
    app.put(file).json(&json!({})).send().await.problem(415, "unsupported_media_type");
    let broken = [Ok(Bytes::from_static(b"email\na@x.io\n")), Err(std::io::Error::other("gone"))];
    app.put(file).csv(Body::from_stream(stream::iter(broken))).send().await.problem(400, "bad_request");
    app.post(&start).send().await.problem(409, "file_missing");

    // More than the largest JSON body, in pieces that end anywhere.
    let text = format!("email\n{}", "a@x.io\n".repeat(1_100_000));
    assert!(text.len() > 7 * 1024 * 1024);
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        text.as_bytes().chunks(65_537).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let answer = app.put(file).csv(Body::from_stream(stream::iter(pieces))).send().await;
    assert_eq!(answer.status, 204);

    let started = app.post(&start).send().await.expect(202);
    assert_eq!((&started["state"], &started["progress"]["total"]), (&json!("queued"), &json!(text.len())));
    let again = app.post(&start).send().await.expect(202);
    assert_eq!(again["started_at"], started["started_at"]);
    assert_eq!(app.take(tables::JOBS).await, [json!({ "job": job["id"] })]);
    app.put(file).csv("email\nb@x.io\n").send().await.problem(409, "import_started");

    let job = app.get(&format!("/jobs/{}", id(&job))).send().await.expect(200);
    assert_eq!(job, again);
    // Whoever may read may not write.
    assert!(job.get("upload").is_none());
    let result = json!({ "rows": 0, "created": 0, "updated": 0, "duplicates": 0, "invalid": 0 });
    assert_eq!((&job["result"], &job["errors_url"], &job["failure"]), (&result, &Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_later_file_takes_the_place_of_an_earlier_one_until_the_start() {
    let app = TestApp::new().await;
    let job = import(&app, &json!({ "kind": "profiles" })).await;
    let file = job["upload"]["url"].as_str().unwrap();
    for text in ["email\na@x.io\n", "email\n"] {
        assert_eq!(app.put(file).csv(text).send().await.status, 204);
    }
    let started = app.post(&format!("/imports/{}/start", id(&job))).send().await.expect(202);
    assert_eq!(started["progress"]["total"], 6);
}

#[tokio::test]
async fn members_go_onto_a_list_that_is_there() {
    let app = TestApp::new().await;
    let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    let rule = app.create("/segments", &json!({ "name": "r", "kind": "rule", "expression": "true" })).await;
    let make = async |body: Value| app.post("/imports").json(&body).send().await;
    let made = make(json!({ "kind": "members", "segment_id": list })).await.expect(201);
    assert_eq!((&made["kind"], &made["segment_id"]), (&json!("import_members"), &json!(list)));
    assert_eq!(made["result"], json!({ "rows": 0, "added": 0, "unchanged": 0, "invalid": 0 }));
    let made = make(json!({ "kind": "profiles", "segment_id": list })).await.expect(201);
    assert_eq!((&made["kind"], &made["segment_id"]), (&json!("import_profiles"), &json!(list)));

    let missing = make(json!({ "kind": "members" })).await.problem(400, "invalid_field");
    assert_eq!(missing["errors"][0]["field"], "segment_id");
    make(json!({ "kind": "people" })).await.problem(400, "invalid_field");
    make(json!({ "kind": "members", "segment_id": rule })).await.problem(409, "not_a_list");
    let gone = "00000000000000000000000000";
    make(json!({ "kind": "members", "segment_id": gone })).await.problem(404, "not_found");
    for (method, path) in [
        (Method::PUT, format!("/imports/{gone}/file")),
        (Method::POST, format!("/imports/{gone}/start")),
        (Method::GET, format!("/jobs/{gone}")),
        (Method::GET, format!("/jobs/{gone}/errors")),
        (Method::POST, format!("/segments/{gone}/count-jobs")),
    ] {
        app.as_role(Role::Manager, method, &path).csv("").send().await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_rows_left_out_are_a_file_once_the_job_is_over() {
    let app = TestApp::new().await;
    let id = started(&app).await;
    let (job, errors) = (format!("/jobs/{id}"), format!("/jobs/{id}/errors"));
    app.get(&errors).send().await.problem(404, "not_found");
    // More than what is read of it at once.
    let csv = format!("row,line,field,message\r\n{}", "1,2,email,\"no, none\"\r\n".repeat(20_000));
    let name = app.store.jobs.get(id.parse().unwrap()).await.unwrap().errors_file();
    app.blob.put(&name, csv.clone().into_bytes()).await.unwrap();
    work(&app, &id, JobState::Completed, |job| {
        let import = job.import_mut().unwrap();
        import.errors.push(3);
        (import.counts.rows, import.counts.created, import.counts.invalid) = (20_001, 1, 20_000);
    })
    .await;
    let over = app.get(&job).send().await.expect(200);
    assert_eq!((&over["state"], &over["errors_url"]), (&json!("completed"), &json!(errors)));
    assert_eq!(over["progress"], json!({ "done": 13, "total": 13, "unit": "bytes" }));
    let result = json!({ "rows": 20_001, "created": 1, "updated": 0, "duplicates": 0, "invalid": 20_000 });
    assert_eq!(over["result"], result);
    assert!(over["ended_at"].is_string());
    let answer = app.get(&errors).send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"text/csv; charset=utf-8".parse().unwrap())
    );
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(answer.headers["content-length"], csv.len().to_string());
    assert_eq!(answer.body, csv);
}

#[tokio::test]
async fn a_job_that_failed_says_why() {
    let app = TestApp::new().await;
    let id = started(&app).await;
    work(&app, &id, JobState::Failed, |job| {
        job.failure =
            Some(Failure { code: "invalid_csv".to_owned(), message: "the file is empty".to_owned() });
    })
    .await;
    let over = app.get(&format!("/jobs/{id}")).send().await.expect(200);
    assert_eq!(over["state"], "failed");
    assert_eq!(over["failure"], json!({ "code": "invalid_csv", "message": "the file is empty" }));
}

#[tokio::test]
async fn a_segment_is_counted_by_a_job() {
    let app = TestApp::new().await;
    let rule = app.create("/segments", &json!({ "name": "r", "kind": "rule", "expression": "true" })).await;
    let made = app.post(&format!("/segments/{rule}/count-jobs")).send().await.expect(202);
    assert_eq!((&made["kind"], &made["state"]), (&json!("count_segment"), &json!("queued")));
    assert_eq!(made["segment_id"], rule);
    assert_eq!(made["result"], json!({ "members": 0, "undecided": 0, "scanned": 0, "complete": false }));
    assert_eq!(made["progress"], json!({ "done": 0, "total": null, "unit": "profiles" }));
    assert_eq!(app.take(tables::JOBS).await, [json!({ "job": made["id"] })]);
    // It is no import.
    app.post(&format!("/imports/{}/start", id(&made))).send().await.problem(404, "not_found");
    app.put(&format!("/imports/{}/file", id(&made))).csv("").send().await.problem(404, "not_found");
    app.get(&format!("/jobs/{}/errors", id(&made))).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn jobs_are_listed_by_pages_the_newest_first() {
    let app = TestApp::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(id(&import(&app, &json!({ "kind": "profiles" })).await).to_owned());
        app.clock.advance(Duration::from_secs(1));
    }
    made.reverse();
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/jobs?limit=2{cursor}")).send().await.expect(200);
        listed.extend(page["items"].as_array().unwrap().iter().map(|job| id(job).to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed, made);
    app.get("/jobs?cursor=x").send().await.problem(400, "invalid_cursor");
}

/// Blobs as on AWS: clients bring and fetch them past us.
struct Signing(Arc<BlobFolder>);

#[async_trait]
impl Blob for Signing {
    async fn upload(&self, name: &BlobName, kind: &str, _: Duration) -> Result<Upload, PlatformError> {
        Ok(Upload::Presigned(Presigned {
            method: "PUT".to_owned(),
            url: format!("https://bucket/{name}?signature"),
            headers: vec![("content-type".to_owned(), kind.to_owned())],
        }))
    }
    async fn stat(&self, name: &BlobName) -> Result<Option<Stat>, PlatformError> {
        self.0.stat(name).await
    }
    async fn read(
        &self,
        name: &BlobName,
        tag: &str,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        self.0.read(name, tag, from, most).await
    }
    async fn put(&self, name: &BlobName, bytes: Vec<u8>) -> Result<(), PlatformError> {
        self.0.put(name, bytes).await
    }
    async fn create(&self, name: &BlobName) -> Result<Box<dyn BlobWriter>, PlatformError> {
        self.0.create(name).await
    }
    async fn download(
        &self,
        name: &BlobName,
        file_name: &str,
        _: Duration,
    ) -> Result<Option<String>, PlatformError> {
        Ok(Some(format!("https://bucket/{name}?as={file_name}")))
    }
    async fn delete(&self, name: &BlobName) -> Result<(), PlatformError> {
        self.0.delete(name).await
    }
}

#[tokio::test]
async fn where_urls_are_signed_files_come_and_go_past_the_api() {
    let mut app = TestApp::new().await;
    let blob = Arc::new(Signing(app.blob.clone()));
    app.router = api::router(api::Context::new(app.store.clone(), blob));
    let job = import(&app, &json!({ "kind": "profiles" })).await;
    let (id, upload) = (id(&job), &job["upload"]);
    assert_eq!(upload["url"], format!("https://bucket/imports/{id}/file.csv?signature"));
    assert_eq!(upload["headers"], json!({ "content-type": "text/csv" }));
    assert_eq!(upload["expires_at"], "2026-11-25T10:00:00Z");
    let put = app.put(&format!("/imports/{id}/file")).csv("email\na@x.io\n").send().await;
    let problem = put.problem(409, "upload_elsewhere");
    assert!(problem["detail"].as_str().unwrap().contains("`upload`"), "{problem}");

    let stored = app.store.jobs.get(id.parse().unwrap()).await.unwrap();
    app.blob.put(&stored.file(), b"email\nx\n".to_vec()).await.unwrap();
    app.post(&format!("/imports/{id}/start")).send().await.expect(202);
    work(&app, id, JobState::Completed, |job| job.import_mut().unwrap().errors.push(3)).await;
    app.blob.put(&stored.errors_file(), b"row\r\n".to_vec()).await.unwrap();
    let answer = app.get(&format!("/jobs/{id}/errors")).send().await;
    assert_eq!(answer.status, 307);
    let location = format!("https://bucket/imports/{id}/errors.csv?as=errors-{id}.csv");
    assert_eq!(answer.headers["location"], location);
}
