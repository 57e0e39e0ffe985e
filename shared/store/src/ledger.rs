//! The ledger: executions, their shards and chunks, and the counters: who was to get what, and what became of it.

mod call;
mod chunk;
mod counters;
mod cursor;
mod facts;
mod head;
mod learn;
pub(crate) mod lease;
mod pause;
mod series;
mod stored;
mod traces;

pub(crate) use call::plan_write;
pub use call::{CallRequest, Placed, call_id};
use campaign::{CampaignId, ExecutionId};
pub use chunk::{Begins, Bookkeeping, Claim, ClaimedChunk, Lost, NewChunk, Next, Waits};
pub use counters::{ActionCounts, Books, Release, Tally};
pub use cursor::{Cursor, CursorClaim, LaneCursor, Lanes, Seen, Zones};
pub use facts::{News, Told, Visit};
pub use head::{Audience, ExecutionSummary, Head, State};
pub use learn::{Learnt, Lesson};
pub use lease::{SKEW, Tenancy, Worker};
pub use pause::Turned;
use platform::table::DUE_BUCKETS;
use platform::{Item, Platform};
pub(crate) use series::Counters;
pub use stored::{Part, Reopened, StoredChunk};
pub use traces::{Trace, Traces};

use crate::StoreError;
use crate::messages::FanOut;
use crate::tables::LEDGER;

/// The repository of executions and everything below them.
#[derive(Debug, Clone)]
pub struct Ledger {
    platform: Platform,
}

/// Something in the ledger that wants to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overdue {
    /// An execution that has not ended.
    Execution(ExecutionId),
    /// A shard: its fan-out stands still, chunks of it are to be released, or it is to be checked.
    Shard(FanOut),
}

impl Ledger {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// What is due at `until_ms` (milliseconds since the Unix epoch), at most `limit` of each of the due buckets. What
    /// can't be read is an error in its place.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn overdue(
        &self,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Result<Overdue, StoreError>>, StoreError> {
        let mut overdue = Vec::new();
        // Another bucket first each second, so that none is always the one for which no time is left.
        let first = u8::try_from((until_ms / 1000).rem_euclid(DUE_BUCKETS.into())).unwrap_or(0);
        for bucket in (0..DUE_BUCKETS).map(|bucket| (bucket + first) % DUE_BUCKETS) {
            for item in self.platform.table.query_due(LEDGER, bucket, until_ms, limit).await? {
                overdue.push(what(&item));
            }
        }
        Ok(overdue)
    }
}

fn what(item: &Item) -> Result<Overdue, StoreError> {
    let corrupt = || StoreError::Corrupt { what: "ledger key", source: None };
    let rest = item.key.pk.strip_prefix("x#").ok_or_else(corrupt)?;
    match rest.split_once('#') {
        None => Ok(Overdue::Execution(rest.parse().map_err(|_| corrupt())?)),
        Some((execution, shard)) => Ok(Overdue::Shard(FanOut {
            execution: execution.parse().map_err(|_| corrupt())?,
            shard: shard.parse().map_err(|_| corrupt())?,
        })),
    }
}

/// The id of the execution of a campaign's occurrence: the same however often it is asked to start.
pub fn execution_id(campaign: CampaignId, occurrence_ms: i64) -> ExecutionId {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(b"occurrence");
    hash.update(campaign.as_bytes());
    hash.update(occurrence_ms.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ExecutionId::from_bytes(bytes)
}
