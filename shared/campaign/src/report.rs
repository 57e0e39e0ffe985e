//! Reports: counts that add up, or say that they do not yet.
//!
//! [`Counts`] are outcomes with how many were targeted. [`Figures`] are whatever counters count, [`Tallied`] those of one
//! action within a [`Scope`]: a period, cut into [`Buckets`]. [`Rates`] name their denominators.

mod buckets;
mod figures;
mod rates;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::buckets::{Buckets, Interval};
pub use self::figures::{Counted, Figures, Period, Scope, Tallied};
pub use self::rates::{Of, Rate, Rates};
use crate::{Code, Outcome};

/// The counts of one action of one execution, or of several added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many recipients are in the chunks written so far.
    pub targeted: u64,
    /// How many of them by final code.
    codes: BTreeMap<u8, u64>,
}

impl Counts {
    /// Counts of so many targeted and these codes. Codes unknown to this version of Envoi are left out.
    pub fn new(targeted: u64, codes: impl IntoIterator<Item = (Code, u64)>) -> Self {
        let mut counts = Self { targeted, codes: BTreeMap::new() };
        for (code, count) in codes {
            *counts.codes.entry(code as u8).or_default() += count;
        }
        counts
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.targeted += other.targeted;
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
    }

    /// How many have this code.
    pub fn code(&self, code: Code) -> u64 {
        self.codes.get(&(code as u8)).copied().unwrap_or(0)
    }

    /// How many have this outcome. Pending is what is left of the targeted.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        if outcome == Outcome::Pending {
            return self.targeted.saturating_sub(self.settled());
        }
        Code::ALL.into_iter().filter(|code| code.outcome() == outcome).map(|code| self.code(code)).sum()
    }

    /// The reasons under an outcome that have anyone, in the order of their codes.
    pub fn reasons(&self, outcome: Outcome) -> Vec<(Code, u64)> {
        Code::ALL
            .into_iter()
            .filter(|code| code.outcome() == outcome)
            .map(|code| (code, self.code(code)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// How many may have got it twice.
    pub fn possible_duplicates(&self) -> u64 {
        self.code(Code::SentAgain) + self.code(Code::UnknownAgain)
    }

    fn settled(&self) -> u64 {
        [Outcome::Sent, Outcome::Failed, Outcome::Excluded, Outcome::Unknown]
            .into_iter()
            .map(|outcome| self.outcome(outcome))
            .sum()
    }

    /// The check: `targeted = sent + failed + excluded + unknown`.
    pub fn balances(&self) -> bool {
        self.targeted == self.settled()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn adding_counts_keeps_the_balance(
            parts in proptest::collection::vec(proptest::collection::vec((0..Code::ALL.len(), 0..1000u64), 0..20), 0..6),
        ) {
            let mut total = Counts::default();
            for part in parts {
                let codes: Vec<_> = part
                    .into_iter()
                    .map(|(index, count)| (Code::ALL[index], count))
                    .filter(|(code, _)| !code.is_pending())
                    .collect();
                let targeted = codes.iter().map(|(_, count)| count).sum();
                let counts = Counts::new(targeted, codes);
                prop_assert!(counts.balances());
                total.add(&counts);
            }
            prop_assert!(total.balances());
            prop_assert_eq!(total.outcome(Outcome::Pending), 0);
        }
    }

    #[test]
    fn what_is_missing_is_pending_and_does_not_balance() {
        let counts = Counts::new(10, [(Code::Sent, 6), (Code::NoConsent, 2), (Code::SentAgain, 1)]);
        assert!(!counts.balances());
        assert_eq!(counts.outcome(Outcome::Pending), 1);
        assert_eq!(counts.outcome(Outcome::Sent), 7);
        assert_eq!(counts.possible_duplicates(), 1);
        assert_eq!(counts.reasons(Outcome::Excluded), [(Code::NoConsent, 2)]);
    }
}
