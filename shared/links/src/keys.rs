use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::token::Kind;

/// How long a key is, in bytes.
pub const KEY_BYTES: usize = 32;
/// How many keys are good for links of all kinds, the newest: those of older ones can't be told from forged ones any more.
pub const MOST_KEYS: usize = 8;
/// How many are good for unsubscribing, which is promised for ever: the newest too, and fewer than the 256 that a number tells
/// apart.
pub const MOST_UNSUBSCRIBE_KEYS: usize = 200;

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

/// The keys there are: one signs, the first few are known, the others for unsubscribing alone.
#[derive(Clone)]
pub struct LinkKeys {
    /// Each with the hash's state after the key, so that a MAC costs no more than its text.
    known: Vec<(u8, Hmac<Sha256>)>,
}

impl LinkKeys {
    /// These keys, of which the first signs; the first [`MOST_KEYS`] are good for links of all kinds, those behind them, up to
    /// [`MOST_UNSUBSCRIBE_KEYS`], for unsubscribing. `None` where there is none.
    pub fn new(keys: &[LinkKey]) -> Option<Self> {
        let ready = |key: &LinkKey| {
            let mac = Hmac::new_from_slice(&key.secret).expect("HMAC takes a key of any length");
            (key.id, mac)
        };
        (!keys.is_empty())
            .then(|| Self { known: keys.iter().take(MOST_UNSUBSCRIBE_KEYS).map(ready).collect() })
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

    /// Whether this is the MAC of `parts` under the key of this number, and that key is good for links of this kind. Takes the
    /// same time whatever of the MAC is wrong.
    pub(crate) fn is_signed(&self, kind: Kind, key: u8, parts: [&[u8]; 2], with: &[u8; MAC_BYTES]) -> bool {
        let most = if kind == Kind::Unsubscribe { MOST_UNSUBSCRIBE_KEYS } else { MOST_KEYS };
        let known = self.known.iter().take(most).find(|(id, _)| *id == key);
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

#[cfg(test)]
mod tests {
    use campaign::ProfileId;
    use campaign::link::{Member, Recipient};

    use super::*;
    use crate::{About, Link, TokenError};

    #[test]
    fn old_keys_are_known_for_unsubscribing_alone() {
        let key = |id: u8| LinkKey { id, secret: [id; KEY_BYTES] };
        let newest_first: Vec<_> = (0..=u8::MAX).rev().map(key).collect();
        let now = LinkKeys::new(&newest_first).unwrap();
        let unsubscribe = About::Unsubscribe(Recipient::Profile(ProfileId::from_bytes([1; 16])));
        for (age, is_click_good, is_unsubscription_good) in
            [(0, true, true), (7, true, true), (8, false, true), (199, false, true), (200, false, false)]
        {
            let then = LinkKeys::new(&newest_first[age..]).unwrap();
            for (kind, about, is_good) in [
                (Kind::Click, About::Click(3), is_click_good),
                (Kind::Unsubscribe, unsubscribe, is_unsubscription_good),
            ] {
                let link = Link { member: Member::NOBODY, day: 20_000, about };
                let mut token = String::new();
                link.push_token(&then, "", &mut token);
                let read = Link::read(kind, &token, "", &now, 20_000);
                assert_eq!(read, if is_good { Ok(link) } else { Err(TokenError::Invalid) }, "{age}");
            }
        }
    }
}
