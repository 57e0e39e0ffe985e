//! What an address is told of one message to one recipient.

use campaign::fact::Fact;
use campaign::feedback::EventType;
use campaign::{CampaignId, Channel, Code, EventId, ExecutionId, ProfileId};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::ledger::{Head, StoredChunk};
use store::messages::ChunkKey;

/// An event, as Standard Webhooks wants it: what, when, and of whom.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

/// Names of things only: no address, and nothing that a call brought along.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    campaign_id: CampaignId,
    version: u32,
    execution_id: ExecutionId,
    /// The caller's own name for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    recipient: Recipient,
    /// The action, by its number.
    action: u8,
    channel: Channel,
    outcome: &'static str,
    reason: &'static str,
}

/// Who it was for, by names that say nothing to others.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    /// The place in the `recipients` of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The stored profile, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_id: Option<ProfileId>,
}

/// An event ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) id: EventId,
    pub(crate) kind: EventType,
    pub(crate) body: String,
    pub(crate) at_ms: i64,
}

/// What there is to tell of a member's code. `None` where there is no such member, or nothing decided.
pub(crate) fn of(head: &Head, chunk: &StoredChunk, index: usize, code: Code, at_ms: i64) -> Option<Ready> {
    let said = Said { kind: EventType::of(code)?, outcome: code.outcome().name(), reason: code.reason() };
    ready(head, chunk, index, said, id(&chunk.key, index, About::Code(code)), at_ms)
}

/// What there is to tell of something that has become known of a member. `None` where there is no such member, or nobody is
/// told of such a thing.
pub(crate) fn of_fact(
    head: &Head,
    chunk: &StoredChunk,
    index: usize,
    fact: Fact,
    at_ms: i64,
) -> Option<Ready> {
    let outcome = chunk.members.codes.get(index)?.outcome().name();
    let said = Said { kind: EventType::of_fact(fact)?, outcome, reason: fact.name() };
    ready(head, chunk, index, said, id(&chunk.key, index, About::Fact(fact)), at_ms)
}

/// What is told.
#[derive(Clone, Copy)]
struct Said {
    kind: EventType,
    outcome: &'static str,
    reason: &'static str,
}

fn ready(
    head: &Head,
    chunk: &StoredChunk,
    index: usize,
    said: Said,
    id: EventId,
    at_ms: i64,
) -> Option<Ready> {
    let Said { kind, outcome, reason } = said;
    let profile = *chunk.members.profiles.get(index)?;
    let is_call = head.is_call();
    let recipient = Recipient {
        index: is_call.then_some(index),
        profile_id: if is_call { head.stored_profile(index, profile) } else { Some(profile) },
    };
    let event = Event {
        r#type: kind.name(),
        timestamp: Timestamp::from_millisecond(at_ms).ok()?,
        data: Data {
            campaign_id: head.campaign,
            version: head.version,
            execution_id: head.id,
            request_id: head.request.as_ref().map(|request| request.id.as_str()),
            recipient,
            action: chunk.key.action,
            channel: *head.actions.get(usize::from(chunk.key.action))?,
            outcome,
            reason,
        },
    };
    let body = serde_json::to_string(&event).expect("an event always serializes");
    Some(Ready { id, kind, body, at_ms })
}

/// What an event is about.
#[derive(Clone, Copy)]
enum About {
    Code(Code),
    Fact(Fact),
}

/// The same whenever the same is told of the same member.
fn id(chunk: &ChunkKey, index: usize, about: About) -> EventId {
    let ChunkKey { execution, shard, action, number } = chunk;
    let mut hash = Sha256::new();
    let byte = match about {
        About::Code(code) => {
            hash.update(b"event");
            code as u8
        }
        About::Fact(fact) => {
            hash.update(b"fact");
            fact as u8
        }
    };
    hash.update(execution.as_bytes());
    hash.update(shard.to_be_bytes());
    hash.update([*action, byte]);
    hash.update(number.to_be_bytes());
    hash.update((index as u64).to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    EventId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_the_member_and_what_is_told() {
        let chunk = ChunkKey { execution: ExecutionId::from_bytes([1; 16]), shard: 0, action: 0, number: 7 };
        let sent = About::Code(Code::Sent);
        let first = id(&chunk, 3, sent);
        assert_eq!(first, id(&chunk, 3, sent));
        let others = [
            id(&chunk, 4, sent),
            id(&chunk, 3, About::Code(Code::Expired)),
            id(&chunk, 3, About::Fact(Fact::Opened)),
            id(&ChunkKey { number: 8, ..chunk }, 3, sent),
            id(&ChunkKey { shard: 1, ..chunk }, 3, sent),
            id(&ChunkKey { action: 1, ..chunk }, 3, sent),
        ];
        // It has the same number as the code of who was sent it.
        assert_eq!(Fact::Opened as u8, Code::Sent as u8);
        assert!(others.iter().all(|other| *other != first));
    }
}
