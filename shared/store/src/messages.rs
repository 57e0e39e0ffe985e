//! What the queues carry, as JSON: ids only, save for proofs.

use campaign::feedback::{Cause, Report};
use campaign::lowered::LoweredContent;
use campaign::{
    CallScheduleId, CampaignId, Channel, ConfigurationId, EndpointId, ExecutionId, JobId, ProfileId,
};
use platform::{Message, QueueName};
use serde::{Deserialize, Serialize};

use crate::tables;

/// A message on the wake-up queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wake_up", rename_all = "snake_case")]
pub enum WakeUp {
    /// Check a campaign whose activation was asked for.
    Activate {
        /// Which.
        campaign: CampaignId,
    },
    /// Start an occurrence, if it is still the campaign's next one.
    Start {
        /// Which campaign.
        campaign: CampaignId,
        /// The occurrence, in milliseconds since the Unix epoch.
        occurrence_ms: i64,
    },
    /// Make a planned call, if it was not taken back.
    Call {
        /// Which.
        schedule: CallScheduleId,
    },
    /// Look for whatever is overdue.
    Sweep,
}

/// A message on the fan-out queue: go on with one shard of an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOut {
    /// Of which execution.
    pub execution: ExecutionId,
    /// Which shard.
    pub shard: u16,
}

/// A message on a channel's queue, and the name of a chunk: deliver it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkKey {
    /// Of which execution.
    pub execution: ExecutionId,
    /// In which shard.
    pub shard: u16,
    /// Of which action.
    pub action: u8,
    /// Its number within shard and action, from 0.
    pub number: u32,
}

/// The message of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkMessage {
    /// Which chunk.
    #[serde(flatten)]
    pub key: ChunkKey,
    /// Whether it is the first message there is of it: whoever gets that is most likely the first to claim the chunk.
    #[serde(default)]
    pub first: bool,
}

/// The shard of calls, which have no shards: a chunk with this number belongs to a call.
pub const CALL_SHARD: u16 = u16::MAX;

/// A message on the jobs' queue: go on with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoOn {
    /// Which.
    pub job: JobId,
}

/// A message on the queue of those who are told what became of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notify", rename_all = "snake_case")]
pub enum Notify {
    /// Tell what was decided of members of a chunk. The chunk itself says whether that was written.
    Settled(Settled),
    /// Tell what has become known of members of a chunk after their outcome.
    Known(Known),
    /// Go on with what an address is still to be told.
    GoOn {
        /// Which.
        endpoint: EndpointId,
    },
    /// Tell an address again what it could not be told in the end.
    Replay {
        /// Which.
        endpoint: EndpointId,
        /// What was given up by then, in milliseconds since the Unix epoch.
        until_ms: i64,
        /// Where to go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
}

/// What was decided of members of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Which chunk.
    pub chunk: ChunkKey,
    /// The members, and the bytes of their codes.
    pub codes: Vec<(u8, u8)>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What has become known of members of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which chunk.
    pub chunk: ChunkKey,
    /// The members, the bytes of the facts, and when they came about, in milliseconds since the Unix epoch.
    pub facts: Vec<(u8, u8, i64)>,
}

/// A message on the queue of what providers tell, in our own words; providers put theirs on it, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// What they tell.
    pub feedback: Vec<Reported>,
}

/// What a provider tells of one message to one recipient. It may hold an address, which no other queue's messages do but
/// proofs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The message's name, as its provider was given it; `None` where it is none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Over which channel it went.
    pub channel: Channel,
    /// What is told.
    pub report: Report,
    /// What it was caused by, where it is a bounce.
    #[serde(default)]
    pub cause: Cause,
    /// When it came about, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// To whom the message went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Since when it waits for its message to be settled, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since_ms: Option<i64>,
    /// Whether it was read of a mail, which anybody may have written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mailed: bool,
}

impl std::fmt::Debug for Reported {
    /// Without the address: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reported")
            .field("message_id", &self.message_id)
            .field("channel", &self.channel)
            .field("report", &self.report)
            .field("cause", &self.cause)
            .field("at_ms", &self.at_ms)
            .finish_non_exhaustive()
    }
}

/// What a channel's delivery is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deliver {
    /// A chunk.
    Chunk(ChunkMessage),
    /// A proof, on the channel's priority queue.
    Proof(Box<Proof>),
}

/// A message on a channel's priority queue: show a content to these addresses, to nobody else and outside any execution. It
/// holds addresses, which no other message does: whoever asks for a proof names them. And it holds the content, lowered: a
/// draft can't be sent from the table, and may be another one by then.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Its id, which the answer to whoever asked for it holds too.
    pub id: String,
    /// Of which campaign; of none where it tests a configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// How it is sent.
    pub configuration: ConfigurationId,
    /// Whose profile it is rendered for; an empty one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// What templates see as `context`; `null` where nothing was given.
    #[serde(default)]
    pub context: serde_json::Value,
    /// To whom, in the channel's own kind of address; empty where a channel has none.
    pub addresses: Vec<String>,
    /// What is sent.
    pub content: LoweredContent,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("id", &self.id)
            .field("campaign", &self.campaign)
            .field("configuration", &self.configuration)
            .field("addresses", &self.addresses.len())
            .finish_non_exhaustive()
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("messages always serialize")
}

/// The same, where texts in it come from outside.
fn foreign_json<T: Serialize>(value: &T) -> String {
    let body = json(value);
    // SQS takes every character but these two, and those that JSON writes by their numbers anyway.
    if body.contains(['\u{fffe}', '\u{ffff}']) {
        return body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    body
}

impl WakeUp {
    /// As the body of a wake-up or a message.
    pub fn body(&self) -> String {
        json(self)
    }

    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::WAKE_UP, self.body())
    }
}

impl FanOut {
    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::FAN_OUT, json(self))
    }
}

impl GoOn {
    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::JOBS, json(self))
    }
}

impl Notify {
    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::NOTIFY, json(self))
    }
}

impl Feedback {
    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::FEEDBACK, foreign_json(self))
    }
}

impl Proof {
    /// As a message to be seen at once. Whether it is within [`platform::queue::MAX_BODY_BYTES`] is for the caller to see.
    pub fn message(&self) -> Message {
        Message::new(queue_of(self.content.channel(), Priority::Call), foreign_json(self))
    }
}

impl ChunkKey {
    /// As a message on its channel's queue, to be seen at once.
    pub fn message(&self, channel: Channel) -> Message {
        let priority = if self.is_call() { Priority::Call } else { Priority::Bulk };
        Message::new(queue_of(channel, priority), json(self))
    }

    /// The same, as the first message there is of the chunk.
    pub fn first_message(&self, channel: Channel) -> Message {
        let body = json(&ChunkMessage { key: *self, first: true });
        Message { body, ..self.message(channel) }
    }

    /// Whether it belongs to a call.
    pub const fn is_call(&self) -> bool {
        self.shard == CALL_SHARD
    }
}

/// How urgent a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// One of many, of an audience.
    Bulk,
    /// A few people's, whom a call asked for a moment ago; or a proof.
    Call,
}

/// The queue that feeds a channel's delivery.
pub const fn queue_of(channel: Channel, priority: Priority) -> QueueName {
    match (channel, priority) {
        (Channel::Email, Priority::Bulk) => tables::DELIVER_EMAIL,
        (Channel::Email, Priority::Call) => tables::DELIVER_EMAIL_PRIORITY,
        (Channel::Sms, Priority::Bulk) => tables::DELIVER_SMS,
        (Channel::Sms, Priority::Call) => tables::DELIVER_SMS_PRIORITY,
        (Channel::Push, Priority::Bulk) => tables::DELIVER_PUSH,
        (Channel::Push, Priority::Call) => tables::DELIVER_PUSH_PRIORITY,
        (Channel::Webhook, Priority::Bulk) => tables::DELIVER_WEBHOOK,
        (Channel::Webhook, Priority::Call) => tables::DELIVER_WEBHOOK_PRIORITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_tell_is_carried_whatever_characters_it_holds() {
        let told = Feedback {
            feedback: vec![Reported {
                message_id: Some("\u{fffe}\u{ffff}".to_owned()),
                channel: Channel::Email,
                report: Report::Sent,
                cause: Cause::default(),
                at_ms: 1,
                address: None,
                waits_since_ms: None,
                mailed: true,
            }],
        };
        let body = told.message().body;
        assert!(!body.contains(['\u{fffe}', '\u{ffff}']), "{body}");
        assert_eq!(serde_json::from_str::<Feedback>(&body).unwrap(), told);
    }
}
