//! How a channel sends.

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::{Category, ConfigurationId};

/// A way to reach people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Email.
    Email,
    /// Text messages.
    Sms,
    /// Push notifications.
    Push,
    /// HTTP calls.
    Webhook,
}

impl Channel {
    /// Its name in the API, in consent and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Webhook => "webhook",
        }
    }
}

/// A channel configuration. Edits apply from the next chunk on, also to executions under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its id.
    pub id: ConfigurationId,
    /// Its name, for people.
    pub name: String,
    /// Which campaigns may use it.
    pub category: Category,
    /// The most messages a second, over all campaigns that use it; no limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// How long a message the provider would not take yet is tried again, in seconds from the first try.
    #[serde(default = "default_retry_period")]
    pub retry_period_seconds: u32,
    /// What only its channel needs.
    pub sender: Sender,
}

/// The part of a configuration that differs from channel to channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Sender {
    /// Email.
    Email(EmailSender),
}

/// Who an email is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailSender {
    /// The sender's address, also that of the envelope.
    pub from: EmailAddress,
    /// The sender's display name, where the content names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// Where answers go, where the content names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EmailAddress>,
}

impl Sender {
    /// The channel it sends over.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
        }
    }
}

/// Twelve hours.
pub const fn default_retry_period() -> u32 {
    12 * 3600
}
