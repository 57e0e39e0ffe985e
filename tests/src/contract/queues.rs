//! Sending, receiving, deleting, releasing.

use std::collections::BTreeSet;
use std::time::Duration;

use platform::queue::{MAX_BODY_BYTES, MAX_DELAY};
use platform::{Message, Received};

use super::{Engine, MAX_RECEIVES, OTHER, WORK, assert_too_large, bodies, receive, send};

const SHORT: Duration = Duration::from_secs(4);
const LONGER: Duration = Duration::from_secs(5);

/// Receives up to ten for [`SHORT`].
async fn receive_briefly(engine: &dyn Engine) -> Vec<Received> {
    engine.source().receive(WORK, 10, SHORT, MAX_RECEIVES).await.expect("a receive")
}

/// The one message.
#[track_caller]
fn only(received: Vec<Received>) -> Received {
    assert_eq!(received.len(), 1, "{received:?}");
    received.into_iter().next().expect("there is one")
}

async fn delete(engine: &dyn Engine, receipts: &[&Received]) {
    let receipts = receipts.iter().map(|received| received.receipt.clone()).collect();
    engine.source().delete(WORK, receipts).await.expect("a delete");
}

async fn release(engine: &dyn Engine, received: &Received, delay: Duration) {
    engine.source().release(WORK, vec![received.receipt.clone()], delay).await.expect("a release");
}

/// More messages than a batch has.
pub async fn what_is_sent_is_received(engine: &dyn Engine) {
    let sent: BTreeSet<String> = (0..25).map(|n| format!("{{\"n\":{n}}}")).collect();
    let messages = sent.iter().map(|body| Message::new(WORK, body.clone())).collect();
    engine.queue().send(messages).await.unwrap();
    let mut found = BTreeSet::new();
    let mut ids = BTreeSet::new();
    while found.len() < sent.len() {
        let received = receive(engine, WORK).await;
        assert!(!received.is_empty(), "only {} of them came", found.len());
        for message in received {
            assert_eq!(message.receives, 1);
            assert!(ids.insert(message.id), "an id came twice");
            assert!(found.insert(message.body), "a body came twice");
        }
    }
    assert_eq!(found, sent);
    assert!(receive(engine, WORK).await.is_empty());
}

/// And nothing of an empty queue.
pub async fn receive_takes_no_more_than_asked(engine: &dyn Engine) {
    assert!(receive(engine, WORK).await.is_empty());
    for n in 0..5 {
        send(engine, WORK, &format!("{n}")).await;
    }
    assert_eq!(engine.source().receive(WORK, 3, SHORT, MAX_RECEIVES).await.unwrap().len(), 3);
    assert_eq!(engine.source().receive(WORK, 3, SHORT, MAX_RECEIVES).await.unwrap().len(), 2);
}

/// One queue's messages are none of another's.
pub async fn queues_are_apart(engine: &dyn Engine) {
    send(engine, WORK, "work").await;
    send(engine, OTHER, "other").await;
    assert_eq!(bodies(&receive(engine, WORK).await), ["work"]);
    assert_eq!(bodies(&receive(engine, OTHER).await), ["other"]);
}

/// Not before its delay is over.
pub async fn a_delayed_message_comes_later(engine: &dyn Engine) {
    engine.queue().send(vec![Message::new(WORK, "later".to_owned()).after(SHORT)]).await.unwrap();
    assert!(receive(engine, WORK).await.is_empty());
    engine.advance(LONGER).await;
    assert_eq!(bodies(&receive(engine, WORK).await), ["later"]);
}

/// It comes back if it is not deleted.
pub async fn a_received_message_is_hidden_for_its_visibility(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    only(receive_briefly(engine).await);
    assert!(receive_briefly(engine).await.is_empty());
    engine.advance(LONGER).await;
    only(receive_briefly(engine).await);
}

/// Each receive has a receipt of its own.
pub async fn receives_are_counted_and_the_id_stays(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let first = only(receive_briefly(engine).await);
    engine.advance(LONGER).await;
    let second = only(receive_briefly(engine).await);
    assert_eq!((first.receives, second.receives), (1, 2));
    assert_eq!(first.id, second.id);
    assert_eq!(first.body, second.body);
    assert_ne!(first.receipt, second.receipt);
}

/// It never comes back; deleting it again does no harm.
pub async fn a_deleted_message_is_gone(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let message = only(receive_briefly(engine).await);
    delete(engine, &[&message]).await;
    delete(engine, &[&message]).await;
    engine.source().delete(WORK, vec![]).await.unwrap();
    engine.advance(LONGER).await;
    assert!(receive_briefly(engine).await.is_empty());
    assert!(engine.source().dead_letters(WORK, 10).await.unwrap().is_empty());
}

/// A consumer that was too slow neither deletes nor releases what another has.
pub async fn a_stale_receipt_is_ignored(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let stale = only(receive_briefly(engine).await);
    engine.advance(LONGER).await;
    let current = only(receive_briefly(engine).await);
    delete(engine, &[&stale]).await;
    release(engine, &stale, Duration::ZERO).await;
    assert!(receive_briefly(engine).await.is_empty(), "it was released by a stale receipt");
    engine.advance(LONGER).await;
    let again = only(receive_briefly(engine).await);
    assert_eq!((again.id, again.receives), (current.id, 3));
}

/// Until another receive it is still the newest.
pub async fn a_receipt_outlives_its_visibility(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let message = only(receive_briefly(engine).await);
    engine.advance(LONGER).await;
    delete(engine, &[&message]).await;
    assert!(receive_briefly(engine).await.is_empty());
}

/// After so many receives it is not handed out again, whether they ended by a release or by nothing.
pub async fn exhausted_messages_become_dead_letters(engine: &dyn Engine) {
    send(engine, WORK, "poison").await;
    let first = only(receive_briefly(engine).await);
    let mut message = first.clone();
    for receives in 2..=MAX_RECEIVES {
        release(engine, &message, Duration::ZERO).await;
        message = only(receive_briefly(engine).await);
        assert_eq!(message.receives, receives);
    }
    assert!(engine.source().dead_letters(WORK, 10).await.unwrap().is_empty());
    engine.advance(LONGER).await;
    send(engine, WORK, "wholesome").await;
    assert_eq!(bodies(&receive_briefly(engine).await), ["wholesome"]);
    let dead = only(engine.source().dead_letters(WORK, 10).await.unwrap());
    assert_eq!((dead.id, dead.body.as_str()), (first.id, "poison"));
    engine.advance(LONGER).await;
    assert_eq!(bodies(&receive_briefly(engine).await), ["wholesome"], "a dead letter came back");
    assert!(engine.source().dead_letters(OTHER, 10).await.unwrap().is_empty());
}

/// As they were sent, and looking takes none away.
pub async fn dead_letters_come_oldest_first(engine: &dyn Engine) {
    for body in ["first", "second", "third"] {
        send(engine, WORK, body).await;
        engine.advance(Duration::from_secs(1)).await;
    }
    for _ in 0..MAX_RECEIVES {
        let received = receive_briefly(engine).await;
        assert_eq!(received.len(), 3);
        for message in &received {
            release(engine, message, Duration::ZERO).await;
        }
    }
    assert!(receive_briefly(engine).await.is_empty());
    for _ in 0..2 {
        let dead = engine.source().dead_letters(WORK, 2).await.unwrap();
        assert_eq!(dead.iter().map(|letter| letter.body.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    }
}

/// Its receives go on counting.
pub async fn a_released_message_comes_back_at_once(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let message = only(receive_briefly(engine).await);
    release(engine, &message, Duration::ZERO).await;
    assert_eq!(only(receive_briefly(engine).await).receives, 2);
}

/// Not before.
pub async fn a_released_message_comes_back_after_its_delay(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let message = only(receive(engine, WORK).await);
    release(engine, &message, SHORT).await;
    assert!(receive_briefly(engine).await.is_empty());
    engine.advance(LONGER).await;
    only(receive_briefly(engine).await);
}

/// A release with a longer delay keeps the message with its consumer, who may still delete it.
pub async fn a_release_can_prolong(engine: &dyn Engine) {
    send(engine, WORK, "one").await;
    let message = only(receive_briefly(engine).await);
    release(engine, &message, LONGER * 2).await;
    engine.advance(LONGER).await;
    assert!(receive_briefly(engine).await.is_empty());
    delete(engine, &[&message]).await;
    engine.advance(LONGER).await;
    assert!(receive_briefly(engine).await.is_empty());
}

/// What was handled goes, what failed comes back.
pub async fn a_batch_may_be_deleted_in_part(engine: &dyn Engine) {
    for n in 0..5 {
        send(engine, WORK, &format!("{n}")).await;
    }
    let batch = receive(engine, WORK).await;
    assert_eq!(batch.len(), 5);
    let (failed, handled): (Vec<_>, Vec<_>) =
        batch.iter().partition(|message| ["1", "3"].contains(&&*message.body));
    delete(engine, &handled).await;
    let receipts = failed.iter().map(|message| message.receipt.clone()).collect();
    engine.source().release(WORK, receipts, Duration::ZERO).await.unwrap();
    assert_eq!(bodies(&receive(engine, WORK).await), ["1", "3"]);
}

/// The limit itself is allowed.
pub async fn a_body_of_one_mebibyte_fits(engine: &dyn Engine) {
    let body = "x".repeat(MAX_BODY_BYTES);
    send(engine, WORK, &body).await;
    assert_eq!(only(receive(engine, WORK).await).body, body);
}

/// Nor does it send what stands beside it.
pub async fn a_larger_body_sends_nothing(engine: &dyn Engine) {
    let message = |body: String| Message::new(WORK, body);
    let messages = vec![message("fine".to_owned()), message("x".repeat(MAX_BODY_BYTES + 1))];
    assert_too_large(engine.queue().send(messages).await);
    assert!(receive(engine, WORK).await.is_empty());
}

/// The longest delay is a quarter of an hour, and `after` keeps to it.
pub async fn a_longer_delay_sends_nothing(engine: &dyn Engine) {
    let mut message = Message::new(WORK, "late".to_owned()).after(MAX_DELAY * 2);
    assert_eq!(message.delay, MAX_DELAY);
    message.delay += Duration::from_secs(1);
    assert_too_large(engine.queue().send(vec![message]).await);
}

/// Every character that SQS allows.
pub async fn bodies_come_back_as_sent(engine: &dyn Engine) {
    let body = "{\"name\": \"Zoë 🏔\",\t'x': \"a\\u0000\"}\r\n";
    send(engine, WORK, body).await;
    assert_eq!(only(receive(engine, WORK).await).body, body);
}

/// A group is for fairness only: it neither orders nor withholds.
pub async fn messages_of_groups_are_received(engine: &dyn Engine) {
    let message = |n: usize| Message {
        group: Some(format!("campaign-{}", n % 2)),
        ..Message::new(WORK, format!("{n}")).after(Duration::from_secs(1))
    };
    engine.queue().send((0..4).map(message).collect()).await.unwrap();
    engine.advance(Duration::from_secs(2)).await;
    assert_eq!(bodies(&receive(engine, WORK).await), ["0", "1", "2", "3"]);
}

/// No messages at all are fine.
pub async fn nothing_to_send_is_fine(engine: &dyn Engine) {
    engine.queue().send(vec![]).await.unwrap();
    engine.source().release(WORK, vec![], Duration::ZERO).await.unwrap();
}
