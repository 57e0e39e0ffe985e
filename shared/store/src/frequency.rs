//! What people were sent lately, as far as frequency caps count it: one item a person, changed on condition that it is as
//! it was read. So however many campaigns ask for a person at the same time, no more of them get a place than there are.

use std::collections::HashMap;
use std::time::Duration;

use campaign::ProfileId;
use campaign::frequency::{ClaimTag, Entry, Lately, Limit, MessageTag, Reserved};
use futures::future::join_all;
use platform::{Change, Condition, Consistency, Item, Key, Platform, PlatformError, Updated, Write, table};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::error::refused;
use crate::messages::ChunkKey;
use crate::tables::{self, LEDGER};

const WHAT: &str = "frequency cap";
const ENTRIES: &str = "b";
const REVISION: &str = "r";
/// How long an item is kept after its last change, in seconds: longer than the longest period.
const KEEP_SECONDS: i64 = 40 * 24 * 3600;
/// How often a change is tried anew when others change the same person's item at the same time. Each time one of them
/// comes through.
const TRIES: usize = 200;
/// The pauses between the tries while the engine is out of reach.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// What somebody was sent lately, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    lately: Lately,
    /// 0 where there is no item.
    revision: i64,
}

/// A place that is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose.
    pub profile: ProfileId,
    /// What they were sent lately, as it was read a while ago.
    pub counted: Counted,
    /// The message.
    pub entry: Entry,
    /// What all caps say of them now.
    pub limits: Vec<Limit>,
}

/// A place that is given back.
#[derive(Debug, Clone)]
pub struct Returned {
    /// Whose.
    pub profile: ProfileId,
    /// Which message had it.
    pub message: MessageTag,
    /// In which claims it may have been reserved: in any other, it is another's.
    pub claims: Vec<ClaimTag>,
}

/// The repository of what people were sent lately.
#[derive(Debug, Clone)]
pub struct Frequency {
    platform: Platform,
}

impl Counted {
    /// In which claim a message was counted last.
    pub fn claim_of(&self, message: MessageTag) -> Option<ClaimTag> {
        self.lately.claim_of(message)
    }

    /// Whether there is no place left, as far as was read.
    pub fn is_capped(&self, entry: Entry, limits: &[Limit]) -> bool {
        self.lately.reserve(entry, limits) == Reserved::Capped
    }
}

/// The message of a member of a chunk, as caps know it.
pub fn message(chunk: &ChunkKey, index: usize) -> MessageTag {
    let mut hash = Sha256::new();
    hash.update(chunk.execution.as_bytes());
    hash.update(chunk.shard.to_be_bytes());
    hash.update([chunk.action]);
    hash.update(chunk.number.to_be_bytes());
    hash.update(u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes());
    let bytes: [u8; 8] = hash.finalize()[..8].try_into().unwrap_or_default();
    MessageTag(u64::from_be_bytes(bytes))
}

impl Frequency {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// What these people were sent lately, strongly read. Who is not in it was sent nothing.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn read(&self, people: &[ProfileId]) -> Result<HashMap<ProfileId, Counted>, StoreError> {
        let keys: HashMap<Key, ProfileId> = people.iter().map(|person| (key(*person), *person)).collect();
        let wanted: Vec<Key> = keys.keys().cloned().collect();
        let mut found = HashMap::with_capacity(wanted.len());
        for some in wanted.chunks(table::MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(LEDGER, some, Consistency::Strong).await? {
                if let Some(person) = keys.get(&item.key) {
                    found.insert(*person, counted(&item)?);
                }
            }
        }
        Ok(found)
    }

    /// Forgets what somebody was sent lately, who is erased.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn forget(&self, person: ProfileId) -> Result<(), StoreError> {
        refused(self.platform.table.transact(vec![Write::delete(LEDGER, key(person))]).await)?;
        Ok(())
    }

    /// Takes these places at the same time, each with one conditional write where `counted` is still right. Says of each
    /// whether it was there to be taken. Who asks again for the same message gets the same place again.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where a person's item keeps changing. Some places may be taken then: who
    /// asks again gets them.
    pub async fn reserve(&self, asked: Vec<Asked>) -> Result<Vec<bool>, StoreError> {
        join_all(asked.into_iter().map(|asked| self.reserve_one(asked))).await.into_iter().collect()
    }

    async fn reserve_one(&self, asked: Asked) -> Result<bool, StoreError> {
        let Asked { profile, mut counted, entry, limits } = asked;
        for _ in 0..TRIES {
            let next = match counted.lately.reserve(entry, &limits) {
                Reserved::Capped => return Ok(false),
                Reserved::Already => return Ok(true),
                Reserved::With(next) => next,
            };
            match self.write(profile, counted.revision, &next).await? {
                None => return Ok(true),
                Some(other) => counted = other,
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Gives these places back at the same time. What is not there, or is another claim's by now, stays as it is.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`]. Some may be given back then.
    pub async fn give_back(&self, returned: Vec<Returned>) -> Result<(), StoreError> {
        join_all(returned.into_iter().map(|returned| self.give_back_one(returned)))
            .await
            .into_iter()
            .collect()
    }

    async fn give_back_one(&self, returned: Returned) -> Result<(), StoreError> {
        let at = key(returned.profile);
        let read = || self.platform.table.get(LEDGER, &at, Consistency::Strong);
        let Some(item) = self.within_pauses(read).await? else { return Ok(()) };
        let mut found = counted(&item)?;
        for _ in 0..TRIES {
            let Some(next) = found.lately.without(returned.message, &returned.claims) else { return Ok(()) };
            match self.write(returned.profile, found.revision, &next).await? {
                None => return Ok(()),
                Some(other) => found = other,
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Writes what somebody was sent lately over what was read at `revision`. Where that is not the newest, gives what is.
    async fn write(
        &self,
        profile: ProfileId,
        revision: i64,
        next: &Lately,
    ) -> Result<Option<Counted>, StoreError> {
        let condition =
            if revision == 0 { Condition::NotExists } else { Condition::equals(REVISION, revision) };
        let expires = self.platform.clock.now().as_second() + KEEP_SECONDS;
        let changes = vec![
            Change::set(ENTRIES, next.pack()),
            Change::set(REVISION, revision + 1),
            Change::Expires(Some(expires)),
        ];
        let at = key(profile);
        let update = || self.platform.table.update(LEDGER, &at, Some(condition.clone()), changes.clone());
        match self.within_pauses(update).await? {
            Updated::New(_) => Ok(None),
            Updated::Refused(None) => Ok(Some(Counted::default())),
            Updated::Refused(Some(item)) => counted(&item).map(Some),
        }
    }

    /// Tries anew while the engine is out of reach. A write that was made all the same is then refused, and shows in what
    /// is there.
    async fn within_pauses<T, F>(&self, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, PlatformError>>,
    {
        for pause in PAUSES {
            match call().await {
                Err(PlatformError::Unavailable { .. }) => self.platform.clock.sleep(pause).await,
                result => return Ok(result?),
            }
        }
        Ok(call().await?)
    }
}

fn counted(item: &Item) -> Result<Counted, StoreError> {
    let corrupt = || StoreError::Corrupt { what: WHAT, source: None };
    let bytes = item.bytes(ENTRIES).ok_or_else(corrupt)?;
    let lately = Lately::unpack(bytes).map_err(|_| corrupt())?;
    Ok(Counted { lately, revision: item.number(REVISION).ok_or_else(corrupt)? })
}

fn key(profile: ProfileId) -> Key {
    Key::new(tables::frequency(profile), "CAP")
}

#[cfg(test)]
mod tests;
