//! What events do: to members in doubt, to what is known, to the suppression list, to callers.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::feedback::{Cause, EventType, Report};
use campaign::frequency::{ClaimTag, Entry};
use campaign::suppression::SuppressionReason;
use campaign::{Category, Channel, Code, EndpointId, Fact};
use delivery::MessageId;
use feedback::ProviderEvent;
use platform::{Item, Key, Write};
use proptest::prelude::*;
use store::endpoints::Endpoint;
use store::frequency::{Asked, Counted};
use store::ledger::Told;
use store::messages::{ChunkKey, Notify};
use store::tables;

use crate::fixtures::{NOW_MS, fixture};
use crate::world::{LEASE, World, address, event};

async fn suppressed(world: &World, index: usize) -> Option<SuppressionReason> {
    let found = world.store.suppressions.find(Channel::Email, &address(index)).await.unwrap();
    found.map(|entry| entry.suppression.reason)
}

/// Somebody wants to be told of everything.
async fn listen(world: &World) {
    let now = world.store.platform.clock.now();
    let endpoint = Endpoint {
        id: EndpointId::ordered(now.as_millisecond()),
        url: "https://caller.example/hook".to_owned(),
        description: String::new(),
        events: Vec::new(),
        disabled: false,
        gone_at: None,
        created_at: now,
        secret_at: now,
    };
    let secret = outbound::standard_webhooks::Secret::generate();
    world.store.endpoints.create(&endpoint, secret.reveal()).await.unwrap();
    world.receive(tables::NOTIFY, 100).await;
}

#[tokio::test]
async fn an_event_settles_who_is_in_doubt() {
    let world = World::new();
    let codes = [Code::Unknown, Code::UnknownAgain, Code::UnknownOnce, Code::Unknown, Code::Expired];
    let chunk = world.settled(&codes, Category::Marketing).await;
    let reports = [Report::Sent, Report::Delivered, Report::HardBounced, Report::Rejected, Report::Sent];
    for (index, report) in reports.into_iter().enumerate() {
        world.tell(&[event(chunk, index, report)]).await;
    }
    let expected = [Code::Sent, Code::SentAgain, Code::Sent, Code::Refused, Code::Expired];
    assert_eq!(world.codes(chunk).await, expected);
    world.balances(chunk).await;
}

#[tokio::test]
async fn that_a_message_was_sent_which_is_known_to_be_costs_no_write() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent, Code::Sent], Category::Marketing).await;
    let before = world.store.ledger.chunk(chunk).await.unwrap();
    world.tell(&[event(chunk, 0, Report::Sent), event(chunk, 1, Report::Sent)]).await;
    assert_eq!(world.store.ledger.chunk(chunk).await.unwrap(), before);
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn an_event_of_a_member_in_hand_comes_back_when_the_lease_is_over() {
    let world = World::new();
    let head = world.placed(2, Category::Marketing).await;
    // Nobody has begun: not even the chunk is there.
    let chunk = head.call_chunk(0);
    world.tell(&[event(chunk, 0, Report::Delivered)]).await;
    let mut claimed = world.claimed(&head).await;
    world.tell(&[event(chunk, 1, Report::Sent)]).await;
    world.pass(LEASE / 2).await;
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().iter().count(), 0);
    world.settle(&mut claimed, &[Code::Sent, Code::Unknown]).await;
    world.pass(LEASE * 2).await;
    assert_eq!(world.codes(chunk).await, [Code::Sent, Code::Sent]);
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().of(0).fate(), Some(Fact::Delivered));
    assert!(world.receive(tables::FEEDBACK, 10).await.is_empty());
}

#[tokio::test]
async fn an_event_waits_for_a_member_whose_worker_died_until_another_has_gone_on() {
    let world = World::new();
    let head = world.placed(1, Category::Marketing).await;
    let mut died = world.claimed(&head).await;
    world.store.ledger.open_window(&mut died, 0..1).await.unwrap().unwrap();
    world.tell(&[event(died.key, 0, Report::HardBounced)]).await;
    world.pass(LEASE * 5).await;
    assert_eq!(suppressed(&world, 0).await, None);
    let mut next = world.claimed(&head).await;
    assert_eq!(next.members.codes, [Code::Unknown], "its window was open");
    world.settle(&mut next, &[Code::Unknown]).await;
    world.pass(LEASE * 5).await;
    assert_eq!(world.codes(died.key).await, [Code::Sent]);
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::HardBounce));
}

#[tokio::test]
async fn what_the_ledger_has_forgotten_is_counted_nowhere_and_still_suppresses() {
    let world = World::new();
    let chunk = ChunkKey { number: 9, ..world.settled(&[Code::Sent], Category::Marketing).await };
    let gone = ChunkKey { execution: campaign::ExecutionId::random(), ..chunk };
    world.tell(&[event(chunk, 0, Report::HardBounced), event(gone, 1, Report::HardBounced)]).await;
    assert_eq!(suppressed(&world, 1).await, Some(SuppressionReason::HardBounce));
    world.pass(Duration::from_secs(2000)).await;
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::HardBounce));
    for chunk in [chunk, gone] {
        assert_eq!(world.store.ledger.facts(chunk).await.unwrap().iter().count(), 0);
    }
    world.pass(Duration::from_secs(2000)).await;
    assert!(world.receive(tables::FEEDBACK, 10).await.is_empty(), "nothing waits for ever");
}

#[tokio::test]
async fn a_member_that_the_chunk_does_not_have_is_nobody() {
    let world = World::new();
    let chunk = world.settled(&[Code::Unknown], Category::Marketing).await;
    world.tell(&[event(chunk, 1, Report::Delivered), event(chunk, 255, Report::Delivered)]).await;
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().iter().count(), 0);
    assert_eq!(world.codes(chunk).await, [Code::Unknown]);
}

/// Row H3.
#[tokio::test]
async fn two_bounces_of_two_campaigns_are_both_known() {
    let world = World::new();
    let mut chunks = Vec::new();
    for _ in 0..2 {
        let chunk = world.settled(&[Code::Sent], Category::Marketing).await;
        world.tell(&[event(chunk, 0, Report::HardBounced), event(chunk, 0, Report::HardBounced)]).await;
        chunks.push(chunk);
    }
    for chunk in chunks {
        assert_eq!(world.store.ledger.facts(chunk).await.unwrap().of(0).fate(), Some(Fact::HardBounced));
    }
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::HardBounce));
}

/// Row H2.
#[tokio::test]
async fn a_complaint_ends_marketing_at_once() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent, Code::Sent], Category::Marketing).await;
    world.tell(&[event(chunk, 0, Report::Complained), event(chunk, 1, Report::Unsubscribed)]).await;
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::Complaint));
    assert_eq!(suppressed(&world, 1).await, Some(SuppressionReason::Unsubscribed));
    let facts = world.store.ledger.facts(chunk).await.unwrap();
    assert!(facts.of(0).has(Fact::Complained) && facts.of(1).has(Fact::Unsubscribed));
}

/// Row H4.
#[tokio::test]
async fn five_soft_bounces_in_a_row_suppress_and_those_by_the_message_never_do() {
    let world = World::new();
    let bounced = async |index, cause, times| {
        for _ in 0..times {
            let chunk = world.settled(&[Code::Sent; 4], Category::Marketing).await;
            let bounce = ProviderEvent { cause, ..event(chunk, index, Report::SoftBounced) };
            // However often it is told.
            world.tell(&[bounce.clone(), bounce.clone()]).await;
            world.tell(&[bounce]).await;
        }
    };
    bounced(0, Cause::Address, 4).await;
    assert_eq!(suppressed(&world, 0).await, None);
    bounced(0, Cause::Address, 1).await;
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::SoftBounces));
    bounced(1, Cause::Message, 7).await;
    assert_eq!(suppressed(&world, 1).await, None);
    // A delivery in between, and they are no longer in a row.
    bounced(2, Cause::Address, 4).await;
    let chunk = world.settled(&[Code::Sent; 4], Category::Marketing).await;
    world.tell(&[event(chunk, 2, Report::Delivered)]).await;
    bounced(2, Cause::Address, 4).await;
    assert_eq!(suppressed(&world, 2).await, None);
}

/// Whoever brought them to the ledger died before the bounces were counted.
#[tokio::test]
async fn bounces_and_deliveries_that_are_known_already_are_still_counted() {
    let world = World::new();
    for times in 1..=5 {
        let chunk = world.settled(&[Code::Sent], Category::Marketing).await;
        let minute = NOW_MS / 60_000;
        let told = Told { member: 0, fact: Fact::SoftBounced, minute };
        world.store.ledger.tell(chunk, &[told]).await.unwrap();
        world.tell(&[event(chunk, 0, Report::SoftBounced)]).await;
        assert_eq!(suppressed(&world, 0).await.is_some(), times == 5, "{times}");
    }
    // A bounce of what was delivered in the end is none; nor are there any in a row then.
    for _ in 0..2 {
        for _ in 0..4 {
            let chunk = world.settled(&[Code::Sent; 2], Category::Marketing).await;
            world.tell(&[event(chunk, 1, Report::SoftBounced)]).await;
        }
        let chunk = world.settled(&[Code::Sent; 2], Category::Marketing).await;
        let told = Told { member: 1, fact: Fact::Delivered, minute: NOW_MS / 60_000 };
        world.store.ledger.tell(chunk, &[told]).await.unwrap();
        world.tell(&[event(chunk, 1, Report::SoftBounced)]).await;
        assert_eq!(suppressed(&world, 1).await, None);
        world.tell(&[event(chunk, 1, Report::Delivered)]).await;
    }
    assert_eq!(suppressed(&world, 1).await, None);
}

#[tokio::test]
async fn the_trouble_with_one_address_keeps_nothing_from_the_others() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent; 3], Category::Marketing).await;
    let hash = world.store.suppressions.hash(Channel::Email, &address(0)).await.unwrap();
    let broken = Item::new(Key::new(format!("sup#{hash}"), "S")).with("doc", b"?".to_vec());
    world.store.platform.table.transact(vec![Write::put(tables::AUDIENCE, broken)]).await.unwrap();
    let told = [0, 1, 2].map(|index| event(chunk, index, Report::HardBounced).reported());
    let body = serde_json::to_string(&store::messages::Feedback { feedback: told.to_vec() }).unwrap();
    world.post(vec![body]).await;
    let found = world.receive(tables::FEEDBACK, 10).await;
    assert_eq!(world.handle(found).await.len(), 1, "it comes again");
    let facts = world.store.ledger.facts(chunk).await.unwrap();
    for index in 0..3 {
        assert!(facts.of(index).has(Fact::HardBounced), "{index}");
    }
    for index in 1..3 {
        assert_eq!(suppressed(&world, index).await, Some(SuppressionReason::HardBounce), "{index}");
    }
}

#[tokio::test]
async fn nothing_came_about_before_its_message_was_nor_after_now() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent; 2], Category::Marketing).await;
    let day_ms = 24 * 3_600_000;
    for (index, at_ms) in [NOW_MS - 400 * day_ms, NOW_MS + day_ms].into_iter().enumerate() {
        world.tell(&[ProviderEvent { at_ms, ..event(chunk, index, Report::HardBounced) }]).await;
    }
    let facts = world.store.ledger.facts(chunk).await.unwrap();
    assert_eq!(facts.of(0).at(Fact::HardBounced), Some(NOW_MS / 60_000 - 60), "when the call was made");
    assert_eq!(facts.of(1).at(Fact::HardBounced), Some(NOW_MS / 60_000));
}

#[tokio::test]
async fn what_was_not_sent_after_all_gives_its_place_under_a_cap_back() {
    let world = World::new();
    let people = [world.profile(0).await, world.profile(1).await];
    let chunk = world.settled_to(&people.map(Some), &[Code::Sent; 2], Category::Marketing).await;
    let message = |index| store::frequency::message(&chunk, index);
    let place = |index: usize| Asked {
        profile: people[index],
        counted: Counted::default(),
        entry: Entry {
            message: message(index),
            claim: ClaimTag(1),
            channel: Channel::Email,
            at_ms: NOW_MS - 60_000,
        },
        limits: Vec::new(),
    };
    assert_eq!(world.store.frequency.reserve(vec![place(0), place(1)]).await.unwrap(), [true, true]);
    world.tell(&[event(chunk, 0, Report::Rejected), event(chunk, 1, Report::Sent)]).await;
    let counted = world.store.frequency.read(&people).await.unwrap();
    let claims = [0, 1].map(|index| counted.get(&people[index]).and_then(|it| it.claim_of(message(index))));
    assert_eq!(claims, [None, Some(ClaimTag(1))]);
}

#[tokio::test]
async fn a_bounce_by_a_list_of_the_provider_s_own_is_known_and_suppresses_nothing() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent], Category::Marketing).await;
    world.tell(&[ProviderEvent { cause: Cause::List, ..event(chunk, 0, Report::HardBounced) }]).await;
    assert_eq!(world.store.ledger.facts(chunk).await.unwrap().of(0).fate(), Some(Fact::HardBounced));
    assert_eq!(suppressed(&world, 0).await, None);
}

#[tokio::test]
async fn what_the_provider_does_not_send_after_all_has_failed() {
    let world = World::new();
    let chunk = world.settled(&[Code::Sent, Code::Sent, Code::SentAgain], Category::Marketing).await;
    let reports = [Report::Rejected, Report::RenderFailed, Report::Rejected];
    for _ in 0..2 {
        for (index, report) in reports.into_iter().enumerate() {
            world.tell(&[event(chunk, index, report), event(chunk, index, Report::Sent)]).await;
        }
    }
    // Of a message that may have gone out twice, one may have been sent.
    assert_eq!(world.codes(chunk).await, [Code::Refused, Code::RenderFailed, Code::SentAgain]);
    world.balances(chunk).await;
}

#[tokio::test]
async fn events_of_proofs_and_of_others_are_counted_nowhere() {
    let world = World::new();
    let fixtures = ["bounce-of-proof", "bounce-of-others", "complaint-of-others"];
    for (name, expected) in fixtures.into_iter().zip([
        Some(SuppressionReason::HardBounce),
        Some(SuppressionReason::HardBounce),
        // Whom others have annoyed may still like us.
        None,
    ]) {
        let world = World::new();
        world.post(vec![fixture(&format!("ses/{name}.json"))]).await;
        world.work(10).await;
        let found = world.store.suppressions.find(Channel::Email, "ada@reader.example").await.unwrap();
        assert_eq!(found.map(|entry| entry.suppression.reason), expected, "{name}");
    }
    let proof = MessageId::Proof { proof: "4f".to_owned(), index: 1 };
    world
        .tell(&[ProviderEvent {
            of: Some(proof),
            addresses: vec![address(0)],
            ..ProviderEvent::new(Channel::Email, Report::Complained, NOW_MS)
        }])
        .await;
    assert_eq!(suppressed(&world, 0).await, Some(SuppressionReason::Complaint));
}

#[tokio::test]
async fn what_can_t_be_read_is_dropped_and_keeps_nothing_else_from_its_way() {
    let world = World::new();
    let chunk = world.settled(&[Code::Unknown], Category::Marketing).await;
    let told = event(chunk, 0, Report::Sent).reported();
    let good = serde_json::to_string(&store::messages::Feedback { feedback: vec![told] }).unwrap();
    let validated = fixture("envelopes/validated.txt");
    world.post(vec!["?".to_owned(), "{\"eventType\":\"Bounce\"}".to_owned(), good, validated]).await;
    world.work(10).await;
    assert_eq!(world.codes(chunk).await, [Code::Sent]);
}

#[tokio::test]
async fn callers_are_told_once_of_what_became_of_each_message() {
    let world = World::new();
    listen(&world).await;
    let codes = [Code::Sent, Code::Sent, Code::Unknown, Code::Sent];
    let chunk = world.settled(&codes, Category::Transactional).await;
    for _ in 0..3 {
        world
            .tell(&[
                event(chunk, 0, Report::Delivered),
                event(chunk, 1, Report::HardBounced),
                event(chunk, 1, Report::Delivered),
                event(chunk, 2, Report::Sent),
                event(chunk, 3, Report::Delayed),
                event(chunk, 3, Report::Complained),
            ])
            .await;
    }
    let (mut facts, mut codes) = (Vec::new(), Vec::new());
    for notify in world.announced().await {
        match notify {
            Notify::Known(known) => {
                assert_eq!(known.chunk, chunk);
                facts.extend(known.facts);
            }
            Notify::Settled(settled) => codes.extend(settled.codes),
            other => panic!("{other:?}"),
        }
    }
    facts.sort_unstable();
    let at = NOW_MS - 60_000;
    assert_eq!(facts, [(0, Fact::Delivered as u8, at), (1, Fact::HardBounced as u8, at)]);
    assert_eq!(codes, [(2, Code::Sent as u8)]);
}

#[tokio::test]
async fn nobody_is_told_of_marketing() {
    let world = World::new();
    listen(&world).await;
    let chunk = world.settled(&[Code::Sent, Code::Unknown], Category::Marketing).await;
    world.tell(&[event(chunk, 0, Report::Delivered), event(chunk, 1, Report::Sent)]).await;
    assert!(world.announced().await.is_empty());
}

#[tokio::test]
async fn whoever_died_before_saying_so_is_made_up_for() {
    let world = World::new();
    listen(&world).await;
    let chunk = world.settled(&[Code::Sent], Category::Transactional).await;
    world.tell(&[event(chunk, 0, Report::Delivered)]).await;
    assert_eq!(world.announced().await.len(), 1);
    // The same message once more, as if its first receiver had not come to the end.
    let told = event(chunk, 0, Report::Delivered).reported();
    let body = serde_json::to_string(&store::messages::Feedback { feedback: vec![told] }).unwrap();
    world.post(vec![body]).await;
    let mut found = world.receive(tables::FEEDBACK, 1).await;
    found[0].receives = 2;
    assert!(world.handle(found).await.is_empty());
    let again = world.announced().await;
    assert!(again.iter().any(|notify| matches!(notify, Notify::Known(known) if known.facts.len() == 1)));
    assert!(EventType::of_fact(Fact::Delivered).is_some());
}

/// What events may be told of some members, each with when.
fn any_event() -> impl Strategy<Value = (usize, Report, Cause, i64)> {
    let reports = prop::sample::select(Report::ALL.to_vec());
    let causes = prop::sample::select(vec![Cause::Address, Cause::Message]);
    (0..CODES.len(), reports, causes, 0..5_i64)
}

const CODES: [Code; 7] = [
    Code::Sent,
    Code::Unknown,
    Code::SentAgain,
    Code::UnknownAgain,
    Code::UnknownOnce,
    Code::Expired,
    Code::Suppressed,
];

type Outcome = (Vec<Code>, BTreeMap<(u8, Fact), i64>, BTreeMap<String, i64>);

/// What becomes of a chunk by these events, so many in a batch.
async fn outcome(events: &[(usize, Report, Cause, i64)], at_once: usize) -> Outcome {
    let world = World::new();
    let chunk = world.settled(&CODES, Category::Marketing).await;
    let bodies = events.iter().map(|(index, report, cause, minutes)| {
        let at_ms = NOW_MS - minutes * 60_000;
        let told = ProviderEvent { cause: *cause, at_ms, ..event(chunk, *index, *report) }.reported();
        serde_json::to_string(&store::messages::Feedback { feedback: vec![told] }).unwrap()
    });
    world.post(bodies.collect()).await;
    world.work(at_once).await;
    world.balances(chunk).await;
    let known = world.store.ledger.facts(chunk).await.unwrap();
    let known = known.iter().flat_map(|(member, facts)| {
        facts.iter().map(move |(fact, minute)| ((u8::try_from(member).unwrap(), fact), minute))
    });
    (world.codes(chunk).await, known.collect(), world.counters(chunk).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_and_multiplicity_of_events_comes_to_the_same(
        events in prop::collection::vec(any_event(), 1..24),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        order in any::<u64>(),
        at_once in 1..12_usize,
    ) {
        let mut shuffled = events.clone();
        shuffled.extend(again.iter().map(|index| events[index.index(events.len())]));
        let mut state = order | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (expected, found) = runtime.block_on(async {
            (outcome(&events, 1).await, outcome(&shuffled, at_once).await)
        });
        prop_assert_eq!(found, expected);
    }
}
