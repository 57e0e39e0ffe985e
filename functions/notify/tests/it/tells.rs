//! What is told at once, to whom.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::feedback::EventType;
use campaign::{Category, Code, Fact};
use outbound::Policy;
use outbound::standard_webhooks::TOLERANCE;
use platform::Clock;
use serde_json::json;
use store::messages::{Known, Notify};

use crate::receiver::{Answer, Receiver};
use crate::world::World;

const YES: &[Answer] = &[Answer::Status(204)];

#[tokio::test]
async fn each_recipient_s_outcome_is_posted_and_signed() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    let (_, secret) = world.register(&receiver.url(), &[]).await;
    let head = world.settled(&[Code::Sent, Code::Expired, Code::Suppressed, Code::Unknown]).await;
    world.work().await;
    let mut posts = receiver.posts();
    posts.sort_by_key(|post| post.json()["data"]["recipient"]["index"].as_u64());
    let told: Vec<_> = posts
        .iter()
        .map(|post| {
            secret.verify(&post.headers, &post.body, world.clock.now(), TOLERANCE).unwrap();
            assert_eq!(post.headers["content-type"], "application/json");
            let event = post.json();
            (event["type"].as_str().unwrap().to_owned(), event["data"]["reason"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ("message.sent", "sent"),
        ("message.failed", "expired"),
        ("message.excluded", "suppressed"),
        ("message.unknown", "unknown"),
    ];
    assert_eq!(told, expected.map(|(kind, reason)| (kind.to_owned(), reason.to_owned())));
    let data = posts[0].json();
    assert_eq!(data["timestamp"], "2027-01-15T08:00:00Z");
    let expected = json!({
        "campaignId": head.campaign, "version": 2, "executionId": head.id, "requestId": "order-7",
        "recipient": { "index": 0, "profileId": campaign::ProfileId::from_bytes([9; 16]) },
        "action": 0, "channel": "email", "outcome": "sent", "reason": "sent",
    });
    assert_eq!(data["data"], expected);
    // Of whom nothing is stored there is no profile to name.
    assert_eq!(posts[3].json()["data"]["recipient"], json!({ "index": 3 }));
    let ids: BTreeSet<_> = posts.iter().map(|post| post.id().to_owned()).collect();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn who_wants_some_events_gets_those_and_who_is_disabled_none() {
    let world = World::new();
    let (failures, all, off) =
        (Receiver::start(YES).await, Receiver::start(YES).await, Receiver::start(YES).await);
    world.register(&failures.url(), &[EventType::Failed, EventType::Bounced]).await;
    world.register(&all.url(), &[]).await;
    let (id, _) = world.register(&off.url(), &[]).await;
    let mut found = world.store.endpoints.get(id).await.unwrap();
    found.value.disabled = true;
    world.store.endpoints.put(&found.value, found.revision).await.unwrap();
    world.settled(&[Code::Sent, Code::BadAddress]).await;
    world.work().await;
    assert_eq!(failures.posts().len(), 1);
    assert_eq!(failures.posts()[0].json()["type"], "message.failed");
    assert_eq!((all.posts().len(), off.posts().len()), (2, 0));
}

#[tokio::test]
async fn a_message_that_comes_twice_tells_the_same_under_the_same_id() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    world.register(&receiver.url(), &[]).await;
    let head = world.settled(&[Code::Sent]).await;
    world.work().await;
    world.announce(head.call_chunk(0), vec![(0, Code::Sent as u8)]).await;
    world.work().await;
    let posts = receiver.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].id(), posts[1].id());
}

#[tokio::test]
async fn what_becomes_known_later_is_posted_under_ids_of_its_own() {
    let world = World::new();
    let (all, bounces) = (Receiver::start(YES).await, Receiver::start(YES).await);
    world.register(&all.url(), &[]).await;
    world.register(&bounces.url(), &[EventType::Bounced]).await;
    let head = world.settled(&[Code::Sent, Code::Sent, Code::Sent]).await;
    world.work().await;
    let sent: BTreeSet<_> = all.posts().iter().map(|post| post.id().to_owned()).collect();
    let at_ms = world.clock.now().as_millisecond() - 3_600_000;
    let fates = [Fact::Delivered, Fact::SoftBounced, Fact::HardBounced, Fact::Complained];
    let facts = (0..).zip(fates).map(|(member, fact)| (member, fact as u8, at_ms)).collect();
    let known = Known { chunk: head.call_chunk(0), facts };
    for _ in 0..2 {
        world.store.platform.queue.send(vec![Notify::Known(known.clone()).message()]).await.unwrap();
        world.work().await;
    }
    let mut posts: Vec<_> = all.posts().into_iter().skip(3).collect();
    assert_eq!(posts.len(), 6, "a complaint is nobody's event");
    posts.sort_by_key(|post| post.json()["data"]["recipient"]["index"].as_u64());
    let told: Vec<_> = posts.iter().step_by(2).map(crate::receiver::Post::json).collect();
    let expected = [
        ("message.delivered", "delivered"),
        ("message.bounced", "soft_bounced"),
        ("message.bounced", "hard_bounced"),
    ];
    for (event, (kind, reason)) in told.iter().zip(expected) {
        assert_eq!((&event["type"], &event["data"]["reason"]), (&json!(kind), &json!(reason)));
        assert_eq!(
            (&event["data"]["outcome"], &event["timestamp"]),
            (&json!("sent"), &json!("2027-01-15T07:00:00Z"))
        );
    }
    let ids: BTreeSet<_> = posts.iter().map(|post| post.id().to_owned()).collect();
    assert_eq!((ids.len(), ids.is_disjoint(&sent)), (3, true), "the same is told under the same id");
    assert_eq!(bounces.posts().len(), 4);
}

#[tokio::test]
async fn what_was_not_written_is_not_told_until_it_is() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    world.register(&receiver.url(), &[]).await;
    let (head, chunk) = world.placed(1, Category::Transactional).await;
    // A worker claims it, says what it is about to write, and takes its time.
    let worker = store::ledger::Worker::new(store::ledger::Tenancy::Shared);
    let lease = Duration::from_secs(30);
    let claim = world.store.ledger.claim_call(&head, chunk, &worker, lease).await.unwrap();
    assert!(matches!(claim, store::ledger::Claim::Claimed(_)));
    world.announce(chunk, vec![(0, Code::Sent as u8)]).await;
    world.work().await;
    world.pass(Duration::from_secs(10)).await;
    assert!(receiver.posts().is_empty());
    // It died. Another delivers it, and says so again.
    world.pass(Duration::from_secs(60)).await;
    world.settle(&head, chunk, &[Code::Expired]).await;
    world.announce(chunk, vec![(0, Code::Expired as u8)]).await;
    world.pass(Duration::from_secs(120)).await;
    let posts = receiver.posts();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].json()["type"], "message.failed");
}

#[tokio::test]
async fn what_is_written_late_is_told_late() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    world.register(&receiver.url(), &[]).await;
    let (head, chunk) = world.placed(1, Category::Transactional).await;
    // Whoever delivers a call need not have written anything before its end.
    world.announce(chunk, vec![(0, Code::Sent as u8)]).await;
    world.work().await;
    world.pass(Duration::from_secs(20)).await;
    assert!(receiver.posts().is_empty());
    world.settle(&head, chunk, &[Code::Sent]).await;
    world.pass(Duration::from_secs(20)).await;
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test]
async fn nothing_is_told_of_marketing() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    world.register(&receiver.url(), &[]).await;
    let (head, chunk) = world.placed(1, Category::Marketing).await;
    world.settle(&head, chunk, &[Code::Sent]).await;
    world.announce(chunk, vec![(0, Code::Sent as u8)]).await;
    world.work().await;
    assert!(receiver.posts().is_empty());
}

#[tokio::test]
async fn nobody_inside_is_told_anything() {
    let world = World::with(Policy::public_only());
    let receiver = Receiver::start(YES).await;
    // As if it had been registered by a name that led elsewhere then.
    let port = receiver.url().rsplit(':').next().unwrap().to_owned();
    let (id, _) = world.register(&format!("https://localhost:{port}"), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.work().await;
    assert!(receiver.posts().is_empty());
    let waiting = world.store.endpoints.waiting(id, None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    let why = waiting[0].error.as_deref().unwrap();
    assert_eq!(why, "the address is refused: it leads to a loopback address");
}

#[tokio::test]
async fn while_a_secret_is_changed_both_verify() {
    let world = World::new();
    let receiver = Receiver::start(YES).await;
    let (id, old) = world.register(&receiver.url(), &[]).await;
    let new = outbound::standard_webhooks::Secret::generate();
    let found = world.store.endpoints.get(id).await.unwrap();
    world.store.endpoints.change_secret(&found, new.reveal(), Duration::from_secs(3600)).await.unwrap();
    world.settled(&[Code::Sent]).await;
    world.work().await;
    world.pass(Duration::from_secs(2 * 3600)).await;
    world.settled(&[Code::Sent]).await;
    world.work().await;
    let posts = receiver.posts();
    let verify = |post: usize, secret: &outbound::standard_webhooks::Secret| {
        let post = &posts[post];
        let day = Duration::from_secs(24 * 3600);
        secret.verify(&post.headers, &post.body, world.clock.now(), day).is_ok()
    };
    assert!(verify(0, &old) && verify(0, &new));
    assert!(!verify(1, &old) && verify(1, &new));
}
