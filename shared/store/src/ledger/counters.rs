//! Counters: how many members of an execution's action have which code, by the hour they were first counted in.

use std::collections::BTreeMap;

use campaign::Code;
use campaign::report::Counts;
use platform::{Change, Key, Query, Write};

use super::{Head, Ledger};
use crate::StoreError;
use crate::messages::ChunkKey;
use crate::tables::{self, LEDGER};

const CLOSED: &str = "closed";

/// What the ledger says of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Each of its actions.
    pub actions: Vec<ActionCounts>,
    /// Whether every shard of its audience is written to the last chunk.
    pub fanned_out: bool,
    /// How many profiles the rule could not decide about.
    pub undecided: u64,
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

/// The write that tells the counters of a chunk's shard what has changed, in the hour it belongs to. `closed` is +1
/// where the chunk closes, -1 where it opens again.
pub(super) fn book(
    chunk: &ChunkKey,
    hour: i64,
    deltas: &BTreeMap<Code, i64>,
    closed: i64,
    expires: i64,
) -> Write {
    let mut changes: Vec<Change> =
        deltas.iter().map(|(code, delta)| Change::add(&format!("c{}", *code as u8), *delta)).collect();
    if closed != 0 {
        changes.push(Change::add(CLOSED, closed));
    }
    changes.push(Change::Expires(Some(expires)));
    Write::update(LEDGER, key(chunk, hour), changes)
}

fn key(chunk: &ChunkKey, hour: i64) -> Key {
    Key::new(tables::counters(chunk.execution, chunk.shard), format!("{:02}#{hour:08}", chunk.action))
}

impl Ledger {
    /// What the cursors and counters of an execution say.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn tally(&self, head: &Head) -> Result<Tally, StoreError> {
        let (mut fanned_out, mut undecided) = (true, 0);
        let mut targeted = vec![0; head.actions.len()];
        let mut codes: Vec<BTreeMap<Code, i64>> = vec![BTreeMap::new(); head.actions.len()];
        let mut closed = vec![0; head.actions.len()];
        let mut actions = vec![ActionCounts::default(); head.actions.len()];
        for shard in head.shards() {
            // The cursor first: what it has written may be counted a moment later, never the other way round.
            if let Some(cursor) = self.cursor(shard).await? {
                fanned_out &= cursor.done;
                undecided += cursor.undecided;
                for (action, stands) in cursor.actions.iter().enumerate().take(actions.len()) {
                    targeted[action] += stands.members;
                    actions[action].written += u64::from(stands.written);
                }
            }
            let mut query = Query::of(tables::counters(shard.execution, shard.shard), 1000);
            loop {
                let page = self.platform.table.query(LEDGER, query.clone()).await?;
                for item in &page.items {
                    let action = item.key.sk.get(..2).and_then(|action| action.parse::<usize>().ok());
                    let Some(action) = action.filter(|action| *action < actions.len()) else { continue };
                    closed[action] += item.number(CLOSED).unwrap_or(0);
                    for code in Code::ALL {
                        if let Some(count) = item.number(&format!("c{}", code as u8)) {
                            *codes[action].entry(code).or_default() += count;
                        }
                    }
                }
                if page.next.is_none() {
                    break;
                }
                query.after = page.next;
            }
        }
        for (((counted, targeted), closed), codes) in actions.iter_mut().zip(targeted).zip(closed).zip(codes)
        {
            counted.closed = non_negative(closed);
            counted.counts =
                Counts::new(targeted, codes.into_iter().map(|(code, count)| (code, non_negative(count))));
        }
        Ok(Tally { actions, fanned_out, undecided })
    }
}

fn non_negative(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
