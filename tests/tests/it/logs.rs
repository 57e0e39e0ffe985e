//! What the programs print: an operator's lines and figures, and nothing about anybody.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use campaign::suppression::SuppressionReason;
use envoi_tests::lambda::{REQUEST_ID, invoke_and_listen};
use envoi_tests::process::{Api, Child, GUARD, binary};
use envoi_tests::sink::{Keep, Sink, SinkOptions};
use platform::embedded::Embedded;
use platform::{Clock, QueueName, Source, SystemClock};
use serde_json::{Value, json};
use store::keys::Role;
use store::suppression::Suppression;
use store::{HashKey, Store, tables};

const HASH_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
/// What stands for personal data: none of it may be in a log, in whatever case.
const PERSONAL: [&str; 7] =
    ["zqaddress", "zqname", "491719990", "zqpushtoken", "zqbody", "zqcontext", "zqattribute"];

/// The functions' programs, on one data folder.
struct Functions {
    folder: tempfile::TempDir,
    sink: Sink,
    key: String,
    printed: Vec<String>,
}

impl Functions {
    async fn start(options: SinkOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let (key, _) = store.keys.create("tester", Role::Admin).await.unwrap();
        let suppression = Suppression {
            channel: campaign::Channel::Email,
            address: Some("suppressed-zqaddress@example.org".to_owned()),
            reason: SuppressionReason::Complaint,
            source: None,
            at: SystemClock.now(),
        };
        store.suppressions.add(&suppression).await.unwrap();
        engine.shutdown().await.unwrap();
        let sink = Sink::start(options).await.unwrap();
        Self { folder, sink, key, printed: Vec::new() }
    }

    /// What the function answers to an event; what it prints is kept, and returned.
    async fn invoke(&mut self, function: &str, event: Value) -> (Value, Vec<Value>) {
        let port = self.sink.address().port().to_string();
        let variables = [
            ("ENVOI_DATA", self.folder.path().to_str().unwrap()),
            ("ENVOI_HASH_KEY", HASH_KEY),
            ("ENVOI_SMTP_HOST", "127.0.0.1"),
            ("ENVOI_SMTP_PORT", &port),
            ("ENVOI_SMTP_TLS", "none"),
            ("ENVOI_LOG", "trace"),
        ];
        let invocation = invoke_and_listen(function, &variables, event).await.unwrap();
        let lines = invocation.printed.iter().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{function} prints {line:?}"))
        });
        let lines = lines.collect();
        self.printed.extend(invocation.printed);
        (invocation.answer, lines)
    }

    /// The API's answer to a call.
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<String>,
    ) -> (Value, Vec<Value>) {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {
                "host": "api.example.com",
                "content-type": if path.ends_with("/import") { "text/csv" } else { "application/json" },
                "authorization": format!("Bearer {}", self.key),
            },
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com",
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
                "requestId": "id", "routeKey": "$default", "stage": "$default", "timeEpoch": 1,
            },
            "body": body,
            "isBase64Encoded": false,
        });
        self.invoke("api", event).await
    }

    async fn create(&mut self, path: &str, body: &Value) -> String {
        let (answer, _) = self.call("POST", path, "", Some(body.to_string())).await;
        assert!((200..300).contains(&answer["statusCode"].as_i64().unwrap()), "{path}: {answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        body["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Lets a function handle the next message of its queue.
    async fn next(&mut self, function: &str, queue: QueueName) -> Vec<Value> {
        let body = take(self.folder.path(), queue).await;
        let (answer, lines) = self.invoke(function, batch(queue, &body)).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{function}");
        lines
    }

    /// Asserts that nothing of anybody is in what was printed.
    fn assert_nothing_personal(&self) {
        assert_nothing_personal(&self.printed);
        let secret = self.printed.iter().find(|line| line.contains(&self.key));
        assert_eq!(secret, None, "the API key is in the log");
    }
}

/// Takes the next message off a queue; its body.
async fn take(folder: &Path, queue: QueueName) -> String {
    let engine = Embedded::open(folder, Arc::new(SystemClock)).unwrap();
    let received = engine.receive(queue, 1, Duration::from_secs(600), 10).await.unwrap().remove(0);
    Source::delete(&engine, queue, vec![received.receipt]).await.unwrap();
    engine.shutdown().await.unwrap();
    received.body
}

fn batch(queue: QueueName, body: &str) -> Value {
    let arn = format!("arn:aws:sqs:eu-west-1:123456789012:{}", queue.0);
    json!({ "Records": [{ "messageId": "m-1", "body": body, "eventSource": "aws:sqs", "eventSourceARN": arn }] })
}

fn assert_nothing_personal(printed: &[String]) {
    assert!(!printed.is_empty(), "where nothing is printed, nothing is proven");
    for line in printed {
        let lower = line.to_lowercase();
        let found: Vec<_> = PERSONAL.into_iter().filter(|mark| lower.contains(mark)).collect();
        assert!(found.is_empty(), "{found:?} in the log: {line}");
    }
}

/// The message of each line.
fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["message"].as_str()).collect()
}

fn line<'l>(lines: &'l [Value], part: &str) -> &'l Value {
    let found = lines.iter().find(|line| line["message"].as_str().is_some_and(|text| text.contains(part)));
    found.unwrap_or_else(|| panic!("no line says {part:?}: {:?}", messages(lines)))
}

/// A provider that takes some, refuses one, greylists one, and says nothing more after the third it was handed. It quotes
/// whom and what it refuses.
fn moody() -> SinkOptions {
    let refusals = [
        ("refused-zqaddress@example.org", "550 5.1.1 <refused-zqaddress@example.org>: user unknown"),
        ("grey-zqaddress@example.org", "451 4.7.1 grey-zqaddress@example.org is greylisted"),
    ];
    SinkOptions {
        keep: Keep::Messages,
        refuse_recipient: refusals.map(|(to, reply)| (to.to_owned(), reply.to_owned())).into(),
        drop_before_reply: Some(3),
        ..SinkOptions::default()
    }
}

const PEOPLE: &str = "email,external_id,person.name.firstName,note,consent.email\n\
    ann-zqaddress@example.org,1,Zqname,zqattribute,in\n\
    bob-zqaddress@example.org,2,Zqname,zqattribute,in\n\
    refused-zqaddress@example.org,3,Zqname,zqattribute,in\n\
    grey-zqaddress@example.org,4,Zqname,zqattribute,in\n\
    out-zqaddress@example.org,5,Zqname,zqattribute,out\n\
    suppressed-zqaddress@example.org,6,Zqname,zqattribute,in\n";

/// Fills the functions with people and a campaign, all of it by the API's own program; the campaign's id.
async fn furnish(functions: &mut Functions) -> String {
    let (answer, _) = functions.call("POST", "/profiles/import", "", Some(PEOPLE.to_owned())).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let profile = json!({
        "external_id": "7",
        "email": "cem-zqaddress@example.org",
        "phone": "+4917199901234",
        "push_tokens": [{ "app_id": "app", "platform": "ios", "token": "zqpushtoken" }],
        "attributes": { "person": { "name": { "firstName": "Zqname" } }, "note": "zqattribute" },
    });
    functions.create("/profiles", &profile).await;
    let sender = json!({ "channel": "email", "from": "news@example.org", "from_name": "News" });
    let configuration = json!({ "name": "News", "category": "marketing", "sender": sender });
    let configuration = functions.create("/configurations", &configuration).await;
    let segment = json!({ "name": "All", "kind": "rule", "expression": "has(profile.external_id)" });
    let segment = functions.create("/segments", &segment).await;
    let content = json!({
        "subject": "Dear {{profile.person.name.firstName}}",
        "body": { "html": "<p>zqbody, {{profile.note}}</p><a href='{{links.unsubscribe}}'>No more</a>" },
    });
    let campaign = json!({
        "name": "Spring", "type": "scheduled", "category": "marketing", "segment_id": segment,
        "actions": [{ "channel": "email", "configuration_id": configuration, "content": content }],
    });
    functions.create("/campaigns", &campaign).await
}

#[tokio::test]
async fn a_campaign_leaves_figures_and_few_lines_and_nothing_about_anybody() {
    let mut functions = Functions::start(moody()).await;
    let campaign = furnish(&mut functions).await;
    functions.create(&format!("/campaigns/{campaign}/activate"), &json!({})).await;
    let lines = functions.next("activate", tables::WAKE_UP).await;
    let started = line(&lines, "started");
    assert_eq!(
        (&started["campaign"], &started["span"]["request_id"]),
        (&json!(campaign), &json!(REQUEST_ID))
    );
    let execution = started["execution"].as_str().unwrap().to_owned();
    let lines = functions.next("fanout", tables::FAN_OUT).await;
    let fanned_out = line(&lines, "is fanned out");
    assert_eq!((&fanned_out["recipients"], &fanned_out["chunks"]), (&json!(7), &json!(1)));

    let lines = functions.next("deliver-email", tables::DELIVER_EMAIL).await;
    let waits = line(&lines, "waits");
    assert_eq!((&waits["reason"], &waits["waiting"]), (&json!("transient"), &json!(1)));
    assert_eq!((&waits["execution"], &waits["level"]), (&json!(execution), &json!("INFO")));
    let info = lines.iter().filter(|line| line["level"] == "INFO" || line["level"] == "WARN").count();
    assert_eq!(info, 1, "never a line a message: {:?}", messages(&lines));
    let mut figures: Vec<Value> = lines.into_iter().filter(|line| line.get("_aws").is_some()).collect();
    assert_eq!(figures.len(), 1, "one line a channel and invocation");
    let mut figures = figures.remove(0);
    let age = figures["OldestChunkAge"].take();
    assert!((0.0..3600.0).contains(&age.as_f64().unwrap()), "{age}");
    let at_ms = figures["_aws"]["Timestamp"].take().as_i64().unwrap();
    assert!((SystemClock.now().as_millisecond() - at_ms).abs() < 3_600_000, "{at_ms}");
    let metric = |name, unit| json!({ "Name": name, "Unit": unit });
    let metrics = json!([
        metric("Claimed", "Count"),
        metric("Sent", "Count"),
        metric("Failed", "Count"),
        metric("Excluded", "Count"),
        metric("Unknown", "Count"),
        metric("Retried", "Count"),
        metric("OldestChunkAge", "Seconds"),
    ]);
    let directive =
        json!({ "Namespace": "Envoi", "Dimensions": [["Function", "Channel"]], "Metrics": metrics });
    let expected = json!({
        "_aws": { "Timestamp": null, "CloudWatchMetrics": [directive] },
        "Function": "deliver-email", "Channel": "email", "request_id": REQUEST_ID,
        "Claimed": 7, "Sent": 2, "Failed": 1, "Excluded": 2, "Unknown": 1, "Retried": 1, "OldestChunkAge": null,
    });
    assert_eq!(figures, expected);
    functions.assert_nothing_personal();
}

#[tokio::test]
async fn proofs_calls_of_the_api_and_messages_out_of_shape_leave_nothing_about_anybody() {
    let mut functions = Functions::start(SinkOptions::default()).await;
    let campaign = furnish(&mut functions).await;
    let (answer, lines) = functions.call("GET", "/profiles", "email=ann-zqaddress%40example.org", None).await;
    assert!(answer["body"].as_str().unwrap().contains("ann-zqaddress"), "{answer}");
    let access = line(&lines, "GET /profiles ->");
    assert_eq!(
        (&access["method"], &access["path"], &access["status"]),
        (&json!("GET"), &json!("/profiles"), &json!(200))
    );
    assert!(access["duration_ms"].is_u64() && access["key"].as_str().unwrap() != "none", "{access}");
    assert_eq!(access["span"]["request_id"], REQUEST_ID);
    let (answer, lines) =
        functions.call("POST", "/profiles", "", Some("{\"email\": \"zqaddress\"}".to_owned())).await;
    assert_eq!(answer["statusCode"], 400);
    assert_eq!(line(&lines, "POST /profiles ->")["status"], 400);
    let (answer, lines) = functions.call("GET", "/people/ann-zqaddress@example.org", "", None).await;
    assert_eq!(answer["statusCode"], 404);
    assert_eq!(line(&lines, "GET (no such path) ->")["key"], "none");

    let proof = json!({ "addresses": ["boss-zqaddress@example.org"], "context": { "code": "zqcontext" } });
    functions.create(&format!("/campaigns/{campaign}/proof"), &proof).await;
    let lines = functions.next("deliver-email", tables::DELIVER_EMAIL_PRIORITY).await;
    assert_eq!(line(&lines, "1 of 1 taken")["span"]["request_id"], REQUEST_ID);
    assert!(!lines.iter().any(|line| line.get("_aws").is_some()), "a proof is in no figures");
    // The parser's own words would quote the address.
    let nonsense = "{\"execution\":\"ann-zqaddress@example.org\",\"shard\":0,\"action\":0,\"number\":0}";
    let event = batch(tables::DELIVER_EMAIL, nonsense);
    let (answer, lines) = functions.invoke("deliver-email", event).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "m-1" }] }));
    assert_eq!(line(&lines, "can't be read")["message_id"], "m-1");
    functions.assert_nothing_personal();
}

#[tokio::test]
async fn a_program_that_can_not_start_says_why_on_one_line() {
    let (command, mut child) = ("activate", Command::new(binary("activate").unwrap()));
    child.env_clear().env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("ENVOI_DATA", "/nowhere");
    let mut child = Child::start(child, None).unwrap();
    let printed: Value = serde_json::from_str(&child.line().await.unwrap()).unwrap();
    assert_eq!(
        (&printed["level"], &printed["error"]),
        (&json!("ERROR"), &json!("ENVOI_HASH_KEY is not set"))
    );
    assert_eq!(child.line().await, None);
    assert!(!child.wait(GUARD).await.unwrap().success(), "{command}");
}

/// Starts `envoi serve` on `folder`, with everything logged into `log`.
async fn serve(folder: &Path, smtp: &Sink, log: &Path) -> (Child, Api) {
    let mut command = Command::new(binary("envoi").unwrap());
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--smtp-tls",
            "none",
            "--smtp-host",
            "127.0.0.1",
            "--smtp-port",
        ])
        .arg(smtp.address().port().to_string())
        .arg("--data")
        .arg(folder)
        .env("ENVOI_LOG", "trace");
    let mut child = Child::start(command, Some(log)).unwrap();
    let listens = child.line().await.unwrap();
    let key = child.line().await.unwrap();
    let api = Api::new(listens.rsplit(' ').next().unwrap(), key.rsplit(' ').next().unwrap());
    (child, api)
}

#[tokio::test]
async fn envoi_logs_nothing_about_anybody_and_prints_no_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start(moody()).await.unwrap();
    let log = folder.path().join("log");
    let (mut child, api) = serve(&folder.path().join("data"), &sink, &log).await;
    api.import(PEOPLE).await.unwrap();
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let content =
        "<p>zqbody, {{profile.person.name.firstName}}</p><a href='{{links.unsubscribe}}'>No more</a>";
    let campaign = api.campaign(&segment, "Dear {{profile.person.name.firstName}}", content).await.unwrap();
    api.get("/profiles?email=ann-zqaddress@example.org").await.unwrap();
    api.activate(&campaign).await.unwrap();
    // Two are taken, one is refused; the greylisted one would take all of the retry period.
    while sink.counts().accepted < 2 || !std::fs::read_to_string(&log).unwrap().contains("(transient)") {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    child.terminate().unwrap();
    assert!(child.wait(GUARD).await.unwrap().success());
    let mut printed = Vec::new();
    while let Some(line) = child.line().await {
        printed.push(line);
    }
    assert_eq!(printed, [""; 0], "envoi says where it listens, its first key, and nothing more");
    let logged: Vec<String> = std::fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
    assert_nothing_personal(&logged);
    for said in ["started", "is fanned out", "POST /campaigns/{id}/activate -> 202"] {
        assert!(logged.iter().any(|line| line.contains(said)), "no line says {said:?}");
    }
    assert!(!logged.iter().any(|line| line.contains("_aws")), "envoi prints no metrics");
}
