//! Callers are told what became of their messages, by the program as it is.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use campaign::Fact;
use envoi_tests::process::{Api, Envoi, GUARD};
use envoi_tests::sink::{Keep, Sink, SinkOptions};
use outbound::standard_webhooks::{Secret, TOLERANCE};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const POLL: Duration = Duration::from_millis(20);
const ENDPOINTS: &str = "/webhook-endpoints";

/// What the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Fails,
    Gone,
    /// Takes the request, and never answers.
    Silent,
}

#[derive(Debug)]
struct Inner {
    mood: Mutex<Mood>,
    /// How often each event was posted, by its id, and what it is.
    posts: Mutex<Vec<(HeaderMap, Bytes)>>,
}

/// A caller's own server.
#[derive(Debug, Clone)]
struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner { mood: Mutex::new(Mood::Takes), posts: Mutex::default() });
        let router = Router::new().fallback(take).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn is_in(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    fn posts(&self) -> usize {
        self.inner.posts.lock().unwrap().len()
    }

    /// What was posted, each event once, with how often; every post must be of who has the secret.
    fn events(&self, secret: &Secret) -> BTreeMap<String, (Value, usize)> {
        let mut events = BTreeMap::new();
        for (headers, body) in &*self.inner.posts.lock().unwrap() {
            secret.verify(headers, body, SystemClock.now(), TOLERANCE).unwrap();
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            let event: Value = serde_json::from_slice(body).unwrap();
            let (known, times) = events.entry(id).or_insert_with(|| (event.clone(), 0));
            assert_eq!(known["data"], event["data"], "the same under the same id");
            *times += 1;
        }
        events
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inner.posts.lock().unwrap().push((headers, body));
    let mood = *inner.mood.lock().unwrap();
    match mood {
        Mood::Takes => StatusCode::NO_CONTENT,
        Mood::Fails => StatusCode::INTERNAL_SERVER_ERROR,
        Mood::Gone => StatusCode::GONE,
        Mood::Silent => std::future::pending().await,
    }
}

/// Waits until something is so.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let begun = SystemClock.monotonic();
    while !is_so().await {
        assert!(SystemClock.monotonic() - begun < GUARD, "never: {what}");
        SystemClock.sleep(POLL).await;
    }
}

struct World {
    _folder: tempfile::TempDir,
    sink: Sink,
    envoi: Envoi,
    receiver: Receiver,
    endpoint: String,
    secret: Secret,
    campaign: String,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sink =
            Sink::start(SinkOptions { keep: Keep::Envelopes, ..SinkOptions::default() }).await.unwrap();
        let arguments = ["--outbound-allow", "http://127.0.0.1"];
        let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &arguments);
        envoi.start().await.unwrap();
        let receiver = Receiver::start().await;
        let api = envoi.api().unwrap();
        let made = api.post(ENDPOINTS, &json!({ "url": receiver.url() })).await.unwrap();
        let secret = Secret::read(made["secret"].as_str().unwrap()).unwrap();
        let endpoint = made["id"].as_str().unwrap().to_owned();
        let campaign = live(api).await;
        Self { _folder: folder, sink, envoi, receiver, endpoint, secret, campaign }
    }

    fn api(&self) -> &Api {
        self.envoi.api().unwrap()
    }

    /// Calls, and gives the execution.
    async fn call(&self, request: &str, addresses: &[&str]) -> String {
        let recipients: Vec<_> = addresses
            .iter()
            .map(|address| json!({ "type": "external", "userId": address, "namespace": "email" }))
            .collect();
        let body = json!({ "requestId": request, "campaignId": self.campaign, "recipients": recipients });
        let answer = self.api().post("/im/executions/unitary", &body).await.unwrap();
        answer["executionId"].as_str().unwrap().to_owned()
    }
}

/// A campaign that takes calls.
async fn live(api: &Api) -> String {
    let configuration = json!({
        "name": "Post", "category": "transactional", "sender": { "channel": "email", "from": "post@example.org" },
    });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let campaign = json!({
        "name": "Orders", "type": "api_triggered", "category": "transactional", "on_unknown": "hold",
        "actions": [{
            "channel": "email", "configuration_id": configuration,
            "content": { "subject": "Order", "body": { "html": "<p>Thank you</p>" } },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    until("the campaign is live", || async {
        api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"] == "live"
    })
    .await;
    campaign
}

/// What the README says of how to verify, run by Python as it stands there, on what was really posted.
fn readme_verifies(secret: &str, headers: &HeaderMap, body: &Bytes) -> bool {
    let readme = include_str!("../../../README.md");
    let snippet = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let program = format!(
        "{snippet}\nimport json, sys\ngiven = json.load(sys.stdin)\n\
         print(verified(given['secret'], given['headers'], given['body'].encode()))"
    );
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let given = json!({ "secret": secret, "headers": headers, "body": std::str::from_utf8(body).unwrap() });
    let mut python = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    assert!(["True", "False"].contains(&said.trim()), "{said}");
    said.trim() == "True"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_told_and_what_they_did_not_take_can_be_had_again() {
    let mut world = World::new().await;
    let api = world.api();
    // What leads inside is not registered.
    for inside in
        ["https://169.254.169.254/latest", "https://0xa.1/", "https://[::ffff:10.0.0.1]/", "http://8.8.8.8/"]
    {
        let refused = api.post(ENDPOINTS, &json!({ "url": inside })).await.unwrap_err();
        assert!(refused.to_string().contains("\"url\""), "{inside}: {refused}");
    }
    let execution = world.call("order-1", &["ann@example.com", "ben@example.com"]).await;
    until("both are told", || async { world.receiver.posts() >= 2 }).await;
    let events = world.receiver.events(&world.secret);
    let mut told: Vec<_> = events.values().map(|(event, _)| event.clone()).collect();
    told.sort_by_key(|event| event["data"]["recipient"]["index"].as_u64());
    assert_eq!(told.len(), 2);
    for (index, event) in told.iter().enumerate() {
        assert_eq!(event["type"], "message.sent");
        let expected = json!({
            "campaignId": world.campaign, "version": 1, "executionId": execution, "requestId": "order-1",
            "recipient": { "index": index }, "action": 0, "channel": "email", "outcome": "sent", "reason": "sent",
        });
        assert_eq!(event["data"], expected);
        assert!(!event.to_string().contains("example.com"), "no address: {event}");
    }

    let (headers, body) = world.receiver.inner.posts.lock().unwrap()[0].clone();
    assert!(readme_verifies(world.secret.reveal(), &headers, &body));
    assert!(!readme_verifies(Secret::generate().reveal(), &headers, &body));
    assert!(!readme_verifies(world.secret.reveal(), &headers, &Bytes::from_static(b"{}")));

    // It fails, and takes it some seconds later.
    world.receiver.is_in(Mood::Fails);
    world.call("order-2", &["ann@example.com"]).await;
    until("it was posted", || async { world.receiver.posts() >= 3 }).await;
    world.receiver.is_in(Mood::Takes);
    until("it was posted again", || async { world.receiver.posts() >= 4 }).await;
    let again: Vec<_> =
        world.receiver.events(&world.secret).into_values().filter(|(_, times)| *times > 1).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0["data"]["requestId"], "order-2");

    // It says that it is gone: it is asked no more, until somebody says otherwise.
    let path = format!("{ENDPOINTS}/{}", world.endpoint);
    let letters = format!("{path}/dead-letters");
    world.receiver.is_in(Mood::Gone);
    world.call("order-3", &["ann@example.com"]).await;
    until("it is disabled", || async { api.get(&path).await.unwrap()["disabled"] == true }).await;
    until("there is a dead letter", || async {
        !api.get(&letters).await.unwrap()["items"].as_array().unwrap().is_empty()
    })
    .await;
    let dead = api.get(&letters).await.unwrap()["items"][0].clone();
    assert_eq!(dead["event"]["data"]["requestId"], "order-3");
    assert_eq!((&dead["tries"], &dead["error"]), (&json!(1), &json!("it answered 410: it is gone")));
    let replay = format!("{letters}/{}/replay", dead["id"].as_str().unwrap());
    assert!(api.act(&replay).await.unwrap_err().to_string().contains("disabled"));
    world.receiver.is_in(Mood::Takes);
    let enabled = api.patch(&path, &json!({ "disabled": false })).await.unwrap();
    assert!(enabled["gone_at"].is_null(), "{enabled}");
    let before = world.receiver.posts();
    api.act(&replay).await.unwrap();
    until("it was posted after all", || async { world.receiver.posts() > before }).await;
    assert!(api.get(&letters).await.unwrap()["items"].as_array().unwrap().is_empty());
    let id = dead["id"].as_str().unwrap();
    assert_eq!(world.receiver.events(&world.secret)[id].1, 2);

    api.delete(&path).await.unwrap();
    assert!(api.get(&path).await.is_err());
    world.envoi.terminate(GUARD).await.unwrap();
    assert!(world.envoi.logged().is_empty(), "{:?}", world.envoi.logged());
}

/// A report that a message could not be delivered, as a mail server sends it to the sender.
fn undelivered(to: &str, message_id: &str) -> String {
    [
        "From: MAILER-DAEMON@mx.example.com",
        "To: post@example.org",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"",
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "It could not be delivered.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.example.com",
        "",
        &format!("Final-Recipient: rfc822; {to}"),
        "Action: failed",
        "Status: 5.1.1",
        "",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        &format!("Message-ID: <{message_id}>"),
        "",
        "--b--",
        "",
    ]
    .join("\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_a_message_after_it_was_sent_reaches_the_ledger_the_list_and_the_caller() {
    let mut world = World::new().await;
    let addresses = ["ann@example.com", "ben@example.com", "cleo@example.com"];
    let execution = world.call("order-1", &addresses).await;
    until("all are sent to", || async { world.receiver.posts() >= 3 }).await;
    // Messages go by the names that they were sent with.
    let ids: BTreeMap<_, _> =
        world.sink.messages().into_iter().map(|message| (message.to, message.message_id)).collect();
    let (ann, ben, cleo) = (&ids[addresses[0]], &ids[addresses[1]], &ids[addresses[2]]);
    let api = world.api();
    // Mail that came back alone puts nobody on the list whom only a call knew: anybody may send such mail.
    let events = json!({ "events": [
        { "message_id": ben, "type": "hard_bounced", "address": addresses[1] },
        { "message_id": ann, "type": "delivered", "address": addresses[0] },
        { "message_id": cleo, "type": "complained", "address": addresses[2] },
        { "message_id": cleo, "type": "delivered", "address": addresses[2] },
    ] });
    let client = reqwest::Client::new();
    for _ in 0..3 {
        assert_eq!(api.post("/feedback/events", &events).await.unwrap()["accepted"], 4);
        let posted = client
            .post(format!("{}/feedback/bounces", api.base()))
            .header("x-api-key", api.key())
            .header("content-type", "message/rfc822")
            .body(undelivered(addresses[1], ben))
            .send();
        assert_eq!(posted.await.unwrap().status(), 202);
    }
    let without_key = client.post(format!("{}/feedback/events", api.base())).json(&events).send();
    assert_eq!(without_key.await.unwrap().status(), 401);
    assert!(api.post("/feedback/sns", &events).await.is_err(), "no topic is listened to");
    let told = || -> BTreeMap<(u64, String), String> {
        let events = world.receiver.events(&world.secret).into_values();
        events
            .map(|(event, _)| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let index = event["data"]["recipient"]["index"].as_u64().unwrap();
                ((index, text(&event["type"])), text(&event["data"]["reason"]))
            })
            .collect()
    };
    until("the caller is told", || async { told().len() >= 6 }).await;
    let known = |index: u64, kind: &str| told().get(&(index, kind.to_owned())).cloned();
    assert_eq!(known(0, "message.delivered").as_deref(), Some("delivered"));
    assert_eq!(known(1, "message.bounced").as_deref(), Some("hard_bounced"));
    assert_eq!(known(2, "message.delivered").as_deref(), Some("delivered"));
    // Who bounced gets nothing more, who complained no marketing.
    let again = world.call("order-2", &addresses).await;
    until("those who may are sent to", || async { world.receiver.posts() >= 9 }).await;
    let reasons: BTreeMap<_, _> = world
        .receiver
        .events(&world.secret)
        .into_values()
        .filter(|(event, _)| event["data"]["executionId"] == again.as_str())
        .map(|(event, _)| {
            (event["data"]["recipient"]["index"].as_u64().unwrap(), event["data"]["reason"].clone())
        })
        .collect();
    assert_eq!(reasons, [(0, json!("sent")), (1, json!("suppressed")), (2, json!("sent"))].into());

    world.envoi.terminate(GUARD).await.unwrap();
    assert!(world.envoi.logged().is_empty(), "{:?}", world.envoi.logged());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let engine = platform::embedded::Embedded::open(world.envoi.data(), clock).unwrap();
    let ledger = store::Ledger::new(engine.platform());
    let head = ledger.head(execution.parse().unwrap()).await.unwrap().unwrap();
    let facts = ledger.facts(head.call_chunk(0)).await.unwrap();
    assert_eq!(facts.of(0).fate(), Some(Fact::Delivered));
    assert_eq!(facts.of(1).fate(), Some(Fact::HardBounced));
    assert_eq!(facts.of(2).fate(), Some(Fact::Delivered));
    assert!(facts.of(2).has(Fact::Complained));
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_in_between_everybody_is_told_of_everything() {
    let mut world = World::new().await;
    let mut called = 0;
    // While a post is under way; then soon after the provider took the message, at other moments each time.
    world.receiver.is_in(Mood::Silent);
    world.call("order-0", &["ann@example.com", "ben@example.com"]).await;
    until("it was posted", || async { world.receiver.posts() >= 1 }).await;
    for pause_ms in [0, 0, 1, 3, 7, 15] {
        world.envoi.kill().unwrap();
        world.receiver.is_in(Mood::Takes);
        world.envoi.start().await.unwrap();
        called += 1;
        let taken = world.sink.counts().accepted;
        world.call(&format!("order-{called}"), &["ann@example.com", "ben@example.com"]).await;
        until("it was sent", || async { world.sink.counts().accepted > taken }).await;
        SystemClock.sleep(Duration::from_millis(pause_ms)).await;
    }
    // Each recipient of each call was sent to or is in doubt, and is told so.
    let told = || {
        let events = world.receiver.events(&world.secret);
        let mut told: BTreeMap<(String, u64), Vec<String>> = BTreeMap::new();
        for (event, _) in events.into_values() {
            let data = &event["data"];
            let request = data["requestId"].as_str().unwrap().to_owned();
            let index = data["recipient"]["index"].as_u64().unwrap();
            let outcome = data["outcome"].as_str().unwrap().to_owned();
            told.entry((request, index)).or_default().push(outcome);
        }
        told
    };
    until("everybody is told", || async { told().len() == 2 * (called + 1) }).await;
    for ((request, index), outcomes) in told() {
        let known = outcomes.iter().all(|outcome| outcome == "sent" || outcome == "unknown");
        assert!(known, "{request} {index}: {outcomes:?}");
    }
    world.envoi.terminate(GUARD).await.unwrap();
}
