use http::Method;
use serde_json::json;
use store::keys::Role;

use crate::app::TestApp;

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = TestApp::new().await;
    app.get("/nothing/here").send().await.problem(404, "no_such_path");
    let answer = app.as_role(Role::Admin, Method::PUT, "/segments").send().await;
    assert!(answer.headers["allow"].to_str().unwrap().contains("POST"));
    answer.problem(405, "method_not_allowed");
    app.get("/campaigns/not-an-id").send().await.problem(404, "not_found");
    app.get("/campaigns/00000000000000000000000000").send().await.problem(404, "not_found");
    let head = app.as_role(Role::Viewer, Method::HEAD, "/segments").send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_bad_body_is_told_where_it_is_bad() {
    let app = TestApp::new().await;
    let post = || app.post("/campaigns").header("content-type", "application/json");
    post().body("{").send().await.problem(400, "malformed_body");
    post().body("").send().await.problem(400, "malformed_body");
    post().body("{} {}").send().await.problem(400, "invalid_field");
    post().body("\u{feff}{}").send().await.problem(400, "malformed_body");
    app.post("/campaigns").body("{}").send().await.problem(415, "unsupported_media_type");
    app.post("/campaigns").csv("{}").send().await.problem(415, "unsupported_media_type");
    let big = format!("{{\"name\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    post().body(big.clone()).send().await.problem(413, "body_too_large");
    post().header("idempotency-key", "k").body(big).send().await.problem(413, "body_too_large");
    let just = format!("{{\"name\":\"{}\"}}", "x".repeat(4 * 1024 * 1024 - 11));
    post().body(just).send().await.problem(400, "invalid_field");

    for (body, field) in [
        (
            json!({ "name": "n", "category": "marketing", "actions": [{ "channel": "fax" }] }),
            "actions[0].channel",
        ),
        (
            json!({ "name": "n", "category": "marketing", "actions": [{ "channel": "email", "content": { "subject": 3 } }] }),
            "actions[0].content.subject",
        ),
        (json!({ "name": "n", "category": "marketing", "nmae": "x" }), "nmae"),
        (json!({ "name": "n", "category": "marketing", "segment_id": "x" }), "segment_id"),
        (json!({ "name": "", "category": "marketing" }), "name"),
        (json!({ "name": "n", "category": "marketing", "tags": ["a", " "] }), "tags[1]"),
    ] {
        let problem = app.post("/campaigns").json(&body).send().await.problem(400, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(!problem["errors"][0]["message"].as_str().unwrap().contains(" at line "), "{problem}");
    }
}

#[tokio::test]
async fn foreign_cursors_and_parameters_are_refused() {
    let app = TestApp::new().await;
    for name in ["a", "b"] {
        app.create("/segments", &json!({ "name": name, "kind": "list" })).await;
    }
    let page = app.get("/segments?limit=1").send().await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    app.get(&format!("/campaigns?cursor={cursor}")).send().await.problem(400, "invalid_cursor");
    app.get("/segments?cursor=nonsense").send().await.problem(400, "invalid_cursor");
    app.get("/segments?limit=0").send().await.problem(400, "invalid_parameter");
    app.get("/segments?limit=101").send().await.problem(400, "invalid_parameter");
    app.get("/segments?limit=x").send().await.problem(400, "invalid_parameter");
    app.get("/segments?page=2").send().await.problem(400, "invalid_parameter");
    app.get("/campaigns?status=gone").send().await.problem(400, "invalid_parameter");
}
