//! Push notifications, from a draft to devices: through the API of a node in this process, to what stands in for Google.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::process::{Api, GUARD};
use outbound::Policy;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

use self::google::{Asked, Google, PROJECT, Reply};

#[allow(dead_code, reason = "the function's own tests need more of it")]
#[path = "../../../functions/deliver-push/tests/it/fake.rs"]
mod google;

const POLL: Duration = Duration::from_millis(20);

/// Apps, and the tokens they have: `{}` is the person's number.
type Tokens = &'static [(&'static str, &'static str)];

/// Kinds of people, how many there are of each, and their tokens.
const KINDS: [(&str, usize, Tokens); 9] = [
    ("one", 30, &[("app", "ok-{}")]),
    ("two", 10, &[("app", "ok-{}"), ("app", "gone-{}")]),
    ("gone", 8, &[("app", "gone-{}")]),
    ("other", 5, &[("other", "ok-{}")]),
    ("none", 7, &[]),
    ("wrong", 4, &[("app", "wrong-{}")]),
    ("doubt", 3, &[("app", "doubt-{}")]),
    ("busy", 6, &[("app", "busy-{}")]),
    ("throttled", 2, &[("app", "throttled-{}"), ("app", "gone-{}")]),
];

/// Google, which has some come again once.
async fn google() -> Google {
    let seen = Mutex::new(BTreeMap::<String, usize>::new());
    Google::start(move |asked: &Asked| {
        let times = {
            let mut seen = seen.lock().unwrap();
            let times = seen.entry(asked.token().to_owned()).or_default();
            *times += 1;
            *times
        };
        match (asked.token().split('-').next().unwrap(), times) {
            ("gone", _) => Reply::unregistered(),
            ("wrong", _) => Reply::error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
            ("doubt", _) => Reply::error(500, "INTERNAL", "INTERNAL"),
            ("busy", 1) => Reply::Answer(503, "retry-after: 1\r\n", String::new()),
            ("throttled", 1) => Reply::Answer(429, "retry-after: 1\r\n", String::new()),
            _ => Reply::taken(),
        }
    })
    .await
}

async fn node(folder: &std::path::Path, google: &Google) -> (Node, Api) {
    let mut config = Config::new(folder, Email::Outbox(folder.join("outbox")));
    config.outbound = Policy::allowing("http://127.0.0.1").unwrap();
    config.fcm_url = Some(google.url().to_owned());
    let node = Node::start(config).await.unwrap();
    let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
    (node, api)
}

async fn configuration(api: &Api, google: &Google) -> String {
    let sender = json!({ "channel": "push", "project_id": PROJECT, "app_id": "app" });
    let configuration = json!({ "name": "App", "category": "marketing", "sender": sender });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let url = format!("{}/configurations/{configuration}/secrets/service_account", api.base());
    let account = json!({ "value": google.account().to_string() });
    let put = reqwest::Client::new().put(url).bearer_auth(api.key()).json(&account);
    assert_eq!(put.send().await.unwrap().status(), 204);
    configuration
}

/// The people, by CSV.
async fn import(api: &Api) -> usize {
    let mut csv = "external_id,name,kind,push_tokens:json\n".to_owned();
    let mut people = 0;
    for (kind, count, tokens) in KINDS {
        for _ in 0..count {
            people += 1;
            let tokens: Vec<_> = tokens
                .iter()
                .map(|(app, token)| {
                    let token = token.replace("{}", &people.to_string());
                    json!({ "app_id": app, "platform": "android", "token": token })
                })
                .collect();
            let tokens = if tokens.is_empty() { String::new() } else { Value::from(tokens).to_string() };
            writeln!(csv, "E{people},Ann{people},{kind},\"{}\"", tokens.replace('"', "\"\"")).unwrap();
        }
    }
    let import = api.import(csv).await.unwrap();
    assert_eq!(import["created"], people, "{import}");
    people
}

/// How many tokens the people of a kind have left.
async fn tokens_left(api: &Api, kind: &str) -> usize {
    let place = KINDS.iter().position(|(of, ..)| *of == kind).unwrap();
    let before: usize = KINDS[..place].iter().map(|(_, count, _)| count).sum();
    let mut left = 0;
    for number in before + 1..=before + KINDS[place].1 {
        let found = api.get(&format!("/profiles?external_id=E{number}")).await.unwrap();
        let profile = &found["items"][0];
        assert_eq!(profile["attributes"]["kind"], kind, "{profile}");
        left += profile["push_tokens"].as_array().map_or(0, Vec::len);
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_with_a_device_gets_it_once_and_the_ledger_balances() {
    let folder = tempfile::tempdir().unwrap();
    let google = google().await;
    let (node, api) = node(folder.path(), &google).await;
    let people = import(&api).await;
    let configuration = configuration(&api, &google).await;
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let campaign = json!({
        "name": "News", "type": "scheduled", "category": "marketing", "segment_id": segment, "on_unknown": "hold",
        "actions": [{
            "channel": "push", "configuration_id": configuration,
            "content": {
                "title": "Hello {{profile.name}}", "link": "shop://news", "data": { "who": "{{profile.external_id}}" },
                "android": { "channel_id": "news" },
            },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    let path = format!("/campaigns/{campaign}");
    let validation = api.act(&format!("{path}/validate")).await.unwrap();
    assert_eq!(validation["can_activate"], true, "{validation}");
    let shown =
        api.post(&format!("{path}/preview"), &json!({ "profile": { "external_id": "E0" } })).await.unwrap();
    assert_eq!((&shown["data"], &shown["payload_bytes"]), (&json!({ "who": "E0" }), &json!(31)), "{shown}");

    // A proof, before anything is activated.
    let proof = json!({ "addresses": ["ok-proof"] });
    api.post(&format!("{path}/proof"), &proof).await.unwrap();
    let begun = SystemClock.monotonic();
    while google.asked().is_empty() {
        assert!(SystemClock.monotonic() - begun < GUARD, "the proof never comes");
        SystemClock.sleep(POLL).await;
    }
    assert_eq!(google.asked()[0].token(), "ok-proof");

    api.activate(&campaign).await.unwrap();
    let execution = api.finished(&campaign, POLL).await.unwrap();
    let total = &execution["total"];
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(people), &json!(true)), "{total}");
    assert_eq!((&total["sent"], &total["unknown"]), (&json!(48), &json!(3)), "{total}");
    let failed = json!({ "total": 12, "reasons": { "bad_address": 8, "refused": 4 } });
    assert_eq!((&total["failed"], &total["excluded"]["total"]), (&failed, &json!(12)), "{total}");
    assert_eq!(total["excluded"]["reasons"], json!({ "no_address": 12 }));

    // Each device was sent to once, but for those that were to be tried again.
    let mut times = BTreeMap::<String, usize>::new();
    for asked in google.asked().iter().filter(|asked| asked.token() != "ok-proof") {
        *times.entry(asked.token().to_owned()).or_default() += 1;
        let who = asked.message["data"]["who"].as_str().unwrap();
        let (kind, number) = asked.token().split_once('-').unwrap();
        assert_eq!(who, format!("E{number}"), "{kind}");
        assert_eq!(asked.message["notification"]["title"], format!("Hello Ann{number}"));
        assert_eq!(asked.message["data"]["link"], "shop://news");
        assert_eq!(asked.message["android"]["notification"]["channel_id"], "news");
        assert_eq!(asked.path, format!("/v1/projects/{PROJECT}/messages:send"));
    }
    for (token, times) in &times {
        let expected = if token.starts_with("busy") || token.starts_with("throttled") { 2 } else { 1 };
        assert_eq!(*times, expected, "{token}");
    }
    assert_eq!(times.len(), 30 + 20 + 8 + 4 + 3 + 6 + 4);
    assert_eq!(google.tokens_given(), 1, "one access token for all of it");

    // What is gone is removed, and nothing else.
    for (kind, left) in
        [("one", 30), ("two", 10), ("gone", 0), ("other", 5), ("wrong", 4), ("doubt", 3), ("throttled", 2)]
    {
        assert_eq!(tokens_left(&api, kind).await, left, "{kind}");
    }
    node.stop().await.unwrap();
}

/// Where the allowed list is on, a person gets it on those devices alone that are on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_allowed_list_is_on_the_devices_on_it_get_it_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let google = google().await;
    let (node, api) = node(folder.path(), &google).await;
    let people = import(&api).await;
    let configuration = configuration(&api, &google).await;
    // Of those with one device, of those with two, and one of another app.
    let entries = json!({ "entries": ["ok-1", "ok-31", "ok-49"] });
    api.post("/allowed/push/entries", &entries).await.unwrap();
    api.put("/allowed/push", &json!({ "enabled": true })).await.unwrap();
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let campaign = json!({
        "name": "News", "type": "scheduled", "category": "marketing", "segment_id": segment,
        "actions": [{
            "channel": "push", "configuration_id": configuration,
            "content": { "title": "Hello {{profile.name}}" },
        }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let total = api.finished(&campaign, POLL).await.unwrap()["total"].clone();
    let (mut asked, count) = (google.asked(), people - 2 - 12);
    asked.sort_by(|one, other| one.token().cmp(other.token()));
    assert_eq!(asked.iter().map(Asked::token).collect::<Vec<_>>(), ["ok-1", "ok-31"]);
    assert_eq!((&total["sent"], &total["balances"]), (&json!(2), &json!(true)), "{total}");
    assert_eq!(total["excluded"]["reasons"], json!({ "not_allowed": count, "no_address": 12 }), "{total}");
    assert_eq!(tokens_left(&api, "two").await, 20, "the profiles keep theirs");
    node.stop().await.unwrap();
}
