//! Facts: what becomes known of a message after its outcome, as events bring it: late, twice, in any order.
//!
//! What is known of a member is a join-semilattice. Events only ever join to it, and joining is commutative, associative
//! and idempotent; so any order and multiplicity of events comes to the same, and so do the counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Something that became known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Fact {
    /// The recipient's server does not take it yet; the provider goes on trying.
    Delayed = 1,
    /// It came back, for a reason that may pass: a full mailbox, an absence.
    SoftBounced = 2,
    /// The recipient's server has taken it.
    Delivered = 3,
    /// It came back for good: there is no such address.
    HardBounced = 4,
    /// Somebody has opened it.
    Opened = 10,
    /// A program has fetched its picture: a scanner, or a mail service that hides who reads.
    MachineOpened = 11,
    /// Somebody has followed one of its links.
    Clicked = 12,
    /// A program has.
    MachineClicked = 13,
    /// The recipient has called it unwanted.
    Complained = 14,
    /// The recipient wants no more of its kind.
    Unsubscribed = 15,
}

/// A minute, counted since the Unix epoch.
pub type Minute = i64;

/// What was counted under which fact and minute, and is to be counted now: the differences.
pub type Deltas = BTreeMap<(Fact, Minute), i64>;

impl Fact {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Delayed,
        Self::SoftBounced,
        Self::Delivered,
        Self::HardBounced,
        Self::Opened,
        Self::MachineOpened,
        Self::Clicked,
        Self::MachineClicked,
        Self::Complained,
        Self::Unsubscribed,
    ];

    /// The fact with this number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| *fact as u8 == byte)
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::SoftBounced => "soft_bounced",
            Self::Delivered => "delivered",
            Self::HardBounced => "hard_bounced",
            Self::Opened => "opened",
            Self::MachineOpened => "machine_opened",
            Self::Clicked => "clicked",
            Self::MachineClicked => "machine_clicked",
            Self::Complained => "complained",
            Self::Unsubscribed => "unsubscribed",
        }
    }

    /// Whether it says where the message has ended up. Of these a message has one: the greatest, in their order. A
    /// delivery is more than a bounce that may pass, as an absence's answer follows a delivery; a bounce for good is more
    /// than a delivery, as it says that the server which took it could not keep it.
    pub const fn is_fate(self) -> bool {
        (self as u8) < Self::Opened as u8
    }

    /// Where it stands among what is kept of a member: all fates in one place.
    const fn slot(self) -> usize {
        if self.is_fate() { 0 } else { self as usize - Self::Opened as usize + 1 }
    }
}

const SLOTS: usize = 7;

/// What is known of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts([Option<(Fact, Minute)>; SLOTS]);

impl Facts {
    /// When a fact came about, as far as it is one.
    pub fn at(&self, fact: Fact) -> Option<Minute> {
        self.0[fact.slot()].filter(|(known, _)| *known == fact).map(|(_, minute)| minute)
    }

    /// Whether it is one.
    pub fn has(&self, fact: Fact) -> bool {
        self.at(fact).is_some()
    }

    /// Where the message has ended up, as far as is known.
    pub fn fate(&self) -> Option<Fact> {
        self.0[0].map(|(fact, _)| fact)
    }

    /// All there are, with their minutes.
    pub fn iter(&self) -> impl Iterator<Item = (Fact, Minute)> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Joins what an event says, and books the difference. Of the same fact the earliest minute counts.
    pub fn join(&mut self, fact: Fact, minute: Minute, deltas: &mut Deltas) {
        let slot = &mut self.0[fact.slot()];
        let is_more = slot.is_none_or(|(known, at)| fact > known || (fact == known && minute < at));
        if !is_more {
            return;
        }
        if let Some(known) = slot.replace((fact, minute)) {
            *deltas.entry(known).or_default() -= 1;
        }
        *deltas.entry((fact, minute)).or_default() += 1;
    }
}

/// What is known of the members of a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkFacts(BTreeMap<u8, Facts>);

/// Stored bytes that are no facts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored facts of a chunk are malformed")]
pub struct MalformedFacts;

const ENTRY: usize = 6;

impl ChunkFacts {
    /// Of the member at this place.
    pub fn of(&self, member: usize) -> Facts {
        u8::try_from(member).ok().and_then(|member| self.0.get(&member)).copied().unwrap_or_default()
    }

    /// The members of whom anything is known, by their place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Facts)> {
        self.0.iter().map(|(member, facts)| (usize::from(*member), facts))
    }

    /// Joins what an event says of a member: see [`Facts::join`].
    pub fn join(&mut self, member: u8, fact: Fact, minute: Minute, deltas: &mut Deltas) {
        self.0.entry(member).or_default().join(fact, minute, deltas);
    }

    /// As bytes: six for each fact: member, fact, and the minute as four bytes, the highest first.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (member, facts) in &self.0 {
            for (fact, minute) in facts.iter() {
                bytes.extend([*member, fact as u8]);
                bytes.extend(u32::try_from(minute).unwrap_or(0).to_be_bytes());
            }
        }
        bytes
    }

    /// From what [`Self::pack`] made.
    ///
    /// # Errors
    /// [`MalformedFacts`].
    pub fn unpack(bytes: &[u8]) -> Result<Self, MalformedFacts> {
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(MalformedFacts);
        }
        let mut facts = Self::default();
        for [member, fact, minute @ ..] in entries {
            let fact = Fact::from_byte(*fact).ok_or(MalformedFacts)?;
            facts.join(*member, fact, u32::from_be_bytes(*minute).into(), &mut Deltas::new());
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = (u8, Fact, Minute)> {
        (0..5_u8, proptest::sample::select(Fact::ALL.to_vec()), 0..5_i64)
    }

    fn told(events: &[(u8, Fact, Minute)]) -> (ChunkFacts, Deltas) {
        let (mut facts, mut deltas) = (ChunkFacts::default(), Deltas::new());
        for (member, fact, minute) in events {
            facts.join(*member, *fact, *minute, &mut deltas);
        }
        deltas.retain(|_, delta| *delta != 0);
        (facts, deltas)
    }

    proptest! {
        #[test]
        fn any_order_and_multiplicity_comes_to_the_same(
            events in proptest::collection::vec(any_event(), 0..30),
            again in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
            seed in any::<u64>(),
        ) {
            let expected = told(&events);
            let mut shuffled = events.clone();
            if !events.is_empty() {
                shuffled.extend(again.iter().map(|index| events[index.index(events.len())]));
            }
            let mut state = seed | 1;
            for place in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
            }
            prop_assert_eq!(told(&shuffled), expected);
        }

        #[test]
        fn what_is_booked_is_what_a_recount_finds(events in proptest::collection::vec(any_event(), 0..40)) {
            let (facts, deltas) = told(&events);
            let mut recount = Deltas::new();
            for (_, member) in facts.iter() {
                for known in member.iter() {
                    *recount.entry(known).or_default() += 1;
                }
            }
            prop_assert_eq!(deltas, recount);
        }

        #[test]
        fn packing_round_trips(events in proptest::collection::vec(any_event(), 0..40)) {
            let (facts, _) = told(&events);
            prop_assert_eq!(ChunkFacts::unpack(&facts.pack()), Ok(facts));
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = ChunkFacts::unpack(&bytes);
        }
    }

    #[test]
    fn a_message_has_one_fate_the_greatest() {
        let (facts, deltas) =
            told(&[(0, Fact::Delivered, 9), (0, Fact::SoftBounced, 3), (0, Fact::Delayed, 1)]);
        assert_eq!(facts.of(0).fate(), Some(Fact::Delivered));
        assert_eq!(deltas, Deltas::from([((Fact::Delivered, 9), 1)]));
        let (facts, _) = told(&[(0, Fact::HardBounced, 3), (0, Fact::Delivered, 9), (0, Fact::Opened, 9)]);
        assert_eq!(facts.of(0).fate(), Some(Fact::HardBounced));
        assert!(facts.of(0).has(Fact::Opened) && !facts.of(0).has(Fact::Delivered));
    }

    #[test]
    fn numbers_and_names_are_distinct() {
        let names: std::collections::BTreeSet<_> = Fact::ALL.iter().map(|fact| fact.name()).collect();
        assert_eq!(names.len(), Fact::ALL.len());
        for fact in Fact::ALL {
            assert_eq!(Fact::from_byte(fact as u8), Some(fact));
        }
    }
}
