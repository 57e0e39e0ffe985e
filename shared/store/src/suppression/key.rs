//! The key that addresses are hashed under.

use campaign::Channel;
use campaign::suppression::AddressHash;
use hmac::{Hmac, KeyInit, Mac};
use platform::{Condition, Consistency, Item, Key, Platform, Write};
use sha2::Sha256;

use crate::StoreError;
use crate::error::refused;
use crate::tables::CONTROL;

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
    let mac = keyed_hash(key, b"check").to_string();
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

impl HashKey {
    /// The keyed hash of an address over a channel, whatever its case.
    pub(super) fn hash(&self, channel: Channel, address: &str) -> AddressHash {
        let text = format!("{}:{}", channel.name(), address.to_lowercase());
        keyed_hash(self, text.as_bytes())
    }
}

/// The first half of an HMAC.
fn keyed_hash(key: &HashKey, text: &[u8]) -> AddressHash {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.update(text);
    let mut half = [0; 16];
    half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    AddressHash::from_bytes(half)
}
