//! Being woken at an instant.

use std::time::Duration;

use platform::WakeUp;

use super::{Engine, WAKE_UPS, assert_invalid, assert_too_large, bodies, receive};

/// Schedules a wake-up `seconds` from now.
async fn schedule(engine: &dyn Engine, name: &str, seconds: i64, body: &str) {
    let at = engine.now() + jiff::SignedDuration::from_secs(seconds);
    engine.scheduler().put(WakeUp { name: name.to_owned(), at, body: body.to_owned() }).await.expect("a put");
}

/// Takes what has fired off the queue; the bodies, sorted.
async fn fired(engine: &dyn Engine) -> Vec<String> {
    let received = receive(engine, WAKE_UPS).await;
    let bodies = bodies(&received).into_iter().map(str::to_owned).collect();
    let receipts = received.into_iter().map(|message| message.receipt).collect();
    engine.source().delete(WAKE_UPS, receipts).await.unwrap();
    bodies
}

/// So many seconds beyond what is near.
fn far(engine: &dyn Engine, seconds: u64) -> i64 {
    i64::try_from(engine.far().as_secs() + seconds).unwrap()
}

/// Late rather than early.
pub async fn it_arrives_once_its_instant_has_come(engine: &dyn Engine) {
    schedule(engine, "one", far(engine, 4), "{\"wake\":1}").await;
    engine.advance(Duration::from_secs(4)).await;
    assert!(fired(engine).await.is_empty());
    engine.advance(engine.far()).await;
    assert_eq!(fired(engine).await, ["{\"wake\":1}"]);
}

/// And is then gone, the near ones like the far.
pub async fn it_fires_once(engine: &dyn Engine) {
    schedule(engine, "one", 1, "one").await;
    schedule(engine, "two", 2, "two").await;
    schedule(engine, "three", far(engine, 3), "three").await;
    engine.advance(Duration::from_secs(3)).await;
    assert_eq!(fired(engine).await, ["one", "two"]);
    engine.advance(engine.far()).await;
    assert_eq!(fired(engine).await, ["three"]);
    engine.advance(engine.far()).await;
    assert!(fired(engine).await.is_empty());
}

/// Its instant and its body.
pub async fn another_of_the_name_replaces_it(engine: &dyn Engine) {
    schedule(engine, "one", far(engine, 1), "old").await;
    schedule(engine, "one", far(engine, 7), "new").await;
    engine.advance(engine.far() + Duration::from_secs(2)).await;
    assert!(fired(engine).await.is_empty());
    engine.advance(Duration::from_secs(5)).await;
    assert_eq!(fired(engine).await, ["new"]);
}

/// Also where the new one is so near that it can't be taken back any more.
pub async fn a_nearer_one_replaces_it(engine: &dyn Engine) {
    schedule(engine, "one", far(engine, 2), "old").await;
    schedule(engine, "one", 1, "new").await;
    engine.advance(engine.far() + Duration::from_secs(3)).await;
    assert_eq!(fired(engine).await, ["new"]);
}

/// Others do.
pub async fn a_deleted_one_never_fires(engine: &dyn Engine) {
    schedule(engine, "one", far(engine, 2), "one").await;
    schedule(engine, "two", far(engine, 2), "two").await;
    engine.scheduler().delete("one").await.unwrap();
    engine.advance(engine.far() + Duration::from_secs(3)).await;
    assert_eq!(fired(engine).await, ["two"]);
}

/// It may have fired already.
pub async fn deleting_what_is_absent_is_fine(engine: &dyn Engine) {
    engine.scheduler().delete("never-there").await.unwrap();
}

/// A wake-up is never lost for being late.
pub async fn one_in_the_past_fires_at_once(engine: &dyn Engine) {
    schedule(engine, "one", -3600, "late").await;
    engine.advance(Duration::from_secs(1)).await;
    assert_eq!(fired(engine).await, ["late"]);
}

/// As EventBridge Scheduler has it.
pub async fn bad_names_are_invalid(engine: &dyn Engine) {
    let wake_up = |name: &str| WakeUp { name: name.to_owned(), at: engine.now(), body: "{}".to_owned() };
    for name in ["", "a b", "a/b", "é"] {
        assert_invalid(engine.scheduler().put(wake_up(name)).await);
    }
    assert_too_large(engine.scheduler().put(wake_up(&"n".repeat(65))).await);
    engine.scheduler().put(wake_up(&"n".repeat(64))).await.unwrap();
    engine.scheduler().put(wake_up("aZ0-_.")).await.unwrap();
}
