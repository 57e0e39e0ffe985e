//! Cursors: where the fan-out of one shard stands.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::plan::Lane;
use campaign::schedule::ZoneSource;
use campaign::{ExecutionId, ProfileId};
use jiff::Timestamp;
use platform::{Change, Condition, Consistency, Due, Item, Key, Message, Updated, Write};
use serde::{Deserialize, Serialize};

use super::lease::{self, Worker};
use super::{Head, Ledger, NewChunk, chunk};
use crate::StoreError;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::messages::FanOut;
use crate::tables::{self, LEDGER};

const WHAT: &str = "cursor";
const OPEN: &str = "open";
const DONE: &str = "done";
/// When the sweep looks at the shard next: as `due`, but open to conditions.
const LOOK: &str = "look";
const SEEN: &str = "seen";
const SEEN_AT: &str = "seen_at";
const HELPED: &str = "helped";
/// How many chunks of each lane the sweep has released.
const RELEASED: &str = "released";
/// How often chunks were opened again.
const OPENED: &str = "opened";

/// The attribute that holds, for each lane of an action, how many of its first chunks were closed when it was last looked
/// at.
fn lowest(action: usize) -> String {
    format!("low{action}")
}

/// Where the fan-out of one shard stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which shard.
    pub shard: FanOut,
    /// Where in its audience to read on; `None` at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Whether the audience has been read to its end (or the execution was stopped).
    #[serde(default)]
    pub read: bool,
    /// For how many actions it makes chunks.
    pub actions: u8,
    /// Where the chunks of each lane stand.
    #[serde(default)]
    pub lanes: Lanes<LaneCursor>,
    /// How many members were read.
    #[serde(default)]
    pub members: u64,
    /// Whose zone was meant for how many of them, where it is their own that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Zones>,
    /// How many profiles the rule could not decide about.
    #[serde(default)]
    pub undecided: u64,
    /// For each lane the recipients who are not in a chunk yet. Every action has the same.
    #[serde(skip)]
    pub open: BTreeMap<Lane, Vec<ProfileId>>,
    /// Whether everything is written and enqueued.
    #[serde(skip)]
    pub done: bool,
    /// Until when somebody works on it, in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub leased_until_ms: Option<i64>,
    /// What the sweep saw when the shard last moved.
    #[serde(skip)]
    pub seen: Option<Seen>,
    /// For each action how many of a lane's first chunks were closed when the sweep last looked.
    #[serde(skip)]
    pub closed: Vec<Lanes<u32>>,
    /// How many of a lane's chunks the sweep has released.
    #[serde(skip)]
    pub released: Lanes<u32>,
    /// How often chunks of it were opened again: what was read of its chunks before the last time is out of date.
    #[serde(skip)]
    opened: i64,
    #[serde(skip)]
    revision: i64,
}

/// A shard as the sweep saw it, to tell one that moves from one that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// A number that changes with every change of its chunks.
    pub mark: i64,
    /// When it was first seen so, or last helped on, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How often it was helped on since it was first seen so.
    pub helped: u32,
}

/// Something for each lane that has any.
pub type Lanes<T> = BTreeMap<Lane, T>;

/// Where the chunks of one lane of a shard stand: each action has as many, of the same members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCursor {
    /// How many chunks of each action are written.
    #[serde(rename = "w")]
    pub written: u32,
    /// How many of them are known to be enqueued by the fan-out.
    #[serde(rename = "e")]
    pub enqueued: u32,
    /// How many members they have.
    #[serde(rename = "m")]
    pub members: u64,
}

/// Whose time zone was meant for how many members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zones {
    /// Their own.
    pub profile: u64,
    /// The campaign's, since they have none.
    pub missing: u64,
    /// The campaign's, since what they have is no zone.
    pub invalid: u64,
}

impl Zones {
    /// Counts one more.
    pub fn count(&mut self, source: ZoneSource) {
        *match source {
            ZoneSource::Profile => &mut self.profile,
            ZoneSource::Missing => &mut self.missing,
            ZoneSource::Invalid => &mut self.invalid,
        } += 1;
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        self.profile += other.profile;
        self.missing += other.missing;
        self.invalid += other.invalid;
    }
}

/// What claiming a cursor gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorClaim {
    /// It is yours until the lease ends.
    Claimed(Box<Cursor>),
    /// Its fan-out is complete.
    Done,
    /// Another works on it, until this instant (milliseconds since the Unix epoch).
    Leased(i64),
    /// It is not there.
    Missing,
}

impl Cursor {
    /// The cursor of a shard of this execution whose fan-out has not begun.
    pub fn first(shard: FanOut, head: &Head) -> Self {
        let actions = u8::try_from(head.actions.len()).unwrap_or(u8::MAX);
        Self {
            shard,
            position: None,
            read: false,
            actions,
            lanes: Lanes::new(),
            members: 0,
            zones: None,
            undecided: 0,
            open: BTreeMap::new(),
            done: false,
            leased_until_ms: None,
            seen: None,
            closed: vec![Lanes::new(); usize::from(actions)],
            released: Lanes::new(),
            opened: 0,
            revision: 0,
        }
    }

    /// How many chunks of each action are written.
    pub fn written(&self) -> u32 {
        self.lanes.values().map(|lane| lane.written).sum()
    }

    /// How many members the chunks of each action have.
    pub fn targeted(&self) -> u64 {
        self.lanes.values().map(|lane| lane.members).sum()
    }

    /// How many of a lane's first chunks have had their message, from the fan-out or from the sweep.
    pub fn enqueued(&self, lane: Lane) -> u32 {
        let enqueued = self.lanes.get(&lane).map_or(0, |stands| stands.enqueued);
        self.released.get(&lane).copied().unwrap_or(0).max(enqueued)
    }

    /// Its first write, due soon: if the message that begins the fan-out is lost, the sweep sends another.
    pub(super) fn write_first(&self, now: Timestamp, expires: i64) -> Result<Write, StoreError> {
        let first_look_ms = now.as_millisecond() + FIRST_LOOK_MS;
        let mut item = Item::new(key(self.shard))
            .with(DOCUMENT, document::encode(WHAT, self)?)
            .with(OPEN, self.pack())
            .with(REVISION, 1)
            .with(LOOK, first_look_ms);
        item.due = Some(due(self.shard, first_look_ms));
        item.expires = Some(expires);
        Ok(Write::put(LEDGER, item).when(Condition::NotExists))
    }

    /// The write by which the shard of an ended execution is no longer due.
    pub(super) fn rest(shard: FanOut) -> Write {
        Write::update(LEDGER, key(shard), vec![Change::Due(None)]).when(Condition::Exists)
    }

    /// The write by which the shard of an execution that is taken up again is looked at from `at_ms` on.
    pub(super) fn wake(shard: FanOut, at_ms: i64, actions: usize) -> Write {
        let mut changes = vec![Change::Due(Some(due(shard, at_ms))), Change::set(LOOK, at_ms)];
        // Chunks are opened anywhere.
        changes.push(Change::add(OPENED, 1));
        changes.extend((0..actions).map(|action| Change::Remove(lowest(action))));
        Write::update(LEDGER, key(shard), changes).when(Condition::Exists)
    }

    /// The write by which the shard of an execution that is resumed is looked at from `at_ms` on. What was seen of it
    /// before says nothing: nothing moved because nothing was to.
    pub(super) fn go_on(shard: FanOut, at_ms: i64) -> Write {
        let changes = vec![
            Change::Due(Some(due(shard, at_ms))),
            Change::set(LOOK, at_ms),
            Change::Remove(SEEN.to_owned()),
        ];
        Write::update(LEDGER, key(shard), changes).when(Condition::Exists)
    }

    /// The write that says that a chunk of an action was opened again, wherever it lies.
    pub(super) fn reopened(shard: FanOut, action: u8) -> Write {
        let changes = vec![Change::Remove(lowest(usize::from(action))), Change::add(OPENED, 1)];
        Write::update(LEDGER, key(shard), changes).when(Condition::Exists)
    }

    /// The open recipients as bytes: for each lane its number and theirs (two bytes each) and their ids.
    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (lane, open) in self.open.iter().filter(|(_, open)| !open.is_empty()) {
            bytes.extend_from_slice(&lane.get().to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(open.len()).unwrap_or(u16::MAX).to_be_bytes());
            open.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        }
        bytes
    }

    fn unpack(mut bytes: &[u8]) -> Option<BTreeMap<Lane, Vec<ProfileId>>> {
        let mut open = BTreeMap::new();
        while !bytes.is_empty() {
            let (lane, rest) = bytes.split_first_chunk::<2>()?;
            let (count, rest) = rest.split_first_chunk::<2>()?;
            let (ids, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 16)?;
            let ids = ids.as_chunks::<16>().0.iter().map(|id| ProfileId::from_bytes(*id)).collect();
            open.insert(Lane::from_stored(u16::from_be_bytes(*lane)), ids);
            bytes = rest;
        }
        Some(open)
    }

    fn changes(&self) -> Result<Vec<Change>, StoreError> {
        Ok(vec![
            Change::set(DOCUMENT, document::encode(WHAT, self)?),
            Change::set(OPEN, self.pack()),
            Change::add(REVISION, 1),
        ])
    }

    fn mine(&self) -> Condition {
        Condition::equals(REVISION, self.revision)
    }

    /// No chunk of it was opened again since it was read.
    fn unopened(&self) -> Condition {
        match self.opened {
            0 => Condition::Lacks(OPENED.to_owned()),
            opened => Condition::equals(OPENED, opened),
        }
    }
}

/// How long after its start a shard is looked at for the first time.
const FIRST_LOOK_MS: i64 = 10_000;

impl Ledger {
    /// Claims the cursor of a shard for `lease`.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn claim_cursor(
        &self,
        shard: FanOut,
        worker: &Worker,
        lease: Duration,
    ) -> Result<CursorClaim, StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let until_ms = now_ms + i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let condition = Condition::All(vec![
            Condition::Exists,
            Condition::Lacks(DONE.to_owned()),
            worker.may_take(now_ms),
        ]);
        let mut changes = worker.take(until_ms).to_vec();
        changes.push(Change::add(REVISION, 1));
        Ok(match self.platform.table.update(LEDGER, &key(shard), Some(condition), changes).await? {
            Updated::New(item) => CursorClaim::Claimed(Box::new(read(&item)?)),
            Updated::Refused(None) => CursorClaim::Missing,
            Updated::Refused(Some(item)) if item.number(DONE).is_some() => CursorClaim::Done,
            Updated::Refused(Some(item)) => CursorClaim::Leased(item.number(lease::LEASE).unwrap_or(now_ms)),
        })
    }

    /// The cursor of a shard, strongly read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn cursor(&self, shard: FanOut) -> Result<Option<Cursor>, StoreError> {
        let item = self.platform.table.get(LEDGER, &key(shard), Consistency::Strong).await?;
        item.as_ref().map(read).transpose()
    }

    /// Writes new chunks and the cursor past them in one transaction, then enqueues the chunks. False where another
    /// worker or a stop was faster: then nothing was written.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn advance(
        &self,
        cursor: &mut Cursor,
        chunks: Vec<NewChunk>,
        messages: Vec<Message>,
    ) -> Result<bool, StoreError> {
        let now_seconds = self.platform.clock.now().as_second();
        let mut writes =
            vec![Write::update(LEDGER, key(cursor.shard), cursor.changes()?).when(cursor.mine())];
        writes.extend(chunk::first_writes(chunks, now_seconds));
        let written = refused(self.platform.commit(writes, messages).await)?.is_none();
        cursor.revision += 1;
        Ok(written)
    }

    /// Gives the cursor back: done, so that its chunks are all there is; or not done, to go on with by `messages`.
    /// False where another worker or a stop was faster.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn release_cursor(&self, cursor: &Cursor, messages: Vec<Message>) -> Result<bool, StoreError> {
        let mut changes = cursor.changes()?;
        changes.extend(lease::give_back());
        if cursor.done {
            changes.push(Change::set(DONE, 1));
        }
        let writes = vec![Write::update(LEDGER, key(cursor.shard), changes).when(cursor.mine())];
        Ok(refused(self.platform.commit(writes, messages).await)?.is_none())
    }

    /// Ends the fan-out of a shard where it stands, whoever works on it: what it would write now is refused. Nothing
    /// happens where it is done already.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn close_cursor(&self, shard: FanOut) -> Result<(), StoreError> {
        let condition = Condition::All(vec![Condition::Exists, Condition::Lacks(DONE.to_owned())]);
        let mut changes = vec![Change::set(DONE, 1), Change::add(REVISION, 1)];
        changes.extend(lease::give_back());
        self.platform.table.update(LEDGER, &key(shard), Some(condition), changes).await?;
        Ok(())
    }

    /// Begins a look at the shard: it is looked at again at `at_ms` (milliseconds since the Unix epoch) at the latest.
    /// Done before anything of it is read, so that whoever asks for an earlier look meanwhile is heard.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn begin_look(&self, shard: FanOut, at_ms: i64) -> Result<(), StoreError> {
        self.look(shard, at_ms, Condition::Exists, &[]).await
    }

    /// Remembers how many chunks of each lane have been released.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn release(&self, shard: FanOut, released: &Lanes<u32>) -> Result<(), StoreError> {
        let changes = vec![Change::set(RELEASED, pack_lanes(released))];
        self.platform.table.update(LEDGER, &key(shard), Some(Condition::Exists), changes).await?;
        Ok(())
    }

    /// Ends a look at the chunks behind `cursor`, which was read before them: what was seen, and for each action behind
    /// which chunk of each lane the next look has to read. Where chunks were opened again meanwhile, wherever they lie, the
    /// next look reads from the first one on.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn end_look(
        &self,
        cursor: &Cursor,
        seen: Seen,
        closed: &[Lanes<u32>],
    ) -> Result<(), StoreError> {
        let key = key(cursor.shard);
        let seen = vec![
            Change::set(SEEN, seen.mark),
            Change::set(SEEN_AT, seen.at_ms),
            Change::set(HELPED, i64::from(seen.helped)),
        ];
        let lows = closed.iter().enumerate();
        let lows = lows.map(|(action, closed)| Change::set(&lowest(action), pack_lanes(closed)));
        let all = seen.iter().cloned().chain(lows).collect();
        let unopened = Condition::All(vec![Condition::Exists, cursor.unopened()]);
        if let Updated::Refused(Some(_)) =
            self.platform.table.update(LEDGER, &key, Some(unopened), all).await?
        {
            self.platform.table.update(LEDGER, &key, Some(Condition::Exists), seen).await?;
        }
        Ok(())
    }

    /// No longer looks at the shard, whose execution has ended or is gone; unless, since the look that began by asking
    /// for the next one at `asked_ms`, somebody has asked for another.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn look_never(&self, shard: FanOut, asked_ms: i64) -> Result<(), StoreError> {
        let changes = vec![Change::Due(None)];
        let unasked = Condition::equals(LOOK, asked_ms);
        self.platform.table.update(LEDGER, &key(shard), Some(unasked), changes).await?;
        Ok(())
    }

    /// Looks at the shard again at `at_ms`, where it would be looked at later than that.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn look_by(&self, shard: FanOut, at_ms: i64) -> Result<(), StoreError> {
        self.look(shard, at_ms, Condition::Above(LOOK.to_owned(), at_ms), &[]).await
    }

    async fn look(
        &self,
        shard: FanOut,
        at_ms: i64,
        condition: Condition,
        more: &[Change],
    ) -> Result<(), StoreError> {
        let mut changes = vec![Change::Due(Some(due(shard, at_ms))), Change::set(LOOK, at_ms)];
        changes.extend_from_slice(more);
        self.platform.table.update(LEDGER, &key(shard), Some(condition), changes).await?;
        Ok(())
    }
}

/// A number for each lane, as bytes: the lane's and it.
fn pack_lanes(lanes: &Lanes<u32>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lanes.len() * 6);
    for (lane, number) in lanes {
        bytes.extend_from_slice(&lane.get().to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn unpack_lanes(bytes: &[u8]) -> Lanes<u32> {
    let (lanes, _) = bytes.as_chunks::<6>();
    let read = |[a, b, number @ ..]: &[u8; 6]| {
        (Lane::from_stored(u16::from_be_bytes([*a, *b])), u32::from_be_bytes(*number))
    };
    lanes.iter().map(read).collect()
}

fn key(shard: FanOut) -> Key {
    Key::new(tables::shard(shard.execution, shard.shard), "CURSOR")
}

fn due(shard: FanOut, at_ms: i64) -> Due {
    let execution: ExecutionId = shard.execution;
    Due { bucket: tables::bucket(execution.as_bytes()), at_ms }
}

fn read(item: &Item) -> Result<Cursor, StoreError> {
    let mut cursor: Cursor = document::decode(WHAT, item)?;
    let open = item.bytes(OPEN).and_then(Cursor::unpack);
    cursor.open = open.ok_or(StoreError::Corrupt { what: WHAT, source: None })?;
    cursor.leased_until_ms = item.number(lease::LEASE);
    let small = |name: &str| item.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    cursor.seen = item.number(SEEN).zip(item.number(SEEN_AT)).map(|(mark, at_ms)| Seen {
        mark,
        at_ms,
        helped: small(HELPED),
    });
    let lanes = |name: &str| item.bytes(name).map(unpack_lanes).unwrap_or_default();
    cursor.closed = (0..usize::from(cursor.actions)).map(|action| lanes(&lowest(action))).collect();
    cursor.released = lanes(RELEASED);
    cursor.done = item.number(DONE).is_some();
    cursor.opened = item.number(OPENED).unwrap_or(0);
    cursor.revision = item.number(REVISION).unwrap_or(0);
    Ok(cursor)
}

#[cfg(test)]
mod tests;
