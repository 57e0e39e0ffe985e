//! Frequency caps and quiet hours, under every fault there can be; and every reason for which somebody is left out.

mod caps;
mod quiet;
pub(crate) mod reasons;

use std::collections::HashMap;
use std::time::Duration;

use campaign::{Channel, Code, DeliveryRules, Outcome, Profile, ProfileId};
use envoi_tests::sim::{Beside, Fate, Person, Trouble, World};
use jiff::Timestamp;
use serde_json::Value;
use store::ledger::Part;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// A Monday, at noon in UTC.
const BEGINS: &str = "2026-06-01T12:00:00Z";
/// The same to everybody by text message.
const AND_SMS: &[Beside] = &[Beside { channel: Channel::Sms, condition: None, trouble: Trouble::None }];

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

/// So many, with one of each kind whom a rule might treat in a way of their own.
fn mixed(number: u8) -> Vec<Person> {
    let mut people = people(number);
    for (who, fate) in [
        (1, Fate::Refused),
        (2, Fate::OptedOut),
        (4, Fate::Greylisted),
        (5, Fate::Unrenderable),
        (7, Fate::Suppressed),
        (8, Fate::Unreachable),
        (9, Fate::Panicking),
    ] {
        people[who].fate = fate;
    }
    people
}

async fn set_rules(world: &World, rules: Value) {
    let rules: DeliveryRules = serde_json::from_value(rules).unwrap();
    assert_eq!(rules.check(), []);
    let revision = world.store.rules.get().await.unwrap().revision;
    world.store.rules.put(&rules, revision).await.unwrap();
}

async fn live_in(world: &World, zone: impl Fn(usize) -> &'static str) {
    for (index, person) in world.people.iter().enumerate() {
        if person.fate == Fate::Gone {
            continue;
        }
        let before = world.store.profiles.get(person.id).await.unwrap();
        let mut document = before.value.document().clone();
        document.insert("time_zone".to_owned(), zone(index).into());
        let profile = Profile::new(person.id, document).unwrap();
        world.store.profiles.put(&profile, Some(&before)).await.unwrap();
    }
}

/// Holds the places that caps count against the ledger: who was sent something has a place for it, and who was not has
/// none. Who is in doubt may have one.
async fn assert_places(world: &World, story: &str) {
    let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
    let everybody: Vec<ProfileId> = world.people.iter().map(|person| person.id).collect();
    let mut counted = HashMap::new();
    for some in everybody.chunks(50) {
        counted.extend(world.store.frequency.read(some).await.unwrap());
    }
    for shard in head.shards() {
        let (chunks, next) = world.store.ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
        assert_eq!(next, None, "{story}");
        for chunk in chunks {
            for (index, (profile, code)) in
                chunk.members.profiles.iter().zip(&chunk.members.codes).enumerate()
            {
                let message = store::frequency::message(&chunk.key, index);
                let has_place =
                    counted.get(profile).is_some_and(|counted| counted.claim_of(message).is_some());
                let told = format!("{story}: {profile} of action {} is {}", chunk.key.action, code.reason());
                match code.outcome() {
                    Outcome::Sent => assert!(has_place, "{told} and has no place"),
                    Outcome::Failed | Outcome::Excluded => assert!(!has_place, "{told} and has a place"),
                    Outcome::Unknown | Outcome::Pending => {}
                }
            }
        }
    }
}

fn is_maybe_sent(code: Code) -> bool {
    matches!(code.outcome(), Outcome::Sent | Outcome::Unknown)
}
