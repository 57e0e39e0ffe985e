//! Whether a world kept the promises.

use std::collections::HashMap;

use campaign::outcome::OnUnknown;
use campaign::{Code, Outcome, ProfileId};
use store::ledger::{Part, State};

use super::{Provider, World};

/// What became of everybody, by the ledger and by the provider.
#[derive(Debug)]
pub struct Verdict {
    /// Who has which code.
    pub codes: HashMap<ProfileId, Code>,
    /// How the execution ended.
    pub state: State,
}

impl Verdict {
    /// Reads the ledger by name and by count, and holds it against the record of the provider of email.
    ///
    /// # Panics
    /// Where a promise is broken; the message says which.
    pub async fn of(world: &World, on_unknown: OnUnknown, story: &str) -> Self {
        let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
        assert_eq!(head.actions.len(), 1, "{story}: there is more than one action");
        Self::of_each(world, on_unknown, story).await.remove(0)
    }

    /// The same of each action, held against its own channel's provider; no two of them may be of one channel.
    ///
    /// # Panics
    /// As [`of`](Self::of).
    pub async fn of_each(world: &World, on_unknown: OnUnknown, story: &str) -> Vec<Self> {
        let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
        let mut codes = vec![HashMap::new(); head.actions.len()];
        for shard in head.shards() {
            let mut after = None;
            loop {
                let (chunks, next) =
                    world.store.ledger.chunks(shard, Part::Whole, after, 1000).await.unwrap();
                for chunk in chunks {
                    assert!(chunk.closed, "{story}: a chunk is open in an ended execution");
                    let codes: &mut HashMap<_, _> = &mut codes[usize::from(chunk.key.action)];
                    for (id, code) in chunk.members.profiles.iter().zip(&chunk.members.codes) {
                        assert!(codes.insert(*id, *code).is_none(), "{story}: {id} is in two chunks");
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let tally = world.store.ledger.tally(&head).await.unwrap();
        assert!(tally.is_complete(), "{story}: it is not complete: {tally:?}");
        let mut verdicts = Vec::new();
        for ((action, codes), channel) in tally.actions.iter().zip(codes).zip(&head.actions) {
            let counts = &action.counts;
            assert!(counts.balances(), "{story}: {} does not balance: {tally:?}", channel.name());
            assert_eq!(counts.targeted, codes.len() as u64, "{story}: targeted by count and by name");
            for code in Code::ALL.into_iter().filter(|code| !code.is_pending()) {
                let named = codes.values().filter(|named| **named == code).count() as u64;
                assert_eq!(counts.code(code), named, "{story}: {} by count and by name", code.reason());
            }
            let verdict = Self { codes, state: head.state };
            verdict.hold_against(world, world.provider_of(*channel), on_unknown, story);
            verdicts.push(verdict);
        }
        verdicts
    }

    fn hold_against(&self, world: &World, provider: &Provider, on_unknown: OnUnknown, story: &str) {
        for person in &world.people {
            let taken = provider.taken(person.id);
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
