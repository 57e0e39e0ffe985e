//! The suppression list: addresses nothing may be sent to, kept as keyed hashes.

use std::collections::HashSet;

use campaign::Channel;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use platform::{Consistency, Item, Key, Platform, Write};
use sha2::Sha256;

use crate::StoreError;
use crate::error::refused;
use crate::tables::AUDIENCE;

/// The secret that addresses are hashed under, so that the list can't be turned back into addresses by trying them.
#[derive(Clone)]
pub struct HashKey(pub [u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// The repository of suppressed addresses.
#[derive(Debug, Clone)]
pub struct Suppressions {
    platform: Platform,
    key: HashKey,
}

impl Suppressions {
    /// Over this platform, hashing under this key.
    pub const fn new(platform: Platform, key: HashKey) -> Self {
        Self { platform, key }
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
        let item =
            Item::new(self.item_key(channel, address)).with("reason", reason).with("at", at.as_millisecond());
        refused(self.platform.table.transact(vec![Write::put(AUDIENCE, item)]).await)?;
        Ok(())
    }

    /// Removes an address; one that is not there is no error.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn remove(&self, channel: Channel, address: &str) -> Result<(), StoreError> {
        let write = Write::delete(AUDIENCE, self.item_key(channel, address));
        refused(self.platform.table.transact(vec![write]).await)?;
        Ok(())
    }

    /// Which of these addresses (by position) are suppressed.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn which(&self, channel: Channel, addresses: &[&str]) -> Result<HashSet<usize>, StoreError> {
        let keys: Vec<_> = addresses.iter().map(|address| self.item_key(channel, address)).collect();
        let mut there = HashSet::new();
        for some in keys.chunks(platform::table::MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, some, Consistency::Strong).await? {
                there.insert(item.key);
            }
        }
        if there.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(keys.iter().enumerate().filter(|(_, key)| there.contains(key)).map(|(index, _)| index).collect())
    }

    fn item_key(&self, channel: Channel, address: &str) -> Key {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key.0).expect("HMAC takes a key of any length");
        mac.update(channel.name().as_bytes());
        mac.update(b":");
        mac.update(address.to_lowercase().as_bytes());
        let hash = mac.finalize().into_bytes();
        Key::new(format!("sup#{}", HEXLOWER.encode(&hash[..16])), "S")
    }
}
