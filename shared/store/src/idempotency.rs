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
/// How long an answer is kept, in seconds.
const KEEP_SECONDS: i64 = 24 * 3600;
/// How long a call may take. One that is not over by then was lost with its process, and its key may be used again.
const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(60);
/// The most bytes of a body that one item holds: far below an item's limit.
const PART_BYTES: usize = 256 * 1024;

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
        Key::new(format!("idem#{}", self.0), sk)
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
}

#[derive(Serialize, Deserialize)]
struct Kept {
    answer: KeptAnswer,
    body_bytes: usize,
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
        let Kept { mut answer, body_bytes } = document::decode(WHAT, &item)?;
        let parts: Vec<_> = (1..=body_bytes.div_ceil(PART_BYTES)).map(|part| key.item(part)).collect();
        for part in &parts {
            let item = self.platform.table.get(LEDGER, part, Consistency::Strong).await?;
            let bytes = item.as_ref().and_then(|item| item.bytes("part"));
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
                let mut item = Item::new(call.key.item(index + 1)).with("part", bytes.to_vec());
                item.expires = Some(expires + 3600);
                item
            })
            .collect();
        if !parts.is_empty() {
            self.platform.table.batch_put(LEDGER, parts).await?;
        }
        let kept = Kept { answer: answer.clone(), body_bytes: answer.body.len() };
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
}
