//! What channels' providers know us by.

use http::Method;
use serde_json::{Value, json};
use store::keys::Role;

use crate::app::TestApp;

const PATH: &str = "/channels/email/credentials";

#[tokio::test]
async fn are_written_and_never_read_back() {
    let app = TestApp::new().await;
    let admin = |method| app.as_role(Role::Admin, method, PATH);
    assert_eq!(admin(Method::GET).send().await.expect(200), json!({ "set_at": null }));
    let body = json!({ "username": "envoi", "password": "open sesame" });
    admin(Method::PUT).json(&body).send().await.expect(204);
    let said = admin(Method::GET).send().await.expect(200);
    assert_eq!(said.as_object().unwrap().keys().collect::<Vec<_>>(), ["set_at"]);
    assert!(said["set_at"].is_string());
    let stored = app.store.secrets.credentials(campaign::Channel::Email).await.unwrap().unwrap();
    assert_eq!((stored.username.as_str(), stored.password.as_str()), ("envoi", "open sesame"));
    admin(Method::DELETE).send().await.expect(204);
    assert_eq!(admin(Method::GET).send().await.expect(200), json!({ "set_at": null }));
}

#[tokio::test]
async fn what_no_server_could_take_is_refused_by_its_field() {
    let app = TestApp::new().await;
    let put = async |username: &str, password: &str| {
        let body = json!({ "username": username, "password": password });
        app.as_role(Role::Admin, Method::PUT, PATH).json(&body).send().await.problem(400, "invalid_field")
    };
    let field = |problem: Value| problem["errors"][0]["field"].as_str().unwrap().to_owned();
    assert_eq!(field(put("", "x").await), "username");
    assert_eq!(field(put("x", "").await), "password");
    assert_eq!(field(put("x", &"y".repeat(513)).await), "password");
    assert_eq!(field(put("x\0y", "z").await), "username");
    let other = app.as_role(Role::Admin, Method::GET, "/channels/pigeon/credentials").send().await;
    other.problem(404, "not_found");
}
