//! Somebody is erased while a campaign or a call to them is under way, at every moment there is: nobody else notices.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::outcome::OnUnknown;
use campaign::{CampaignType, Category, Code, ProfileId};
use envoi_tests::sim::{Fate, Faults, Options, Person, Told, Verdict, World};
use platform::Deadline;
use platform::embedded::BlobFolder;
use serde_json::{Value, json};
use store::people::Erasing;
use store::{Store, StoreError};

const SECRET: &str = "s3cret-of-the-call";

fn people() -> Vec<Person> {
    let fates = [Fate::Taken, Fate::OptedOut, Fate::Greylisted, Fate::Taken, Fate::Refused, Fate::Taken];
    (1..).zip(fates).map(|(number, fate)| Person::new(number, fate)).collect()
}

async fn erase(store: &Store, person: ProfileId) {
    let folder = tempfile::tempdir().unwrap();
    let blob = BlobFolder::open(folder.path()).unwrap();
    let mut erasing = Erasing::default();
    let until = Deadline::after(&*store.platform.clock, Duration::from_secs(60));
    store.erase(&blob, person, &mut erasing, until).await.unwrap();
    assert!(erasing.is_complete());
}

/// Has somebody erased before the n-th call to a port or to a provider.
fn erase_at(world: &World, moment: usize, person: ProfileId) {
    let store = world.store.clone();
    world.interrupt(move |call| {
        let store = store.clone();
        Box::pin(async move {
            if call == moment {
                erase(&store, person).await;
            }
        })
    });
}

async fn assert_gone(world: &World, person: ProfileId, story: &str) {
    let found = world.store.profiles.get(person).await;
    assert!(matches!(found, Err(StoreError::NotFound { .. })), "{story}: {found:?}");
    let (lists, _) = world.store.segments.lists_of(person, None, 100).await.unwrap();
    assert!(lists.is_empty(), "{story}");
}

#[tokio::test]
async fn an_erasure_at_any_moment_of_a_campaign_leaves_the_others_as_they_are() {
    for told in [Told::ByList, Told::ByRule] {
        let options = Options { told, ..Options::default() };
        let world = World::new(people(), options, Faults::new(None)).await;
        world.activate().await;
        world.run().await;
        let calls = world.calls();
        let mut met = BTreeSet::new();
        for moment in 0..calls {
            let story = format!("{told:?}, erased before call {moment}");
            let world = World::new(people(), options, Faults::new(None)).await;
            let person = world.people[2].id;
            erase_at(&world, moment, person);
            world.activate().await;
            world.run().await;
            let verdict = Verdict::of(&world, OnUnknown::Hold, &story).await;
            for other in world.people.iter().filter(|other| other.id != person) {
                assert_eq!(verdict.codes.get(&other.id), Some(&other.fate.code()), "{story}");
            }
            met.insert(verdict.codes.get(&person).copied());
            assert_gone(&world, person, &story).await;
        }
        // Before the audience is read, between then and the hand-over, and after it.
        assert_eq!(met, BTreeSet::from([None, Some(Code::Sent), Some(Code::ProfileGone)]), "{told:?}");
    }
}

#[tokio::test]
async fn an_erasure_at_any_moment_of_a_call_leaves_the_others_as_they_are() {
    let options = Options {
        kind: CampaignType::ApiTriggered,
        category: Category::Transactional,
        on_unknown: OnUnknown::Resend,
        actions: 2,
        ..Options::default()
    };
    let live = async || {
        let world = World::new(people(), options, Faults::new(None)).await;
        world.go_live().await;
        let recipients: Vec<Value> = world
            .people
            .iter()
            .map(|person| {
                json!({
                    "type": "aep", "userId": person.id.to_string(), "namespace": "ecid",
                    "context": { "secret": format!("{SECRET}-{}", person.number()) },
                })
            })
            .collect();
        let execution = world.call("r1", &recipients).await;
        (world, execution)
    };
    let (world, _) = live().await;
    world.begin_faults(None);
    world.run().await;
    let mut met = BTreeSet::new();
    for moment in 0..world.calls() {
        let story = format!("erased before call {moment}");
        let (world, execution) = live().await;
        let person = world.people[2];
        let hers = format!("{SECRET}-{}", person.number());
        assert!(world.holds(&hers).await, "{story}: it is kept until it is used");
        world.begin_faults(None);
        let store = world.store.clone();
        world.interrupt(move |call| {
            let store = store.clone();
            Box::pin(async move {
                if call == moment {
                    erase(&store, person.id).await;
                }
            })
        });
        world.run_until(|world| world.calls() > moment).await;
        assert!(!world.holds(&hers).await, "{story}: what the call brought along for them is gone at once");
        world.run().await;
        let heard = world.heard(execution).await;
        let counts = &heard.status["counts"];
        assert_eq!((&counts["pending"], &counts["balances"]), (&json!(0), &json!(true)), "{story}: {counts}");
        for reasons in heard.reasons.values() {
            let mut others = reasons.clone();
            met.insert(others.remove(2));
            assert_eq!(others, ["sent", "sent", "sent", "bad_address", "sent"], "{story}");
        }
        assert!(!world.holds(SECRET).await, "{story}");
        assert_gone(&world, person.id, &story).await;
    }
    assert_eq!(met, BTreeSet::from(["sent".to_owned(), "profile_gone".to_owned()]));
}
