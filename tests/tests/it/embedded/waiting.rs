use std::time::Duration;

use envoi_tests::contract::embedded::EmbeddedEngine;
use envoi_tests::contract::{A, B, WAKE_UPS, WORK};
use jiff::SignedDuration;
use platform::embedded::QueueCounts;
use platform::{Clock, Due, Item, Key, Message, Queue, Scheduler, Source, Table, WakeUp, Write};
use tokio::task::JoinHandle;

const MINUTE: Duration = Duration::from_secs(60);

fn message(body: &str) -> Message {
    Message::new(WORK, body.to_owned())
}

/// Lets other tasks run until they all wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// What the task answers. Nobody waits for long here, save where a waiter was never woken.
async fn answer<T>(task: JoinHandle<T>) -> T {
    let answer = tokio::time::timeout(MINUTE, task).await;
    answer.expect("the waiter was never woken").expect("no panic")
}

#[tokio::test]
async fn a_waiter_wakes_for_a_message() {
    let engine = EmbeddedEngine::in_memory();
    let embedded = engine.embedded.clone();
    let waiting = tokio::spawn(async move { embedded.wait_for_messages(WORK, MINUTE).await.unwrap() });
    settle().await;
    assert!(!waiting.is_finished());
    engine.embedded.send(vec![message("one")]).await.unwrap();
    assert!(answer(waiting).await);
}

#[tokio::test]
async fn a_waiter_wakes_when_a_delay_is_over() {
    let engine = EmbeddedEngine::in_memory();
    let embedded = engine.embedded.clone();
    let waiting = tokio::spawn(async move { embedded.wait_for_messages(WORK, MINUTE).await.unwrap() });
    settle().await;
    engine.embedded.send(vec![message("one").after(Duration::from_secs(5))]).await.unwrap();
    settle().await;
    assert!(!waiting.is_finished());
    engine.clock.advance(Duration::from_secs(5));
    assert!(answer(waiting).await);
}

#[tokio::test]
async fn a_waiter_wakes_for_a_release_and_for_a_visibility_that_ends() {
    let engine = EmbeddedEngine::in_memory();
    engine.embedded.send(vec![message("one"), message("two")]).await.unwrap();
    let received = engine.embedded.receive(WORK, 2, Duration::from_secs(30), 5).await.unwrap();
    for released in [true, false] {
        let embedded = engine.embedded.clone();
        let waiting = tokio::spawn(async move { embedded.wait_for_messages(WORK, MINUTE).await.unwrap() });
        settle().await;
        assert!(!waiting.is_finished());
        if released {
            engine.embedded.release(WORK, vec![received[0].receipt.clone()], Duration::ZERO).await.unwrap();
        } else {
            Source::delete(&engine.embedded, WORK, vec![received[0].receipt.clone()]).await.unwrap();
            engine.clock.advance(Duration::from_secs(30));
        }
        assert!(answer(waiting).await);
        Source::delete(&engine.embedded, WORK, vec![received[0].receipt.clone()]).await.unwrap();
    }
}

#[tokio::test]
async fn a_waiter_gives_up_in_the_end() {
    let engine = EmbeddedEngine::in_memory();
    let embedded = engine.embedded.clone();
    let waiting = tokio::spawn(async move { embedded.wait_for_messages(WORK, MINUTE).await.unwrap() });
    settle().await;
    engine.clock.advance(MINUTE);
    assert!(!answer(waiting).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_in_a_folder_wake_after_the_commit() {
    let engine = EmbeddedEngine::in_a_folder();
    for n in 0..50 {
        let embedded = engine.embedded.clone();
        let waiting = tokio::spawn(async move {
            assert!(embedded.wait_for_messages(WORK, MINUTE).await.unwrap());
            embedded.receive(WORK, 1, MINUTE, 5).await.unwrap()
        });
        engine.embedded.send(vec![message(&n.to_string())]).await.unwrap();
        let received = answer(waiting).await;
        assert_eq!(received[0].body, n.to_string());
        Source::delete(&engine.embedded, WORK, vec![received[0].receipt.clone()]).await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_tells_its_counts_and_its_next_message() {
    let engine = EmbeddedEngine::in_memory();
    let embedded = &engine.embedded;
    assert_eq!(embedded.next_visible(WORK).await.unwrap(), None);
    embedded.send(vec![message("now"), message("now too"), message("later").after(MINUTE)]).await.unwrap();
    embedded.receive(WORK, 1, Duration::from_secs(30), 5).await.unwrap();
    let counts = QueueCounts { visible: 1, in_flight: 1, delayed: 1 };
    assert_eq!(embedded.counts(WORK).await.unwrap(), counts);
    assert_eq!(embedded.next_visible(WORK).await.unwrap(), Some(engine.clock.now()));
    embedded.receive(WORK, 1, Duration::from_secs(30), 5).await.unwrap();
    let next = engine.clock.now() + SignedDuration::from_secs(30);
    assert_eq!(embedded.next_visible(WORK).await.unwrap(), Some(next));
}

#[tokio::test]
async fn wake_ups_tell_the_next_instant_and_that_it_changed() {
    let engine = EmbeddedEngine::in_memory();
    let embedded = &engine.embedded;
    let mut changes = embedded.schedule_changes();
    assert_eq!(embedded.next_wake_up().await.unwrap(), None);
    let at = engine.clock.now() + SignedDuration::from_secs(60);
    embedded.put(WakeUp { name: "one".to_owned(), at, body: "{}".to_owned() }).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert_eq!(embedded.next_wake_up().await.unwrap(), Some(at));
    assert_eq!(embedded.fire_due(WAKE_UPS).await.unwrap(), 0);
    assert!(!changes.has_changed().unwrap());

    let arrivals = embedded.arrivals(WAKE_UPS);
    engine.clock.set(at);
    assert_eq!(embedded.fire_due(WAKE_UPS).await.unwrap(), 1);
    assert!(arrivals.has_changed().unwrap());
    assert_eq!(embedded.next_wake_up().await.unwrap(), None);
    assert_eq!(embedded.counts(WAKE_UPS).await.unwrap().visible, 1);
}

#[tokio::test]
async fn a_wake_up_between_two_microseconds_does_not_fire_early() {
    let engine = EmbeddedEngine::in_memory();
    let at = engine.clock.now() + SignedDuration::from_nanos(1500);
    engine.embedded.put(WakeUp { name: "one".to_owned(), at, body: "{}".to_owned() }).await.unwrap();
    engine.clock.advance(Duration::from_nanos(1499));
    assert_eq!(engine.embedded.fire_due(WAKE_UPS).await.unwrap(), 0);
    engine.clock.advance(Duration::from_nanos(501));
    assert_eq!(engine.embedded.fire_due(WAKE_UPS).await.unwrap(), 1);
}

#[tokio::test]
async fn the_janitor_removes_what_is_expired_and_nothing_else() {
    let engine = EmbeddedEngine::in_memory();
    let now = engine.clock.now().as_second();
    let item = |n: i64, expires| {
        let mut item = Item::new(Key::new(format!("p{n}"), "s"));
        item.expires = expires;
        item.due = Some(Due { bucket: 0, at_ms: n });
        item
    };
    for table in [A, B] {
        let writes = (0..30).map(|n| Write::put(table, item(n, (n % 3 > 0).then_some(now + n)))).collect();
        engine.embedded.transact(writes).await.unwrap();
    }
    assert_eq!(engine.embedded.remove_expired(100).await.unwrap(), 0);
    engine.clock.advance(Duration::from_secs(20));
    let mut removed = Vec::new();
    loop {
        let count = engine.embedded.remove_expired(10).await.unwrap();
        removed.push(count);
        if count < 10 {
            break;
        }
    }
    assert_eq!(removed, [10, 10, 8]);
    for table in [A, B] {
        assert_eq!(engine.embedded.estimate(table).await.unwrap(), 16, "rows are gone");
        assert_eq!(engine.embedded.query_due(table, 0, 100, 100).await.unwrap().len(), 16);
    }
}
