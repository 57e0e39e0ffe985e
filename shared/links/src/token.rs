//! What a link is about, as bytes and back.

use campaign::link::{Member, Recipient};
use campaign::{ExecutionId, ProfileId};
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::keys::{LinkKeys, MAC_BYTES};

/// A day, counted since the Unix epoch.
pub type Day = u16;

/// For how many days a link is good, counted from the day it was made on. An unsubscription is good for ever: who wants no
/// more mail is never told that it is too late to say so.
pub const DAYS: Day = 400;

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Tells that the message is opened, and is a picture of one pixel.
    Open = 1,
    /// Tells that one of its links is followed, and leads on to its target.
    Click = 2,
    /// Asks for no more of its kind.
    Unsubscribe = 3,
    /// Shows the message as a page.
    View = 4,
}

impl Kind {
    /// Where links of this kind are, below the base.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Open => "/t/o/",
            Self::Click => "/t/c/",
            Self::Unsubscribe => "/t/u/",
            Self::View => "/t/v/",
        }
    }
}

/// What a link is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which message.
    pub member: Member,
    /// When the link was made.
    pub day: Day,
    /// What else its kind needs.
    pub about: About,
}

/// What a link of its kind needs beside the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The picture: nothing.
    Open,
    /// A click: which of the content's links, by its number.
    Click(u16),
    /// An unsubscription: of whom.
    Unsubscribe(Recipient),
    /// The message as a page: nothing.
    View,
}

/// Why a link leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is none of ours, or it was changed.
    #[error("the link is not one of ours, or it was changed on its way")]
    Invalid,
    /// It is too old.
    #[error("the link is older than {DAYS} days")]
    Expired,
}

impl About {
    const fn kind(self) -> Kind {
        match self {
            Self::Open => Kind::Open,
            Self::Click(_) => Kind::Click,
            Self::Unsubscribe(_) => Kind::Unsubscribe,
            Self::View => Kind::View,
        }
    }
}

/// Kind, key, day, and the member: execution, shard, action, chunk, place.
const HEAD: usize = 1 + 1 + 2 + 16 + 2 + 1 + 4 + 1;
/// The longest: an unsubscription's.
const LONGEST: usize = HEAD + 33;

impl Link {
    /// Appends the token of this link, signed together with `target`, to `out`.
    pub fn push_token(&self, keys: &LinkKeys, target: &str, out: &mut String) {
        let mut bytes = [0; LONGEST + MAC_BYTES];
        let length = self.write(keys.signing(), &mut bytes);
        let mac = keys.sign([&bytes[..length], target.as_bytes()]);
        bytes[length..length + MAC_BYTES].copy_from_slice(&mac);
        BASE64URL_NOPAD.encode_append(&bytes[..length + MAC_BYTES], out);
    }

    /// Reads a token of this kind that was signed together with `target`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(
        kind: Kind,
        token: &str,
        target: &str,
        keys: &LinkKeys,
        today: Day,
    ) -> Result<Self, TokenError> {
        let mut bytes = [0; LONGEST + MAC_BYTES + 2];
        let length = BASE64URL_NOPAD.decode_len(token.len()).map_err(|_| TokenError::Invalid)?;
        let bytes = bytes.get_mut(..length).ok_or(TokenError::Invalid)?;
        BASE64URL_NOPAD.decode_mut(token.as_bytes(), bytes).map_err(|_| TokenError::Invalid)?;
        let (body, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(TokenError::Invalid)?;
        let (key, link) = Self::parse(kind, body).ok_or(TokenError::Invalid)?;
        if !keys.is_signed(kind, key, [body, target.as_bytes()], mac) {
            return Err(TokenError::Invalid);
        }
        if kind != Kind::Unsubscribe && today.saturating_sub(link.day) > DAYS {
            return Err(TokenError::Expired);
        }
        Ok(link)
    }

    fn write(&self, key: u8, into: &mut [u8; LONGEST + MAC_BYTES]) -> usize {
        let Member { execution, shard, action, chunk, index } = self.member;
        into[0] = self.about.kind() as u8;
        into[1] = key;
        into[2..4].copy_from_slice(&self.day.to_be_bytes());
        into[4..20].copy_from_slice(execution.as_bytes());
        into[20..22].copy_from_slice(&shard.to_be_bytes());
        into[22] = action;
        into[23..27].copy_from_slice(&chunk.to_be_bytes());
        into[27] = index;
        match self.about {
            About::Open | About::View => HEAD,
            About::Click(link) => {
                into[HEAD..HEAD + 2].copy_from_slice(&link.to_be_bytes());
                HEAD + 2
            }
            About::Unsubscribe(recipient) => {
                let (tag, id) = match &recipient {
                    Recipient::Profile(id) => (0, id.as_bytes()),
                    Recipient::Address(hash) => (1, hash),
                    Recipient::Person { profile, address } => {
                        into[HEAD + 17..LONGEST].copy_from_slice(address);
                        (2, profile.as_bytes())
                    }
                };
                into[HEAD] = tag;
                into[HEAD + 1..HEAD + 17].copy_from_slice(id);
                if tag == 2 { LONGEST } else { HEAD + 17 }
            }
        }
    }

    /// The key's number and the link. The kind's byte tells the length, so that no byte of a target can pass for one of the
    /// token or the other way round.
    fn parse(kind: Kind, bytes: &[u8]) -> Option<(u8, Self)> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let [of, key, day @ ..] = *head;
        if of != kind as u8 {
            return None;
        }
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let about = match (kind, rest) {
            (Kind::Open, []) => About::Open,
            (Kind::View, []) => About::View,
            (Kind::Click, [high, low]) => About::Click(u16::from_be_bytes([*high, *low])),
            (Kind::Unsubscribe, [tag, id @ ..]) => {
                let (id, address) = id.split_first_chunk::<16>()?;
                let profile = ProfileId::from_bytes(*id);
                About::Unsubscribe(match (tag, address) {
                    (0, []) => Recipient::Profile(profile),
                    (1, []) => Recipient::Address(*id),
                    (2, address) => Recipient::Person { profile, address: address.try_into().ok()? },
                    _ => return None,
                })
            }
            _ => return None,
        };
        let member = Member {
            execution: ExecutionId::from_bytes(head[4..20].try_into().ok()?),
            shard: number(20),
            action: head[22],
            chunk: u32::from_be_bytes(head[23..27].try_into().ok()?),
            index: head[27],
        };
        Some((key, Self { member, day: u16::from_be_bytes([day[0], day[1]]), about }))
    }
}

/// The day of an instant, in seconds since the Unix epoch.
pub fn day_of(seconds: i64) -> Day {
    u16::try_from(seconds.div_euclid(24 * 3600)).unwrap_or(if seconds < 0 { 0 } else { Day::MAX })
}

#[cfg(test)]
mod tests;
