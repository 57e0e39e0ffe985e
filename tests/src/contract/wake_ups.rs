//! Being woken at an instant.

use std::time::Duration;

use platform::WakeUp;

use super::{Engine, WAKE_UPS, assert_invalid, assert_too_large, bodies, receive};

/// Schedules a wake-up `seconds` from now.
async fn schedule(engine: &dyn Engine, name: &str, seconds: i64, body: &str) {
    let at = engine.now() + jiff::SignedDuration::from_secs(seconds);
    engine
        .scheduler()
        .put(WakeUp {
            name: name.to_owned(),
            at,
            body: body.to_owned(),
        })
        .await
        .expect("a put");
}

/// Late rather than early.
pub async fn it_arrives_once_its_instant_has_come(engine: &dyn Engine) {
    schedule(engine, "one", 120, "{\"wake\":1}").await;
    engine.advance(Duration::from_secs(60)).await;
    assert!(receive(engine, WAKE_UPS).await.is_empty());
    engine.advance(Duration::from_secs(61)).await;
    assert_eq!(bodies(&receive(engine, WAKE_UPS).await), ["{\"wake\":1}"]);
}

/// And is then gone.
pub async fn it_fires_once(engine: &dyn Engine) {
    schedule(engine, "one", 1, "one").await;
    schedule(engine, "two", 2, "two").await;
    engine.advance(Duration::from_secs(3)).await;
    let fired = receive(engine, WAKE_UPS).await;
    assert_eq!(bodies(&fired), ["one", "two"]);
    engine
        .source()
        .delete(
            WAKE_UPS,
            fired.into_iter().map(|message| message.receipt).collect(),
        )
        .await
        .unwrap();
    engine.advance(Duration::from_secs(100)).await;
    assert!(receive(engine, WAKE_UPS).await.is_empty());
}

/// Its instant and its body.
pub async fn another_of_the_name_replaces_it(engine: &dyn Engine) {
    schedule(engine, "one", 5, "old").await;
    schedule(engine, "one", 10, "new").await;
    engine.advance(Duration::from_secs(6)).await;
    assert!(receive(engine, WAKE_UPS).await.is_empty());
    engine.advance(Duration::from_secs(5)).await;
    assert_eq!(bodies(&receive(engine, WAKE_UPS).await), ["new"]);
}

/// Others do.
pub async fn a_deleted_one_never_fires(engine: &dyn Engine) {
    schedule(engine, "one", 2, "one").await;
    schedule(engine, "two", 2, "two").await;
    engine.scheduler().delete("one").await.unwrap();
    engine.advance(Duration::from_secs(3)).await;
    assert_eq!(bodies(&receive(engine, WAKE_UPS).await), ["two"]);
}

/// It may have fired already.
pub async fn deleting_what_is_absent_is_fine(engine: &dyn Engine) {
    engine.scheduler().delete("never-there").await.unwrap();
}

/// A wake-up is never lost for being late.
pub async fn one_in_the_past_fires_at_once(engine: &dyn Engine) {
    schedule(engine, "one", -3600, "late").await;
    engine.advance(Duration::from_secs(1)).await;
    assert_eq!(bodies(&receive(engine, WAKE_UPS).await), ["late"]);
}

/// As EventBridge Scheduler has it.
pub async fn bad_names_are_invalid(engine: &dyn Engine) {
    let wake_up = |name: &str| WakeUp {
        name: name.to_owned(),
        at: engine.now(),
        body: "{}".to_owned(),
    };
    for name in ["", "a b", "a/b", "é"] {
        assert_invalid(engine.scheduler().put(wake_up(name)).await);
    }
    assert_too_large(engine.scheduler().put(wake_up(&"n".repeat(65))).await);
    engine.scheduler().put(wake_up(&"n".repeat(64))).await.unwrap();
    engine.scheduler().put(wake_up("aZ0-_.")).await.unwrap();
}
