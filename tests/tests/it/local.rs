//! What an operator of one machine does by `envoi` itself: a backup, a way back in, and who may read the data.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use envoi_tests::process::{Child, Envoi, GUARD, SinkProcess, binary};
use serde_json::json;
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(50);
const HTML: &str = "<p>Dear {{profile.external_id}}</p><a href=\"{{links.unsubscribe}}\">No more of this</a>";

/// Runs `envoi` to its end.
fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(binary("envoi").unwrap()).args(arguments).output().unwrap()
}

/// What it printed; it has to be content.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Why it refused.
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn backup(data: &Path, to: &Path) -> Output {
    run([OsStr::new("backup"), to.as_os_str(), OsStr::new("--data"), data.as_os_str()])
}

/// What SQLite itself says of a database.
fn integrity(database: &Path) -> String {
    let check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let output = Command::new("python3").args(["-c", check]).arg(database).output().unwrap();
    printed(&output).trim().to_owned()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_running_campaign_is_a_whole_node() {
    const RECIPIENTS: usize = 8000;
    let folder = TempDir::new().unwrap();
    let mut sink = SinkProcess::start(Some(&folder.path().join("taken")), &[]).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    envoi.start().await.unwrap();
    let api = envoi.api().unwrap().clone();
    let mut csv = "email,external_id\n".to_owned();
    for number in 0..RECIPIENTS {
        writeln!(csv, "r{number}@example.com,E{number}").unwrap();
    }
    // By a job, so that there are files as well.
    let import = api.post("/imports", &json!({ "kind": "profiles" })).await.unwrap();
    let job = import["id"].as_str().unwrap();
    api.upload(&import["upload"], csv).await.unwrap();
    api.act(&format!("/imports/{job}/start")).await.unwrap();
    assert_eq!(api.job(job, POLL).await.unwrap()["state"], "completed");
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let campaign = api.campaign(&segment, "Hello", HTML).await.unwrap();
    api.activate(&campaign).await.unwrap();
    sink.until_taken(200).await.unwrap();

    let to = folder.path().join("backups").join("today");
    printed(&backup(envoi.data(), &to));
    #[cfg(unix)]
    assert_eq!((mode(&to), mode(&to.join("envoi.db"))), (0o700, 0o600));
    assert_eq!(integrity(&to.join("envoi.db")), "ok");
    assert_eq!(fs::read(to.join("secret.key")).unwrap(), fs::read(envoi.data().join("secret.key")).unwrap());
    assert!(refusal(&backup(envoi.data(), &to)).contains("is there already"));
    assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "nothing unfinished is left");
    let execution = api.finished(&campaign, POLL).await.unwrap();
    assert_eq!(execution["total"]["sent"], RECIPIENTS, "it went on meanwhile: {execution}");
    envoi.terminate(GUARD).await.unwrap();

    // Held, it sends nothing; then it goes on where it was.
    let restored = SinkProcess::start(Some(&folder.path().join("again")), &[]).await.unwrap();
    let mut held = Envoi::new(&to, restored.address(), &["--hold"]).with_key(api.key());
    held.start().await.unwrap();
    let before = held.api().unwrap().execution(&campaign).await.unwrap().unwrap();
    assert_eq!(before["state"], "running", "{before}");
    let id = before["id"].as_str().unwrap();
    held.api().unwrap().act(&format!("/executions/{id}/pause")).await.unwrap();
    held.terminate(GUARD).await.unwrap();
    let mut node = Envoi::new(&to, restored.address(), &[]).with_key(api.key());
    node.start().await.unwrap();
    node.api().unwrap().act(&format!("/executions/{id}/resume")).await.unwrap();
    let total = node.api().unwrap().finished(&campaign, POLL).await.unwrap()["total"].clone();
    assert_eq!((&total["targeted"], &total["balances"]), (&json!(RECIPIENTS), &json!(true)), "{total}");
    node.terminate(GUARD).await.unwrap();
    let unsent_before = RECIPIENTS as u64 - before["total"]["sent"].as_u64().unwrap();
    let sent_again = restored.finish().await.unwrap().log.len() as u64;
    assert!(sent_again <= unsent_before, "{sent_again} of {unsent_before} that were not sent by then");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_lost_the_key_makes_another_while_the_server_is_stopped() {
    let folder = TempDir::new().unwrap();
    let sink = SinkProcess::start(None, &[]).await.unwrap();
    let data = folder.path().join("envoi");
    let key = |role: &str| run(["key", "--role", role, "--data", data.to_str().unwrap()]);
    assert!(refusal(&key("admin")).contains("holds no database"));
    assert!(!data.exists(), "a slip in the name makes no folder");

    let mut envoi = Envoi::new(&data, sink.address(), &[]);
    envoi.start().await.unwrap();
    assert!(refusal(&key("admin")).contains("is in use"));
    #[cfg(unix)]
    {
        assert_eq!((mode(&data), mode(&data.join("files"))), (0o700, 0o700));
        for file in ["envoi.db", "envoi.db-wal", "secret.key"] {
            assert_eq!(mode(&data.join(file)), 0o600, "{file}");
        }
    }
    envoi.terminate(GUARD).await.unwrap();

    for (role, may_make_keys) in [("admin", true), ("viewer", false)] {
        let said = printed(&key(role));
        let (_, key) = said.trim().rsplit_once(' ').unwrap();
        let mut envoi = Envoi::new(&data, sink.address(), &[]).with_key(key);
        envoi.start().await.unwrap();
        let api = envoi.api().unwrap();
        api.get("/campaigns").await.unwrap();
        let made = api.post("/keys", &json!({ "name": "Another", "role": "viewer" })).await;
        assert_eq!(made.is_ok(), may_make_keys, "{role}: {made:?}");
        envoi.terminate(GUARD).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_server_to_send_by_it_says_that_nothing_is_sent() {
    let folder = TempDir::new().unwrap();
    let (data, log) = (folder.path().join("envoi"), folder.path().join("log"));
    let mut command = Command::new(binary("envoi").unwrap());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let mut envoi = Child::start(command, Some(&log)).unwrap();
    let line = tokio::time::timeout(GUARD, envoi.line()).await.unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(line.is_some_and(|line| line.starts_with("Envoi listens")), "{said}");
    assert!(
        said.contains("nothing is sent") && said.contains(data.join("outbox").to_str().unwrap()),
        "{said}"
    );
    envoi.terminate().unwrap();
    envoi.wait(GUARD).await.unwrap();
}

/// The variables that the help of an action tells of.
fn variables(action: &str) -> Vec<String> {
    let help = printed(&run([action, "--help"]));
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split_once('='));
    named.map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_is_as_if_it_were_not_set() {
    let folder = TempDir::new().unwrap();
    // As a deployment's file of variables has them; the data folder is then the one beside it.
    let blank = |action: &str| {
        let mut command = Command::new(binary("envoi").unwrap());
        command.current_dir(&folder).arg(action);
        let of_its_own = variables(action);
        assert!(of_its_own.iter().any(|name| name == "ENVOI_DATA"), "{action}: {of_its_own:?}");
        for name in of_its_own.iter().map(String::as_str).chain(["ENVOI_SMTP_PASSWORD", "ENVOI_LOG"]) {
            command.env(name, "");
        }
        command
    };
    let log = folder.path().join("log");
    let mut serve = blank("serve");
    serve.args(["--listen", "127.0.0.1:0"]);
    let mut envoi = Child::start(serve, Some(&log)).unwrap();
    let line = tokio::time::timeout(GUARD, envoi.line()).await.unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(line.is_some_and(|line| line.starts_with("Envoi listens")), "{said}");
    assert!(said.contains("nothing is sent"), "{said}");
    // The address too: this one gets as far as the folder, which it opens before it listens.
    let another = refusal(&blank("serve").output().unwrap());
    assert!(another.contains("envoi-data is in use"), "{another}");
    printed(&blank("backup").arg("copy").output().unwrap());
    envoi.terminate().unwrap();
    envoi.wait(GUARD).await.unwrap();
    printed(&blank("key").output().unwrap());

    let mut user = blank("serve");
    user.args(["--smtp-host", "127.0.0.1", "--smtp-user", "me"]);
    assert!(refusal(&user.output().unwrap()).contains("ENVOI_SMTP_PASSWORD"));
}
