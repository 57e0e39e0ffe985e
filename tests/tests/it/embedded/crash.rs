use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use envoi_tests::contract::{A, B, WORK};
use platform::embedded::{Embedded, OpenError};
use platform::{Consistency, Key, Query, Scan, Source, SystemClock, Table};
use tempfile::TempDir;

/// Runs the writer until it has acknowledged `acknowledgements` transactions, and kills it. Returns their numbers.
fn write_and_kill(folder: &Path, first: i64, tasks: usize, acknowledgements: usize) -> BTreeSet<i64> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crash-writer"))
        .args([folder.as_os_str(), first.to_string().as_ref(), tasks.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    for line in lines.by_ref().take(acknowledgements) {
        acknowledged.insert(line.unwrap().parse().unwrap());
    }
    assert_eq!(acknowledged.len(), acknowledgements, "the writer ended by itself");
    let locked = Embedded::open(folder, Arc::new(SystemClock));
    assert!(matches!(locked, Err(OpenError::Locked { .. })), "the folder is the writer's");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said between the last line read and its death counts too, save for a line cut short.
    for line in lines {
        acknowledged.extend(line.ok().and_then(|line| line.parse::<i64>().ok()));
    }
    acknowledged
}

/// The numbers found in each of the places that one transaction writes.
async fn stored(engine: &Embedded) -> [BTreeSet<i64>; 4] {
    let mut items = BTreeSet::new();
    let mut after = None;
    loop {
        let page = engine.scan(A, Scan { bucket: 0, of: 1, after, limit: 1000 }).await.unwrap();
        items.extend(
            page.items.iter().map(|item| item.key.pk.strip_prefix("n-").unwrap().parse::<i64>().unwrap()),
        );
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let due = engine.query_due(A, 0, i64::MAX, usize::MAX).await.unwrap();
    let due = due.iter().filter_map(|item| item.due).map(|due| due.at_ms).collect();
    let mut log = BTreeSet::new();
    let mut query = Query::of("log", 1000);
    loop {
        let page = engine.query(B, query.clone()).await.unwrap();
        log.extend(page.items.iter().map(|item| item.key.sk.parse::<i64>().unwrap()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let mut messages = BTreeSet::new();
    loop {
        let received = engine.receive(WORK, 1000, Duration::from_secs(3600), 100).await.unwrap();
        if received.is_empty() {
            break;
        }
        for message in &received {
            assert!(messages.insert(message.body.parse().unwrap()), "{} was sent twice", message.body);
        }
        // They come back for the next look.
        let receipts = received.into_iter().map(|message| message.receipt).collect();
        engine.release(WORK, receipts, Duration::from_secs(3600)).await.unwrap();
    }
    [items, due, log, messages]
}

async fn check(folder: &Path, acknowledged: &BTreeSet<i64>) {
    let engine = Embedded::open(folder, Arc::new(SystemClock)).unwrap();
    let [items, due, log, messages] = stored(&engine).await;
    let missing: Vec<_> = acknowledged.difference(&items).collect();
    assert!(missing.is_empty(), "acknowledged but lost: {missing:?}");
    assert_eq!(items, due, "half a transaction: items and their index");
    assert_eq!(items, log, "half a transaction: two tables");
    assert_eq!(items, messages, "half a transaction: items and messages");
    let count = engine.get(B, &Key::new("count", "s"), Consistency::Strong).await.unwrap();
    assert_eq!(count.and_then(|item| item.number("n")), Some(i64::try_from(items.len()).unwrap()));
}

/// Killed at its first commit, in the middle, and after the log has been copied several times; one writer and many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_transaction_and_leaves_none_half() {
    for (tasks, acknowledgements) in [(1, 1), (1, 60), (32, 1), (32, 700), (200, 4000)] {
        let folder = TempDir::new().unwrap();
        let acknowledged = write_and_kill(folder.path(), 0, tasks, acknowledgements);
        check(folder.path(), &acknowledged).await;
    }
}
