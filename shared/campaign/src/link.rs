//! What a public link is about: one message, and who got it.

use serde::{Deserialize, Serialize};

use crate::{ExecutionId, ProfileId};

/// One recipient of one action of one execution: the same that a chunk's name and a place in it say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Of which execution.
    pub execution: ExecutionId,
    /// In which of its shards.
    pub shard: u16,
    /// Of which action, by its number.
    pub action: u8,
    /// In which chunk of shard and action.
    pub chunk: u32,
    /// At which place in the chunk.
    pub index: u8,
}

impl Member {
    /// Whom a proof's links are about: nobody, so what is done by them is counted nowhere and changes nothing.
    pub const NOBODY: Self =
        Self { execution: ExecutionId::from_bytes([0; 16]), shard: 0, action: 0, chunk: 0, index: 0 };

    /// Whether it is [`Self::NOBODY`].
    pub fn is_nobody(&self) -> bool {
        *self == Self::NOBODY
    }
}

/// Who may say by a link what they want no more: known for as long as the link is, however short the ledger's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A person with a profile.
    Profile(ProfileId),
    /// The same, and the keyed hash of the address that the message went to: should the profile be gone one day, and the address
    /// come back with another, what they wanted holds.
    Person {
        /// The profile.
        profile: ProfileId,
        /// The hash.
        address: [u8; 16],
    },
    /// Somebody without one, by the keyed hash of the address that the message went to.
    Address([u8; 16]),
}
