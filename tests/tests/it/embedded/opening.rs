use std::sync::Arc;
use std::time::Duration;

use envoi_tests::clock::TestClock;
use envoi_tests::contract::{A, WORK};
use platform::embedded::{Embedded, OpenError};
use platform::{
    Consistency, Item, Key, Message, PlatformError, Queue, Scheduler, Source, Table, WakeUp, Write,
};
use tempfile::TempDir;

fn open(folder: &TempDir) -> Result<Embedded, OpenError> {
    Embedded::open(folder.path(), Arc::new(TestClock::default()))
}

fn write(n: i64) -> Vec<Write> {
    vec![Write::put(A, Item::new(Key::new("p", format!("{n}"))))]
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder).unwrap();
    engine.transact(write(1)).await.unwrap();
    engine.send(vec![Message::new(WORK, "one".to_owned())]).await.unwrap();
    let wake_up = WakeUp { name: "w".to_owned(), at: jiff::Timestamp::UNIX_EPOCH, body: "{}".to_owned() };
    engine.put(wake_up).await.unwrap();
    drop(engine);

    let engine = open(&folder).unwrap();
    assert!(engine.get(A, &Key::new("p", "1"), Consistency::Strong).await.unwrap().is_some());
    engine.send(vec![Message::new(WORK, "two".to_owned())]).await.unwrap();
    let received = engine.receive(WORK, 10, Duration::from_secs(30), 5).await.unwrap();
    assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_ne!(received[0].id, received[1].id);
    assert_eq!(engine.next_wake_up().await.unwrap(), Some(jiff::Timestamp::UNIX_EPOCH));
}

#[tokio::test]
async fn a_folder_in_use_is_refused_at_once_and_free_after_the_last_handle() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder).unwrap();
    let platform = engine.platform();
    assert!(matches!(open(&folder), Err(OpenError::Locked { .. })));
    drop(engine);
    assert!(matches!(open(&folder), Err(OpenError::Locked { .. })), "the platform still holds it");
    drop(platform);
    open(&folder).unwrap();
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Embedded::open(&file.join("below"), Arc::new(TestClock::default())).unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(error.to_string().contains("below"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("envoi.db");
    let content =
        "a letter, and not a database at all; longer than the header of one, which has a hundred bytes. "
            .repeat(2);
    std::fs::write(&path, &content).unwrap();
    assert!(matches!(open(&folder), Err(OpenError::NotADatabase { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

/// Sets a big-endian number in the header of the database file.
fn patch_header(folder: &TempDir, offset: usize, value: u32) {
    let path = folder.path().join("envoi.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder).unwrap());
    patch_header(&folder, 60, 77);
    assert!(matches!(open(&folder), Err(OpenError::Newer { found: 77, known: 1 })));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder).unwrap());
    patch_header(&folder, 68, 0);
    assert!(matches!(open(&folder), Err(OpenError::NotADatabase { .. })));
}

#[tokio::test]
async fn shutdown_waits_for_what_is_queued_and_leaves_no_log() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder).unwrap();
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..100 {
        let engine = engine.clone();
        writing.spawn(async move { engine.transact(write(n)).await });
    }
    // Each of them queues its write before it first waits.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await.unwrap();
    let acknowledged = writing.join_all().await.into_iter().filter(Result::is_ok).count();
    let log = folder.path().join("envoi.db-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |log| log.len()), 0);

    let late = engine.batch_put(A, vec![Item::new(Key::new("p", "late"))]).await;
    assert!(matches!(late, Err(PlatformError::Unavailable { .. })), "{late:?}");
    drop(engine);
    let stored = open(&folder).unwrap().estimate(A).await.unwrap();
    assert_eq!(stored, acknowledged as u64);
}

#[tokio::test]
async fn tables_whose_names_differ_by_case_only_are_apart() {
    let engine = Embedded::in_memory(Arc::new(TestClock::default()));
    let [lower, upper] = [platform::TableName("names"), platform::TableName("NAMES")];
    engine.transact(vec![Write::put(lower, Item::new(Key::new("p", "s")))]).await.unwrap();
    assert_eq!(engine.get(upper, &Key::new("p", "s"), Consistency::Strong).await.unwrap(), None);
}
