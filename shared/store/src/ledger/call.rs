//! Calls: executions whose recipients come with them. The execution's item holds what was asked for and what the
//! recipients need; its one conditional write makes a call unique. Its chunks are made by whoever claims them first, and
//! with the last of them closed nothing of the recipients' data stays.

use std::sync::Arc;
use std::time::Duration;

use campaign::call::{Call, MAX_CALL_BYTES};
use campaign::chunk::Members;
use campaign::model::Actor;
use campaign::{CampaignId, ExecutionId, ProfileId};
use jiff::Timestamp;
use platform::{Change, Condition, Consistency, Due, Item, Message, Updated, Write};
use serde::{Deserialize, Serialize};

use super::counters::{ActionCounts, Tally};
use super::head::{self, ENDED, STATE};
use super::{Claim, ClaimedChunk, Head, Ledger, State, Waits, Worker};
use crate::StoreError;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::messages::{CALL_SHARD, ChunkKey};
use crate::tables::{self, LEDGER, LEDGER_TTL_SECONDS};

const WHAT: &str = "call";
/// What the recipients need.
pub(super) const CALL: &str = "call";
/// On the item of an execution that is still to start: the hash of the planned call that has its name.
const PLANNED: &str = "planned";
/// How many of its actions are not through.
const LEFT: &str = "left";
/// When the sweep looks at a call for the first time: its message is lost by then.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// What was asked for, kept with the execution so that asking again gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRequest {
    /// What the caller calls it.
    pub id: String,
    /// Who asked.
    pub by: Actor,
    /// The SHA-256 of what was asked for, in hexadecimal.
    pub hash: String,
}

/// What placing a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It is the first under this name.
    New,
    /// It was placed before, as this execution.
    Before(Box<Head>),
    /// It was planned under this name and has not been placed.
    Planned,
    /// Under this name something else was asked for before.
    Other,
}

/// The id of the execution of a call: the same however often it is asked for.
pub fn call_id(campaign: CampaignId, request: &str) -> ExecutionId {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(b"call");
    hash.update(campaign.as_bytes());
    hash.update(request.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    ExecutionId::from_bytes(bytes)
}

impl Head {
    /// The chunk of an action of a call.
    pub fn call_chunk(&self, action: usize) -> ChunkKey {
        let action = u8::try_from(action).unwrap_or(u8::MAX);
        ChunkKey { execution: self.id, shard: CALL_SHARD, action, number: 0 }
    }

    /// The chunks of a call.
    pub fn call_chunks(&self) -> impl Iterator<Item = ChunkKey> + '_ {
        (0..self.actions.len()).map(|action| self.call_chunk(action))
    }

    /// Under which names the ledger knows the recipients of a call: their profiles', or where nothing stored is needed,
    /// names that say nothing.
    fn call_members(&self, call: &Call) -> Members {
        let name = |(index, recipient): (usize, &campaign::call::CallRecipient)| {
            recipient.profile.unwrap_or_else(|| self.nameless(index))
        };
        Members::new(call.recipients.iter().enumerate().map(name).collect())
    }

    /// What the ledger calls a recipient of a call of whom nothing stored is needed.
    fn nameless(&self, index: usize) -> ProfileId {
        let mut bytes = *self.id.as_bytes();
        bytes[15] ^= u8::try_from(index).unwrap_or(u8::MAX);
        ProfileId::from_bytes(bytes)
    }

    /// The stored profile of the recipient of a call that the ledger knows as `member`; `None` where nothing stored was
    /// needed. `index` is its place in the call.
    pub fn stored_profile(&self, index: usize, member: ProfileId) -> Option<ProfileId> {
        (member != self.nameless(index)).then_some(member)
    }
}

impl Ledger {
    /// Places a call: one conditional write, and with it a message for each of its actions. If those are lost, the sweep
    /// finds the call.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where its recipients need more than [`MAX_CALL_BYTES`]; as the engine's.
    pub async fn place(&self, head: &Head, call: &Call) -> Result<Placed, StoreError> {
        let now = head.started_at;
        let brought = document::encode(WHAT, call)?;
        if brought.len() > MAX_CALL_BYTES {
            let message = format!("all recipients together have at most {MAX_CALL_BYTES} bytes of JSON");
            return Err(StoreError::invalid("recipients", message));
        }
        let mut item = Item::new(tables::head(head.id))
            .with(DOCUMENT, document::encode(WHAT, head)?)
            .with(CALL, brought)
            .with(STATE, State::Running.name())
            .with(LEFT, i64::try_from(head.actions.len()).unwrap_or(i64::MAX))
            .with(REVISION, 1);
        let at_ms = now.as_millisecond() + i64::try_from(FIRST_LOOK.as_millis()).unwrap_or(i64::MAX);
        item.due = Some(Due { bucket: bucket_of(now), at_ms });
        item.expires = Some(now.as_second() + LEDGER_TTL_SECONDS);
        let messages: Vec<Message> = head.call_chunks().map(|chunk| head.first_message(&chunk)).collect();
        let writes = vec![Write::put(LEDGER, item).when(Condition::NotExists)];
        if refused(self.platform.commit(writes, messages).await)?.is_none() {
            return Ok(Placed::New);
        }
        self.placed_before(head.id, head.request.as_ref()).await
    }

    /// What was placed under this execution's name, held against what is asked for now. [`Placed::New`] where nothing was.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn placed_before(
        &self,
        id: ExecutionId,
        request: Option<&CallRequest>,
    ) -> Result<Placed, StoreError> {
        let key = tables::head(id);
        let Some(item) = self.platform.table.get(LEDGER, &key, Consistency::Strong).await? else {
            return Ok(Placed::New);
        };
        let asked = request.map(|request| request.hash.as_str());
        if let Some(planned) = item.text(PLANNED) {
            return Ok(if asked == Some(planned) { Placed::Planned } else { Placed::Other });
        }
        let before = head::read(&item)?;
        if before.request.as_ref().map(|request| request.hash.as_str()) == asked {
            Ok(Placed::Before(Box::new(before)))
        } else {
            Ok(Placed::Other)
        }
    }

    /// Claims the chunk of an action of a call for `lease`, making it where it was never claimed before.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn claim_call(
        &self,
        head: &Head,
        chunk: ChunkKey,
        worker: &Worker,
        lease: Duration,
    ) -> Result<Claim, StoreError> {
        if let Some(call) = &head.call {
            let expires = head.started_at.as_second() + LEDGER_TTL_SECONDS;
            let members = head.call_members(call);
            if let Some(claimed) = self.make_claimed(chunk, members, worker, lease, expires).await? {
                return Ok(Claim::Claimed(Box::new(claimed)));
            }
        }
        self.claim(chunk, worker, lease, Waits::Honoured).await
    }

    /// A claim of the chunk of an action of a call that nobody has claimed yet, as far as is known: the claim's first write
    /// makes the chunk, and is refused where somebody was quicker. `None` where nothing is left to deliver.
    ///
    /// For a message that comes for the first time.
    pub fn presume_call(
        &self,
        head: &Head,
        chunk: ChunkKey,
        worker: &Worker,
        lease: Duration,
    ) -> Option<ClaimedChunk> {
        let call = head.call.as_ref()?;
        let expires = head.started_at.as_second() + LEDGER_TTL_SECONDS;
        Some(self.presume(chunk, head.call_members(call), worker, lease, expires))
    }

    /// Ends a call whose actions are all through: what its recipients needed is removed. False where one is not.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn finish_call(&self, id: ExecutionId) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        let through = Condition::Below(LEFT.to_owned(), 1);
        let changes = finish(now);
        let updated = self.platform.table.update(LEDGER, &tables::head(id), Some(through), changes).await?;
        Ok(matches!(updated, Updated::New(_)))
    }

    /// What became of the recipients of an action of a call, in the order of the call. Everybody is pending before its
    /// first claim.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn call_recipients(&self, head: &Head, chunk: ChunkKey) -> Result<Members, StoreError> {
        let made = self.chunk(chunk).await?.map(|chunk| chunk.members);
        let asked = || head.call.as_ref().map(|call| head.call_members(call));
        Ok(made.or_else(asked).unwrap_or_else(|| Members::new(Vec::new())))
    }

    /// How many recipients of a call have which outcome.
    pub(super) async fn call_tally(&self, head: &Head, recipients: u32) -> Result<Tally, StoreError> {
        let mut actions = Vec::with_capacity(head.actions.len());
        for key in head.call_chunks() {
            let chunk = self.chunk(key).await?;
            let mut counts = std::collections::BTreeMap::new();
            for code in chunk.iter().flat_map(|chunk| &chunk.members.codes) {
                *counts.entry(*code).or_insert(0) += 1;
            }
            actions.push(ActionCounts {
                counts: campaign::report::Counts::new(recipients.into(), counts),
                written: 1,
                closed: chunk.map_or(0, |chunk| u64::from(chunk.closed)),
            });
        }
        Ok(Tally { actions, fanned_out: true, ..Tally::default() })
    }
}

/// The write by which a planned call takes the name of its execution, refused where another call has it. A call that is
/// made at once meets this with the write that places it, so looking for plans costs it nothing.
pub(crate) fn plan_write(id: ExecutionId, request: &CallRequest, expires: i64) -> Write {
    let mut item = Item::new(tables::head(id)).with(PLANNED, request.hash.as_str());
    item.expires = Some(expires);
    Write::put(LEDGER, item).when(Condition::NotExists)
}

/// The execution's name is free, or taken by the plan of this very request.
pub(super) fn is_free_for(request: Option<&CallRequest>) -> Condition {
    let planned = request.map(|request| Condition::equals(PLANNED, request.hash.as_str()));
    Condition::Any(std::iter::once(Condition::NotExists).chain(planned).collect())
}

/// Whether an execution's item is only the name that a planned call has taken.
pub(super) fn is_planned(item: &Item) -> bool {
    item.text(PLANNED).is_some()
}

/// The due bucket of a call: the buckets take turns, so that calls of the same moment lie together in an index and no
/// bucket gets more than others.
fn bucket_of(placed_at: Timestamp) -> u8 {
    const TURN_MS: i64 = 50;
    let turn = placed_at.as_millisecond().div_euclid(TURN_MS);
    u8::try_from(turn.rem_euclid(platform::table::DUE_BUCKETS.into())).unwrap_or(0)
}

/// The write by which a call learns that one of its actions is through. The last one's ends it.
pub(super) fn closed_write(execution: ExecutionId, actions: u8, now: Timestamp) -> Write {
    let changes = if actions <= 1 { finish(now) } else { vec![Change::add(LEFT, -1)] };
    Write::update(LEDGER, tables::head(execution), changes)
}

fn finish(now: Timestamp) -> Vec<Change> {
    vec![
        Change::set(STATE, State::Completed.name()),
        Change::set(ENDED, now.as_millisecond()),
        Change::add(REVISION, 1),
        Change::Remove(CALL.to_owned()),
        Change::Remove(LEFT.to_owned()),
        Change::Due(None),
    ]
}

/// What the recipients need, where it is still there.
pub(super) fn call_of(item: &Item) -> Result<Option<Arc<Call>>, StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: WHAT, source: Some(source) };
    item.bytes(CALL).map(|bytes| serde_json::from_slice(bytes).map(Arc::new).map_err(corrupt)).transpose()
}
