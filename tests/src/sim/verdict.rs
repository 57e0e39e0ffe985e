//! Whether a world kept the promises.

use std::collections::HashMap;

use campaign::outcome::OnUnknown;
use campaign::{Code, Outcome, ProfileId};
use store::ledger::{Part, State};

use super::World;

/// What became of everybody, by the ledger and by the provider.
#[derive(Debug)]
pub struct Verdict {
    /// Who has which code.
    pub codes: HashMap<ProfileId, Code>,
    /// How the execution ended.
    pub state: State,
}

impl Verdict {
    /// Reads the ledger by name and by count, and holds it against the provider's record.
    ///
    /// # Panics
    /// Where a promise is broken; the message says which.
    pub async fn of(world: &World, on_unknown: OnUnknown, story: &str) -> Self {
        let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
        let mut codes = HashMap::new();
        for shard in head.shards() {
            let (chunks, next) = world.store.ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
            assert!(next.is_none());
            for chunk in chunks {
                assert!(chunk.closed, "{story}: a chunk is open in an ended execution");
                for (id, code) in chunk.members.profiles.iter().zip(&chunk.members.codes) {
                    assert!(codes.insert(*id, *code).is_none(), "{story}: {id} is in two chunks");
                }
            }
        }
        let tally = world.store.ledger.tally(&head).await.unwrap();
        let counts = &tally.actions[0].counts;
        assert!(tally.is_complete() && counts.balances(), "{story}: it does not balance: {tally:?}");
        assert_eq!(counts.targeted, codes.len() as u64, "{story}: targeted by count and by name");
        for code in Code::ALL.into_iter().filter(|code| !code.is_pending()) {
            let named = codes.values().filter(|named| **named == code).count() as u64;
            assert_eq!(counts.code(code), named, "{story}: {} by count and by name", code.reason());
        }
        let verdict = Self { codes, state: head.state };
        verdict.hold_against_provider(world, on_unknown, story);
        verdict
    }

    fn hold_against_provider(&self, world: &World, on_unknown: OnUnknown, story: &str) {
        for person in &world.people {
            let taken = world.provider.taken(person.id);
            let Some(code) = self.codes.get(&person.id) else {
                assert_eq!(taken, 0, "{story}: {} was never targeted but was sent to", person.id);
                continue;
            };
            match code.outcome() {
                Outcome::Sent if *code == Code::Sent => {
                    assert_eq!(taken, 1, "{story}: {} is sent", person.id);
                }
                Outcome::Sent => assert!((1..=2).contains(&taken), "{story}: {} is sent again", person.id),
                Outcome::Unknown => {
                    let most = if on_unknown == OnUnknown::Resend { 2 } else { 1 };
                    assert!(taken <= most, "{story}: {} is unknown and was sent {taken} times", person.id);
                }
                _ => assert_eq!(taken, 0, "{story}: {} is {} but was sent to", person.id, code.reason()),
            }
        }
    }

    /// How many are in doubt.
    pub fn unknown(&self) -> usize {
        self.codes.values().filter(|code| code.outcome() == Outcome::Unknown).count()
    }

    /// How many have this code.
    pub fn count(&self, code: Code) -> usize {
        self.codes.values().filter(|other| **other == code).count()
    }
}
