//! The API held to its own document by Schemathesis, which makes requests of it, right ones and wrong ones, and looks at
//! each answer: no 5xx, no status, media type, header or body that is not documented, nothing wrong taken and nothing
//! right refused, nothing open without a key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use envoi_tests::process::{Api, Envoi, GUARD};
use envoi_tests::python::Installation;
use envoi_tests::sink::{Sink, SinkOptions};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};

const SCHEMATHESIS: Installation = Installation {
    folder: "schemathesis-4.32.5",
    packages: "\
schemathesis==4.32.5
anyio==4.16.0
certifi==2026.10.19.post1
charset-normalizer==3.5.3
click==8.5.1
graphql-core==3.3.2
harfile==0.6.0
hypothesis==6.170.17
hypothesis-graphql==0.13.5
idna==3.20
iniconfig==2.3.1
jsonschema_rs==0.60.3
markdown-it-py==4.3.0
MarkupSafe==3.0.4
mdurl==0.1.2
packaging==26.4
pluggy==1.7.0
Pygments==2.21.0
pyrate-limiter==4.5.1
pytest==9.2.0
PyYAML==6.0.4
requests==2.34.2
rich==15.0.0
sortedcontainers==2.4.0
typing_extensions==4.16.0
urllib3==2.8.0
Werkzeug==3.1.9
",
};
/// What is tried: examples of the document, the edges of each schema, and what is made up of it.
const PHASES: &str = "examples,coverage,fuzzing";
const CONFIG: &str = include_str!("schemathesis/config.toml");
const HOOKS: &str = include_str!("schemathesis/hooks.py");
const POLL: Duration = Duration::from_millis(20);
/// What is so far ahead that it does not come.
const FAR: &str = "2040-01-01T09:00:00";
/// How many there are of what some calls would end.
const SEVERAL: usize = 3;

/// Ids that are there, by what they are of.
type Ids = BTreeMap<&'static str, Vec<String>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_document_says() {
    let python = tokio::task::spawn_blocking(|| SCHEMATHESIS.python()).await.unwrap();
    let python = python.unwrap_or_else(|error| panic!("Schemathesis is not there: {error:#}"));
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    envoi.start().await.unwrap();
    let api = envoi.api().unwrap();
    let ids = fill(api).await;
    let document = api.get("/openapi.json").await.unwrap();
    let keys = api.get("/keys").await.unwrap();

    let har = folder.path().join("calls.har");
    let mut command = command(&python, folder.path(), &ids);
    command.arg("--report-har-path").arg(&har).arg(format!("{}/openapi.json", api.base()));
    let spared = ["calls", "lists", "segments", "configurations"].iter().flat_map(|name| ids[name].clone());
    let spared: Vec<_> = spared.chain([keys["items"][0]["id"].as_str().unwrap().to_owned()]).collect();
    command.env("ENVOI_KEY", api.key()).env("ENVOI_SPARED", spared.join(","));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the API and its document differ:\n{report}\n{said}");

    // It would succeed as well if nothing it asked for were ever found. A whole call of some operations is beyond what can
    // be made up; those are few.
    let calls: Value = serde_json::from_slice(&fs::read(&har).unwrap()).unwrap();
    let missed = never_carried_out(&document, &calls);
    let all = operations(&document).count();
    assert!(missed.len() * 5 < all, "of {all}, these were never answered by a 2xx: {missed:#?}");
    // What was made up has no provider that takes it.
    let is_trouble = |line: &String| !line.contains("was not taken for sure");
    let logged: Vec<_> = envoi.logged().into_iter().filter(is_trouble).collect();
    assert!(logged.is_empty(), "{logged:?}");
}

/// The program with its configuration, run in a folder where it may leave what it likes.
fn command(python: &Path, folder: &Path, ids: &Ids) -> Command {
    let mut config = String::new();
    for (name, values) in ids {
        writeln!(config, "[dictionaries.{name}]\nvalues = {}", json!(values)).unwrap();
    }
    // What stands in no table has to come first.
    let (top, tables) = CONFIG.split_once("\n[").expect("it has a table");
    let config = format!("{top}\n{config}\n[{tables}");
    fs::write(folder.join("schemathesis.toml"), config).unwrap();
    fs::write(folder.join("envoi_hooks.py"), HOOKS).unwrap();
    let mut command = Command::new(python.with_file_name("st"));
    command
        .args(["--config-file", "schemathesis.toml", "run", "--no-color", "--phases", PHASES])
        .args(["--report", "har"])
        .env("SCHEMATHESIS_HOOKS", "envoi_hooks")
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder);
    command
}

/// Something of everything there is.
async fn fill(api: &Api) -> Ids {
    let people = "email,external_id,city\nada@example.org,ada,Oslo\nbob@example.org,bob,Lyon\n";
    api.import(people).await.unwrap();
    let rule = api.rule("has(profile.city)").await.unwrap();
    let list = api.create("/segments", &json!({ "name": "List", "kind": "list" })).await.unwrap();
    let configuration = json!({
        "name": "Post", "category": "transactional", "sender": { "channel": "email", "from": "post@example.org" },
    });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let actions = json!([{
        "channel": "email", "configuration_id": configuration,
        "content": { "subject": "Order {{context.order}}", "body": { "html": "<p>Dear {{profile.city}}</p>" } },
    }]);
    let campaign = async |more: Value| {
        let mut body = json!({ "name": "Orders", "category": "transactional", "actions": actions });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api.create("/campaigns", &body).await.unwrap()
    };
    let mut ids = Ids::new();
    let mut add = |name: &'static str, id: String| ids.entry(name).or_default().push(id);

    let started = campaign(json!({ "segment_id": rule })).await;
    api.activate(&started).await.unwrap();
    add("executions", id_in(&api.finished(&started, POLL).await.unwrap(), "id"));
    // Their second wave is far.
    let waves = json!({ "interval_seconds": 86_400, "list": [{ "percent": 50 }, { "percent": 50 }] });
    for is_paused in [false, true] {
        let running = campaign(json!({ "segment_id": rule, "waves": waves })).await;
        api.activate(&running).await.unwrap();
        let execution = id_in(&until(|| async { api.execution(&running).await.unwrap() }).await, "id");
        if is_paused {
            api.act(&format!("/executions/{execution}/pause")).await.unwrap();
        }
        add("executions", execution.clone());
        add("running", execution);
    }
    let calls = campaign(json!({ "type": "api_triggered", "create_profiles": true })).await;
    api.activate(&calls).await.unwrap();
    until(|| async {
        let campaign = api.get(&format!("/campaigns/{calls}")).await.unwrap();
        (campaign["status"] == "live").then_some(campaign)
    })
    .await;
    let schedule = json!({ "kind": "at", "date_time": FAR, "time_zone": "Europe/Paris" });
    for number in 0..SEVERAL {
        let draft = campaign(json!({ "segment_id": rule })).await;
        add("campaigns", draft.clone());
        add("drafts", draft);
        let edited = campaign(json!({ "segment_id": rule, "schedule": schedule })).await;
        api.activate(&edited).await.unwrap();
        let path = format!("/campaigns/{edited}");
        until(|| async {
            let campaign = api.get(&path).await.unwrap();
            (campaign["status"] == "scheduled").then_some(campaign)
        })
        .await;
        api.patch(&path, &json!({ "on_missing": "skip" })).await.unwrap();
        add("campaigns", edited.clone());
        add("edited", edited);
        let recipient = json!({
            "type": "external", "userId": "ada@example.org", "namespace": "email", "context": { "order": number },
        });
        let call =
            json!({ "requestId": format!("order-{number}"), "campaignId": calls, "recipients": [recipient] });
        let made = id_in(&api.post("/im/executions/unitary", &call).await.unwrap(), "executionId");
        add("executions", made.clone());
        add("calls_made", made);
        let call = json!({
            "campaignId": calls, "audience": { "id": rule }, "schedule": { "executeAt": format!("{FAR}Z") },
        });
        add("schedules", id_in(&api.post("/im/executions/audience", &call).await.unwrap(), "scheduleId"));
        add("jobs", api.create("/imports", &json!({ "kind": "profiles" })).await.unwrap());
    }
    // One that is over, and has left a row out.
    let import = api.post("/imports", &json!({ "kind": "profiles" })).await.unwrap();
    api.upload(&import["upload"], "email\nzoe@example.org\nnobody\n").await.unwrap();
    let job = id_in(&import, "id");
    api.act(&format!("/imports/{job}/start")).await.unwrap();
    api.job(&job, POLL).await.unwrap();
    add("jobs_over", job);

    add("campaigns", calls.clone());
    add("calls", calls);
    add("segments", rule);
    add("segments", list.clone());
    add("lists", list);
    add("configurations", configuration);
    for email in ["ada@example.org", "new@example.org"] {
        add("emails", email.to_owned());
    }
    add("namespaces", "email".to_owned());
    ids
}

/// Waits until something is there.
async fn until<T, F: Future<Output = Option<T>>>(find: impl Fn() -> F) -> T {
    let until = SystemClock.monotonic() + GUARD;
    loop {
        if let Some(found) = find().await {
            return found;
        }
        assert!(SystemClock.monotonic() < until, "it never comes");
        SystemClock.sleep(POLL).await;
    }
}

fn id_in(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}

/// The operations of the document that no call of the report was answered by a success of.
fn never_carried_out(document: &Value, report: &Value) -> BTreeSet<String> {
    let mut missed: BTreeSet<_> = operations(document).collect();
    for call in report["log"]["entries"].as_array().unwrap() {
        if !matches!(call["response"]["status"].as_u64(), Some(200..=299)) {
            continue;
        }
        let (method, url) =
            (call["request"]["method"].as_str().unwrap(), call["request"]["url"].as_str().unwrap());
        let path: Vec<_> = url.split(['?', '#']).next().unwrap().split('/').skip(3).collect();
        missed.retain(|operation| {
            let (wanted, template) = operation.split_once(" /").unwrap();
            let template: Vec<_> = template.split('/').collect();
            let fits = |(part, template): (&&str, &&str)| part == template || template.starts_with('{');
            wanted != method || template.len() != path.len() || !path.iter().zip(&template).all(fits)
        });
    }
    missed
}

fn operations(document: &Value) -> impl Iterator<Item = String> {
    document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    })
}
