//! Cursors: where the fan-out of one shard stands.

use std::time::Duration;

use campaign::chunk::Members;
use campaign::{ExecutionId, ProfileId};
use jiff::Timestamp;
use platform::{Change, Condition, Consistency, Due, Item, Key, Message, Updated, Write};
use serde::{Deserialize, Serialize};

use super::lease::{self, Worker};
use super::{Ledger, chunk};
use crate::StoreError;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::messages::{ChunkKey, FanOut};
use crate::tables::{self, LEDGER, LEDGER_TTL_SECONDS};

const WHAT: &str = "cursor";
const OPEN: &str = "open";
const DONE: &str = "done";
/// When the sweep looks at the shard next: as `due`, but open to conditions.
const LOOK: &str = "look";
const SEEN: &str = "seen";
const SEEN_AT: &str = "seen_at";
const HELPED: &str = "helped";

/// The attribute that holds the number below which all chunks of an action were closed when it was last looked at.
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
    /// For each action where its chunks stand.
    pub actions: Vec<ActionCursor>,
    /// How many profiles the rule could not decide about.
    #[serde(default)]
    pub undecided: u64,
    /// For each action the recipients who are not in a chunk yet.
    #[serde(skip)]
    pub open: Vec<Vec<ProfileId>>,
    /// Whether everything is written and enqueued.
    #[serde(skip)]
    pub done: bool,
    /// Until when somebody works on it, in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub leased_until_ms: Option<i64>,
    /// What the sweep saw when the shard last moved.
    #[serde(skip)]
    pub seen: Option<Seen>,
    /// For each action the number below which all chunks were closed when the sweep last looked.
    #[serde(skip)]
    pub lowest_open: Vec<u32>,
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

/// Where the chunks of one action of a shard stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCursor {
    /// How many chunks are written.
    pub written: u32,
    /// How many of them are known to be enqueued.
    pub enqueued: u32,
    /// How many members they have.
    pub members: u64,
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
    /// The cursor of a shard whose fan-out has not begun.
    pub fn first(shard: FanOut, actions: usize) -> Self {
        Self {
            shard,
            position: None,
            read: false,
            actions: vec![ActionCursor::default(); actions],
            undecided: 0,
            open: vec![Vec::new(); actions],
            done: false,
            leased_until_ms: None,
            seen: None,
            lowest_open: vec![0; actions],
            revision: 0,
        }
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
        changes.extend((0..actions).map(|action| Change::Remove(lowest(action))));
        Write::update(LEDGER, key(shard), changes).when(Condition::Exists)
    }

    /// The write that says that a chunk of an action was opened again, wherever it lies.
    pub(super) fn reopened(shard: FanOut, action: u8) -> Write {
        let changes = vec![Change::Remove(lowest(usize::from(action)))];
        Write::update(LEDGER, key(shard), changes).when(Condition::Exists)
    }

    /// The open recipients as bytes: for each action their number (one byte; a chunk has 50) and their ids.
    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for open in &self.open {
            bytes.push(u8::try_from(open.len()).unwrap_or(u8::MAX));
            open.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        }
        bytes
    }

    fn unpack(mut bytes: &[u8], actions: usize) -> Option<Vec<Vec<ProfileId>>> {
        let mut open = Vec::with_capacity(actions);
        for _ in 0..actions {
            let (count, rest) = bytes.split_first()?;
            let (ids, rest) = rest.split_at_checked(usize::from(*count) * 16)?;
            open.push(ids.as_chunks::<16>().0.iter().map(|id| ProfileId::from_bytes(*id)).collect());
            bytes = rest;
        }
        bytes.is_empty().then_some(open)
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
        chunks: Vec<(ChunkKey, Vec<ProfileId>)>,
        messages: Vec<Message>,
    ) -> Result<bool, StoreError> {
        let expires = self.platform.clock.now().as_second() + LEDGER_TTL_SECONDS;
        let mut writes =
            vec![Write::update(LEDGER, key(cursor.shard), cursor.changes()?).when(cursor.mine())];
        for (chunk, profiles) in chunks {
            writes.push(chunk::first(&chunk, &Members::new(profiles), expires));
        }
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

    /// Ends a look: what was seen, and from which chunk of each action on the next look has to read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn end_look(&self, shard: FanOut, seen: Seen, lowest_open: &[u32]) -> Result<(), StoreError> {
        let mut changes = vec![
            Change::set(SEEN, seen.mark),
            Change::set(SEEN_AT, seen.at_ms),
            Change::set(HELPED, i64::from(seen.helped)),
        ];
        for (action, number) in lowest_open.iter().enumerate() {
            changes.push(Change::set(&lowest(action), i64::from(*number)));
        }
        self.platform.table.update(LEDGER, &key(shard), Some(Condition::Exists), changes).await?;
        Ok(())
    }

    /// No longer looks at the shard: its execution has ended or is gone.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn look_never(&self, shard: FanOut) -> Result<(), StoreError> {
        let changes = vec![Change::Due(None)];
        self.platform.table.update(LEDGER, &key(shard), Some(Condition::Exists), changes).await?;
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

fn key(shard: FanOut) -> Key {
    Key::new(tables::shard(shard.execution, shard.shard), "CURSOR")
}

fn due(shard: FanOut, at_ms: i64) -> Due {
    let execution: ExecutionId = shard.execution;
    Due { bucket: tables::bucket(execution.as_bytes()), at_ms }
}

fn read(item: &Item) -> Result<Cursor, StoreError> {
    let mut cursor: Cursor = document::decode(WHAT, item)?;
    let open = item.bytes(OPEN).and_then(|bytes| Cursor::unpack(bytes, cursor.actions.len()));
    cursor.open = open.ok_or(StoreError::Corrupt { what: WHAT, source: None })?;
    cursor.leased_until_ms = item.number(lease::LEASE);
    let small = |name: &str| item.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    cursor.seen = item.number(SEEN).zip(item.number(SEEN_AT)).map(|(mark, at_ms)| Seen {
        mark,
        at_ms,
        helped: small(HELPED),
    });
    cursor.lowest_open = (0..cursor.actions.len()).map(|action| small(&lowest(action))).collect();
    cursor.done = item.number(DONE).is_some();
    cursor.revision = item.number(REVISION).unwrap_or(0);
    Ok(cursor)
}
