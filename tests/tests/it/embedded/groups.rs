use std::sync::Arc;

use envoi_tests::contract::embedded::EmbeddedEngine;
use envoi_tests::contract::{A, B, WORK};
use platform::{
    Change, Condition, Consistency, Item, Key, Message, PlatformError, Query, Queue, Source, Table,
    TransactError, Write,
};
use tokio::task::JoinSet;

/// Jobs that succeed, are refused and are impossible share their groups; each gets its own answer and no other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_group_fail_apart() {
    let engine = EmbeddedEngine::in_a_folder();
    let platform = engine.embedded.platform();
    platform.table.batch_put(A, vec![Item::new(Key::new("text", "s")).with("n", "five")]).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..300 {
        let platform = platform.clone();
        tasks.spawn(async move {
            let key = Key::new("p", format!("{n:03}"));
            let mut writes = vec![
                Write::put(A, Item::new(key.clone())),
                Write::update(B, Key::new("count", "s"), vec![Change::add("n", 1)]),
            ];
            match n % 3 {
                0 => {}
                1 => writes.push(Write::check(B, key.clone(), Condition::Exists)),
                _ => writes.push(Write::update(A, Key::new("text", "s"), vec![Change::add("n", 1)])),
            }
            let outcome = platform.commit(writes, vec![Message::new(WORK, n.to_string())]).await;
            match (n % 3, outcome) {
                (0, Ok(())) | (2, Err(TransactError::Engine(PlatformError::Invalid(_)))) => {}
                (1, Err(TransactError::ConditionFailed(positions))) => assert_eq!(positions, [2]),
                (_, other) => panic!("{n}: {other:?}"),
            }
            // Whoever was told so can read it.
            let stored = platform.table.get(A, &key, Consistency::Strong).await.unwrap();
            assert_eq!(stored.is_some(), n % 3 == 0, "{n}");
        });
    }
    tasks.join_all().await;
    let page = platform.table.query(A, Query::of("p", 1000)).await.unwrap();
    assert_eq!(page.items.len(), 100);
    let count = platform.table.get(B, &Key::new("count", "s"), Consistency::Strong).await.unwrap().unwrap();
    assert_eq!(count.number("n"), Some(100));
    assert_eq!(engine.embedded.counts(WORK).await.unwrap().visible, 100);
}

/// Enough to make the log start again from its beginning several times, with readers all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_copied_while_writing_and_reading_go_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(envoi_tests::clock::TestClock::default());
    let engine = platform::embedded::Embedded::open(folder.path(), clock).unwrap();
    let log = folder.path().join("envoi.db-wal");
    let mut longest = 0;
    for round in 0..60 {
        let items = (0..100)
            .map(|n| Item::new(Key::new(format!("p{n}-{round}"), "s")).with("x", "x".repeat(30_000)))
            .collect();
        engine.batch_put(A, items).await.unwrap();
        assert!(
            engine
                .get(A, &Key::new(format!("p99-{round}"), "s"), Consistency::Strong)
                .await
                .unwrap()
                .is_some()
        );
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    let written = 60 * 100 * 30_000;
    assert!(longest < written * 3 / 4, "the log grew to {longest} of {written} bytes");
}

#[tokio::test]
async fn a_queue_of_another_engine_gets_its_messages_after_the_writes() {
    let [one, other] = [EmbeddedEngine::in_memory(), EmbeddedEngine::in_memory()];
    let writes = || vec![Write::put(A, Item::new(Key::new("p", "s"))).when(Condition::NotExists)];
    let message = || vec![Message::new(WORK, "one".to_owned())];
    one.embedded.commit(&other.embedded, writes(), message()).await.unwrap();
    assert_eq!(other.embedded.counts(WORK).await.unwrap().visible, 1);
    assert_eq!(one.embedded.counts(WORK).await.unwrap().visible, 0);
    let again = one.embedded.commit(&other.embedded, writes(), message()).await;
    assert!(matches!(again, Err(TransactError::ConditionFailed(_))));
    assert_eq!(other.embedded.counts(WORK).await.unwrap().visible, 1);
}

/// A wrapper around the queue, as a test may put one to lose messages, sees them all.
#[tokio::test]
async fn a_wrapped_queue_is_not_bypassed() {
    struct Losing;
    #[async_trait::async_trait]
    impl Queue for Losing {
        async fn send(&self, _: Vec<Message>) -> Result<(), PlatformError> {
            Err(PlatformError::Invalid("lost".to_owned()))
        }
    }
    let engine = EmbeddedEngine::in_memory();
    let writes = vec![Write::put(A, Item::new(Key::new("p", "s")))];
    let outcome = engine.embedded.commit(&Losing, writes, vec![Message::new(WORK, "one".to_owned())]).await;
    assert!(matches!(outcome, Err(TransactError::Engine(_))));
    assert!(engine.embedded.get(A, &Key::new("p", "s"), Consistency::Strong).await.unwrap().is_some());
    assert!(engine.embedded.receive(WORK, 1, std::time::Duration::ZERO, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn large_tables_are_estimated_from_a_part() {
    let engine = EmbeddedEngine::in_memory().embedded;
    let items = (0..20_000).map(|n| Item::new(Key::new(format!("profile-{n}"), "s"))).collect();
    engine.batch_put(A, items).await.unwrap();
    let estimate = engine.estimate(A).await.unwrap();
    assert!((17_000..23_000).contains(&estimate), "{estimate} of 20000");
}
