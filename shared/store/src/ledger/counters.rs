//! Counters: how many members of an execution's action have which code, by the minute they were first counted in.
//!
//! They hold nothing about anybody, and are kept for good: chunks expire, reports do not. An item holds an hour, and its
//! attributes the minutes.

use std::collections::BTreeMap;

use campaign::plan::{By, Plan};
use campaign::report::{Counted, Counts};
use campaign::{CampaignId, Code};
use platform::{Change, Consistency, Key, Range, Write};

use super::{Audience, Head, Ledger, Worker, Zones};
use crate::StoreError;
use crate::messages::ChunkKey;
use crate::tables::{self, LEDGER};

const CLOSED: &str = "closed";
/// How many members the chunks of calls have that were first counted in the hour. What counts how many an execution
/// targets are its cursors; a call has none.
pub(super) const TARGETED: &str = "t";

/// Over how many items the counters of a version's calls of an hour are spread: transactions on one item wait for each
/// other.
pub(super) const CALL_PARTS: u8 = 64;
/// How many hours of a version's calls are counted in one partition: a year of them is read by a dozen queries a part.
pub(super) const CALL_HOURS: i64 = 30 * 24;

/// Where the codes of a chunk are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Books {
    /// With its execution's.
    Execution,
    /// With those of all calls of a version: an execution of a few people needs no counters of its own.
    Calls {
        /// Of which campaign.
        campaign: CampaignId,
        /// Of which version.
        version: u32,
        /// How many actions it has.
        actions: u8,
        /// Over which of several items: any will do, and their sum counts.
        part: u8,
    },
}

impl Books {
    /// The same as this worker keeps them: what one worker counts lies together, and workers seldom wait for each other.
    #[must_use]
    pub const fn kept_by(self, worker: &Worker) -> Self {
        match self {
            Self::Calls { campaign, version, actions, .. } => {
                Self::Calls { campaign, version, actions, part: worker.part(CALL_PARTS) }
            }
            Self::Execution => self,
        }
    }
}

/// What the ledger says of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Each of its actions.
    pub actions: Vec<ActionCounts>,
    /// Whether every shard of its audience is written to the last chunk.
    pub fanned_out: bool,
    /// How many profiles the rule could not decide about.
    pub undecided: u64,
    /// Where not all get it at the start: the instants at which recipients get it, in order.
    pub releases: Vec<Release>,
    /// Whose time zone was meant for how many, where it is the recipients' own that counts.
    pub zones: Option<Zones>,
}

/// Recipients who get it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How many, as far as they are in chunks. Each action has the same.
    pub recipients: u64,
}

impl Tally {
    /// Whether everybody has an outcome and nothing is to come.
    pub fn is_complete(&self) -> bool {
        self.fanned_out
            && self.actions.iter().all(|action| action.written == action.closed && action.counts.balances())
    }

    /// The counts of each action.
    pub fn counts(&self) -> Vec<Counts> {
        self.actions.iter().map(|action| action.counts.clone()).collect()
    }
}

/// What the ledger says of one action of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionCounts {
    /// The counts.
    pub counts: Counts,
    /// How many chunks are written.
    pub written: u64,
    /// How many of them are closed.
    pub closed: u64,
}

/// The write that tells the counters of a chunk's shard what has changed, in the minute (since the Unix epoch) it belongs to.
/// `closed` is +1 where the chunk closes, -1 where it opens again; `joining` are the chunk's members where it is counted for
/// the first time, else none.
pub(super) fn book(
    books: Books,
    chunk: &ChunkKey,
    minute: i64,
    deltas: &BTreeMap<Code, i64>,
    closed: i64,
    joining: usize,
) -> Write {
    let (hour, minute) = (minute.div_euclid(60), minute.rem_euclid(60));
    let mut changes: Vec<Change> = deltas
        .iter()
        .map(|(code, delta)| Change::add(&format!("c{}m{minute}", *code as u8), *delta))
        .collect();
    if closed != 0 {
        changes.push(Change::add(CLOSED, closed));
    }
    if joining != 0 && matches!(books, Books::Calls { .. }) {
        changes.push(Change::add(TARGETED, i64::try_from(joining).unwrap_or(i64::MAX)));
    }
    Write::update(LEDGER, key(books, chunk, hour), changes)
}

fn key(books: Books, chunk: &ChunkKey, hour: i64) -> Key {
    Key::new(partition(books, chunk, hour), format!("{:02}#{hour:08}", chunk.action))
}

/// The partition that the counters of a chunk lie in.
pub(super) fn partition(books: Books, chunk: &ChunkKey, hour: i64) -> String {
    match books {
        Books::Execution => tables::counters(chunk.execution, chunk.shard),
        Books::Calls { campaign, version, part, .. } => {
            tables::call_counters(campaign, version, hour.div_euclid(CALL_HOURS), part)
        }
    }
}

impl Ledger {
    /// What the cursors and counters of an execution say.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn tally(&self, head: &Head) -> Result<Tally, StoreError> {
        if let Audience::Call { recipients } = head.audience {
            return self.call_tally(head, recipients).await;
        }
        let (mut fanned_out, mut undecided, mut targeted, mut written) = (true, 0, 0, 0);
        let planned = head.plan.iter().flat_map(|plan| &plan.releases_ms);
        let mut releases: Vec<_> = planned.map(|at_ms| Release { at_ms: *at_ms, recipients: 0 }).collect();
        let in_own_time = |plan: &Plan| matches!(plan.by, By::RecipientTime(_));
        let mut zones = head.plan.as_ref().filter(|plan| in_own_time(plan)).map(|_| Zones::default());
        let mut codes: Vec<BTreeMap<Code, i64>> = vec![BTreeMap::new(); head.actions.len()];
        let mut closed = vec![0; head.actions.len()];
        let mut actions = vec![ActionCounts::default(); head.actions.len()];
        for shard in head.shards() {
            // The cursor first: what it has written may be counted a moment later, never the other way round.
            if let Some(cursor) = self.cursor(shard).await? {
                fanned_out &= cursor.done;
                undecided += cursor.undecided;
                targeted += cursor.targeted();
                written += u64::from(cursor.written());
                if let (Some(zones), Some(more)) = (&mut zones, &cursor.zones) {
                    zones.add(more);
                }
                for (lane, stands) in &cursor.lanes {
                    if let Some(release) = lane.index().and_then(|index| releases.get_mut(index)) {
                        release.recipients += stands.members;
                    }
                }
            }
            // Behind the codes' items, which begin with a digit, lie those of facts.
            let range = Range::Between("0".to_owned(), "9~".to_owned());
            let partition = tables::counters(shard.execution, shard.shard);
            self.walk(&partition, range, Consistency::Strong, |counter| {
                let Some(codes) = codes.get_mut(counter.action) else { return };
                closed[counter.action] += counter.number(CLOSED);
                for (_, what, count) in counter.counts() {
                    if let Counted::Code(code) = what {
                        *codes.entry(code).or_default() += count;
                    }
                }
            })
            .await?;
        }
        if zones.is_some() {
            // The zones of the world are many, those of an audience few.
            releases.retain(|release| release.recipients > 0);
        }
        for ((counted, closed), codes) in actions.iter_mut().zip(closed).zip(codes) {
            counted.written = written;
            counted.closed = non_negative(closed);
            counted.counts =
                Counts::new(targeted, codes.into_iter().map(|(code, count)| (code, non_negative(count))));
        }
        Ok(Tally { actions, fanned_out, undecided, releases, zones })
    }
}

fn non_negative(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
