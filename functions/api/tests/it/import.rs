//! Corpus G and L2, from the outside.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};

use crate::app::TestApp;

async fn import(app: &TestApp, file: impl Into<Body>) -> Value {
    let report = app.post("/profiles/import").csv(file).send().await.expect(200);
    let sum = ["created", "updated", "duplicates", "invalid"]
        .map(|name| report[name].as_u64().unwrap())
        .iter()
        .sum::<u64>();
    assert_eq!(report["rows"], sum, "rows are accounted for: {report}");
    report
}

async fn by_email(app: &TestApp, email: &str) -> Value {
    let found = app.get(&format!("/profiles?email={email}")).send().await.expect(200);
    found["items"][0].clone()
}

#[tokio::test]
async fn files_come_with_any_mark_delimiter_and_line_ends() {
    for (name, file) in [
        ("G1: byte order mark", "\u{feff}email,name\na@x.io,Ann\n"),
        ("G11: semicolons", "email;name\r\na@x.io;Ann\r\n"),
        ("G11: sep line", "sep=;\r\nemail;name\r\na@x.io;Ann\r\n"),
        ("tabs", "email\tname\na@x.io\tAnn\n"),
        ("CR only", "email,name\ra@x.io,Ann\r"),
        ("G10: no last line end", "email,name\na@x.io,Ann"),
    ] {
        let app = TestApp::new().await;
        let report = import(&app, file).await;
        assert_eq!((&report["rows"], &report["created"]), (&json!(1), &json!(1)), "{name}: {report}");
        assert_eq!(by_email(&app, "a@x.io").await["attributes"]["name"], "Ann", "{name}");
    }
}

#[tokio::test]
async fn quoted_newlines_stay_in_their_row() {
    let app = TestApp::new().await;
    let report = import(&app, "email,note\na@x.io,\"line1\nline2\"\nb@x.io,plain\n").await;
    assert_eq!(report["created"], 2);
    assert_eq!(by_email(&app, "a@x.io").await["attributes"]["note"], "line1\nline2");
}

#[tokio::test]
async fn a_bad_row_is_reported_with_row_line_and_field_and_stops_nothing() {
    let app = TestApp::new().await;
    let file = "email,name,age:number\n\
        a@x.io,Ann,41\n\
        george,G,1\n\
        b@x.io,\"Bo\nB\",x\n\
        c@x.io,C\n\
        d@x.io,D,1,too many\n\
        ,nobody,1\n\
        e@x.io,E,7\n";
    let report = import(&app, file).await;
    assert_eq!((&report["rows"], &report["created"], &report["invalid"]), (&json!(7), &json!(3), &json!(4)));
    let errors: Vec<_> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (error["row"].as_u64().unwrap(), error["line"].as_u64().unwrap(), error["field"].clone())
        })
        .collect();
    assert_eq!(
        errors,
        [(2, 3, json!("email")), (3, 4, json!("age")), (5, 7, Value::Null), (6, 8, Value::Null)]
    );
    assert_eq!(report["errors_truncated"], false);
    // Corpus G5: a short row is padded.
    assert_eq!(by_email(&app, "c@x.io").await["attributes"], json!({ "name": "C" }));
}

#[tokio::test]
async fn the_same_person_twice_is_counted_and_the_last_row_holds() {
    let app = TestApp::new().await;
    // Corpus G7: once within a batch and once far behind it.
    let mut file = "email,name,city\na@x.io,Ann,Paris\nA@X.io,Anna,\n".to_owned();
    for n in 0..1000 {
        file.push_str(&format!("p{n}@x.io,P{n},\n"));
    }
    file.push_str("a@x.io,Anne,\nb@x.io,Bo,\n");
    let report = import(&app, file.clone()).await;
    assert_eq!(
        (&report["rows"], &report["created"], &report["duplicates"]),
        (&json!(1004), &json!(1002), &json!(2))
    );
    let ann = by_email(&app, "a@x.io").await;
    // An empty cell leaves the field as it is.
    assert_eq!(ann["attributes"], json!({ "name": "Anne", "city": "Paris" }));
    let again = import(&app, file).await;
    assert_eq!(
        (&again["created"], &again["updated"], &again["duplicates"]),
        (&json!(0), &json!(1002), &json!(2))
    );
}

#[tokio::test]
async fn consent_is_imported_without_touching_other_channels() {
    let app = TestApp::new().await;
    app.create(
        "/profiles",
        &json!({ "email": "a@x.io", "consent": { "sms": "out" }, "attributes": { "a": { "b": 1 } } }),
    )
    .await;
    import(&app, "email,consent.email,a.c:number\na@x.io,in,2\nb@x.io,maybe,3\n").await;
    let ann = by_email(&app, "a@x.io").await;
    assert_eq!(ann["consent"], json!({ "email": "in", "sms": "out" }));
    assert_eq!(ann["attributes"], json!({ "a": { "b": 1, "c": 2 } }));
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_whole() {
    let app = TestApp::new().await;
    // Corpus G6.
    let latin =
        app.post("/profiles/import").csv(Bytes::from_static(b"email,name\na@x.io,Jos\xe9\n")).send().await;
    let problem = latin.problem(400, "invalid_csv");
    assert!(problem["detail"].as_str().unwrap().contains("windows-1252"), "{problem}");
    for file in ["", "\n\n", "email,email\n", "name\nAnn\n", "id,email\n1,a@x.io\n", "email,age:int\n"] {
        app.post("/profiles/import").csv(file).send().await.problem(400, "invalid_csv");
    }
    app.post("/profiles/import").json(&json!({})).send().await.problem(415, "unsupported_media_type");
    assert_eq!(app.store.profiles.estimate().await.unwrap(), 0);
}

#[tokio::test]
async fn a_thousand_errors_are_listed_and_the_rest_counted() {
    let app = TestApp::new().await;
    let file = format!("email\n{}", "nobody\n".repeat(1500));
    let report = import(&app, file).await;
    assert_eq!((&report["invalid"], &report["errors_truncated"]), (&json!(1500), &json!(true)));
    assert_eq!(report["errors"].as_array().unwrap().len(), 1000);
}

#[tokio::test]
async fn an_upload_is_read_as_it_comes_and_one_that_breaks_off_says_so() {
    let app = TestApp::new().await;
    // Corpus L2: more than the largest JSON body, in pieces that end anywhere.
    let row = |n: usize| format!("{n},p{n}@x.io,{}\r\n", "x".repeat(2000));
    let text: String =
        std::iter::once("external_id,email,note\r\n".to_owned()).chain((0..4000).map(row)).collect();
    assert!(text.len() > 7 * 1024 * 1024);
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        text.as_bytes().chunks(65_537).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let report = import(&app, Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(report["created"], 4000);

    let broken = [Ok(Bytes::from_static(b"email\na@x.io\n")), Err(std::io::Error::other("gone"))];
    app.post("/profiles/import")
        .csv(Body::from_stream(stream::iter(broken)))
        .send()
        .await
        .problem(400, "bad_request");
}

#[tokio::test]
async fn everybody_imported_is_put_on_a_list() {
    let app = TestApp::new().await;
    let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    let rule = app.create("/segments", &json!({ "name": "r", "kind": "rule", "expression": "true" })).await;
    let file = "email\na@x.io\nb@x.io\nnobody\nA@x.io\n";
    let path = format!("/profiles/import?segment={list}");
    app.post(&path).csv(file).send().await.expect(200);
    app.post(&path).csv(file).send().await.expect(200);
    let count = app.post(&format!("/segments/{list}/count")).send().await.expect(200);
    assert_eq!(count["members"], 2);
    assert_eq!(app.get(&format!("/segments/{list}")).send().await.expect(200)["members"], 2);
    app.post(&format!("/profiles/import?segment={rule}")).csv(file).send().await.problem(409, "not_a_list");
    let gone = "/profiles/import?segment=00000000000000000000000000";
    app.post(gone).csv(file).send().await.problem(404, "not_found");
    app.post("/profiles/import?segment=x").csv(file).send().await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_file_that_takes_longer_than_a_call_may_is_answered_with_how_far_it_was_read() {
    let mut app = TestApp::new().await;
    let context = api::Context::new(app.store.clone(), app.blob.clone());
    app.router = api::router(context.with_longest_import(Duration::from_secs(20)));
    let list = app.create("/segments", &json!({ "name": "l", "kind": "list" })).await;
    // Three of these are read in the time. Each ends within a row.
    let slow = |column: &'static str| {
        let clock = app.clock.clone();
        let pieces = (0..10).map(move |piece| {
            clock.advance(Duration::from_secs(6));
            let mut text = if piece == 0 { format!("{column},note\n") } else { "x.io,\n".to_owned() };
            let note = "x".repeat(250);
            text.extend((0..100).map(|row| format!("p{piece}-{row}@x.io,{note}\n")));
            text.push_str(&format!("end{piece}@"));
            Ok::<_, std::convert::Infallible>(Bytes::from(text))
        });
        Body::from_stream(stream::iter(pieces))
    };
    let path = format!("/profiles/import?segment={list}");
    let problem = app.post(&path).csv(slow("email")).send().await.problem(413, "import_unfinished");
    assert_eq!((&problem["rows"], &problem["report"]["rows"]), (&json!(302), &json!(302)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("/imports"), "{problem}");
    let members = app.get(&format!("/segments/{list}")).send().await.expect(200)["members"].clone();
    assert_eq!(members, problem["report"]["created"]);

    let path = format!("/segments/{list}/members/import");
    let problem = app.post(&path).csv(slow("email")).send().await.problem(413, "import_unfinished");
    assert_eq!((&problem["rows"], &problem["report"]["added"]), (&json!(302), &json!(0)), "{problem}");
    let path = "/suppressions/import";
    let problem = app.post(path).csv(slow("address")).send().await.problem(413, "import_unfinished");
    assert_eq!((&problem["rows"], &problem["report"]["rows"]), (&json!(302), &json!(302)), "{problem}");
}
