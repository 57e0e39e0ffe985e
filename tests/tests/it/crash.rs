//! The promise, kept by real processes that are really killed: nobody is lost, nobody gets it twice, and who may have
//! got it or not is named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use envoi_tests::process::{Api, Envoi, GUARD, SinkProcess};
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(50);
/// How many chunks are in flight.
const CONCURRENCY: usize = 16;
/// How many of a chunk's members are handed over at a time.
const WINDOW: usize = 10;
/// The most memory that a node may ever have used, in KiB.
const MOST_MEMORY_KIB: u64 = 150 * 1024;

const SUBJECT: &str = "{{profile.person.name.firstName}}, here is your number";
const HTML: &str = "<html><body><p>Dear {{profile.person.name.firstName}} {{profile.person.name.lastName}},</p>\
    <p>your number is {{profile.number}}.</p>\
    <p><a href=\"{{links.unsubscribe}}\">No more of this</a></p></body></html>";

/// When the process is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// So many milliseconds after it was started, or, the first time, after the campaign was activated.
    After(u64),
    /// Once the fan-out has written chunks with so many members.
    Targeted(u64),
    /// Once the server has taken so many messages in all.
    Taken(usize),
}

/// In the activation, in the fan-out, in the delivery, and again before the recovery of the last time is through.
const KILLS: [Kill; 16] = [
    Kill::After(0),
    Kill::After(10),
    Kill::After(80),
    Kill::Targeted(1),
    Kill::Targeted(9000),
    Kill::Taken(500),
    Kill::After(3),
    Kill::After(30),
    Kill::Taken(1500),
    Kill::Taken(3000),
    Kill::After(80),
    Kill::Taken(6000),
    Kill::Taken(10_000),
    Kill::After(150),
    Kill::Taken(14_000),
    Kill::Taken(18_000),
];

fn address(number: usize) -> String {
    format!("r{number}@example.com")
}

fn csv(recipients: usize) -> String {
    let mut csv = "email,external_id,person.name.firstName,person.name.lastName,number:number\n".to_owned();
    for number in 0..recipients {
        writeln!(csv, "{},E{number},Ann{number},Lee,{number}", address(number)).unwrap();
    }
    csv
}

/// A node with so many profiles, and a campaign to all of them that is still to be activated.
async fn prepare(envoi: &mut Envoi, recipients: usize) -> String {
    envoi.start().await.unwrap();
    let api = envoi.api().unwrap();
    let import = api.import(csv(recipients)).await.unwrap();
    assert_eq!(import["created"], recipients, "{import}");
    let segment = api.rule("profile.number >= 0").await.unwrap();
    api.campaign(&segment, SUBJECT, HTML).await.unwrap()
}

/// The address of every profile, by its id.
async fn people(api: &Api, recipients: usize) -> BTreeMap<String, String> {
    let mut people = BTreeMap::new();
    let numbers: Vec<usize> = (0..recipients).collect();
    for numbers in numbers.chunks(500) {
        let profiles: Vec<Value> =
            numbers.iter().map(|number| json!({ "external_id": format!("E{number}") })).collect();
        let batch = api.post("/profiles/batch", &json!({ "profiles": profiles })).await.unwrap();
        assert_eq!(batch["updated"], numbers.len(), "these profiles are known: {batch}");
        for (number, result) in numbers.iter().zip(batch["results"].as_array().unwrap()) {
            people.insert(result["id"].as_str().unwrap().to_owned(), address(*number));
        }
    }
    assert_eq!(people.len(), recipients);
    people
}

/// What the ledger says of a finished execution.
struct Ledger {
    execution: Value,
    sent: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Waits for the end of the campaign, and reads from the API what became of each recipient, by address. Everybody
/// imported must be in it once, as sent or as unknown, and the counts must say the same.
async fn read_ledger(api: &Api, campaign: &str, recipients: usize) -> Ledger {
    let execution = api.finished(campaign, POLL).await.unwrap();
    assert_eq!(execution["state"], "completed", "{execution}");
    let people = people(api, recipients).await;
    let (mut sent, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    let id = execution["id"].as_str().unwrap();
    for recipient in api.all(&format!("/executions/{id}/recipients")).await.unwrap() {
        let address = people[recipient["profile_id"].as_str().unwrap()].clone();
        let new = match recipient["outcome"].as_str().unwrap() {
            "sent" => sent.insert(address),
            "unknown" => unknown.insert(address),
            _ => panic!("nobody is refused or excluded: {recipient}"),
        };
        assert!(new, "targeted twice: {recipient}");
    }
    assert_eq!(sent.len() + unknown.len(), recipients, "nobody is lost");
    assert!(sent.is_disjoint(&unknown), "targeted twice");
    let total = &execution["total"];
    assert_eq!(total["targeted"], recipients, "{total}");
    assert_eq!(total["sent"], sent.len(), "{total}");
    assert_eq!(total["unknown"], unknown.len(), "{total}");
    assert_eq!(total["failed"]["total"], 0, "{total}");
    assert_eq!(total["excluded"]["total"], 0, "{total}");
    assert_eq!(total["pending"], 0, "{total}");
    assert_eq!(total["possible_duplicates"], 0, "{total}");
    assert_eq!(total["balances"], true, "{total}");
    Ledger { execution, sent, unknown }
}

/// Whom the server took a message for; nobody may be in there twice.
async fn recipients_of(sink: SinkProcess) -> BTreeSet<String> {
    read_sink(sink).await.0
}

/// The same, and what the server counted.
async fn read_sink(sink: SinkProcess) -> (BTreeSet<String>, Value) {
    let taken = sink.finish().await.unwrap();
    assert_eq!(taken.counts["violations"], 0, "{}", taken.counts);
    assert_eq!(taken.counts["accepted"], taken.log.len(), "{}", taken.counts);
    let (mut recipients, mut ids, mut twice) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (recipient, id) in &taken.log {
        ids.insert(id);
        if !recipients.insert(recipient.clone()) {
            twice.push(recipient);
        }
    }
    assert!(twice.is_empty(), "{} were taken twice: {:?}", twice.len(), &twice[..twice.len().min(10)]);
    assert_eq!(ids.len(), taken.log.len(), "two messages have one id");
    (recipients, taken.counts)
}

fn assert_is_small(envoi: &Envoi, when: &str) {
    let peak_kib = envoi.usage().unwrap().peak_kib;
    assert!(peak_kib < MOST_MEMORY_KIB, "{peak_kib} KiB {when}");
}

/// Whoever is `sent` was taken, and whoever was taken is `sent` or, at worst, `unknown`. Returns how many of the doubtful
/// were taken.
fn compare(ledger: &Ledger, taken: &BTreeSet<String>) -> usize {
    let not_taken: Vec<_> = ledger.sent.difference(taken).collect();
    assert!(not_taken.is_empty(), "sent, but never taken: {not_taken:?}");
    let unnamed: Vec<_> = taken
        .iter()
        .filter(|address| !ledger.sent.contains(*address) && !ledger.unknown.contains(*address))
        .collect();
    assert!(unnamed.is_empty(), "taken, but not in the ledger: {unnamed:?}");
    ledger.unknown.intersection(taken).count()
}

/// Waits until the fan-out of the campaign has written chunks with so many members.
async fn until_targeted(api: &Api, campaign: &str, count: u64) {
    let until = SystemClock.monotonic() + GUARD;
    loop {
        let execution = api.execution(campaign).await.unwrap();
        let targeted = execution.as_ref().and_then(|execution| execution["total"]["targeted"].as_u64());
        if targeted.is_some_and(|targeted| targeted >= count) {
            return;
        }
        assert!(SystemClock.monotonic() < until, "nobody is targeted: {execution:?}");
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
}

async fn is_completed(api: &Api, campaign: &str) {
    let until = SystemClock.monotonic() + GUARD;
    loop {
        let campaign = api.get(&format!("/campaigns/{campaign}")).await.unwrap();
        if campaign["status"] == "completed" {
            return;
        }
        assert!(SystemClock.monotonic() < until, "it never completes: {campaign}");
        SystemClock.sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_nobody_is_lost_nobody_gets_it_twice_and_doubt_is_named() {
    const RECIPIENTS: usize = 20_000;
    let folder = TempDir::new().unwrap();
    let mut sink = SinkProcess::start(Some(&folder.path().join("taken")), &[]).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    let campaign = prepare(&mut envoi, RECIPIENTS).await;
    assert_is_small(&envoi, "after the import");
    envoi.api().unwrap().activate(&campaign).await.unwrap();
    let mut at_kills = Vec::new();
    for kill in KILLS {
        match kill {
            Kill::After(ms) => SystemClock.sleep(Duration::from_millis(ms)).await,
            Kill::Targeted(count) => {
                envoi.ready().await.unwrap();
                until_targeted(envoi.api().unwrap(), &campaign, count).await;
            }
            Kill::Taken(count) => sink.until_taken(count).await.unwrap(),
        }
        envoi.kill().unwrap();
        at_kills.push(sink.taken().unwrap());
        envoi.spawn().unwrap();
    }
    // The last one lives.
    envoi.ready().await.unwrap();
    let api = envoi.api().unwrap();
    let ledger = read_ledger(api, &campaign, RECIPIENTS).await;
    is_completed(api, &campaign).await;
    assert_is_small(&envoi, "after the campaign");
    let taken = recipients_of(sink).await;
    let doubtful_taken = compare(&ledger, &taken);
    println!(
        "{} kills, at {at_kills:?} messages: {RECIPIENTS} targeted = {} sent + {} unknown, of whom {doubtful_taken} were taken; {}",
        KILLS.len(),
        ledger.sent.len(),
        ledger.unknown.len(),
        ledger.execution["total"],
    );
    let most = KILLS.len() * CONCURRENCY * WINDOW;
    assert!(ledger.unknown.len() <= most, "{} in doubt after {} kills", ledger.unknown.len(), KILLS.len());
    assert!(at_kills.iter().any(|count| (1..RECIPIENTS / 2).contains(count)), "it was killed while sending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_finishes_what_is_in_hand_and_the_next_start_goes_on() {
    const RECIPIENTS: usize = 5000;
    let folder = TempDir::new().unwrap();
    let mut sink = SinkProcess::start(Some(&folder.path().join("taken")), &[]).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    let campaign = prepare(&mut envoi, RECIPIENTS).await;
    envoi.api().unwrap().activate(&campaign).await.unwrap();
    for count in [500, 2000] {
        sink.until_taken(count).await.unwrap();
        let status = envoi.terminate(GUARD).await.unwrap();
        assert!(status.success(), "{status}: {}", envoi.said());
        envoi.start().await.unwrap();
    }
    let ledger = read_ledger(envoi.api().unwrap(), &campaign, RECIPIENTS).await;
    assert!(ledger.unknown.is_empty(), "a stop leaves no doubt: {}", ledger.execution["total"]);
    let taken = recipients_of(sink).await;
    compare(&ledger, &taken);
    assert_eq!(taken.len(), RECIPIENTS);
}

/// The server closes each connection after a hundred messages, as real ones do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_its_connections_loses_nobody_and_gets_nobody_twice() {
    const RECIPIENTS: usize = 20_000;
    let folder = TempDir::new().unwrap();
    let sink =
        SinkProcess::start(Some(&folder.path().join("taken")), &["--close-after", "100"]).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    let campaign = prepare(&mut envoi, RECIPIENTS).await;
    envoi.api().unwrap().activate(&campaign).await.unwrap();
    let ledger = read_ledger(envoi.api().unwrap(), &campaign, RECIPIENTS).await;
    assert!(
        ledger.unknown.is_empty(),
        "a close between messages leaves no doubt: {}",
        ledger.execution["total"]
    );
    let taken = recipients_of(sink).await;
    compare(&ledger, &taken);
    assert_eq!(taken.len(), RECIPIENTS);
}

/// Waits until no more messages come.
async fn until_at_rest(sink: &mut SinkProcess) -> usize {
    let mut before = None;
    loop {
        let taken = sink.taken().unwrap();
        if before == Some(taken) {
            return taken;
        }
        before = Some(taken);
        // Longer than the sink's log lags behind.
        SystemClock.sleep(2 * POLL).await;
    }
}

/// Corpus A2: a server that drops the connection when it has taken 2,500 messages, and an operator who pauses and resumes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_and_resumed_around_a_connection_that_drops_nobody_gets_it_twice() {
    const RECIPIENTS: usize = 6000;
    let folder = TempDir::new().unwrap();
    let arguments = ["--drop-before-reply", "2500"];
    let mut sink = SinkProcess::start(Some(&folder.path().join("taken")), &arguments).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    let campaign = prepare(&mut envoi, RECIPIENTS).await;
    let api = envoi.api().unwrap();
    api.activate(&campaign).await.unwrap();
    for count in [500, 1500, 2450, 3500, 4500] {
        sink.until_taken(count).await.unwrap();
        let execution = api.execution(&campaign).await.unwrap().unwrap();
        let path = format!("/executions/{}", execution["id"].as_str().unwrap());
        api.act(&format!("{path}/pause")).await.unwrap();
        let at_rest = until_at_rest(&mut sink).await;
        let paused = api.get(&path).await.unwrap();
        assert_eq!(paused["state"], "paused", "{paused}");
        assert!((count..RECIPIENTS).contains(&at_rest), "{at_rest}");
        api.act(&format!("{path}/resume")).await.unwrap();
    }
    let ledger = read_ledger(api, &campaign, RECIPIENTS).await;
    assert!(ledger.unknown.len() <= 1, "only one was taken without an answer: {}", ledger.execution["total"]);
    let taken = recipients_of(sink).await;
    compare(&ledger, &taken);
    assert_eq!(taken.len(), RECIPIENTS);
}

/// Sends to so many through a server that takes 200 a second, with this rate or none; what the server counted. Everybody
/// is sent to, once.
async fn sent_past_a_throttle(recipients: usize, rate_per_second: Option<u32>) -> Value {
    let folder = TempDir::new().unwrap();
    let sink =
        SinkProcess::start(Some(&folder.path().join("taken")), &["--per-second", "200"]).await.unwrap();
    let mut envoi = Envoi::new(folder.path().join("envoi"), sink.address(), &[]);
    let campaign = prepare(&mut envoi, recipients).await;
    let api = envoi.api().unwrap();
    let configurations = api.all("/configurations").await.unwrap();
    let configuration = configurations[0]["id"].as_str().unwrap();
    let rate = json!({ "rate_per_second": rate_per_second });
    api.patch(&format!("/configurations/{configuration}?force=true"), &rate).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let ledger = read_ledger(api, &campaign, recipients).await;
    assert!(ledger.unknown.is_empty(), "a throttle leaves no doubt: {}", ledger.execution["total"]);
    let (taken, counts) = read_sink(sink).await;
    compare(&ledger, &taken);
    assert_eq!(taken.len(), recipients);
    counts
}

/// Corpus I1, I2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_throttles_fails_nobody_and_gets_nobody_twice() {
    let counts = sent_past_a_throttle(2000, None).await;
    assert_ne!(counts["throttled"], 0, "without a rate it is asked for too much: {counts}");
}

/// Corpus I1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_below_the_server_s_is_never_throttled() {
    let counts = sent_past_a_throttle(1000, Some(190)).await;
    assert_eq!(counts["throttled"], 0, "{counts}");
}
