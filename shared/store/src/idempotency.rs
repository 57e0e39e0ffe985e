//! Answers kept for repeated calls: the first call with a key is carried out, later ones get its answer.

use campaign::id::random_bytes;
use jiff::SignedDuration;
use platform::{Change, Condition, Consistency, Item, Key, Platform, Updated, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::error::refused;
use crate::tables::LEDGER;

const WHAT: &str = "kept answer";
const BODY_HASH: &str = "body";
const OWNER: &str = "owner";
const LEASE: &str = "lease";
/// A part of a body.
const PART: &str = "part";
/// Begins the partition of a kept answer.
const PARTITION: &str = "idem#";
/// How long an answer is kept, in seconds.
const KEEP_SECONDS: i64 = 24 * 3600;
/// How long a call may take. One that is not over by then was lost with its process, and its key may be used again.
const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(60);
/// The most bytes of a body that one item holds: far below an item's limit.
const PART_BYTES: usize = 256 * 1024;
/// The most parts of a body that is kept, and some.
const MOST_PARTS: usize = 100;

/// The repository of kept answers.
#[derive(Debug, Clone)]
pub struct Idempotency {
    platform: Platform,
}

/// What names a call: who makes it, what is called, and the key the caller gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKey(String);

impl CallKey {
    /// The name of a call with these parts.
    pub fn new(caller: &str, method: &str, path: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [caller, method, path, key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(data_encoding::HEXLOWER.encode(&hash.finalize()))
    }

    fn item(&self, part: usize) -> Key {
        let sk = if part == 0 { "CALL".to_owned() } else { format!("PART#{part:04}") };
        Key::new(format!("{PARTITION}{}", self.0), sk)
    }
}

/// An answer to be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers worth repeating, by name.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// A call that is being carried out, by whoever holds this.
#[derive(Debug)]
pub struct Call {
    key: CallKey,
    owner: Vec<u8>,
}

/// What beginning a call gives.
#[derive(Debug)]
pub enum Begun {
    /// It is the first with this key: carry it out, then [`Idempotency::keep`] the answer or [`Idempotency::release`] it.
    First(Call),
    /// The first one is under way.
    InProgress,
    /// The key was used with another body.
    OtherBody,
    /// It was answered already.
    Answered(KeptAnswer),
    /// It was answered already, and what the answer held is erased.
    Erased,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    answer: KeptAnswer,
    body_bytes: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

/// Whether an item is a part of a kept answer in which this name stands.
pub(crate) fn names(item: &Item, name: &str) -> bool {
    item.key.pk.starts_with(PARTITION)
        && item.bytes(PART).is_some_and(|part| memchr::memmem::find(part, name.as_bytes()).is_some())
}

impl Idempotency {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Begins a call, or finds what became of the first one with its key.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn begin(&self, key: CallKey, body: &[u8]) -> Result<Begun, StoreError> {
        let now = self.platform.clock.now();
        let body_hash = Sha256::digest(body).to_vec();
        let owner = random_bytes().to_vec();
        let lost = Condition::All(vec![
            Condition::Lacks(DOCUMENT.to_owned()),
            Condition::equals(BODY_HASH, body_hash.clone()),
            Condition::Below(LEASE.to_owned(), now.as_millisecond()),
        ]);
        let changes = vec![
            Change::set(BODY_HASH, body_hash.clone()),
            Change::set(OWNER, owner.clone()),
            Change::set(LEASE, (now + LONGEST_CALL).as_millisecond()),
            Change::Expires(Some(now.as_second() + KEEP_SECONDS)),
        ];
        let free = Condition::Any(vec![Condition::NotExists, lost]);
        let item = match self.platform.table.update(LEDGER, &key.item(0), Some(free), changes).await? {
            Updated::New(_) => return Ok(Begun::First(Call { key, owner })),
            // Gone in this moment: whoever held it gave it back.
            Updated::Refused(None) => return Ok(Begun::InProgress),
            Updated::Refused(Some(item)) => item,
        };
        if item.bytes(BODY_HASH) != Some(&body_hash) {
            return Ok(Begun::OtherBody);
        }
        if item.bytes(DOCUMENT).is_none() {
            return Ok(Begun::InProgress);
        }
        let Kept { mut answer, body_bytes, erased } = document::decode(WHAT, &item)?;
        if erased {
            return Ok(Begun::Erased);
        }
        let parts: Vec<_> = (1..=body_bytes.div_ceil(PART_BYTES)).map(|part| key.item(part)).collect();
        for part in &parts {
            let item = self.platform.table.get(LEDGER, part, Consistency::Strong).await?;
            let bytes = item.as_ref().and_then(|item| item.bytes(PART));
            answer.body.extend_from_slice(bytes.ok_or(StoreError::Corrupt { what: WHAT, source: None })?);
        }
        Ok(Begun::Answered(answer))
    }

    /// Keeps the answer of a call that was carried out.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn keep(&self, call: &Call, answer: &KeptAnswer) -> Result<(), StoreError> {
        // The parts outlive the item that counts them, so that none is missing while it is there.
        let expires = self.platform.clock.now().as_second() + KEEP_SECONDS;
        let parts: Vec<_> = answer
            .body
            .chunks(PART_BYTES)
            .enumerate()
            .map(|(index, bytes)| {
                let mut item = Item::new(call.key.item(index + 1)).with(PART, bytes.to_vec());
                item.expires = Some(expires + 3600);
                item
            })
            .collect();
        if !parts.is_empty() {
            self.platform.table.batch_put(LEDGER, parts).await?;
        }
        let kept = Kept { answer: answer.clone(), body_bytes: answer.body.len(), erased: false };
        let changes =
            vec![Change::set(DOCUMENT, document::encode(WHAT, &kept)?), Change::Expires(Some(expires))];
        let mine = Condition::equals(OWNER, call.owner.clone());
        self.platform.table.update(LEDGER, &call.key.item(0), Some(mine), changes).await?;
        Ok(())
    }

    /// Gives the key back: the call failed in a way that may be tried again.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn release(&self, call: Call) -> Result<(), StoreError> {
        let write = Write::delete(LEDGER, call.key.item(0)).when(Condition::equals(OWNER, call.owner));
        refused(self.platform.table.transact(vec![write]).await)?;
        Ok(())
    }

    /// Erases what the answer of this partition held: the call stays made, and whoever repeats it is told so. Whether there
    /// was something.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn erase(&self, partition: &str) -> Result<bool, StoreError> {
        let Some(name) = partition.strip_prefix(PARTITION) else { return Ok(false) };
        let key = CallKey(name.to_owned());
        let found = self.platform.table.get(LEDGER, &key.item(0), Consistency::Strong).await?;
        let mut parts = MOST_PARTS;
        if let Some(item) = found {
            if item.bytes(DOCUMENT).is_some() {
                let mut kept: Kept = document::decode(WHAT, &item)?;
                parts = kept.body_bytes.div_ceil(PART_BYTES);
                kept.erased = true;
                kept.answer.headers.clear();
                let there = Condition::Has(DOCUMENT.to_owned());
                let changes = vec![Change::set(DOCUMENT, document::encode(WHAT, &kept)?)];
                self.platform.table.update(LEDGER, &key.item(0), Some(there), changes).await?;
            } else if item
                .number(LEASE)
                .is_some_and(|until| until > self.platform.clock.now().as_millisecond())
            {
                // It is being kept in this moment, and must not lack a part then.
                return Ok(false);
            }
        }
        let writes: Vec<_> = (1..=parts).map(|part| Write::delete(LEDGER, key.item(part))).collect();
        for some in writes.chunks(platform::table::MAX_TRANSACTION) {
            refused(self.platform.table.transact(some.to_vec()).await)?;
        }
        Ok(true)
    }
}
