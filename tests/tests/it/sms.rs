//! Text messages, from a draft to a provider that takes them by HTTP: through the API of a node in this process.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::process::Api;
use outbound::Policy;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const POLL: Duration = Duration::from_millis(20);
const PEOPLE: usize = 130;

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    id: String,
    authorization: String,
    to: String,
    text: String,
}

/// A provider, and what it was asked.
#[derive(Debug, Clone, Default)]
struct Provider {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/send/{id}", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Takes all but a few, each of which has an answer of its own.
async fn take(
    State(provider): State<Provider>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, HeaderMap, &'static str) {
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let mut asked = provider.asked.lock().unwrap();
    let is_first = asked.iter().all(|earlier| earlier.to != text("to"));
    asked.push(Asked { id, authorization, to: text("to"), text: text("text") });
    let mut answer = HeaderMap::new();
    let (status, said) = match &*text("to") {
        "+33600000003" => (StatusCode::OK, "{\"error\": \"NO_SUCH_NUMBER\"}"),
        "+33600000004" if is_first => {
            answer.insert("retry-after", 1.into());
            (StatusCode::TOO_MANY_REQUESTS, "")
        }
        "+33600000005" => (StatusCode::FORBIDDEN, "{\"error\": \"ON_STOP_LIST\"}"),
        "+33600000006" => (StatusCode::INTERNAL_SERVER_ERROR, ""),
        "+33600000007" => (StatusCode::BAD_REQUEST, ""),
        _ => (StatusCode::ACCEPTED, "{}"),
    };
    (status, answer, said)
}

async fn node(folder: &std::path::Path) -> (Node, Api) {
    let mut config = Config::new(folder, Email::Outbox(folder.join("outbox")));
    config.outbound = Policy::allowing("http://127.0.0.1").unwrap();
    let node = Node::start(config).await.unwrap();
    let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
    (node, api)
}

/// A configuration for this provider, with its secret.
async fn configuration(node: &Node, api: &Api, url: &str) -> String {
    let body = json!({
        "name": "SMS", "category": "marketing", "rate_per_second": 1000,
        "sender": {
            "channel": "sms", "default_country": "FR", "max_segments": 1, "opt_out_wording": "stop",
            "provider": { "http": {
                "url": format!("{url}/send/{{{{id}}}}"),
                "headers": { "Authorization": "Bearer {{secret.token}}" },
                "body": r#"{"to": "{{to}}", "text": "{{text}}"}"#,
                "answers": [
                    { "contains": "NO_SUCH_NUMBER", "means": "bad_address" },
                    { "status": "403", "contains": "ON_STOP_LIST", "means": "opted_out" },
                ],
            } },
        },
    });
    let id = api.create("/configurations", &body).await.unwrap();
    let secrets = &node.store().secrets;
    let named = id.parse().unwrap();
    secrets.set_of_configuration(campaign::Channel::Sms, named, ("token", "t0ken"), None).await.unwrap();
    id
}

fn campaign(configuration: &str, segment: &str) -> Value {
    json!({
        "name": "Sale", "type": "scheduled", "category": "marketing", "segment_id": segment,
        "on_missing": "skip", "on_unknown": "hold",
        "actions": [{
            "channel": "sms", "configuration_id": configuration,
            "content": { "text": "“{{profile.name}}”: 3 € off… STOP: 36111", "transliterate": true },
        }],
    })
}

#[tokio::test]
async fn everybody_is_written_to_once_or_there_is_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let provider = Provider::default();
    let url = provider.start().await;
    let mut csv = "external_id,phone:FR,name,consent.sms\n".to_owned();
    for number in 0..PEOPLE {
        let phone = if number == 8 {
            String::new()
        } else {
            format!("06 00 00 {:02} {:02}", number / 100, number % 100)
        };
        let name = match number {
            9 => "n".repeat(150),
            10 => String::new(),
            _ => format!("Łukasz {number}"),
        };
        let consent = if number == 11 { "out" } else { "" };
        writeln!(csv, "E{number},{phone},{name},{consent}").unwrap();
    }
    assert_eq!(api.import(csv).await.unwrap()["created"], PEOPLE);
    let configuration = configuration(&node, &api, &url).await;
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let id = api.create("/campaigns", &campaign(&configuration, &segment)).await.unwrap();
    let path = format!("/campaigns/{id}");

    let validation = api.act(&format!("{path}/validate")).await.unwrap();
    assert_eq!(validation["can_activate"], true, "{validation}");
    let preview = json!({ "profile": { "attributes": { "name": "Zoë" } } });
    let preview = api.post(&format!("{path}/preview"), &preview).await.unwrap();
    assert_eq!(
        (&preview["text"], &preview["encoding"], &preview["segments"]),
        (&json!("\"Zoe\": 3 € off... STOP: 36111"), &json!("gsm7"), &json!(1))
    );
    let somebody = api.get("/profiles?external_id=E12").await.unwrap()["items"][0]["id"].clone();
    let proof = json!({ "addresses": ["06 99 99 99 99"], "profile_id": somebody });
    api.post(&format!("{path}/proof"), &proof).await.unwrap();
    while provider.asked().is_empty() {
        SystemClock.sleep(POLL).await;
    }
    let proof = provider.asked.lock().unwrap().remove(0);
    assert!(proof.to == "+33699999999" && proof.id.starts_with("proof-"), "{proof:?}");

    api.activate(&id).await.unwrap();
    let execution = api.finished(&id, POLL).await.unwrap();
    let total = &execution["total"];
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(PEOPLE), &json!(true)), "{total}");
    assert_eq!(
        total["failed"]["reasons"],
        json!({ "bad_address": 1, "refused": 1, "too_large": 1 }),
        "{total}"
    );
    // One opted out with us, the other with the provider.
    assert_eq!(
        total["excluded"]["reasons"],
        json!({ "no_address": 1, "missing_value": 1, "no_consent": 2 }),
        "{total}"
    );
    assert_eq!((&total["unknown"], &total["sent"]), (&json!(1), &json!(PEOPLE - 8)), "{total}");

    let mut by_number: BTreeMap<String, Vec<Asked>> = BTreeMap::new();
    for asked in provider.asked() {
        by_number.entry(asked.to.clone()).or_default().push(asked);
    }
    assert_eq!(by_number.len(), PEOPLE - 4, "those who are left out are not asked for");
    for (to, asked) in &by_number {
        // Who was to be tried later was, under the same name; nobody else is asked for twice, doubt or not.
        let times = if to == "+33600000004" { 2 } else { 1 };
        assert_eq!(asked.len(), times, "{to}");
        let ids: HashSet<_> = asked.iter().map(|one| &one.id).collect();
        assert_eq!((ids.len(), asked[0].authorization.as_str()), (1, "Bearer t0ken"));
    }
    assert_eq!(by_number["+33600000012"][0].text, "\"Lukasz 12\": 3 € off... STOP: 36111");
    let ids: HashSet<_> = by_number.values().flatten().map(|asked| &asked.id).collect();
    assert_eq!(ids.len(), by_number.len());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_configuration_for_aws_waits_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    api.import("phone,name\n+33612345678,Ann").await.unwrap();
    let configuration = json!({
        "name": "SMS", "category": "marketing", "retry_period_seconds": 0,
        "sender": { "channel": "sms", "provider": { "aws": {} } },
    });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let segment = api.rule("has(profile.name)").await.unwrap();
    let id = api.create("/campaigns", &campaign(&configuration, &segment)).await.unwrap();
    api.activate(&id).await.unwrap();
    let execution = api.finished(&id, POLL).await.unwrap();
    let total = &execution["total"];
    assert_eq!(
        (&total["failed"]["reasons"], &total["balances"]),
        (&json!({ "misconfigured": 1 }), &json!(true))
    );
    node.stop().await.unwrap();
}
