//! Webhooks, from a draft to signed calls: through the API of a node in this process, to a server that somebody runs.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::process::Api;
use outbound::Policy;
use outbound::standard_webhooks::{Secret, TOLERANCE};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const POLL: Duration = Duration::from_millis(20);
const PEOPLE: usize = 120;

/// A call as it came.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Somebody who is called.
#[derive(Debug, Clone, Default)]
struct Receiver {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Takes all but what is said of three: one is refused, one is asked to come again once, and one is sent elsewhere.
async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let path = uri.path().to_owned();
    let mut asked = receiver.asked.lock().unwrap();
    let is_first = asked.iter().all(|earlier| earlier.path != path);
    asked.push(Asked { path: path.clone(), headers, body });
    let mut answer = HeaderMap::new();
    let status = match path.as_str() {
        "/people/E3" => StatusCode::UNPROCESSABLE_ENTITY,
        "/people/E4" if is_first => {
            answer.insert("retry-after", 1.into());
            StatusCode::TOO_MANY_REQUESTS
        }
        "/people/E5" => {
            answer.insert("location", "/people/E6".parse().unwrap());
            StatusCode::TEMPORARY_REDIRECT
        }
        _ => StatusCode::NO_CONTENT,
    };
    (status, answer)
}

async fn node(folder: &std::path::Path) -> (Node, Api) {
    let mut config = Config::new(folder, Email::Outbox(folder.join("outbox")));
    config.outbound = Policy::allowing("http://127.0.0.1").unwrap();
    let node = Node::start(config).await.unwrap();
    let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
    (node, api)
}

fn campaign(configuration: &str, segment: &str, url: &str) -> Value {
    json!({
        "name": "Orders", "type": "scheduled", "category": "marketing", "segment_id": segment, "on_missing": "skip",
        "actions": [{
            "channel": "webhook", "configuration_id": configuration,
            "content": {
                "url": format!("{url}/people/{{{{profile.external_id}}}}"),
                "headers": { "X-City": "{{profile.city}}" },
                "body": r#"{"name": "{{profile.name}}", "age": {{profile.age}}, "all": {{json profile}}}"#,
            },
        }],
    })
}

#[tokio::test]
async fn everybody_is_told_once_or_there_is_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut csv = "external_id,name,age,city,consent.webhook\n".to_owned();
    for number in 0..PEOPLE {
        let age = if number == 7 { "old and grey" } else { "33" };
        let consent = if number == 8 { "out" } else { "" };
        csv.push_str(&format!("E{number},\"Ann \"\"{number}\"\"\",{age},Łódź,{consent}\n"));
    }
    assert_eq!(api.import(csv).await.unwrap()["created"], PEOPLE);

    let configuration = json!({
        "name": "Hooks", "category": "marketing",
        "sender": { "channel": "webhook", "allowed_hosts": ["127.0.0.1"], "timeout_seconds": 15 },
    });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let rotate = format!("/configurations/{configuration}/rotate-signing-key");
    let key = api.act(&rotate).await.unwrap()["signing_key"].as_str().unwrap().to_owned();
    let key = Secret::read(&key).unwrap();
    let segment = api.rule("profile.external_id != 'E7'").await.unwrap();
    let id = api.create("/campaigns", &campaign(&configuration, &segment, &url)).await.unwrap();
    let path = format!("/campaigns/{id}");

    // One whose age is no number is found before anything is sent, and not quoted.
    let only = json!({ "segment_id": api.rule("profile.external_id == 'E7'").await.unwrap() });
    api.patch(&path, &only).await.unwrap();
    let validation = api.act(&format!("{path}/validate")).await.unwrap();
    let (found, findings) = (&validation["findings"][0], validation["findings"].to_string());
    assert_eq!(
        (&found["code"], &validation["can_activate"]),
        (&json!("render_failed"), &json!(false)),
        "{findings}"
    );
    assert!(findings.contains("body: it is not JSON") && !findings.contains("grey"), "{findings}");
    api.patch(&path, &json!({ "segment_id": segment })).await.unwrap();
    let validation = api.act(&format!("{path}/validate")).await.unwrap();
    assert_eq!(validation["can_activate"], true, "{validation}");
    let preview = json!({ "profile": { "external_id": "a/b", "attributes": { "name": "\"", "age": 3, "city": "Oslo" } } });
    let preview = api.post(&format!("{path}/preview"), &preview).await.unwrap();
    assert_eq!(preview["url"], format!("{url}/people/a%2Fb"));
    let ann = api.get("/profiles?external_id=E1").await.unwrap()["items"][0]["id"].clone();
    api.post(&format!("{path}/proof"), &json!({ "profile_id": ann })).await.unwrap();
    while receiver.asked().is_empty() {
        SystemClock.sleep(POLL).await;
    }
    let proof = receiver.asked.lock().unwrap().remove(0);
    assert!(proof.path == "/people/E1" && proof.header("webhook-id").starts_with("proof-"), "{proof:?}");

    api.activate(&id).await.unwrap();
    let execution = api.finished(&id, POLL).await.unwrap();
    let total = &execution["total"];
    assert_eq!(total["balances"], true, "{total}");
    assert_eq!(total["excluded"]["reasons"], json!({ "no_consent": 1 }), "{total}");
    assert_eq!(total["failed"]["reasons"], json!({ "refused": 1, "policy": 1 }), "{total}");
    assert_eq!(total["sent"], PEOPLE - 4, "{total}");

    let asked = receiver.asked();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &asked {
        *times.entry(&call.path).or_default() += 1;
        key.verify(&call.headers, &call.body, SystemClock.now(), TOLERANCE).unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(call.path, format!("/people/{}", body["all"]["external_id"].as_str().unwrap()));
        assert!(body["age"] == 33 && body["name"].as_str().unwrap().starts_with("Ann \""), "{body}");
        assert_eq!(call.headers["x-city"].as_bytes(), "Łódź".as_bytes());
    }
    // Who was asked to come again came again, under the same name; nobody else was called twice, nobody under another's.
    assert_eq!(times.remove("/people/E4"), Some(2));
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(times.len(), PEOPLE - 3);
    let ids: HashSet<_> = asked.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!(ids.len(), PEOPLE - 2);
    node.stop().await.unwrap();
}

/// The endpoint is gone: the operator can see that the configuration is disabled, nobody is given up, and once it is mended
/// and enabled again everybody is told.
#[tokio::test]
async fn what_an_endpoint_that_is_gone_keeps_waiting_is_told_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    let (gone, told) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (is_gone, tell) = (Arc::clone(&gone), Arc::clone(&told));
    let router = Router::new().fallback(async move |headers: HeaderMap| {
        if *is_gone.lock().unwrap() {
            return StatusCode::GONE;
        }
        tell.lock().unwrap().push(headers["webhook-id"].to_str().unwrap().to_owned());
        StatusCode::OK
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    api.import("external_id\nE1\nE2\nE3\n").await.unwrap();
    let sender = json!({ "channel": "webhook", "allowed_hosts": ["127.0.0.1"] });
    let body = json!({ "name": "Hooks", "category": "marketing", "sender": sender });
    let configuration = api.create("/configurations", &body).await.unwrap();
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let mut campaign = campaign(&configuration, &segment, &url);
    campaign["actions"][0]["content"] = json!({ "url": url, "body": r#"{"id": "{{profile.external_id}}"}"# });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let path = format!("/configurations/{configuration}");
    while api.get(&path).await.unwrap()["disabled"] != true {
        SystemClock.sleep(POLL).await;
    }
    *gone.lock().unwrap() = false;
    api.patch(&path, &json!({ "disabled": false })).await.unwrap();
    let execution = api.finished(&campaign, POLL).await.unwrap();
    assert_eq!((&execution["total"]["sent"], &execution["total"]["balances"]), (&json!(3), &json!(true)));
    let told = told.lock().unwrap().clone();
    assert_eq!((told.len(), told.iter().collect::<HashSet<_>>().len()), (3, 3));
    node.stop().await.unwrap();
}
