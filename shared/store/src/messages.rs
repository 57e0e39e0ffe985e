//! What the queues carry: ids only, as JSON.

use campaign::address::EmailAddress;
use campaign::{CampaignId, Channel, ExecutionId, JobId, ProfileId};
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

/// A message on the jobs' queue: go on with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoOn {
    /// Which.
    pub job: JobId,
}

/// A message on the proofs' queue: show an action of a version to these addresses, to nobody else and outside any
/// execution. It holds addresses, which no other message does: whoever asks for a proof names them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Its id, which the answer to whoever asked for it holds too.
    pub id: String,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Of which version, as it is when the proof is sent.
    pub version: u32,
    /// Which action, by its number.
    pub action: u8,
    /// Whose profile it is rendered for; an empty one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// What templates see as `context`; `null` where nothing was given.
    #[serde(default)]
    pub context: serde_json::Value,
    /// To whom.
    pub addresses: Vec<EmailAddress>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("id", &self.id)
            .field("campaign", &self.campaign)
            .field("version", &self.version)
            .field("action", &self.action)
            .field("addresses", &self.addresses.len())
            .finish_non_exhaustive()
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("messages always serialize")
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

impl Proof {
    /// As a message to be seen at once.
    pub fn message(&self) -> Message {
        Message::new(tables::PROOFS, json(self))
    }
}

impl ChunkKey {
    /// As a message on its channel's queue, to be seen at once.
    pub fn message(&self, channel: Channel) -> Message {
        Message::new(queue_of(channel), json(self))
    }
}

/// The queue that feeds a channel's delivery.
pub const fn queue_of(channel: Channel) -> QueueName {
    match channel {
        Channel::Email => tables::DELIVER_EMAIL,
        Channel::Sms => QueueName("deliver-sms"),
        Channel::Push => QueueName("deliver-push"),
        Channel::Webhook => QueueName("deliver-webhook"),
    }
}
