//! A person who has been through every door of the API: all that is held of her is given out, and then it is erased, and
//! every file of the data folder is searched for what is left.

mod moments;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use campaign::EndpointId;
use campaign::feedback::EventType;
use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::clock::AheadClock;
use envoi_tests::process::{Api, GUARD};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use store::endpoints::Endpoint;
use store::jobs::Task;

const POLL: Duration = Duration::from_millis(20);
const EMAIL: &str = "Zoraida.Q@example.org";
const PHONE: &str = "+33612345678";
/// How long after a job should have gone on the sweep has it go on.
const SWEPT: Duration = Duration::from_secs(301);
/// What must stand nowhere any more; in lower case.
const SECRETS: [&str; 8] = [
    "zoraida",
    "33612345678",
    "crm-4711",
    "token-of-her-phone",
    "quintero",
    "order-no-81",
    "wrote-to-us",
    "grand-rue",
];

/// A node, and the API whose key is remembered over its lives.
async fn start(clock: &Arc<AheadClock>, data: &Path, outbox: &Path, key: Option<String>) -> (Node, Api) {
    let config = Config::new(data, Email::Outbox(outbox.to_owned()));
    let node = Node::start_by(clock.clone(), config).await.unwrap();
    let key = key.unwrap_or_else(|| node.first_key().unwrap().to_owned());
    let api = Api::new(&format!("http://{}", node.address()), &key);
    (node, api)
}

async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let begun = SystemClock.monotonic();
    while !is_so().await {
        assert!(SystemClock.monotonic() - begun < GUARD, "it never comes: {what}");
        SystemClock.sleep(POLL).await;
    }
}

/// In which files a text stands, in whatever case.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if memchr::memmem::find(&fs::read(&path).unwrap().to_ascii_lowercase(), text.as_bytes())
            .is_some()
        {
            found.push(path);
        }
    }
    found
}

async fn configuration(api: &Api, name: &str, category: &str) -> String {
    let sender = json!({ "channel": "email", "from": "post@example.org" });
    api.create("/configurations", &json!({ "name": name, "category": category, "sender": sender }))
        .await
        .unwrap()
}

fn action(configuration: &str) -> Value {
    json!({
        "channel": "email", "configuration_id": configuration,
        "content": {
            "subject": "Order {{context.order}}",
            "body": {
                "html": "<p>Dear {{profile.person.name.firstName}}</p> \
                    <p><a href=\"{{links.unsubscribe}}\">No more</a></p>",
            },
        },
    })
}

/// A campaign to a list that runs to its end; what became of its recipients.
async fn sent_to(api: &Api, list: &str, category: &str) -> (String, Value) {
    let configuration = configuration(api, category, category).await;
    let campaign = json!({
        "name": format!("To a list, {category}"), "type": "scheduled", "category": category, "segment_id": list,
        "actions": [action(&configuration)],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let execution = api.finished(&campaign, POLL).await.unwrap();
    (campaign, execution["total"].clone())
}

/// A call that waits, since its configuration is disabled: what it brought along is kept meanwhile.
async fn call_that_waits(api: &Api) -> String {
    let configuration = configuration(api, "Calls", "transactional").await;
    let campaign = json!({
        "name": "Orders", "type": "api_triggered", "category": "transactional", "actions": [action(&configuration)],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    until("the campaign is live", async || {
        api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"] == "live"
    })
    .await;
    api.patch(&format!("/configurations/{configuration}?force=true"), &json!({ "disabled": true }))
        .await
        .unwrap();
    let call = json!({
        "requestId": "r1", "campaignId": campaign,
        "recipients": [{
            "type": "aep", "userId": EMAIL, "namespace": "email", "context": { "order": "order-no-81" },
            "profile": { "street": "Grand-Rue 7" },
        }],
    });
    let placed = api.post("/im/executions/unitary", &call).await.unwrap();
    placed["executionId"].as_str().unwrap().to_owned()
}

/// Somebody who is to be told what becomes of messages, and can't be reached.
async fn endpoint(node: &Node) -> EndpointId {
    let now = SystemClock.now();
    let endpoint = Endpoint {
        id: EndpointId::random(),
        url: "https://127.0.0.1:9/hook".to_owned(),
        description: String::new(),
        events: vec![EventType::Sent],
        disabled: false,
        gone_at: None,
        created_at: now,
        secret_at: now,
    };
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    node.store().endpoints.create(&endpoint, secret).await.unwrap();
    endpoint.id
}

/// The events that wait or were given up, as text.
async fn events(node: &Node, endpoint: EndpointId) -> Vec<String> {
    let endpoints = &node.store().endpoints;
    let waiting = endpoints.waiting(endpoint, None, 100).await.unwrap();
    let (dead, _) = endpoints.dead_letters(endpoint, None, 100).await.unwrap();
    waiting.into_iter().chain(dead.into_iter().map(|letter| letter.parked)).map(|event| event.body).collect()
}

/// Skips the time for which an erasure waits for whoever may have the profile in hand; the job at its end.
async fn erased(node: &Node, api: &Api, clock: &AheadClock, job: &str) -> Value {
    let id = job.parse().unwrap();
    let waits = async || match node.store().jobs.get(id).await.unwrap().task {
        Task::EraseProfile { erasure, .. } => erasure.wait(clock.now()),
        other => panic!("it erases nobody: {other:?}"),
    };
    until("the erasure waits for others", async || waits().await.is_some()).await;
    // Its message comes when the system's clock says so; the sweep looks at it a little later than it was due.
    clock.advance(waits().await.unwrap_or_default() + SWEPT);
    api.job(job, POLL).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_stands_in_no_file_and_stays_opted_out() {
    let (data, outbox) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = Arc::new(AheadClock::default());
    let (node, api) = start(&clock, data.path(), outbox.path(), None).await;
    let key = api.key().to_owned();

    // The profile, by a call whose answer is kept.
    let profile = json!({
        "email": EMAIL, "phone": PHONE, "external_id": "crm-4711", "consent": { "email": "out" },
        "push_tokens": [{ "app_id": "shop", "platform": "ios", "token": "token-of-her-phone" }],
        "attributes": { "person": { "name": { "firstName": "Zoraida" } }, "notes": "Zoraida ".repeat(2000) },
    });
    let create = async || {
        let url = format!("http://{}/profiles", node.address());
        let request =
            reqwest::Client::new().post(url).bearer_auth(&key).header("idempotency-key", "k").json(&profile);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, made) = create().await;
    assert_eq!(status, 201, "{made}");
    let her = made["id"].as_str().unwrap();
    // A file of profiles, and one of members.
    let list = api.create("/segments", &json!({ "name": "Customers", "kind": "list" })).await.unwrap();
    for (job, csv) in [
        (
            json!({ "kind": "profiles" }),
            format!(
                "email,person.name.lastName,age:number\n{EMAIL},Quintero,41\n{EMAIL},Quintero,old\nbob@example.org,Lee,3\n"
            ),
        ),
        (
            json!({ "kind": "members", "segment_id": list }),
            format!("email\n{EMAIL}\nbob@example.org\nnobody-zoraida@example.org\n"),
        ),
    ] {
        let job = api.post("/imports", &job).await.unwrap();
        let id = job["id"].as_str().unwrap();
        api.upload(&job["upload"], csv).await.unwrap();
        api.act(&format!("/imports/{id}/start")).await.unwrap();
        let job = api.job(id, POLL).await.unwrap();
        assert_eq!((&job["state"], &job["result"]["invalid"]), (&json!("completed"), &json!(1)), "{job}");
    }
    let endpoint = endpoint(&node).await;
    let (campaign, total) = sent_to(&api, &list, "transactional").await;
    assert_eq!(total["sent"], 2, "{total}");
    until("the endpoint can't be told", async || events(&node, endpoint).await.len() == 2).await;
    let call = call_that_waits(&api).await;
    let suppression =
        json!({ "channel": "sms", "address": PHONE, "reason": "complaint", "source": "Zoraida wrote-to-us" });
    api.post("/suppressions", &suppression).await.unwrap();

    // Everything is in the export.
    let export = api.act(&format!("/profiles/{her}/export")).await.unwrap();
    let export = api.job(export["id"].as_str().unwrap(), POLL).await.unwrap();
    assert_eq!(export["result"], json!({ "messages": 2 }), "{export}");
    let held = api.download(export["export_url"].as_str().unwrap()).await.unwrap();
    let held: Value = serde_json::from_str(&held).unwrap();
    assert_eq!(held["profile"]["person"]["name"], json!({ "firstName": "Zoraida", "lastName": "Quintero" }));
    assert_eq!(held["lists"], json!([{ "id": list, "name": "Customers" }]));
    assert_eq!(held["suppressions"][0]["source"], "Zoraida wrote-to-us");
    let messages: BTreeMap<_, _> = held["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["campaign"].as_str().unwrap(), message))
        .collect();
    let (was_sent, waits) = (messages["To a list, transactional"], messages["Orders"]);
    assert_eq!((&was_sent["campaign_id"], &was_sent["outcome"]), (&json!(campaign), &json!("sent")));
    assert_eq!((&waits["execution_id"], &waits["outcome"]), (&json!(call), &json!("pending")));
    assert_eq!(waits["call"]["context"], json!({ "order": "order-no-81" }));

    let erasure = api.act(&format!("/profiles/{her}/erase")).await.unwrap();
    let erasure = erased(&node, &api, &clock, erasure["id"].as_str().unwrap()).await;
    let result = &erasure["result"];
    assert_eq!((&erasure["state"], &erasure["profile_id"]), (&json!("completed"), &json!(her)), "{erasure}");
    for what in ["profiles", "lists", "calls", "answers", "exports"] {
        assert_eq!(result[what], 1, "{what}: {erasure}");
    }
    // One that is tried again meanwhile is removed from where it was and from where it goes.
    assert!(matches!(result["events"].as_u64(), Some(1 | 2)), "{erasure}");
    assert_eq!(create().await.0, 410);
    assert!(api.download(export["export_url"].as_str().unwrap()).await.is_err());
    assert!(events(&node, endpoint).await.iter().all(|event| !event.contains(her)));
    let listed = api.get("/suppressions?channel=sms").await.unwrap();
    assert_eq!((&listed["items"][0]["address"], &listed["items"][0]["source"]), (&Value::Null, &Value::Null));
    // What was sent is counted as before.
    let recipients =
        api.all(&format!("/executions/{}/recipients", was_sent["execution_id"].as_str().unwrap())).await;
    assert!(recipients.unwrap().iter().any(|one| one["profile_id"] == her && one["outcome"] == "sent"));
    node.stop().await.unwrap();
    for secret in SECRETS {
        assert_eq!(files_with(data.path(), secret), Vec::<PathBuf>::new(), "{secret}");
    }

    let (node, api) = start(&clock, data.path(), outbox.path(), Some(key)).await;
    // Who comes again is somebody else, and gets no marketing.
    let import = api.import(format!("email,person.name.firstName\n{EMAIL},Zoraida\n")).await.unwrap();
    assert_eq!(import["created"], 1, "{import}");
    let again =
        api.rule("has(profile.person) && profile.person.name.firstName == \"Zoraida\"").await.unwrap();
    let (_, total) = sent_to(&api, &again, "marketing").await;
    assert_eq!(
        (&total["targeted"], &total["excluded"]["reasons"]),
        (&json!(1), &json!({ "suppressed": 1 })),
        "{total}"
    );
    node.stop().await.unwrap();
}
