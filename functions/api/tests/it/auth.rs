use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use store::keys::Role;

use crate::app::TestApp;

/// Every operation of the document, with a path that can be called.
fn operations() -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in api::openapi()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", "00000000000000000000000000");
            operations.push((method.to_uppercase().parse().unwrap(), path, operation.clone()));
        }
    }
    operations
}

/// What may be read without a key, written out here: whatever is added to it must be added on purpose.
const PUBLIC: [&str; 3] = ["/health", "/im/health", "/openapi.json"];
/// What a viewer may POST, because it changes nothing.
const READING: [&str; 3] = ["/count", "/validate", "/preview"];

#[tokio::test]
async fn nothing_but_health_and_the_document_is_open_to_everybody() {
    let app = TestApp::new().await;
    let operations = operations();
    assert!(operations.len() > 35, "the document lists the operations");
    for (method, path, _) in operations {
        let answer = app.anonymous(method.clone(), &path).send().await;
        if PUBLIC.contains(&path.as_str()) {
            assert_eq!(answer.status, 200, "{method} {path}");
            continue;
        }
        let answer_wrong =
            app.anonymous(method.clone(), &path).header("x-api-key", "envoi_wrong").send().await;
        for answer in [answer, answer_wrong] {
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let app = TestApp::new().await;
    for (method, path, _) in operations() {
        let is_mutating = method != Method::GET && !READING.iter().any(|end| path.ends_with(end));
        let is_admin =
            path.starts_with("/keys") || ["/credentials", "/secrets"].iter().any(|end| path.ends_with(end));
        // All that is held of a person, in one file.
        let is_all_of_somebody = path.starts_with("/jobs/") && path.ends_with("/export");
        let answer = app.as_role(Role::Viewer, method.clone(), &path).send().await;
        if is_mutating || is_admin || is_all_of_somebody {
            assert_eq!(answer.status, 403, "{method} {path}");
            answer.problem(403, "forbidden");
        } else {
            assert_ne!(answer.status, 403, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn each_role_may_do_what_its_name_says() {
    let app = TestApp::new().await;
    let id = "00000000000000000000000000";
    let (manager, publisher, admin) = (Role::Manager, Role::Publisher, Role::Admin);
    for (method, path, least) in [
        (Method::POST, "/profiles".to_owned(), manager),
        (Method::PATCH, format!("/campaigns/{id}"), manager),
        (Method::POST, "/imports".to_owned(), manager),
        (Method::PUT, format!("/imports/{id}/file"), manager),
        (Method::POST, format!("/imports/{id}/start"), manager),
        (Method::POST, format!("/segments/{id}/count-jobs"), manager),
        (Method::GET, "/jobs".to_owned(), Role::Viewer),
        (Method::GET, format!("/jobs/{id}"), Role::Viewer),
        (Method::GET, format!("/jobs/{id}/errors"), Role::Viewer),
        (Method::GET, format!("/jobs/{id}/export"), manager),
        (Method::POST, format!("/profiles/{id}/export"), manager),
        (Method::POST, format!("/profiles/{id}/erase"), manager),
        (Method::PUT, "/topics/x".to_owned(), manager),
        (Method::POST, "/suppressions/import".to_owned(), manager),
        (Method::GET, "/suppressions/export".to_owned(), Role::Viewer),
        (Method::PUT, "/allowed/email".to_owned(), publisher),
        (Method::POST, "/allowed/email/entries".to_owned(), publisher),
        (Method::POST, format!("/campaigns/{id}/activate"), publisher),
        (Method::POST, format!("/campaigns/{id}/stop"), publisher),
        (Method::POST, format!("/campaigns/{id}/proof"), publisher),
        (Method::POST, format!("/executions/{id}/resend"), publisher),
        (Method::POST, format!("/executions/{id}/pause"), publisher),
        (Method::POST, format!("/executions/{id}/resume"), publisher),
        (Method::POST, "/keys".to_owned(), admin),
        (Method::GET, "/keys".to_owned(), admin),
        (Method::DELETE, "/keys/x".to_owned(), admin),
        (Method::POST, "/link-keys".to_owned(), admin),
        (Method::DELETE, "/link-keys/9".to_owned(), admin),
    ] {
        for role in [Role::Viewer, manager, publisher, admin] {
            let status = app.as_role(role, method.clone(), &path).send().await.status;
            assert_eq!(status == 403, role < least, "{role:?} {method} {path} got {status}");
        }
    }
}

#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let app = TestApp::new().await;
    let viewer = app.key(Role::Viewer);
    app.anonymous(Method::GET, "/segments").header("x-api-key", viewer).send().await.expect(200);
    app.anonymous(Method::GET, "/segments")
        .header("authorization", format!("bearer {viewer}"))
        .send()
        .await
        .expect(200);
    let both = app
        .anonymous(Method::GET, "/segments")
        .header("authorization", "Bearer another's")
        .header("x-api-key", viewer);
    both.send().await.expect(200);
    for wrong in [format!("Basic {viewer}"), viewer.to_owned(), "Bearer ".to_owned()] {
        app.anonymous(Method::GET, "/segments")
            .header("authorization", wrong)
            .send()
            .await
            .problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_within_two_seconds() {
    let app = TestApp::new().await;
    let admin = |method, path: &str| app.as_role(Role::Admin, method, path);
    let made = admin(Method::POST, "/keys")
        .json(&json!({ "name": "shop", "role": "manager" }))
        .send()
        .await
        .expect(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("envoi_"));
    let listed = admin(Method::GET, "/keys?limit=100").send().await.expect(200);
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().all(|key| key.get("secret").is_none()));

    let read =
        async || app.anonymous(Method::GET, "/segments").header("x-api-key", secret).send().await.status;
    assert_eq!(read().await, 200);
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    admin(Method::DELETE, &path).send().await.expect(204);
    admin(Method::DELETE, &path).send().await.expect(204);
    admin(Method::DELETE, &format!("/keys/{}", "x".repeat(5000))).send().await.expect(204);
    admin(Method::DELETE, "/keys/%ff").send().await.problem(400, "bad_request");
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(read().await, 401);

    admin(Method::POST, "/keys")
        .json(&json!({ "name": " ", "role": "manager" }))
        .send()
        .await
        .problem(400, "invalid_field");
    let unknown = admin(Method::POST, "/keys").json(&json!({ "name": "x", "role": "god" })).send().await;
    assert_eq!(unknown.problem(400, "invalid_field")["errors"][0]["field"], "role");
    let with_key = admin(Method::POST, "/keys")
        .header("idempotency-key", "k")
        .json(&json!({ "name": "x", "role": "viewer" }));
    with_key.send().await.problem(400, "invalid_header");
}

#[tokio::test]
async fn a_key_for_links_is_revoked_once_another_signs() {
    let app = TestApp::new().await;
    let admin = |method, path: &str| app.as_role(Role::Admin, method, path);
    for number in [1, 2] {
        let made = admin(Method::POST, "/link-keys").send().await.expect(201);
        assert_eq!(made["number"], number);
    }
    admin(Method::DELETE, "/link-keys/1").send().await.problem(409, "in_use");
    app.clock.advance(Duration::from_secs(180));
    admin(Method::DELETE, "/link-keys/1").send().await.expect(204);
    admin(Method::DELETE, "/link-keys/1").send().await.problem(404, "not_found");
    admin(Method::DELETE, "/link-keys/2").send().await.problem(409, "in_use");
    admin(Method::DELETE, "/link-keys/x").send().await.problem(400, "bad_request");
}
