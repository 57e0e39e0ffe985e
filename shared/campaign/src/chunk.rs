//! Chunks: up to 50 recipients of one action of one execution, and the arithmetic of counting them.

use std::collections::BTreeMap;
use std::ops::Range;

use thiserror::Error;

use crate::{Code, Outcome, ProfileId};

/// The most members of a chunk.
pub const CHUNK: usize = 50;

/// The members of a chunk and what became of each.
///
/// `booked` is what the counters have been told; the difference to `codes` is what they still must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// Who.
    pub profiles: Vec<ProfileId>,
    /// What became of each.
    pub codes: Vec<Code>,
    /// What the counters hold for each.
    pub booked: Vec<Code>,
}

/// Stored members that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored members of a chunk are malformed")]
pub struct MalformedMembers;

impl Members {
    /// A chunk of these, all pending.
    pub fn new(profiles: Vec<ProfileId>) -> Self {
        let codes = vec![Code::Pending; profiles.len()];
        Self { profiles, booked: codes.clone(), codes }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// As bytes: 18 a member (the id, the code, the booked code).
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * 18);
        for id in &self.profiles {
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes.extend(self.codes.iter().map(|code| *code as u8));
        bytes.extend(self.booked.iter().map(|code| *code as u8));
        bytes
    }

    /// From [`Members::pack`]'s bytes.
    ///
    /// # Errors
    /// [`MalformedMembers`] where the length or a code is none of ours.
    pub fn unpack(bytes: &[u8]) -> Result<Self, MalformedMembers> {
        if !bytes.len().is_multiple_of(18) {
            return Err(MalformedMembers);
        }
        let count = bytes.len() / 18;
        let (ids, rest) = bytes.split_at(count * 16);
        let (codes, booked) = rest.split_at(count);
        let parse = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| Code::from_byte(*byte).ok_or(MalformedMembers))
                .collect::<Result<Vec<_>, _>>()
        };
        let profiles = ids.as_chunks::<16>().0.iter().map(|id| ProfileId::from_bytes(*id)).collect();
        Ok(Self { profiles, codes: parse(codes)?, booked: parse(booked)? })
    }

    /// The positions still to be handed over.
    pub fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        self.codes.iter().enumerate().filter(|(_, code)| code.is_pending()).map(|(index, _)| index)
    }

    /// How many have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.codes.iter().filter(|code| code.outcome() == outcome).count()
    }

    /// Puts the pending members of `window` in doubt: their hand-over had begun, and nobody knows how it ended.
    pub fn doubt(&mut self, window: Range<usize>) {
        for code in &mut self.codes[window] {
            if code.is_pending() {
                *code = code.in_doubt();
            }
        }
    }

    /// Closes one member, which will not be sent, for the reason `code`; see [`Code::closed`].
    pub fn close(&mut self, index: usize, code: Code) {
        self.codes[index] = self.codes[index].closed(code);
    }

    /// Closes every pending member for the reason `code`.
    pub fn close_pending(&mut self, code: Code) {
        for member in self.codes.iter_mut().filter(|member| member.is_pending()) {
            *member = member.closed(code);
        }
    }

    /// What the counters must be told: for each code the change in its number of members. Pending members are not
    /// counted. Afterwards everything counts as booked.
    pub fn book(&mut self) -> BTreeMap<Code, i64> {
        let mut deltas = BTreeMap::new();
        for (code, booked) in self.codes.iter().zip(&mut self.booked) {
            if code == booked {
                continue;
            }
            if !booked.is_pending() {
                *deltas.entry(*booked).or_insert(0) -= 1;
            }
            if !code.is_pending() {
                *deltas.entry(*code).or_insert(0) += 1;
            }
            *booked = *code;
        }
        deltas.retain(|_, delta| *delta != 0);
        deltas
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_code() -> impl Strategy<Value = Code> {
        proptest::sample::select(Code::ALL.to_vec())
    }

    fn any_members() -> impl Strategy<Value = Members> {
        proptest::collection::vec((any::<[u8; 16]>(), any_code(), any_code()), 0..=CHUNK).prop_map(|rows| {
            Members {
                profiles: rows.iter().map(|row| ProfileId::from_bytes(row.0)).collect(),
                codes: rows.iter().map(|row| row.1).collect(),
                booked: rows.iter().map(|row| row.2).collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn packing_round_trips(members in any_members()) {
            prop_assert_eq!(Members::unpack(&members.pack()), Ok(members));
        }

        /// Whatever happens to the members in whatever steps, the sum of what was booked is what a recount gives.
        #[test]
        fn bookings_add_up_to_a_recount(
            size in 0..=CHUNK,
            steps in proptest::collection::vec(proptest::collection::vec((0..CHUNK, any_code()), 0..20), 0..8),
        ) {
            let mut members = Members::new(vec![ProfileId::from_bytes([7; 16]); size]);
            let mut counters: BTreeMap<Code, i64> = BTreeMap::new();
            for step in steps {
                for (index, code) in step {
                    if index < size {
                        members.codes[index] = code;
                    }
                }
                for (code, delta) in members.book() {
                    *counters.entry(code).or_insert(0) += delta;
                }
                for code in Code::ALL.into_iter().filter(|code| !code.is_pending()) {
                    let recount = members.codes.iter().filter(|member| **member == code).count();
                    prop_assert_eq!(counters.get(&code).copied().unwrap_or(0), i64::try_from(recount).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_window_in_doubt_touches_its_pending_members_only() {
        let mut members = Members::new(vec![ProfileId::from_bytes([1; 16]); 5]);
        members.codes[1] = Code::NoConsent;
        members.codes[2] = Code::PendingAgain;
        members.doubt(0..3);
        assert_eq!(
            members.codes,
            [Code::Unknown, Code::NoConsent, Code::UnknownAgain, Code::Pending, Code::Pending]
        );
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(Members::unpack(&[0; 17]), Err(MalformedMembers));
        assert_eq!(Members::unpack(&[99; 18]), Err(MalformedMembers));
    }
}
