//! What a provider tells of one message, in one shape whoever tells it.

use std::fmt;

use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::{MessageId, tags};
use store::messages::Reported;

/// What a provider tells of one message.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// Which message; `None` where the event names none of ours.
    pub of: Option<MessageId>,
    /// Over which channel it went.
    pub channel: Channel,
    /// What is told.
    pub report: Report,
    /// What it was caused by, where it is a bounce.
    pub cause: Cause,
    /// When it came about, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What the provider calls the message.
    pub provider_id: Option<String>,
    /// To whom the message went. One of ours goes to one.
    pub addresses: Vec<String>,
    /// Since when the event waits for its message to be settled, in milliseconds since the Unix epoch.
    pub waits_since_ms: Option<i64>,
    /// Whether it was read of a mail, which anybody may have written.
    pub mailed: bool,
}

impl ProviderEvent {
    /// An event of this kind, with nothing else known of it.
    pub fn new(channel: Channel, report: Report, at_ms: i64) -> Self {
        Self {
            of: None,
            channel,
            report,
            cause: Cause::default(),
            at_ms,
            provider_id: None,
            addresses: Vec::new(),
            waits_since_ms: None,
            mailed: false,
        }
    }

    /// The event as our own queue carries it: it says no more than what is acted on.
    pub fn reported(&self) -> Reported {
        Reported {
            message_id: self.of.as_ref().map(ToString::to_string),
            channel: self.channel,
            report: self.report,
            cause: self.cause,
            at_ms: self.at_ms,
            address: self.addresses.first().cloned(),
            waits_since_ms: self.waits_since_ms,
            mailed: self.mailed,
        }
    }
}

impl From<Reported> for ProviderEvent {
    fn from(told: Reported) -> Self {
        Self {
            of: told.message_id.as_deref().and_then(tags::parse),
            cause: told.cause,
            addresses: told.address.into_iter().collect(),
            waits_since_ms: told.waits_since_ms,
            mailed: told.mailed,
            ..Self::new(told.channel, told.report, told.at_ms)
        }
    }
}

impl fmt::Debug for ProviderEvent {
    /// Without addresses: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderEvent")
            .field("of", &self.of)
            .field("channel", &self.channel)
            .field("report", &self.report)
            .field("cause", &self.cause)
            .field("at_ms", &self.at_ms)
            .field("provider_id", &self.provider_id)
            .field("addresses", &self.addresses.len())
            .finish_non_exhaustive()
    }
}
