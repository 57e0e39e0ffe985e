use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a key is, in bytes.
pub const KEY_BYTES: usize = 32;
/// How many keys are kept: the links of older ones can't be told from forged ones any more.
pub const MOST_KEYS: usize = 8;

/// How many bytes of a MAC a token carries: 128 bits, which nobody guesses.
pub(crate) const MAC_BYTES: usize = 16;

/// A key that links are signed with, and the number by which a token says that it was signed with this one.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey {
    /// Its number.
    pub id: u8,
    /// The key.
    pub secret: [u8; KEY_BYTES],
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys there are: one signs, all are known.
#[derive(Clone)]
pub struct LinkKeys {
    /// Each with the hash's state after the key, so that a MAC costs no more than its text.
    known: Vec<(u8, Hmac<Sha256>)>,
}

impl LinkKeys {
    /// These keys, of which the first signs. `None` where there is none.
    pub fn new(keys: &[LinkKey]) -> Option<Self> {
        let ready = |key: &LinkKey| {
            let mac = Hmac::new_from_slice(&key.secret).expect("HMAC takes a key of any length");
            (key.id, mac)
        };
        (!keys.is_empty()).then(|| Self { known: keys.iter().map(ready).collect() })
    }

    /// The number of the key that signs.
    pub(crate) fn signing(&self) -> u8 {
        self.known[0].0
    }

    /// Appends the MAC of `parts` under the key that signs.
    pub(crate) fn sign(&self, parts: [&[u8]; 2]) -> [u8; MAC_BYTES] {
        let whole = mac(&self.known[0].1, parts).finalize().into_bytes();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&whole[..MAC_BYTES]);
        short
    }

    /// Whether this is the MAC of `parts` under the key of this number. Takes the same time whatever is wrong.
    pub(crate) fn is_signed(&self, key: u8, parts: [&[u8]; 2], with: &[u8; MAC_BYTES]) -> bool {
        let known = self.known.iter().find(|(id, _)| *id == key);
        known.is_some_and(|(_, key)| mac(key, parts).verify_truncated_left(with).is_ok())
    }
}

/// The second part is as good as its own length only, so the first has to be of a length that its own bytes tell.
fn mac(key: &Hmac<Sha256>, parts: [&[u8]; 2]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKeys(..)")
    }
}
