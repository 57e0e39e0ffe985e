//! Chunks in the ledger: claimed, their windows recorded, settled. Every write after the claim is on condition of the
//! claim's attempt and revision, so a worker that lost its lease writes nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use campaign::Outcome;
use campaign::chunk::Members;
use platform::{
    Change, Condition, Consistency, Item, Key, Message, PlatformError, Query, Range as Keys, TransactError,
    Updated, Write,
};

use super::cursor::Cursor;
use super::lease::{self, Worker};
use super::{Head, Ledger, counters};
use crate::StoreError;
use crate::error::refused;
use crate::messages::{ChunkKey, FanOut};
use crate::tables::{self, LEDGER, LEDGER_TTL_SECONDS};

const WHAT: &str = "chunk";

// One- or two-letter names: a chunk of 50 must stay below 1,000 bytes, one write unit.
const MEMBERS: &str = "b";
const REVISION: &str = "r";
const ATTEMPT: &str = "a";
const WINDOW: &str = "w";
const STUCK: &str = "k";
const TRIES: &str = "t";
const FIRST_TRY: &str = "f";
const NOT_BEFORE: &str = "n";
const FOR_RATE: &str = "q";
const HOUR: &str = "h";
const CLOSED: &str = "c";
const DOUBT_SINCE: &str = "u";
const ALONE: &str = "p";
const GO_ON: &str = "i";

/// After so many deaths of the process while it was prepared alone, a member is taken to be their cause.
const DEATHS: usize = 2;

/// What a chunk remembers beside its members, in milliseconds since the Unix epoch where it is an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookkeeping {
    /// How often the provider would not take some of it yet, throttling aside.
    pub tries: u32,
    /// When the provider first would not take some of it.
    pub first_try_ms: Option<i64>,
    /// How often it was claimed since it last came forward.
    pub stuck: u32,
    /// From which member on to go on: those before it had their turn last time.
    pub go_on: usize,
    /// In which hour (since the Unix epoch) it was first counted.
    pub hour: Option<i64>,
    /// Since when members are in doubt.
    pub doubt_since_ms: Option<i64>,
}

/// What is known of a hand-over must not be lost to a moment's trouble: the pauses between the tries to write it.
const PAUSES: [Option<Duration>; 4] = [
    Some(Duration::from_millis(50)),
    Some(Duration::from_millis(200)),
    Some(Duration::from_millis(800)),
    None,
];

/// A chunk that this worker may deliver until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedChunk {
    /// Which.
    pub key: ChunkKey,
    /// Its members. Those of a window that was open when another worker's lease ended are in doubt already.
    pub members: Members,
    /// What else it remembers.
    pub book: Bookkeeping,
    /// The member whose preparation has ended the process again and again, if there is one.
    pub killer: Option<usize>,
    /// The member that was being prepared alone when the process died, and how often.
    suspect: Option<(usize, usize)>,
    /// When the lease ends, in milliseconds since the Unix epoch.
    pub lease_until_ms: i64,
    attempt: i64,
    revision: i64,
}

/// Whether a chunk that waits may be claimed before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It may not.
    Honoured,
    /// It may: its execution is being stopped, so there is nothing to wait for.
    CutShort,
}

/// What claiming a chunk gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is yours until its lease ends.
    Claimed(Box<ClaimedChunk>),
    /// Everybody in it has an outcome.
    Closed,
    /// Another works on it, until this instant.
    Leased(i64),
    /// It waits, until this instant; whoever made it wait also saw to it that it is looked at then.
    NotYet(i64),
    /// It is not there.
    Missing,
}

/// The claim is no longer this worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// What is to happen with a chunk after it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: everybody in it has an outcome.
    Close,
    /// It goes on by a message that is sent with this write.
    Continue,
    /// It waits in the ledger until this instant.
    Park(i64),
    /// It waits in the ledger for its turn at the configuration's rate.
    AwaitRate,
}

/// Which chunks of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// Those of one action, from a number on.
    Action {
        /// The action.
        action: u8,
        /// The first number.
        from: u32,
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
    hour: Option<i64>,
}

/// The first write of a chunk.
pub(super) fn first(chunk: &ChunkKey, members: &Members, expires: i64) -> Write {
    let mut item = Item::new(key(chunk)).with(MEMBERS, members.pack()).with(REVISION, 0).with(ATTEMPT, 0);
    item.expires = Some(expires);
    Write::put(LEDGER, item).when(Condition::NotExists)
}

impl ClaimedChunk {
    fn mine(&self) -> Condition {
        Condition::All(vec![
            Condition::equals(ATTEMPT, self.attempt),
            Condition::equals(REVISION, self.revision),
        ])
    }

    /// Whether the stored chunk is as this claim's next write leaves it: nobody else writes under its attempt.
    fn is_next(&self, item: &Item) -> bool {
        item.number(ATTEMPT) == Some(self.attempt) && item.number(REVISION) == Some(self.revision + 1)
    }

    fn member_changes(&self) -> Vec<Change> {
        vec![Change::set(MEMBERS, self.members.pack()), Change::add(REVISION, 1)]
    }
}

impl Ledger {
    /// Claims a chunk for `lease`.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn claim(
        &self,
        chunk: ChunkKey,
        worker: &Worker,
        lease: Duration,
        waits: Waits,
    ) -> Result<Claim, StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let until_ms = now_ms + millis(lease);
        let mut conditions = vec![
            Condition::Has(MEMBERS.to_owned()),
            Condition::Lacks(CLOSED.to_owned()),
            worker.may_take(now_ms),
        ];
        if waits == Waits::Honoured {
            conditions.push(Condition::Any(vec![
                Condition::Lacks(NOT_BEFORE.to_owned()),
                Condition::Below(NOT_BEFORE.to_owned(), now_ms + 1),
            ]));
        }
        let condition = Condition::All(conditions);
        let mut changes = worker.take(until_ms).to_vec();
        changes.extend([
            Change::add(ATTEMPT, 1),
            Change::add(REVISION, 1),
            Change::add(STUCK, 1),
            Change::Remove(NOT_BEFORE.to_owned()),
            Change::Remove(FOR_RATE.to_owned()),
        ]);
        match self.platform.table.update(LEDGER, &key(&chunk), Some(condition), changes).await? {
            Updated::New(item) => Ok(Claim::Claimed(Box::new(claimed(chunk, &item, until_ms)?))),
            Updated::Refused(None) => Ok(Claim::Missing),
            Updated::Refused(Some(item)) if item.number(CLOSED).is_some() => Ok(Claim::Closed),
            Updated::Refused(Some(item)) => Ok(item
                .number(NOT_BEFORE)
                .filter(|at| *at > now_ms && waits == Waits::Honoured)
                .map_or_else(|| Claim::Leased(item.number(lease::LEASE).unwrap_or(now_ms)), Claim::NotYet)),
        }
    }

    /// Records, before it is handed over, which window of members is about to be: if this worker dies now, its pending
    /// members are in doubt and no others.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn open_window(
        &self,
        chunk: &mut ClaimedChunk,
        window: Range<usize>,
    ) -> Result<Result<(), Lost>, StoreError> {
        let mut changes = chunk.member_changes();
        changes.push(Change::set(WINDOW, pack_pair(window.start, window.end)));
        changes.push(Change::Remove(ALONE.to_owned()));
        changes.push(Change::Remove(STUCK.to_owned()));
        set_or_remove(&mut changes, DOUBT_SINCE, chunk.book.doubt_since_ms);
        self.write_claimed(chunk, changes).await
    }

    /// Records, before it is prepared, that this one member is about to be: if the process dies of it, it is known.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn prepare_alone(
        &self,
        chunk: &mut ClaimedChunk,
        member: usize,
    ) -> Result<Result<(), Lost>, StoreError> {
        let deaths = match chunk.suspect {
            Some((suspect, deaths)) if suspect == member => deaths,
            _ => 0,
        };
        let mut changes = chunk.member_changes();
        changes.push(Change::set(ALONE, pack_pair(member, (deaths + 1).min(255))));
        changes.push(Change::Remove(WINDOW.to_owned()));
        self.write_claimed(chunk, changes).await
    }

    async fn write_claimed(
        &self,
        chunk: &mut ClaimedChunk,
        changes: Vec<Change>,
    ) -> Result<Result<(), Lost>, StoreError> {
        for pause in PAUSES {
            let written = self
                .platform
                .table
                .update(LEDGER, &key(&chunk.key), Some(chunk.mine()), changes.clone())
                .await;
            match written {
                Ok(Updated::Refused(item)) if !item.as_ref().is_some_and(|item| chunk.is_next(item)) => {
                    return Ok(Err(Lost));
                }
                Ok(_) => {
                    chunk.revision += 1;
                    return Ok(Ok(()));
                }
                Err(error) => self.pause_or(pause, error).await?,
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Waits before a write is tried anew, where it may succeed then. A write that met an error may have been applied
    /// all the same: the next try is refused then, and [`ClaimedChunk::is_next`] tells.
    async fn pause_or(&self, pause: Option<Duration>, error: PlatformError) -> Result<(), StoreError> {
        match (pause, error) {
            (Some(pause), PlatformError::Unavailable { .. }) => {
                self.platform.clock.sleep(pause).await;
                Ok(())
            }
            (_, error) => Err(StoreError::Platform(error)),
        }
    }

    /// Writes what became of the members, tells the counters the difference, and gives the lease back, in one
    /// transaction; then sends `messages`. `details` are error texts by member, added to those there are.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn settle(
        &self,
        chunk: &mut ClaimedChunk,
        next: Next,
        details: &BTreeMap<usize, String>,
        messages: Vec<Message>,
    ) -> Result<Result<(), Lost>, StoreError> {
        let now = self.platform.clock.now();
        let expires = now.as_second() + LEDGER_TTL_SECONDS;
        let deltas = chunk.members.book();
        let mut changes = chunk.member_changes();
        changes.extend(lease::give_back());
        for name in [WINDOW, ALONE, STUCK] {
            changes.push(Change::Remove(name.to_owned()));
        }
        changes.push(Change::set(TRIES, i64::from(chunk.book.tries)));
        set_or_remove(&mut changes, FIRST_TRY, chunk.book.first_try_ms);
        set_or_remove(&mut changes, DOUBT_SINCE, chunk.book.doubt_since_ms);
        let go_on = i64::try_from(chunk.book.go_on).ok().filter(|member| *member > 0);
        set_or_remove(&mut changes, GO_ON, go_on);
        match next {
            Next::Close => changes.push(Change::set(CLOSED, 1)),
            Next::Continue => {}
            Next::Park(at_ms) => changes.push(Change::set(NOT_BEFORE, at_ms)),
            Next::AwaitRate => changes.push(Change::set(FOR_RATE, 1)),
        }
        let closed = i64::from(next == Next::Close);
        let mut writes = Vec::with_capacity(3);
        if !deltas.is_empty() || closed != 0 {
            let hour = *chunk.book.hour.get_or_insert(now.as_second() / 3600);
            changes.push(Change::set(HOUR, hour));
            writes.push(counters::book(&chunk.key, hour, &deltas, closed, expires));
        }
        writes.insert(0, Write::update(LEDGER, key(&chunk.key), changes).when(chunk.mine()));
        if !details.is_empty() {
            writes.push(detail_write(&chunk.key, details, expires));
        }
        let mut tried = false;
        for pause in PAUSES {
            match self.platform.commit(writes.clone(), messages.clone()).await {
                Ok(()) => {
                    chunk.revision += 1;
                    return Ok(Ok(()));
                }
                Err(TransactError::ConditionFailed(_)) => {
                    let item = self.platform.table.get(LEDGER, &key(&chunk.key), Consistency::Strong).await?;
                    if !(tried && item.is_some_and(|item| chunk.is_next(&item))) {
                        return Ok(Err(Lost));
                    }
                    // An earlier try wrote, but may not have come to sending. A message too many does no harm.
                    self.platform.queue.send(messages).await?;
                    chunk.revision += 1;
                    return Ok(Ok(()));
                }
                Err(TransactError::Engine(error)) => self.pause_or(pause, error).await?,
            }
            tried = true;
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Turns members that are in doubt into what this worker, which lost its lease, knows of them: `known` holds the
    /// codes by member. Members that another has decided meanwhile stay as they are.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where others keep changing the chunk.
    pub async fn amend(&self, chunk: ChunkKey, known: &[(usize, campaign::Code)]) -> Result<(), StoreError> {
        for _ in 0..10 {
            let Some(mut stored) = self.chunk(chunk).await? else { return Ok(()) };
            let mut changed = false;
            for (member, code) in known {
                if stored.members.codes.get(*member).is_some_and(|code| code.outcome() == Outcome::Unknown) {
                    stored.members.codes[*member] = *code;
                    changed = true;
                }
            }
            if !changed || self.rewrite(&mut stored, None).await? {
                return Ok(());
            }
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
            Part::Action { action, from } => {
                Keys::Between(format!("C#{action:02}#{from:06}"), format!("C#{action:02}#~"))
            }
        };
        let query =
            Query { range, ..Query::of(tables::shard(shard.execution, shard.shard), limit).after(after) };
        let page = self.platform.table.query(LEDGER, query).await?;
        let chunks = page
            .items
            .iter()
            .map(|item| {
                let mut parts = item.key.sk.split('#').skip(1);
                let action = parts.next().and_then(|action| action.parse().ok());
                let number = parts.next().and_then(|number| number.parse().ok());
                let (Some(action), Some(number)) = (action, number) else { return Err(corrupt()) };
                stored(ChunkKey { execution: shard.execution, shard: shard.shard, action, number }, item)
            })
            .collect::<Result<_, _>>()?;
        Ok((chunks, page.next))
    }

    /// What [`Self::chunks`] takes as `after` to go on behind this chunk.
    pub fn behind(chunk: &ChunkKey) -> String {
        key(chunk).sk
    }

    /// Turns the members of a chunk whose outcome is one of `outcomes` back to pending, with the counters, and sends its
    /// message. Returns how many members; `None` where the execution is not running or the chunk keeps changing.
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
            for code in &mut chunk.members.codes {
                if outcomes.contains(&code.outcome()) {
                    *code = code.again();
                    again += 1;
                }
            }
            if again == 0 {
                return Ok(Some(0));
            }
            if self.rewrite(&mut chunk, Some(head)).await? {
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
    async fn rewrite(&self, chunk: &mut StoredChunk, reopen: Option<&Head>) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        let deltas = chunk.members.book();
        let hour = chunk.hour.unwrap_or(now.as_second() / 3600);
        let mut changes = vec![
            Change::set(MEMBERS, chunk.members.pack()),
            Change::add(REVISION, 1),
            Change::set(HOUR, hour),
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
            if chunk.closed {
                changes.push(Change::Remove(CLOSED.to_owned()));
                closed = -1;
            }
            writes.push(Self::touch_running(chunk.key.execution));
            let shard = FanOut { execution: chunk.key.execution, shard: chunk.key.shard };
            writes.push(Cursor::reopened(shard, chunk.key.action));
            messages.push(head.message(&chunk.key));
        }
        writes.push(Write::update(LEDGER, key(&chunk.key), changes).when(condition));
        writes.push(counters::book(&chunk.key, hour, &deltas, closed, now.as_second() + LEDGER_TTL_SECONDS));
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

fn key(chunk: &ChunkKey) -> Key {
    Key::new(
        tables::shard(chunk.execution, chunk.shard),
        format!("C#{:02}#{:06}", chunk.action, chunk.number),
    )
}

fn detail_key(chunk: &ChunkKey) -> Key {
    Key::new(
        tables::shard(chunk.execution, chunk.shard),
        format!("D#{:02}#{:06}", chunk.action, chunk.number),
    )
}

fn detail_write(chunk: &ChunkKey, details: &BTreeMap<usize, String>, expires: i64) -> Write {
    let mut changes: Vec<Change> =
        details.iter().map(|(member, text)| Change::set(&format!("m{member}"), text.as_str())).collect();
    changes.push(Change::Expires(Some(expires)));
    Write::update(LEDGER, detail_key(chunk), changes)
}

fn set_or_remove(changes: &mut Vec<Change>, name: &str, value: Option<i64>) {
    changes.push(value.map_or_else(|| Change::Remove(name.to_owned()), |value| Change::set(name, value)));
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { what: WHAT, source: None }
}

fn members(item: &Item) -> Result<Members, StoreError> {
    item.bytes(MEMBERS).and_then(|bytes| Members::unpack(bytes).ok()).ok_or_else(corrupt)
}

/// Two small numbers as one: a window's ends, or a member and a count.
fn pack_pair(first: usize, second: usize) -> i64 {
    i64::try_from(first * 256 + second).unwrap_or(i64::MAX)
}

fn unpack_pair(packed: i64) -> Option<(usize, usize)> {
    let packed = usize::try_from(packed).ok()?;
    Some((packed / 256, packed % 256))
}

fn unpack_window(packed: i64, members: usize) -> Option<Range<usize>> {
    let (start, end) = unpack_pair(packed)?;
    (start <= end && end <= members).then_some(start..end)
}

fn claimed(key: ChunkKey, item: &Item, lease_until_ms: i64) -> Result<ClaimedChunk, StoreError> {
    let mut members = members(item)?;
    let mut doubt_since_ms = item.number(DOUBT_SINCE);
    if let Some(packed) = item.number(WINDOW) {
        members.doubt(unpack_window(packed, members.len()).ok_or_else(corrupt)?);
        // New doubt has its whole wait before it.
        doubt_since_ms = None;
    }
    let suspect = item.number(ALONE).and_then(unpack_pair);
    let small = |name| item.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Ok(ClaimedChunk {
        key,
        killer: suspect.filter(|(_, deaths)| *deaths >= DEATHS).map(|(member, _)| member),
        suspect,
        members,
        book: Bookkeeping {
            tries: small(TRIES),
            first_try_ms: item.number(FIRST_TRY),
            stuck: small(STUCK),
            hour: item.number(HOUR),
            doubt_since_ms,
            go_on: usize::try_from(small(GO_ON)).unwrap_or(0),
        },
        lease_until_ms,
        attempt: item.number(ATTEMPT).ok_or_else(corrupt)?,
        revision: item.number(REVISION).ok_or_else(corrupt)?,
    })
}

fn stored(key: ChunkKey, item: &Item) -> Result<StoredChunk, StoreError> {
    Ok(StoredChunk {
        key,
        members: members(item)?,
        closed: item.number(CLOSED).is_some(),
        leased_until_ms: item.number(lease::LEASE),
        not_before_ms: item.number(NOT_BEFORE),
        awaits_rate: item.number(FOR_RATE).is_some(),
        revision: item.number(REVISION).ok_or_else(corrupt)?,
        hour: item.number(HOUR),
    })
}
