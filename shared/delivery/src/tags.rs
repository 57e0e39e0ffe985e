//! Under which names a message carries what it is to its provider, whose events bring them back: by them an event finds
//! its member in the ledger.
//!
//! A member's message carries all of [`EXECUTION`], [`SHARD`], [`ACTION`], [`CHUNK`] and [`MEMBER`]; a proof's carries
//! [`PROOF`] alone, and its events are nobody's. Names and values are of ASCII letters, digits, `-` and `_`, which is all
//! that SES takes; and they are no more than five, which is all that AWS End User Messaging takes.
//!
//! Where a provider keeps no tags, it most often gives back the message's name as it was sent: an email's Message-ID,
//! whose left part that name is, or the id that an HTTP provider was given. [`parse`] reads that.

use store::messages::ChunkKey;

use crate::{MemberId, MessageId};

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

/// The message that carries these: `get` gives what stands under a name. Of a proof's addresses it is the first one's, since
/// all carry the same. `None` where it is none of ours.
pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<MessageId> {
    if let Some(proof) = get(PROOF) {
        return Some(MessageId::Proof { proof: proof.to_owned(), index: 0 });
    }
    let chunk = ChunkKey {
        execution: get(EXECUTION)?.parse().ok()?,
        shard: get(SHARD)?.parse().ok()?,
        action: get(ACTION)?.parse().ok()?,
        number: get(CHUNK)?.parse().ok()?,
    };
    member(chunk, get(MEMBER)?)
}

/// The message of that name: as [`MessageId`] is displayed, alone or as the left part of a Message-ID, with or without its
/// angle brackets. `None` where it is none of ours.
pub fn parse(name: &str) -> Option<MessageId> {
    let name = name.trim();
    let name = name.strip_prefix('<').unwrap_or(name);
    let name = name.strip_suffix('>').unwrap_or(name);
    let name = name.split_once('@').map_or(name, |(left, _)| left);
    if let Some(proof) = name.strip_prefix("proof-") {
        let (proof, index) = proof.rsplit_once('-')?;
        return Some(MessageId::Proof { proof: proof.to_owned(), index: index.parse().ok()? });
    }
    let mut parts = name.split('-');
    let chunk = ChunkKey {
        execution: parts.next()?.parse().ok()?,
        shard: parts.next()?.parse().ok()?,
        action: parts.next()?.parse().ok()?,
        number: parts.next()?.parse().ok()?,
    };
    let index = parts.next()?;
    if parts.next().is_some() {
        return None;
    }
    member(chunk, index)
}

fn member(chunk: ChunkKey, index: &str) -> Option<MessageId> {
    let index: u8 = index.parse().ok()?;
    Some(MessageId::Member(MemberId { chunk, index: usize::from(index) }))
}

#[cfg(test)]
mod tests {
    use campaign::ExecutionId;

    use super::*;

    fn messages() -> [MessageId; 2] {
        let chunk =
            ChunkKey { execution: ExecutionId::from_bytes([7; 16]), shard: 3, action: 1, number: 1017 };
        let proof = MessageId::Proof { proof: "4f-9c".to_owned(), index: 0 };
        [MessageId::Member(MemberId { chunk, index: 42 }), proof]
    }

    #[test]
    fn what_a_message_carries_names_it() {
        for id in messages() {
            let tags = of(&id);
            let get = |name: &str| tags.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
            assert_eq!(read(get), Some(id));
        }
        assert_eq!(read(|_| None), None);
        let [member, _] = messages();
        let tags = of(&member);
        for missing in [EXECUTION, SHARD, ACTION, CHUNK, MEMBER] {
            let get = |name: &str| {
                tags.iter().find(|(of, _)| *of == name && name != missing).map(|(_, value)| value.as_str())
            };
            assert_eq!(read(get), None, "{missing}");
        }
    }

    #[test]
    fn a_message_s_name_is_read_as_a_message_id_too() {
        for id in messages() {
            for name in [id.to_string(), format!("{id}@example.com"), format!(" <{id}@[192.0.2.1]> ")] {
                assert_eq!(parse(&name).as_ref(), Some(&id), "{name}");
            }
        }
        let [member, _] = messages();
        for other in ["", "<>", "proof-", "a@example.com", &format!("{member}-1"), &format!("{member}0000")] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
