//! Chunks as they are stored: looked at, and changed while nobody holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::chunk::Members;
use campaign::plan::Lane;
use campaign::{Code, Outcome};
use platform::{Change, Condition, Consistency, Item, Query, Range as Keys, Write};

use super::chunk::{
    CLOSED, DOUBT_SINCE, FIRST_TRY, FOR_RATE, GO_ON, MEMBERS, MINUTE, NOT_BEFORE, REVISION, TRIES, WHAT,
    chunk_of, corrupt, detail_key, key, members, sort_key,
};
use super::counters::{self, Books};
use super::cursor::Cursor;
use super::{Head, Ledger, lease};
use crate::StoreError;
use crate::error::refused;
use crate::messages::{ChunkKey, FanOut};
use crate::tables::{self, LEDGER};

/// When members were last sent back to pending, in milliseconds since the Unix epoch.
const REOPENED: &str = "e";
/// Which members were ever, a bit each.
const AGAIN: &str = "g";

/// Which chunks of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// Those of one lane of an action, from its n-th on until before another.
    Lane {
        /// The action.
        action: u8,
        /// The lane.
        lane: Lane,
        /// The first.
        from: u32,
        /// The one behind the last.
        until: u32,
    },
}

/// A chunk as it is stored, for looking at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk {
    /// Which.
    pub key: ChunkKey,
    /// Its members.
    pub members: Members,
    /// Whether everybody in it has an outcome.
    pub closed: bool,
    /// Until when somebody works on it.
    pub leased_until_ms: Option<i64>,
    /// Until when it waits.
    pub not_before_ms: Option<i64>,
    /// Whether it waits for its turn at the configuration's rate.
    pub awaits_rate: bool,
    /// Counts its changes.
    pub revision: i64,
    /// In which minute (since the Unix epoch) it was first counted.
    pub minute: Option<i64>,
    /// Whom somebody asked to send to again, and when.
    pub reopened: Reopened,
}

/// Members of a chunk that were sent back to pending: what was told of their messages before is of others than the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reopened {
    /// When the last of them were, in milliseconds since the Unix epoch.
    at_ms: i64,
    /// A bit each.
    members: i64,
}

impl Reopened {
    const fn with(self, member: usize) -> Self {
        Self { members: self.members | (1 << member), ..self }
    }

    /// Whether what happened to a member's message then, in milliseconds since the Unix epoch, happened to one before the last.
    pub(super) const fn is_behind(self, member: usize, at_ms: i64) -> bool {
        (self.members >> member) & 1 == 1 && at_ms < self.at_ms
    }
}

impl Ledger {
    /// Turns members that are in doubt into what this worker, which lost its lease, knows of them: `known` holds the
    /// codes by member, pending ones for those that were surely not taken. Members that another has decided meanwhile stay as
    /// they are. A chunk that has closed over somebody who was not taken opens again, as long as its execution does not end.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where others keep changing the chunk.
    pub async fn amend(
        &self,
        chunk: ChunkKey,
        books: Books,
        known: &[(usize, Code)],
        head: &Head,
    ) -> Result<(), StoreError> {
        // A call has ended with its chunk, and its payload is gone.
        let mut may_reopen = !chunk.is_call();
        for _ in 0..10 {
            let Some(mut stored) = self.chunk(chunk).await? else { return Ok(()) };
            let may_wait = may_reopen || !stored.closed;
            let told = known.iter().filter(|(_, code)| may_wait || !code.is_pending());
            let (mut changed, mut waits) = (false, false);
            for (member, code) in told {
                let Some(now) = stored.members.codes.get_mut(*member) else { continue };
                if is_settled_by(*now, *code) {
                    *now = *code;
                    changed = true;
                    waits |= code.is_pending();
                }
            }
            let reopens = waits && stored.closed;
            if !changed || self.rewrite(&mut stored, books, reopens.then_some(head)).await? {
                return Ok(());
            }
            may_reopen &= !reopens;
            // Another holds the chunk, with the doubt in memory, and would write it back: wait until it is done.
            self.platform.clock.sleep(Duration::from_millis(200)).await;
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// The chunk as it is stored, strongly read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn chunk(&self, chunk: ChunkKey) -> Result<Option<StoredChunk>, StoreError> {
        let item = self.platform.table.get(LEDGER, &key(&chunk), Consistency::Strong).await?;
        item.as_ref().map(|item| stored(chunk, item)).transpose()
    }

    /// A page of the chunks of a shard, of one action from a number on or of all actions, in the order of action and
    /// number.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn chunks(
        &self,
        shard: FanOut,
        part: Part,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<StoredChunk>, Option<String>), StoreError> {
        let range = match part {
            Part::Whole => Keys::Prefix("C#".to_owned()),
            Part::Lane { until, from, .. } if until <= from => return Ok((Vec::new(), None)),
            Part::Lane { action, lane, from, until } => {
                Keys::Between(sort_key(action, lane.number(from)), sort_key(action, lane.number(until - 1)))
            }
        };
        let query =
            Query { range, ..Query::of(tables::shard(shard.execution, shard.shard), limit).after(after) };
        let page = self.platform.table.query(LEDGER, query).await?;
        let chunks = page
            .items
            .iter()
            .map(|item| {
                let chunk = chunk_of(&item.key).ok_or_else(corrupt)?;
                stored(chunk, item)
            })
            .collect::<Result<_, _>>()?;
        Ok((chunks, page.next))
    }

    /// What [`Self::chunks`] takes as `after` to go on behind this chunk.
    pub fn behind(chunk: &ChunkKey) -> String {
        key(chunk).sk
    }

    /// Turns the members of a chunk whose outcome is one of `outcomes` back to pending, with the counters, and sends its
    /// message. Returns how many members; `None` where the execution is not open or the chunk keeps changing.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn reopen(
        &self,
        chunk: &StoredChunk,
        outcomes: &[Outcome],
        head: &Head,
    ) -> Result<Option<usize>, StoreError> {
        let mut chunk = chunk.clone();
        for _ in 0..5 {
            let mut again = 0;
            for (member, code) in chunk.members.codes.iter_mut().enumerate() {
                if outcomes.contains(&code.outcome()) {
                    *code = code.again();
                    chunk.reopened = chunk.reopened.with(member);
                    again += 1;
                }
            }
            if again == 0 {
                return Ok(Some(0));
            }
            if self.rewrite(&mut chunk, head.books(), Some(head)).await? {
                return Ok(Some(again));
            }
            match self.chunk(chunk.key).await? {
                Some(newer) => chunk = newer,
                None => return Ok(Some(0)),
            }
        }
        Ok(None)
    }

    /// Writes changed members of a chunk nobody holds, with the counters; where `reopen` is given, opens it as a
    /// part of that execution and sends its message. False where the chunk has changed, is held, or the execution may not be reopened.
    pub(super) async fn rewrite(
        &self,
        chunk: &mut StoredChunk,
        books: Books,
        reopen: Option<&Head>,
    ) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        let deltas = chunk.members.book();
        let joining = if chunk.minute.is_none() { chunk.members.codes.len() } else { 0 };
        let minute = chunk.minute.unwrap_or(now.as_second().div_euclid(60));
        let mut changes = vec![
            Change::set(MEMBERS, chunk.members.pack()),
            Change::add(REVISION, 1),
            Change::set(MINUTE, minute),
        ];
        let condition = Condition::All(vec![
            Condition::equals(REVISION, chunk.revision),
            Condition::Lacks(lease::LEASE.to_owned()),
        ]);
        let (mut writes, mut messages, mut closed) = (Vec::new(), Vec::new(), 0);
        if let Some(head) = reopen {
            for name in [NOT_BEFORE, FOR_RATE, TRIES, FIRST_TRY, DOUBT_SINCE, GO_ON] {
                changes.push(Change::Remove(name.to_owned()));
            }
            let reopened = [(REOPENED, now.as_millisecond()), (AGAIN, chunk.reopened.members)];
            changes.extend(reopened.map(|(name, number)| Change::set(name, number)));
            if chunk.closed {
                changes.push(Change::Remove(CLOSED.to_owned()));
                closed = -1;
            }
            writes.push(Self::touch_open(chunk.key.execution));
            let shard = FanOut { execution: chunk.key.execution, shard: chunk.key.shard };
            writes.push(Cursor::reopened(shard, chunk.key.action));
            messages.push(head.message(&chunk.key));
        }
        writes.push(Write::update(LEDGER, key(&chunk.key), changes).when(condition));
        writes.push(counters::book(books, &chunk.key, minute, &deltas, closed, joining));
        Ok(refused(self.platform.commit(writes, messages).await)?.is_none())
    }

    /// The error texts of a chunk, by member.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn details(&self, chunk: ChunkKey) -> Result<BTreeMap<usize, String>, StoreError> {
        let item = self.platform.table.get(LEDGER, &detail_key(&chunk), Consistency::Strong).await?;
        let Some(item) = item else { return Ok(BTreeMap::new()) };
        Ok(item
            .attributes
            .iter()
            .filter_map(|(name, value)| match value {
                platform::Value::S(text) => Some((name.strip_prefix('m')?.parse().ok()?, text.clone())),
                _ => None,
            })
            .collect())
    }
}

/// Whether what a worker knows of a member settles its code. That a first hand-over was not taken says nothing of a second.
fn is_settled_by(code: Code, known: Code) -> bool {
    if known.is_pending() {
        (code, known) == (Code::Unknown, Code::Pending)
    } else {
        code.outcome() == Outcome::Unknown
    }
}

pub(super) fn stored(key: ChunkKey, item: &Item) -> Result<StoredChunk, StoreError> {
    Ok(StoredChunk {
        key,
        members: members(item)?,
        closed: item.number(CLOSED).is_some(),
        leased_until_ms: item.number(lease::LEASE),
        not_before_ms: item.number(NOT_BEFORE),
        awaits_rate: item.number(FOR_RATE).is_some(),
        revision: item.number(REVISION).ok_or_else(corrupt)?,
        minute: item.number(MINUTE),
        reopened: Reopened {
            at_ms: item.number(REOPENED).unwrap_or(0),
            members: item.number(AGAIN).unwrap_or(0),
        },
    })
}
