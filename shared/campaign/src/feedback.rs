//! What a provider tells of a message, and what somebody who asked for it can be told.

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::{Code, Outcome};

/// What a provider tells of a message that it was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It has taken the message.
    Sent,
    /// The recipient's side does not take it yet.
    Delayed,
    /// It came back, for a reason that may pass.
    SoftBounced,
    /// The recipient's side has taken it.
    Delivered,
    /// It came back for good.
    HardBounced,
    /// The recipient has called it unwanted.
    Complained,
    /// The recipient wants no more of its kind.
    Unsubscribed,
    /// The provider had taken it, and refuses to send it after all.
    Rejected,
    /// The provider had taken it, and could not make the message of its parts.
    RenderFailed,
}

impl Report {
    /// Every report.
    pub const ALL: [Self; 9] = [
        Self::Sent,
        Self::Delayed,
        Self::SoftBounced,
        Self::Delivered,
        Self::HardBounced,
        Self::Complained,
        Self::Unsubscribed,
        Self::Rejected,
        Self::RenderFailed,
    ];

    /// What becomes known of the member by it; `None` where that is no more than whether the provider took the message.
    pub const fn fact(self) -> Option<Fact> {
        match self {
            Self::Sent | Self::Rejected | Self::RenderFailed => None,
            Self::Delayed => Some(Fact::Delayed),
            Self::SoftBounced => Some(Fact::SoftBounced),
            Self::Delivered => Some(Fact::Delivered),
            Self::HardBounced => Some(Fact::HardBounced),
            Self::Complained => Some(Fact::Complained),
            Self::Unsubscribed => Some(Fact::Unsubscribed),
        }
    }

    /// The code of a member whose message was not sent after all.
    pub const fn failure(self) -> Option<Code> {
        match self {
            Self::Rejected => Some(Code::Refused),
            Self::RenderFailed => Some(Code::RenderFailed),
            _ => None,
        }
    }
}

/// What a bounce was caused by, and so whether it says anything about the address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The address, its mailbox or its server: it counts against the address.
    #[default]
    Address,
    /// This message: its size, its content, its sender. Another may well arrive.
    Message,
    /// A list that the provider keeps by itself, and from which the address can be taken there.
    List,
}

/// A kind of event about one message to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventType {
    /// The provider took it.
    #[serde(rename = "message.sent")]
    Sent,
    /// The provider says that it arrived.
    #[serde(rename = "message.delivered")]
    Delivered,
    /// The provider says that it came back.
    #[serde(rename = "message.bounced")]
    Bounced,
    /// It will not be sent: the provider or we could not.
    #[serde(rename = "message.failed")]
    Failed,
    /// It will not be sent: it must not.
    #[serde(rename = "message.excluded")]
    Excluded,
    /// It may have been sent, and is not tried again.
    #[serde(rename = "message.unknown")]
    Unknown,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 6] =
        [Self::Sent, Self::Delivered, Self::Bounced, Self::Failed, Self::Excluded, Self::Unknown];

    /// Its name, in events and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "message.sent",
            Self::Delivered => "message.delivered",
            Self::Bounced => "message.bounced",
            Self::Failed => "message.failed",
            Self::Excluded => "message.excluded",
            Self::Unknown => "message.unknown",
        }
    }

    /// What there is to tell of a fact; `None` where nobody is told.
    pub const fn of_fact(fact: Fact) -> Option<Self> {
        match fact {
            Fact::Delivered => Some(Self::Delivered),
            Fact::SoftBounced | Fact::HardBounced => Some(Self::Bounced),
            _ => None,
        }
    }

    /// What there is to tell of a member's code; `None` where nothing is decided.
    pub const fn of(code: Code) -> Option<Self> {
        match code.outcome() {
            Outcome::Pending => None,
            Outcome::Sent => Some(Self::Sent),
            Outcome::Failed => Some(Self::Failed),
            Outcome::Excluded => Some(Self::Excluded),
            Outcome::Unknown => Some(Self::Unknown),
        }
    }
}

/// Some types of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventTypes(u8);

impl EventTypes {
    /// Every type.
    pub fn all() -> Self {
        EventType::ALL.into_iter().collect()
    }

    /// Whether this type is among them.
    pub const fn has(self, kind: EventType) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> Self {
        Self(types.into_iter().fold(0, |bits, kind| bits | (1 << kind as u8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_storage_and_every_decided_code_has_an_event() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(EventTypes::all().has(kind));
        }
        for code in Code::ALL {
            assert_eq!(EventType::of(code).is_none(), code.is_pending(), "{code:?}");
        }
    }

    #[test]
    fn a_report_is_a_fact_or_decides_whether_the_message_was_sent() {
        for report in Report::ALL {
            assert!(report.fact().is_none() || report.failure().is_none(), "{report:?}");
            let is_told = report.fact().and_then(EventType::of_fact).is_some();
            let expected = matches!(report, Report::Delivered | Report::SoftBounced | Report::HardBounced);
            assert_eq!(is_told, expected, "{report:?}");
        }
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let some: EventTypes = [EventType::Sent, EventType::Failed].into_iter().collect();
        assert!(some.has(EventType::Sent) && some.has(EventType::Failed) && !some.has(EventType::Bounced));
        assert!(EventTypes::default().is_empty() && !some.is_empty());
        assert!(some.and([EventType::Bounced].into_iter().collect()).has(EventType::Bounced));
    }
}
