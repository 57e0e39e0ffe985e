//! What counters count, kept as far as it is asked for.

use std::collections::BTreeMap;

use super::{Buckets, Counts};
use crate::fact::Minute;
use crate::{Code, Fact, Outcome};

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Members with this code.
    Code(Code),
    /// Members of whom this is a fact.
    Members(Fact),
    /// Visits: how often this was done, by whoever.
    Visits(Fact),
}

/// Numbers by what they count. Counters are told differences, so that a part of them may be below zero; their sum is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<Counted, i64>);

impl Figures {
    /// Adds so many.
    pub fn book(&mut self, what: Counted, count: i64) {
        let sum = self.0.entry(what).or_default();
        *sum += count;
        if *sum == 0 {
            self.0.remove(&what);
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            self.book(*what, *count);
        }
    }

    /// How many.
    pub fn of(&self, what: Counted) -> u64 {
        self.0.get(&what).copied().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    /// Of how many members this is a fact.
    pub fn members(&self, fact: Fact) -> u64 {
        self.of(Counted::Members(fact))
    }

    /// How often this was done.
    pub fn visits(&self, fact: Fact) -> u64 {
        self.of(Counted::Visits(fact))
    }

    /// How many members have this outcome; none is pending, as only what is decided is counted.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        let codes = Code::ALL.into_iter().filter(|code| code.outcome() == outcome && !code.is_pending());
        codes.map(|code| self.of(Counted::Code(code))).sum()
    }

    /// The outcomes of so many targeted.
    pub fn counts(&self, targeted: u64) -> Counts {
        let codes = Code::ALL.into_iter().filter(|code| !code.is_pending());
        Counts::new(targeted, codes.map(|code| (code, self.of(Counted::Code(code)))))
    }
}

/// A period in minutes, from the first on and up to but without the last; open where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// The first.
    pub from: Option<Minute>,
    /// The one behind the last.
    pub until: Option<Minute>,
}

impl Period {
    /// All there ever was.
    pub const WHOLE: Self = Self { from: None, until: None };

    /// Whether a minute is in it.
    pub fn contains(&self, minute: Minute) -> bool {
        self.from.is_none_or(|from| from <= minute) && self.until.is_none_or(|until| minute < until)
    }
}

/// What is asked for: a period, and how it is cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// When.
    pub period: Period,
    /// How it is cut, where it is.
    pub buckets: Option<Buckets>,
}

/// The counters of one action, as far as they are in a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallied {
    /// How many were targeted, whenever that was.
    pub targeted: u64,
    /// What was counted in the period.
    pub figures: Figures,
    /// The same for each bucket in which anything was.
    pub series: BTreeMap<usize, Figures>,
    /// Visits and visitors of each link, by its number. They are counted by the hour: these are of the hours (of UTC) that
    /// begin in the period.
    pub links: BTreeMap<u16, Figures>,
}

impl Tallied {
    /// Takes what a counter says of a minute.
    pub fn book(&mut self, scope: &Scope, minute: Minute, what: Counted, count: i64) {
        if !scope.period.contains(minute) {
            return;
        }
        self.figures.book(what, count);
        if let Some(buckets) = &scope.buckets {
            self.series.entry(buckets.place(minute)).or_default().book(what, count);
        }
    }

    /// Takes what a counter says of a link and an hour, counted since the Unix epoch.
    pub fn book_link(&mut self, scope: &Scope, hour: i64, link: u16, what: Counted, count: i64) {
        if scope.period.contains(hour * 60) {
            self.links.entry(link).or_default().book(what, count);
        }
    }

    /// Adds another's, of the same scope.
    pub fn add(&mut self, other: &Self) {
        self.targeted += other.targeted;
        self.figures.add(&other.figures);
        for (bucket, figures) in &other.series {
            self.series.entry(*bucket).or_default().add(figures);
        }
        for (link, figures) in &other.links {
            self.links.entry(*link).or_default().add(figures);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::Interval;
    use crate::schedule::Zone;

    fn anything() -> impl Strategy<Value = Counted> {
        prop_oneof![
            proptest::sample::select(Code::ALL.to_vec()).prop_map(Counted::Code),
            proptest::sample::select(Fact::ALL.to_vec()).prop_map(Counted::Members),
            proptest::sample::select(Fact::ALL.to_vec()).prop_map(Counted::Visits),
        ]
    }

    proptest! {
        /// Whatever is counted when, the buckets add up to the period, and adjoining periods to the whole.
        #[test]
        fn buckets_add_up_to_the_period_and_periods_to_the_whole(
            counted in proptest::collection::vec((0..10_000_i64, anything(), 1..9_i64), 0..60),
            border in 0..10_000_i64,
        ) {
            let zone = Zone::parse("Asia/Kolkata").unwrap();
            let tally = |period: Period| {
                let buckets = Buckets::cut(Interval::Hour, &zone, 100, 9_000, 1_000);
                let scope = Scope { period, buckets };
                let mut tallied = Tallied::default();
                for (minute, what, count) in &counted {
                    tallied.book(&scope, *minute, *what, *count);
                    tallied.book_link(&scope, minute / 60, 7, *what, *count);
                }
                tallied
            };
            let whole = tally(Period::WHOLE);
            let mut sum = tally(Period { from: None, until: Some(border) });
            sum.add(&tally(Period { from: Some(border), until: None }));
            prop_assert_eq!(&sum, &whole);
            let mut buckets = Figures::default();
            whole.series.values().for_each(|figures| buckets.add(figures));
            prop_assert_eq!(buckets, whole.figures);
        }
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut figures = Figures::default();
        figures.book(Counted::Members(Fact::SoftBounced), 1);
        figures.book(Counted::Members(Fact::SoftBounced), -1);
        assert_eq!(figures, Figures::default());
    }
}
