//! Under which names a message carries what it is to its provider, whose events bring them back: by them an event finds
//! its member in the ledger.
//!
//! A member's message carries all of [`EXECUTION`], [`SHARD`], [`ACTION`], [`CHUNK`] and [`MEMBER`]; a proof's carries
//! [`PROOF`] alone, and its events are nobody's. Names and values are of ASCII letters, digits, `-` and `_`, which is all
//! that SES takes; and they are no more than five, which is all that AWS End User Messaging takes.

use store::messages::ChunkKey;

use crate::MessageId;

/// The execution's id, as it is shown: 26 characters of base32.
pub const EXECUTION: &str = "envoi-execution";
/// The shard, in decimal.
pub const SHARD: &str = "envoi-shard";
/// The action, by its number, in decimal.
pub const ACTION: &str = "envoi-action";
/// The chunk's number within shard and action, in decimal.
pub const CHUNK: &str = "envoi-chunk";
/// The member's place in the chunk, in decimal.
pub const MEMBER: &str = "envoi-member";
/// The proof's id.
pub const PROOF: &str = "envoi-proof";

/// What a message carries, by name.
pub fn of(id: &MessageId) -> Vec<(&'static str, String)> {
    match id {
        MessageId::Member(member) => {
            let ChunkKey { execution, shard, action, number } = member.chunk;
            vec![
                (EXECUTION, execution.to_string()),
                (SHARD, shard.to_string()),
                (ACTION, action.to_string()),
                (CHUNK, number.to_string()),
                (MEMBER, member.index.to_string()),
            ]
        }
        MessageId::Proof { proof, .. } => vec![(PROOF, proof.clone())],
    }
}
