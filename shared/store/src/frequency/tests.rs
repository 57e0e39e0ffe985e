use std::sync::Arc;

use campaign::frequency::{FrequencyCap, Period};
use campaign::schedule::Zone;
use campaign::{Channel, ExecutionId};
use platform::embedded::Embedded;
use platform::{Clock, SystemClock};

use super::*;
use crate::{HashKey, Store};

fn store() -> Store {
    let engine = Embedded::in_memory(Arc::new(SystemClock));
    Store::new(engine.platform(), HashKey([7; 32]))
}

fn chunk(execution: u8) -> ChunkKey {
    ChunkKey { execution: ExecutionId::from_bytes([execution; 16]), shard: 0, action: 0, number: 0 }
}

fn ann() -> ProfileId {
    ProfileId::from_bytes([1; 16])
}

fn limits(most: u32) -> Vec<Limit> {
    let cap = FrequencyCap {
        name: "A week".to_owned(),
        max_messages: most,
        period: Period::Week,
        channels: vec![Channel::Email],
    };
    vec![cap.limit(SystemClock.now(), &Zone::UTC)]
}

/// Member 0 of a campaign's chunk asks, in this claim, as if it had read nothing.
fn ask(campaign: u8, claim: u16, most: u32) -> Asked {
    let entry = Entry {
        message: message(&chunk(campaign), 0),
        claim: ClaimTag(claim),
        channel: Channel::Email,
        at_ms: SystemClock.now().as_millisecond(),
    };
    Asked { profile: ann(), counted: Counted::default(), entry, limits: limits(most) }
}

async fn returned(store: &Store, campaign: u8, claim: u16) {
    let returned =
        Returned { profile: ann(), message: message(&chunk(campaign), 0), claims: vec![ClaimTag(claim)] };
    store.frequency.give_back(vec![returned]).await.unwrap();
}

/// In how many of these campaigns the person has a place.
async fn places(store: &Store, campaigns: u8) -> usize {
    let found = store.frequency.read(&[ann()]).await.unwrap();
    let counted = found.get(&ann()).cloned().unwrap_or_default();
    (0..campaigns).filter(|campaign| counted.claim_of(message(&chunk(*campaign), 0)).is_some()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_at_once_no_more_get_a_place_than_there_are() {
    for most in [1, 3, 7] {
        let store = store();
        let asking: Vec<_> = (0..40)
            .map(|campaign| {
                let frequency = store.frequency.clone();
                tokio::spawn(async move { frequency.reserve(vec![ask(campaign, 1, most)]).await })
            })
            .collect();
        let mut granted = 0;
        for asking in asking {
            granted += u32::from(asking.await.unwrap().unwrap()[0]);
        }
        assert_eq!(granted, most);
        assert_eq!(places(&store, 40).await, usize::try_from(most).unwrap());
    }
}

#[tokio::test]
async fn of_two_messages_of_one_window_to_one_person_one_gets_the_last_place() {
    let store = store();
    let granted = store.frequency.reserve(vec![ask(1, 1, 1), ask(2, 1, 1)]).await.unwrap();
    assert_eq!(granted.iter().filter(|granted| **granted).count(), 1);
}

#[tokio::test]
async fn a_place_that_is_given_back_is_another_s() {
    let store = store();
    assert_eq!(store.frequency.reserve(vec![ask(1, 1, 1)]).await.unwrap(), [true]);
    assert_eq!(store.frequency.reserve(vec![ask(1, 1, 1)]).await.unwrap(), [true]);
    assert_eq!(store.frequency.reserve(vec![ask(2, 1, 1)]).await.unwrap(), [false]);
    returned(&store, 1, 1).await;
    returned(&store, 1, 1).await;
    assert_eq!(store.frequency.reserve(vec![ask(2, 1, 1)]).await.unwrap(), [true]);
    // What was never there is none of it.
    let nobody = Returned { profile: ProfileId::from_bytes([9; 16]), message: MessageTag(1), claims: vec![] };
    store.frequency.give_back(vec![nobody]).await.unwrap();
    assert_eq!(places(&store, 3).await, 1);
}

#[tokio::test]
async fn who_has_lost_a_claim_does_not_give_back_what_the_next_one_uses() {
    let store = store();
    assert_eq!(store.frequency.reserve(vec![ask(1, 1, 1)]).await.unwrap(), [true]);
    assert_eq!(store.frequency.reserve(vec![ask(1, 2, 1)]).await.unwrap(), [true]);
    returned(&store, 1, 1).await;
    assert_eq!(store.frequency.reserve(vec![ask(2, 1, 1)]).await.unwrap(), [false]);
    returned(&store, 1, 2).await;
    assert_eq!(places(&store, 3).await, 0);
}
