//! What became of one message handed to a provider.

use std::time::Duration;

/// What the provider said of one message. Details are for people to read: they never hold an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The provider took the message, and said so.
    Accepted {
        /// How the provider calls it, where it gave a name.
        provider_id: Option<String>,
    },
    /// The provider will never take this message for this recipient.
    Refused {
        /// Why, as far as the reply tells.
        reason: Refusal,
        /// The reply's own words.
        detail: String,
    },
    /// The message was surely not taken, so that sending it again can't double it.
    NotAccepted {
        /// What stood in the way.
        cause: NotAccepted,
        /// How long the provider asked to wait, where it did.
        retry_after: Option<Duration>,
        /// The reply's own words, or what happened to the connection.
        detail: String,
    },
    /// The message was handed over whole and no final reply came: it may have been taken.
    Ambiguous {
        /// What happened instead of the reply.
        detail: String,
    },
}

#[cfg(any(feature = "outbox", feature = "ses", feature = "smtp"))]
impl Answer {
    /// A [`Answer::NotAccepted`] that names no wait.
    pub(crate) fn not_accepted(cause: NotAccepted, detail: impl Into<String>) -> Self {
        Self::NotAccepted { cause, retry_after: None, detail: detail.into() }
    }

    /// A [`Answer::Refused`].
    pub(crate) fn refused(reason: Refusal, detail: impl Into<String>) -> Self {
        Self::Refused { reason, detail: detail.into() }
    }
}

/// Why a provider refused a message for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The address does not exist, takes no mail, or is no address.
    BadAddress,
    /// The mailbox is full, and the provider calls that permanent.
    MailboxFull,
    /// The message is larger than the provider takes.
    TooLarge,
    /// Against the provider's or the recipient's policy (spam, authentication, block lists).
    Policy,
    /// Anything else permanent.
    Other,
}

/// Why a message was not taken this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotAccepted {
    /// The provider said "not now", or time ran out before the message's turn came.
    Transient,
    /// We send faster than the provider allows.
    Throttled,
    /// The provider's quota for the day (or what was paid for) is used up.
    QuotaExceeded,
    /// There is no working connection to the provider.
    Unreachable,
    /// The provider does not let *us* send: credentials, sender or account. It concerns every recipient alike, so no
    /// recipient may be counted as failed for it.
    Misconfigured,
}
