//! Several channels of one campaign, to a mailbox and to providers that somebody runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use envoi_tests::deployed::{Deployment, Sweeps, deployed};
use outbound::standard_webhooks::{Secret, TOLERANCE};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::roles::{opens, reads};

const PEOPLE: usize = 12;
/// Who has no text message: everybody from this number on.
const TEXTED: usize = 8;
const DOMAIN: &str = "channels.example";

/// A text message as it was asked for.
#[derive(Debug, Clone)]
struct Text {
    authorization: String,
    text: String,
}

/// A call as it came.
#[derive(Debug, Clone)]
struct Call {
    headers: HeaderMap,
    body: Bytes,
}

/// Who takes calls and text messages, and what was taken, by recipient.
#[derive(Debug, Clone, Default)]
struct Providers {
    calls: Arc<Mutex<BTreeMap<String, Vec<Call>>>>,
    texts: Arc<Mutex<BTreeMap<String, Vec<Text>>>>,
}

impl Providers {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/people/{id}", post(take_call))
            .route("/texts", post(take_text))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

async fn take_call(
    State(providers): State<Providers>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    providers.calls.lock().unwrap().entry(id).or_default().push(Call { headers, body });
    StatusCode::NO_CONTENT
}

async fn take_text(
    State(providers): State<Providers>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let asked = Text { authorization, text: text("text") };
    providers.texts.lock().unwrap().entry(text("to")).or_default().push(asked);
    StatusCode::ACCEPTED
}

fn phone(number: usize) -> String {
    format!("+336000000{number:02}")
}

async fn configuration(envoi: &Deployment, sender: Value) -> String {
    let body = json!({ "name": "Spring", "category": "marketing", "sender": sender });
    envoi.api.create("/configurations", &body).await.unwrap()
}

/// A configuration for text messages by these providers, with its secret.
async fn texts(envoi: &Deployment, url: &str) -> String {
    let sender = json!({
        "channel": "sms", "default_country": "FR", "opt_out_wording": "stop",
        "provider": { "http": {
            "url": format!("{url}/texts"),
            "headers": { "Authorization": "Bearer {{secret.token}}" },
            "body": r#"{"to": "{{to}}", "text": "{{text}}"}"#,
        } },
    });
    let id = configuration(envoi, sender).await;
    let path = format!("/configurations/{id}/secrets");
    envoi.api.put(&format!("{path}/token"), &json!({ "value": "t0ken" })).await.unwrap();
    let secrets = envoi.api.get(&path).await.unwrap();
    assert_eq!(secrets["items"][0]["name"], "token", "{secrets}");
    assert!(!secrets.to_string().contains("t0ken"), "what it says can't be read back: {secrets}");
    id
}

/// A configuration for calls, and the key they are signed by.
async fn calls(envoi: &Deployment) -> (String, Secret) {
    let id = configuration(envoi, json!({ "channel": "webhook", "allowed_hosts": ["127.0.0.1"] })).await;
    let made = envoi.api.act(&format!("/configurations/{id}/rotate-signing-key")).await.unwrap();
    (id, Secret::read(made["signing_key"].as_str().unwrap()).unwrap())
}

/// A campaign by email and by call to everybody, and by text message to whom the condition lets.
async fn campaign(envoi: &Deployment, url: &str) -> (String, Secret) {
    let email = json!({ "channel": "email", "from": "news@envoi.example.com", "from_name": "News" });
    let email = configuration(envoi, email).await;
    let texts = texts(envoi, url).await;
    let (calls, key) = calls(envoi).await;
    let segment = envoi.api.rule("has(profile.number)").await.unwrap();
    let campaign = json!({
        "name": "Spring", "type": "scheduled", "category": "marketing", "segment_id": segment,
        "actions": [
            {
                "channel": "webhook", "configuration_id": calls,
                "content": {
                    "url": format!("{url}/people/{{{{profile.external_id}}}}"),
                    "body": r#"{"number": {{profile.number}}}"#,
                },
            },
            {
                "channel": "sms", "configuration_id": texts, "condition": format!("profile.number < {TEXTED}"),
                "content": { "text": "Number {{profile.number}}: spring is here. STOP: 36111" },
            },
            {
                "channel": "email", "configuration_id": email,
                "content": { "subject": "Spring is here", "body": { "html": "<a href='{{links.unsubscribe}}'>No more</a>" } },
            },
        ],
    });
    (envoi.api.create("/campaigns", &campaign).await.unwrap(), key)
}

/// Each action balances by itself, and leaves out nobody but by its condition.
fn balances(execution: &Value) {
    let actions = execution["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 3, "{execution}");
    for (action, (channel, sent)) in
        actions.iter().zip([("webhook", PEOPLE), ("sms", TEXTED), ("email", PEOPLE)])
    {
        assert_eq!(
            (&action["channel"], &action["targeted"], &action["sent"], &action["balances"]),
            (&json!(channel), &json!(PEOPLE), &json!(sent), &json!(true)),
            "{action}"
        );
        let left_out = match PEOPLE - sent {
            0 => json!({}),
            number => json!({ "condition_not_met": number }),
        };
        assert_eq!(action["excluded"]["reasons"], left_out, "{action}");
    }
    let total = &execution["total"];
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(3 * PEOPLE), &json!(true)), "{total}");
}

/// A function reaches the secrets of its own channel, and no other's.
async fn keeps_to_its_own_secrets(envoi: &Deployment, function: &str, own: &str) {
    for channel in ["email", "sms", "push", "webhook"] {
        let (partition, is_own) = (format!("secret#{channel}"), channel == own);
        assert_eq!(reads(envoi, function, &partition).await, is_own, "{function} reads {partition}");
        assert_eq!(
            opens(envoi, function, channel).await,
            is_own,
            "{function} opens what is sealed for {channel}"
        );
    }
    assert!(!reads(envoi, function, "keys").await, "{function} reads keys");
}

pub(super) async fn one_campaign_goes_by_email_by_text_message_and_by_signed_call() {
    deployed("channels", async |envoi| {
        let providers = Providers::default();
        let url = providers.start().await;
        let mut csv = "email,external_id,phone:FR,number:number\n".to_owned();
        for number in 0..PEOPLE {
            writeln!(csv, "r{number}@{DOMAIN},E{number},06 00 00 00 {number:02},{number}").unwrap();
        }
        assert_eq!(envoi.api.import(csv).await.unwrap()["created"], PEOPLE);
        let (campaign, key) = campaign(envoi, &url).await;
        envoi.api.activate(&campaign).await.unwrap();
        balances(&envoi.ended(&campaign, Sweeps::OnTop).await.unwrap());

        let calls = providers.calls.lock().unwrap().clone();
        let everybody: BTreeSet<String> = (0..PEOPLE).map(|number| format!("E{number}")).collect();
        assert!(calls.keys().eq(&everybody), "{calls:?}");
        for (id, calls) in &calls {
            let [call] = &**calls else { panic!("{id} is called once: {calls:?}") };
            key.verify(&call.headers, &call.body, SystemClock.now(), TOLERANCE).unwrap();
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            assert_eq!(id, &format!("E{}", body["number"]));
        }
        let texts = providers.texts.lock().unwrap().clone();
        assert_eq!(texts.len(), TEXTED, "{texts:?}");
        for number in 0..TEXTED {
            let [text] = &*texts[&phone(number)] else { panic!("{number} is written to once: {texts:?}") };
            assert_eq!(text.authorization, "Bearer t0ken");
            assert_eq!(text.text, format!("Number {number}: spring is here. STOP: 36111"));
        }
        let mails = envoi.mails(DOMAIN).await.unwrap();
        let written_to: BTreeSet<_> = mails.iter().map(|mail| &mail.to[0]).collect();
        assert_eq!((mails.len(), written_to.len()), (PEOPLE, PEOPLE), "{mails:?}");
        keeps_to_its_own_secrets(envoi, "deliver-webhook", "webhook").await;
        keeps_to_its_own_secrets(envoi, "deliver-sms", "sms").await;
    })
    .await;
}
