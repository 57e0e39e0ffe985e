//! Chunks in the ledger: claimed, their windows recorded, settled. Every write after the claim is on condition of the
//! claim's attempt and revision, so a worker that lost its lease writes nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use campaign::chunk::Members;
use campaign::id::random_bytes;
use campaign::plan::NUMBERS;
use campaign::{Code, ProfileId};
use platform::{
    Change, Condition, Consistency, Item, Key, Message, PlatformError, TransactError, Updated, Write,
};

use super::counters::Books;
use super::lease::{self, Worker};
use super::{Ledger, call, counters};
use crate::StoreError;
use crate::messages::{CALL_SHARD, ChunkKey};
use crate::tables::{self, LEDGER, LEDGER_TTL_SECONDS};

pub(super) const WHAT: &str = "chunk";

// One- or two-letter names: a chunk of 50 must stay below 1,000 bytes, one write unit.
pub(super) const MEMBERS: &str = "b";
pub(super) const REVISION: &str = "r";
const ATTEMPT: &str = "a";
const WINDOW: &str = "w";
const RESTING: &str = "s";
const STUCK: &str = "k";
pub(super) const TRIES: &str = "t";
pub(super) const FIRST_TRY: &str = "f";
pub(super) const NOT_BEFORE: &str = "n";
pub(super) const FOR_RATE: &str = "q";
pub(super) const MINUTE: &str = "h";
pub(super) const CLOSED: &str = "c";
pub(super) const DOUBT_SINCE: &str = "u";
const ALONE: &str = "p";
pub(super) const GO_ON: &str = "i";

/// After so many deaths of the process while it was prepared alone, a member is taken to be their cause.
const DEATHS: usize = 2;

/// What a chunk remembers beside its members, in milliseconds since the Unix epoch where it is an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookkeeping {
    /// How often the provider would not take some of it yet, throttling aside.
    pub tries: u32,
    /// When the provider first would not take some of it, by a clock that stands still while the execution is paused.
    pub first_try_ms: Option<i64>,
    /// How often it was claimed since it last came forward.
    pub stuck: u32,
    /// From which member on to go on: those before it had their turn last time.
    pub go_on: usize,
    /// In which minute (since the Unix epoch) it was first counted.
    pub minute: Option<i64>,
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
    /// Where its codes are counted.
    pub books: Books,
    /// Which members wait for a time of their own, a bit each: they are in no window, wherever they stand.
    resting: i64,
    attempt: i64,
    revision: i64,
    /// Whether a write met an error and may have been applied all the same: then the chunk stands a revision further on.
    unsure: bool,
    /// Whether any of its writes met an error.
    met_trouble: bool,
    /// What its first write has to say besides, where none was made: see [`Ledger::presume`].
    presumed: Option<Presumed>,
}

/// Whose presumed claim it is, and when its chunk expires, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Presumed {
    worker: Worker,
    expires: i64,
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
    /// It waits in the ledger for its turn at the configuration's rate, which comes no sooner than the resume of an
    /// execution that is paused.
    AwaitRate,
}

/// A chunk to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChunk {
    /// Which.
    pub key: ChunkKey,
    /// Its members.
    pub members: Vec<ProfileId>,
    /// What becomes of it.
    pub begins: Begins,
}

/// What becomes of a chunk that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It is delivered as soon as its message comes.
    AtOnce,
    /// It waits until this instant, in milliseconds since the Unix epoch.
    At(i64),
    /// It is not delivered: everybody in it has this outcome.
    Closed(Code),
}

/// The first writes of chunks, and what the counters are to be told of those that are closed.
pub(super) fn first_writes(chunks: Vec<NewChunk>, now_seconds: i64) -> Vec<Write> {
    let minute = now_seconds.div_euclid(60);
    let mut writes = Vec::with_capacity(chunks.len());
    let mut closed: BTreeMap<u8, (ChunkKey, BTreeMap<Code, i64>, i64)> = BTreeMap::new();
    for NewChunk { key: chunk, members, begins } in chunks {
        let mut members = Members::new(members);
        let mut item = Item::new(key(&chunk)).with(REVISION, 0).with(ATTEMPT, 0);
        let mut from_seconds = now_seconds;
        match begins {
            Begins::AtOnce => {}
            Begins::At(at_ms) => {
                item = item.with(NOT_BEFORE, at_ms);
                from_seconds = from_seconds.max(at_ms / 1000);
            }
            Begins::Closed(code) => {
                members.close_pending(code);
                let (_, deltas, chunks) = closed.entry(chunk.action).or_insert((chunk, BTreeMap::new(), 0));
                for (code, delta) in members.book() {
                    *deltas.entry(code).or_insert(0) += delta;
                }
                *chunks += 1;
                item = item.with(CLOSED, 1).with(MINUTE, minute);
            }
        }
        item = item.with(MEMBERS, members.pack());
        item.expires = Some(from_seconds + LEDGER_TTL_SECONDS);
        writes.push(Write::put(LEDGER, item).when(Condition::NotExists));
    }
    // One write an action: a transaction has one for each item.
    let booked = closed
        .into_values()
        .map(|(chunk, deltas, chunks)| counters::book(Books::Execution, &chunk, minute, &deltas, chunks, 0));
    writes.extend(booked);
    writes
}

impl ClaimedChunk {
    /// Whether nothing of it is written yet, so that it is nobody's as far as others know.
    pub const fn is_presumed(&self) -> bool {
        self.presumed.is_some()
    }

    /// A member waits for a time of its own: no window that is opened from now on means it.
    pub fn rest(&mut self, member: usize) {
        self.resting |= bit(member);
    }

    /// Which of the chunk's claims it is. A claim that is only presumed has any number.
    pub const fn attempt(&self) -> i64 {
        self.attempt
    }

    /// Whether any of its writes met an error: more may stand in the ledger than is known.
    #[must_use]
    pub const fn met_trouble(&self) -> bool {
        self.met_trouble
    }

    fn mine(&self) -> Condition {
        if self.is_presumed() {
            return Condition::NotExists;
        }
        // Nobody else writes under its attempt while it is leased.
        let revisions = self.revision..=self.revision + i64::from(self.unsure);
        Condition::All(vec![
            Condition::equals(ATTEMPT, self.attempt),
            Condition::Any(revisions.map(|revision| Condition::equals(REVISION, revision)).collect()),
        ])
    }

    fn next_revision(&self) -> i64 {
        self.revision + 1 + i64::from(self.unsure)
    }

    /// Whether the stored chunk is as this claim's next write leaves it: applied, though no answer said so.
    fn is_next(&self, item: &Item) -> bool {
        item.number(ATTEMPT) == Some(self.attempt)
            && item.number(REVISION) == Some(self.next_revision())
            && item.bytes(MEMBERS) == Some(self.members.pack().as_slice())
    }

    /// The revision is set and not counted up: what may be repeated needs no transaction, which costs twice as much.
    fn member_changes(&self) -> Vec<Change> {
        let revision = Change::set(REVISION, self.next_revision());
        let mut changes = vec![Change::set(MEMBERS, self.members.pack()), revision];
        if let Some(Presumed { expires, .. }) = self.presumed {
            changes.extend([Change::set(ATTEMPT, self.attempt), Change::Expires(Some(expires))]);
        }
        changes
    }

    /// A write of this claim was made.
    fn written(&mut self) {
        self.revision = self.next_revision();
        self.unsure = false;
        self.presumed = None;
    }

    /// A write of this claim met an error to its last try. One that would have made the chunk is told by its absence.
    fn failed(&mut self) {
        self.unsure = !self.is_presumed();
        self.met_trouble = true;
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

    /// Makes the chunk of a call and claims it for `lease` in one write. `None` where it is there already.
    pub(super) async fn make_claimed(
        &self,
        chunk: ChunkKey,
        members: Members,
        worker: &Worker,
        lease: Duration,
        expires: i64,
    ) -> Result<Option<ClaimedChunk>, StoreError> {
        let until_ms = self.platform.clock.now().as_millisecond() + millis(lease);
        let mut changes = vec![
            Change::set(MEMBERS, members.pack()),
            Change::set(REVISION, 1),
            Change::set(ATTEMPT, 1),
            Change::set(STUCK, 1),
            Change::Expires(Some(expires)),
        ];
        changes.extend(worker.take(until_ms));
        let table = &self.platform.table;
        match table.update(LEDGER, &key(&chunk), Some(Condition::NotExists), changes).await? {
            Updated::New(item) => Ok(Some(claimed(chunk, &item, until_ms)?)),
            Updated::Refused(_) => Ok(None),
        }
    }

    /// A claim for `lease` of a chunk that is not made yet, as far as is known, and is made by the claim's first write,
    /// together with what that records. That write is refused where somebody else made the chunk before.
    ///
    /// It spares a write, but whoever dies before the first one leaves no trace: not for who has died of it already.
    pub(super) fn presume(
        &self,
        chunk: ChunkKey,
        members: Members,
        worker: &Worker,
        lease: Duration,
        expires: i64,
    ) -> ClaimedChunk {
        ClaimedChunk {
            key: chunk,
            members,
            book: Bookkeeping::default(),
            killer: None,
            suspect: None,
            lease_until_ms: self.platform.clock.now().as_millisecond() + millis(lease),
            books: Books::Execution,
            resting: 0,
            attempt: first_attempt(),
            revision: 0,
            unsure: false,
            met_trouble: false,
            presumed: Some(Presumed { worker: *worker, expires }),
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
        set_or_remove(&mut changes, RESTING, Some(chunk.resting).filter(|members| *members != 0));
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
        mut changes: Vec<Change>,
    ) -> Result<Result<(), Lost>, StoreError> {
        if let Some(Presumed { worker, .. }) = chunk.presumed {
            changes.extend(worker.take(chunk.lease_until_ms));
        }
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
                    chunk.written();
                    return Ok(Ok(()));
                }
                Err(error) => self.pause_or(pause, error).await.inspect_err(|_| chunk.failed())?,
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
        for name in [WINDOW, RESTING, ALONE, STUCK] {
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
            let joining = if chunk.book.minute.is_none() { chunk.members.codes.len() } else { 0 };
            let minute = *chunk.book.minute.get_or_insert(now.as_second().div_euclid(60));
            changes.push(Change::set(MINUTE, minute));
            writes.push(counters::book(chunk.books, &chunk.key, minute, &deltas, closed, joining));
        }
        if let (Next::Close, Books::Calls { actions, .. }) = (next, chunk.books) {
            writes.push(call::closed_write(chunk.key.execution, actions, now));
        }
        writes.insert(0, Write::update(LEDGER, key(&chunk.key), changes).when(chunk.mine()));
        if !details.is_empty() {
            writes.push(detail_write(&chunk.key, details, expires));
        }
        for pause in PAUSES {
            match self.platform.commit(writes.clone(), messages.clone()).await {
                Ok(()) => {
                    chunk.written();
                    return Ok(Ok(()));
                }
                Err(TransactError::ConditionFailed(_)) => {
                    let item = self.platform.table.get(LEDGER, &key(&chunk.key), Consistency::Strong).await?;
                    if !item.is_some_and(|item| chunk.is_next(&item)) {
                        return Ok(Err(Lost));
                    }
                    // An earlier try wrote, the engine's own too, but may not have come to sending. A message too many does no harm.
                    self.platform.queue.send(messages).await?;
                    chunk.written();
                    return Ok(Ok(()));
                }
                Err(TransactError::Engine(error)) => {
                    self.pause_or(pause, error).await.inspect_err(|_| chunk.failed())?;
                }
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }
}

pub(super) fn key(chunk: &ChunkKey) -> Key {
    Key::new(tables::shard(chunk.execution, chunk.shard), sort_key(chunk.action, chunk.number))
}

/// Stands before the numbers of other lanes than the first, which have more digits and come after its.
const LATER: char = 'r';

pub(super) fn sort_key(action: u8, number: u32) -> String {
    if number < NUMBERS {
        format!("C#{action:02}#{number:06}")
    } else {
        format!("C#{action:02}#{LATER}{number:010}")
    }
}

/// The chunk under this key: the other way round than [`key`].
pub(super) fn chunk_of(key: &Key) -> Option<ChunkKey> {
    let rest = key.pk.strip_prefix("x#")?;
    let (execution, shard) = match rest.split_once('#') {
        None => (rest, CALL_SHARD),
        Some((execution, shard)) => (execution, shard.parse().ok()?),
    };
    let (action, number) = key.sk.strip_prefix("C#")?.split_once('#')?;
    let number = number.strip_prefix(LATER).unwrap_or(number);
    Some(ChunkKey {
        execution: execution.parse().ok()?,
        shard,
        action: action.parse().ok()?,
        number: number.parse().ok()?,
    })
}

pub(super) fn detail_key(chunk: &ChunkKey) -> Key {
    beside(chunk, 'D', "")
}

/// The key of what lies beside a chunk, behind all chunks of its shard: of this kind, and more where there are several.
pub(super) fn beside(chunk: &ChunkKey, kind: char, more: &str) -> Key {
    let sort_key = format!("{kind}#{:02}#{:06}{more}", chunk.action, chunk.number);
    Key::new(tables::shard(chunk.execution, chunk.shard), sort_key)
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

/// The number of the first attempt of a presumed claim: by chance, since two may presume the same at the same time, and
/// each must know its own write.
fn first_attempt() -> i64 {
    let bytes: [u8; 4] = random_bytes()[..4].try_into().unwrap_or_default();
    u32::from_be_bytes(bytes).into()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn corrupt() -> StoreError {
    StoreError::Corrupt { what: WHAT, source: None }
}

pub(super) fn members(item: &Item) -> Result<Members, StoreError> {
    item.bytes(MEMBERS).and_then(|bytes| Members::unpack(bytes).ok()).ok_or_else(corrupt)
}

/// A member's bit, of which there are more than members.
fn bit(member: usize) -> i64 {
    u32::try_from(member).ok().and_then(|member| 1_i64.checked_shl(member)).unwrap_or(0)
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
        let resting = item.number(RESTING).unwrap_or(0);
        let window = unpack_window(packed, members.len()).ok_or_else(corrupt)?;
        for member in window.filter(|member| resting & bit(*member) == 0) {
            members.doubt(member..member + 1);
        }
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
            minute: item.number(MINUTE),
            doubt_since_ms,
            go_on: usize::try_from(small(GO_ON)).unwrap_or(0),
        },
        lease_until_ms,
        books: Books::Execution,
        resting: 0,
        attempt: item.number(ATTEMPT).ok_or_else(corrupt)?,
        revision: item.number(REVISION).ok_or_else(corrupt)?,
        unsure: false,
        met_trouble: false,
        presumed: None,
    })
}
