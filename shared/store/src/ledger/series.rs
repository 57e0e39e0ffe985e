//! Counters read back: what they say of executions and of calls, by the minute. No chunk is read for it.

use campaign::fact::Minute;
use campaign::report::{Counted, Scope, Tallied};
use campaign::{CampaignId, Code, ExecutionId, Fact};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use jiff::Timestamp;
use platform::{Consistency, Item, Query, Range, Value};

use super::counters::{CALL_HOURS, CALL_PARTS, TARGETED};
use super::{Cursor, Head, Ledger};
use crate::StoreError;
use crate::messages::FanOut;
use crate::tables::{self, LEDGER};

/// How many partitions are read at once.
const AT_ONCE: usize = 16;
/// How many items are asked for at once; an engine's page may have fewer.
const PAGE: usize = 1000;
/// By how many minutes the clocks of those who count may differ, at the most.
const SLACK: Minute = 60;
/// No hour in a key is later.
const LAST_HOUR: i64 = 99_999_999;

/// One item of counters: an hour of an action, or of a link in it.
pub(super) struct Counter<'i> {
    kind: Kind,
    /// Of which action.
    pub(super) action: usize,
    /// Which hour, counted since the Unix epoch.
    hour: i64,
    item: &'i Item,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Codes,
    Facts,
    Link(u16),
}

impl<'i> Counter<'i> {
    /// `None` for what is none.
    fn of(item: &'i Item) -> Option<Self> {
        let sort_key = item.key.sk.as_str();
        let (kind, rest) = match sort_key.split_once('#')? {
            ("E", rest) => (Kind::Facts, rest),
            ("L", rest) => (Kind::Link(rest.split('#').nth(2)?.parse().ok()?), rest),
            _ => (Kind::Codes, sort_key),
        };
        let mut parts = rest.split('#');
        let action = parts.next()?.parse().ok()?;
        let hour = parts.next()?.parse().ok()?;
        Some(Self { kind, action, hour, item })
    }

    /// A number that is no count of its own minute.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.item.number(name).unwrap_or(0)
    }

    /// What was counted, in which of the hour's minutes and how much.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Minute, Counted, i64)> + '_ {
        self.item.attributes.iter().filter_map(|(name, value)| {
            let Value::N(count) = value else { return None };
            let (what, minute) = counted(name)?;
            Some((self.hour * 60 + minute, what, *count))
        })
    }

    fn book(&self, scope: &Scope, into: &mut Tallied) {
        let Kind::Link(link) = self.kind else {
            into.targeted += u64::try_from(self.number(TARGETED)).unwrap_or(0);
            for (minute, what, count) in self.counts() {
                into.book(scope, minute, what, count);
            }
            return;
        };
        for (_, what, count) in self.counts() {
            into.book_link(scope, self.hour, link, what, count);
        }
    }
}

/// What an attribute counts: `c<code>`, `f<fact>` or `v<fact>`, behind which `m<minute>` says in which minute of the hour.
fn counted(name: &str) -> Option<(Counted, Minute)> {
    let (number, minute) = match name.get(1..)?.split_once('m') {
        Some((number, minute)) => (number, minute.parse().ok()?),
        None => (name.get(1..)?, 0),
    };
    let number = number.parse().ok()?;
    let what = match name.as_bytes().first()? {
        b'c' => Counted::Code(Code::from_byte(number)?),
        b'f' => Counted::Members(Fact::from_byte(number)?),
        b'v' => Counted::Visits(Fact::from_byte(number)?),
        _ => return None,
    };
    Some((what, minute))
}

/// Where counters are, of which one question asks.
#[derive(Debug, Clone)]
pub(crate) enum Counters {
    /// Those of an execution.
    Execution {
        /// Which.
        id: ExecutionId,
        /// How many shards it has.
        shards: u16,
        /// Since when there may be any.
        since: Timestamp,
        /// Until when there may be any; `None` where that is not known yet.
        until: Option<Timestamp>,
    },
    /// Those of the calls of a version.
    Calls {
        /// Of which campaign.
        campaign: CampaignId,
        /// Of which version.
        version: u32,
        /// Since when there may be any.
        since: Timestamp,
        /// Until when there may be any.
        until: Timestamp,
    },
}

impl Counters {
    /// The partitions that may hold anything of the scope, and since when: none where its period lies before or behind all of
    /// it. So a report of a day costs what ran in the months before, however old the campaign is.
    fn partitions(&self, scope: &Scope) -> Vec<(String, Minute)> {
        match *self {
            Self::Execution { id, shards, since, until } => {
                let since = minute_of(since) - SLACK;
                let until = until.map(|until| minute_of(until) + SLACK);
                let is_before = scope.period.until.is_some_and(|end| end <= since);
                let is_behind = scope.period.from.zip(until).is_some_and(|(from, until)| until < from);
                let shards = if is_before || is_behind { 0 } else { shards };
                (0..shards).map(|shard| (tables::counters(id, shard), since)).collect()
            }
            Self::Calls { campaign, version, since, until } => {
                let period = |minute: Minute| minute.div_euclid(60).div_euclid(CALL_HOURS);
                let (since, until) = (minute_of(since) - SLACK, minute_of(until) + SLACK);
                let first = since.max(scope.period.from.unwrap_or(Minute::MIN));
                let last = until.min(scope.period.until.map_or(Minute::MAX, |until| until - 1));
                let periods = period(first)..=period(last);
                let part = |period: i64| {
                    (0..CALL_PARTS).map(move |part| {
                        let partition = tables::call_counters(campaign, version, period, part);
                        (partition, since.max(period * CALL_HOURS * 60))
                    })
                };
                periods.flat_map(part).collect()
            }
        }
    }
}

fn minute_of(instant: Timestamp) -> Minute {
    instant.as_second().div_euclid(60)
}

/// The ranges of a partition that may hold anything of a scope, where nothing in it was counted before `since`: all of it
/// at once, where that is little more.
fn ranges(scope: &Scope, actions: &[usize], since: Minute) -> Vec<Range> {
    let from = scope.period.from.filter(|from| *from > since);
    if from.is_none() && scope.period.until.is_none() {
        return vec![Range::All];
    }
    let first = from.map_or(0, |from| from.div_euclid(60).max(0));
    let last = scope.period.until.map_or(LAST_HOUR, |until| (until - 1).div_euclid(60));
    let range = |kind: &str, action: usize| {
        let key = |hour: i64| format!("{kind}{action:02}#{hour:08}");
        Range::Between(key(first), format!("{}~", key(last)))
    };
    let kinds = ["", "E#", "L#"];
    actions.iter().flat_map(|action| kinds.map(|kind| range(kind, *action))).collect()
}

impl Ledger {
    /// What all these counters say, of each of so many actions of each of them; of other actions than those of `only`
    /// nothing. `None` there means all.
    ///
    /// An execution costs a query for each of its shards (three for each action where the scope has a beginning or an end
    /// within its life), and calls of a version 64 times as many for each thirty days: sixteen at the same time, of a page
    /// or two each.
    ///
    /// # Errors
    /// As the engine's.
    pub(crate) async fn read_counters(
        &self,
        counters: &[(Counters, usize)],
        only: Option<usize>,
        scope: &Scope,
    ) -> Result<Vec<Vec<Tallied>>, StoreError> {
        let mut all: Vec<_> =
            counters.iter().map(|(_, actions)| vec![Tallied::default(); *actions]).collect();
        let mut readings = Vec::new();
        for (place, (counters, actions)) in counters.iter().enumerate() {
            for (partition, since) in counters.partitions(scope) {
                let reading = self.read_partition(partition, since, *actions, only, scope);
                readings.push(reading.map_ok(move |tallied| (place, tallied)).boxed());
            }
        }
        let mut readings = futures::stream::iter(readings).buffer_unordered(AT_ONCE);
        while let Some((place, tallied)) = readings.try_next().await? {
            for (into, tallied) in all[place].iter_mut().zip(&tallied) {
                into.add(tallied);
            }
        }
        Ok(all)
    }

    async fn read_partition(
        &self,
        partition: String,
        since: Minute,
        actions: usize,
        only: Option<usize>,
        scope: &Scope,
    ) -> Result<Vec<Tallied>, StoreError> {
        let wanted: Vec<_> = (0..actions).filter(|action| only.is_none_or(|only| only == *action)).collect();
        let mut tallied = vec![Tallied::default(); actions];
        for range in ranges(scope, &wanted, since) {
            // A moment behind at half the price.
            self.walk(&partition, range, Consistency::Eventual, |counter| {
                if wanted.contains(&counter.action) {
                    counter.book(scope, &mut tallied[counter.action]);
                }
            })
            .await?;
        }
        Ok(tallied)
    }

    /// Reads the counters of a range of a partition to their end.
    pub(super) async fn walk(
        &self,
        partition: &str,
        range: Range,
        consistency: Consistency,
        mut take: impl FnMut(&Counter<'_>) + Send,
    ) -> Result<(), StoreError> {
        let mut query = Query { range, consistency, ..Query::of(partition, PAGE) };
        loop {
            let page = self.platform.table.query(LEDGER, query.clone()).await?;
            page.items.iter().filter_map(Counter::of).for_each(|counter| take(&counter));
            if page.next.is_none() {
                return Ok(());
            }
            query.after = page.next;
        }
    }

    /// What is known of one call: a few people, who have no counters of their own. How often they visited is counted with
    /// all calls of the version only.
    ///
    /// # Errors
    /// As the engine's.
    pub(crate) async fn read_call(
        &self,
        head: &Head,
        only: Option<usize>,
        scope: &Scope,
    ) -> Result<Vec<Tallied>, StoreError> {
        let mut actions = vec![Tallied::default(); head.actions.len()];
        for (action, (tallied, key)) in actions.iter_mut().zip(head.call_chunks()).enumerate() {
            if only.is_some_and(|only| only != action) {
                continue;
            }
            let chunk = self.chunk(key).await?;
            tallied.targeted = self.call_recipients(head, key).await?.codes.len() as u64;
            let Some((chunk, minute)) = chunk.and_then(|chunk| chunk.minute.map(|minute| (chunk, minute)))
            else {
                continue;
            };
            for code in chunk.members.codes.iter().filter(|code| !code.is_pending()) {
                tallied.book(scope, minute, Counted::Code(*code), 1);
            }
            for (_, facts) in self.facts(key).await?.iter() {
                for (fact, minute) in facts.iter() {
                    tallied.book(scope, minute, Counted::Members(fact), 1);
                }
            }
        }
        Ok(actions)
    }

    /// How many are targeted by an execution whose audience may still be being read.
    ///
    /// # Errors
    /// As the engine's.
    pub(crate) async fn targeted_so_far(&self, id: ExecutionId, shards: u16) -> Result<u64, StoreError> {
        let cursor = |shard| self.cursor(FanOut { execution: id, shard });
        let cursors = futures::future::try_join_all((0..shards).map(cursor)).await?;
        Ok(cursors.iter().flatten().map(Cursor::targeted).sum())
    }
}

#[cfg(test)]
mod tests {
    use campaign::report::Period;
    use platform::Key;

    use super::*;

    const EXECUTION: ExecutionId = ExecutionId::from_bytes([7; 16]);

    fn at(minute: Minute) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn scope(from: Option<Minute>, until: Option<Minute>) -> Scope {
        Scope { period: Period { from, until }, buckets: None }
    }

    /// How many queries a question comes to, where each has a page.
    fn queries(counters: &Counters, scope: &Scope, actions: usize) -> usize {
        let actions: Vec<_> = (0..actions).collect();
        let partitions = counters.partitions(scope);
        partitions.iter().map(|(_, since)| ranges(scope, &actions, *since).len()).sum()
    }

    #[test]
    fn the_largest_execution_is_read_by_a_query_a_shard() {
        let counters = Counters::Execution { id: EXECUTION, shards: 16, since: at(30_000_000), until: None };
        assert_eq!(queries(&counters, &scope(None, None), 3), 16);
        let since_its_start = scope(Some(29_999_000), None);
        assert_eq!(queries(&counters, &since_its_start, 3), 16, "a beginning before its own is none");
        let last_day = scope(Some(30_100_000), None);
        assert_eq!(queries(&counters, &last_day, 1), 16 * 3);
    }

    #[test]
    fn of_an_execution_nothing_is_read_for_a_period_before_or_behind_it() {
        let (since, until) = (at(30_000_000), Some(at(30_100_000)));
        let over = Counters::Execution { id: EXECUTION, shards: 16, since, until };
        let reads = |counters: &Counters, from, until| queries(counters, &scope(from, until), 1) > 0;
        assert!(!reads(&over, None, Some(30_000_000 - SLACK)));
        assert!(reads(&over, None, Some(30_000_001 - SLACK)), "by a clock that is slow");
        assert!(reads(&over, Some(30_100_000 + SLACK), None), "by a clock that is fast");
        assert!(!reads(&over, Some(30_100_001 + SLACK), None));
        assert!(reads(&over, Some(29_000_000), Some(31_000_000)));
        assert!(reads(&over, None, None));
        let runs = Counters::Execution { id: EXECUTION, shards: 16, since, until: None };
        assert!(reads(&runs, Some(39_000_000), None), "it has not ended");
    }

    #[test]
    fn of_calls_only_the_months_are_read_in_which_there_may_be_any() {
        let month = CALL_HOURS * 60;
        let campaign = CampaignId::from_bytes([1; 16]);
        let since = at(700 * month + 90);
        let counters = Counters::Calls { campaign, version: 1, since, until: at(702 * month + 90) };
        let parts = usize::from(CALL_PARTS);
        assert_eq!(queries(&counters, &scope(None, None), 2), 3 * parts);
        let last_day = scope(Some(702 * month + 10), None);
        assert_eq!(queries(&counters, &last_day, 2), parts * 3 * 2);
        assert_eq!(queries(&counters, &scope(Some(703 * month), None), 2), 0);
    }

    #[test]
    fn a_range_holds_every_counter_of_its_hours_and_no_other() {
        let scope = scope(Some(60 * 100 + 59), Some(60 * 102));
        let ranges = ranges(&scope, &[2], 0);
        let is_read = |key: &str| {
            ranges.iter().any(|range| match range {
                Range::Between(first, last) => first.as_str() <= key && key <= last.as_str(),
                Range::All | Range::Prefix(_) => false,
            })
        };
        for key in ["02#00000100", "02#00000101", "E#02#00000101#7", "L#02#00000101#00003#0"] {
            assert!(is_read(key), "{key}");
        }
        for key in ["02#00000102", "02#00000099", "03#00000101", "E#02#00000102#0", "L#01#00000101#00003#0"] {
            assert!(!is_read(key), "{key}");
        }
    }

    #[test]
    fn what_stands_in_an_item_is_read_by_its_name() {
        let item = |sort_key: &str| {
            Item::new(Key::new("s#x#00", sort_key))
                .with("c10m5", 3)
                .with("f3m59", 2)
                .with("v12", 4)
                .with("closed", 9)
                .with("t", 8)
                .with("c255m1", 1)
                .with("c10mx", 1)
        };
        let codes = item("07#00000010");
        let counter = Counter::of(&codes).unwrap();
        assert_eq!((counter.action, counter.hour, counter.kind), (7, 10, Kind::Codes));
        let counts: Vec<_> = counter.counts().collect();
        let expected = [
            (605, Counted::Code(Code::Sent), 3),
            (659, Counted::Members(Fact::Delivered), 2),
            (600, Counted::Visits(Fact::Clicked), 4),
        ];
        assert_eq!(counts, expected);
        let link = item("L#01#00000010#00042#3");
        assert_eq!(Counter::of(&link).unwrap().kind, Kind::Link(42));
        assert!(Counter::of(&item("HEAD")).is_none());
    }
}
