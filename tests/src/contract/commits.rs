//! Writing and handing on in one call.

use std::time::Duration;

use platform::queue::MAX_BODY_BYTES;
use platform::{Condition, Message, TransactError, Write};

use super::{
    A, B, Engine, OTHER, WORK, assert_too_large, bodies, engine_error, failing, get, numbered, put, receive,
};

async fn commit(
    engine: &dyn Engine,
    writes: Vec<Write>,
    messages: Vec<Message>,
) -> Result<(), TransactError> {
    engine.table().commit(&*engine.queue(), writes, messages).await
}

fn message(body: &str) -> Message {
    Message::new(WORK, body.to_owned())
}

/// Writes to two tables, messages to two queues.
pub async fn writes_and_messages_arrive_together(engine: &dyn Engine) {
    let writes = vec![Write::put(A, numbered("p", "s", 1)), Write::put(B, numbered("p", "s", 2))];
    let messages = vec![message("one"), message("two"), Message::new(OTHER, "three".to_owned())];
    commit(engine, writes, messages).await.unwrap();
    assert!(get(engine, A, &numbered("p", "s", 1).key).await.is_some());
    assert!(get(engine, B, &numbered("p", "s", 1).key).await.is_some());
    assert_eq!(bodies(&receive(engine, WORK).await), ["one", "two"]);
    assert_eq!(bodies(&receive(engine, OTHER).await), ["three"]);
}

/// Nor does it write anything.
pub async fn a_failing_condition_sends_nothing(engine: &dyn Engine) {
    put(engine, A, numbered("p", "s", 1)).await;
    let writes = vec![
        Write::put(B, numbered("p", "s", 2)),
        Write::put(A, numbered("p", "s", 2)).when(Condition::NotExists),
    ];
    assert_eq!(failing(commit(engine, writes, vec![message("one")]).await), [1]);
    assert_eq!(get(engine, B, &numbered("p", "s", 1).key).await, None);
    assert!(receive(engine, WORK).await.is_empty());
}

/// What no queue will ever take is found before anything is written.
pub async fn a_large_message_writes_nothing(engine: &dyn Engine) {
    let messages = vec![message("one"), message(&"x".repeat(MAX_BODY_BYTES + 1))];
    let outcome = commit(engine, vec![Write::put(A, numbered("p", "s", 1))], messages).await;
    assert_too_large(engine_error(outcome));
    assert_eq!(get(engine, A, &numbered("p", "s", 1).key).await, None);
    assert!(receive(engine, WORK).await.is_empty());
}

/// Without writes.
pub async fn messages_alone_are_sent(engine: &dyn Engine) {
    commit(engine, vec![], vec![message("one")]).await.unwrap();
    assert_eq!(bodies(&receive(engine, WORK).await), ["one"]);
}

/// Without messages.
pub async fn writes_alone_are_written(engine: &dyn Engine) {
    commit(engine, vec![Write::put(A, numbered("p", "s", 1))], vec![]).await.unwrap();
    assert!(get(engine, A, &numbered("p", "s", 1).key).await.is_some());
    commit(engine, vec![], vec![]).await.unwrap();
}

/// As with a plain send.
pub async fn delays_hold(engine: &dyn Engine) {
    commit(engine, vec![], vec![message("later").after(Duration::from_secs(4))]).await.unwrap();
    assert!(receive(engine, WORK).await.is_empty());
    engine.advance(Duration::from_secs(5)).await;
    assert_eq!(bodies(&receive(engine, WORK).await), ["later"]);
}
