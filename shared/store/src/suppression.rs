//! The suppression list: addresses nothing may be sent to, kept as keyed hashes.

use std::collections::HashSet;
use std::sync::Arc;

use campaign::Channel;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use platform::{Condition, Consistency, Item, Key, Platform, Write};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::StoreError;
use crate::error::refused;
use crate::secrets::{Purpose, Secrets};
use crate::tables::{AUDIENCE, CONTROL};

/// The secret that addresses are hashed under, so that the list can't be turned back into addresses by trying them.
#[derive(Clone)]
pub struct HashKey(pub [u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// Whether a key is the one that addresses have been hashed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCheck {
    /// It is, or it is the first.
    Same,
    /// It is another: every suppressed address would be missed.
    Other,
}

/// Holds a key against the check value of the first one, which the first call writes.
///
/// # Errors
/// As the engine's.
pub async fn check_key(platform: &Platform, key: &HashKey) -> Result<KeyCheck, StoreError> {
    let mac = keyed_hash(key, b"check");
    let at = Key::new("hash-key", "CHECK");
    let write =
        Write::put(CONTROL, Item::new(at.clone()).with("mac", mac.clone())).when(Condition::NotExists);
    if refused(platform.table.transact(vec![write]).await)?.is_none() {
        return Ok(KeyCheck::Same);
    }
    let stored = platform.table.get(CONTROL, &at, Consistency::Strong).await?;
    let same = stored.is_some_and(|item| item.text("mac") == Some(mac.as_str()));
    Ok(if same { KeyCheck::Same } else { KeyCheck::Other })
}

/// The first half of a keyed hash, in hexadecimal.
fn keyed_hash(key: &HashKey, text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.update(text);
    HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
}

/// The repository of suppressed addresses.
#[derive(Debug, Clone)]
pub struct Suppressions {
    platform: Platform,
    secrets: Secrets,
    /// Opened when it is first needed, which is once a process.
    key: Arc<OnceCell<HashKey>>,
}

impl Suppressions {
    /// Over this platform, hashing under this key; where it is not given, under the sealed one.
    pub fn new(platform: Platform, secrets: Secrets, key: Option<HashKey>) -> Self {
        Self { platform, secrets, key: Arc::new(OnceCell::new_with(key)) }
    }

    async fn key(&self) -> Result<&HashKey, StoreError> {
        self.key
            .get_or_try_init(|| async { Ok(HashKey(self.secrets.key(Purpose::Suppression).await?)) })
            .await
    }

    /// Adds an address, with the reason it is there for.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn add(
        &self,
        channel: Channel,
        address: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let item = Item::new(item_key(self.key().await?, channel, address))
            .with("reason", reason)
            .with("at", at.as_millisecond());
        refused(self.platform.table.transact(vec![Write::put(AUDIENCE, item)]).await)?;
        Ok(())
    }

    /// Removes an address; one that is not there is no error.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn remove(&self, channel: Channel, address: &str) -> Result<(), StoreError> {
        let write = Write::delete(AUDIENCE, item_key(self.key().await?, channel, address));
        refused(self.platform.table.transact(vec![write]).await)?;
        Ok(())
    }

    /// Which of these addresses (by position) are suppressed. An address that was added or removed within the last second
    /// or so may be judged as before: half the price on AWS, and a message handed over a second ago could not be called
    /// back either.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn which(&self, channel: Channel, addresses: &[&str]) -> Result<HashSet<usize>, StoreError> {
        let key = self.key().await?;
        let keys: Vec<_> = addresses.iter().map(|address| item_key(key, channel, address)).collect();
        let mut there = HashSet::new();
        for some in keys.chunks(platform::table::MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, some, Consistency::Eventual).await? {
                there.insert(item.key);
            }
        }
        if there.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(keys.iter().enumerate().filter(|(_, key)| there.contains(key)).map(|(index, _)| index).collect())
    }
}

fn item_key(key: &HashKey, channel: Channel, address: &str) -> Key {
    let text = format!("{}:{}", channel.name(), address.to_lowercase());
    Key::new(format!("sup#{}", keyed_hash(key, text.as_bytes())), "S")
}
