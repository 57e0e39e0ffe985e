//! What a provider says to a hand-over: four answers, of which only one may be tried again.

use std::time::Duration;

use campaign::Code;

/// What became of one message at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The provider took it.
    Accepted,
    /// The provider refuses it for good.
    Refused {
        /// Why, as one of the `failed` codes; [`Code::NoConsent`] where the provider knows that they want no more messages.
        code: Code,
        /// The provider's words.
        detail: String,
    },
    /// The provider surely did not take it: trying again can't send it twice.
    NotAccepted {
        /// What kind of trouble.
        cause: Cause,
        /// The provider's wish, if it named one.
        retry_after: Option<Duration>,
        /// The provider's words.
        detail: String,
    },
    /// The provider may or may not have taken it.
    Ambiguous {
        /// What happened.
        detail: String,
    },
}

/// Why a message was not taken, when it may be later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Trouble with this one message or recipient, such as a greylist.
    Transient,
    /// We are too fast for the provider. Uses up neither tries nor the retry period.
    Throttled,
    /// The provider's quota for the day is used up. Uses up neither tries nor the retry period.
    Quota,
    /// The provider can't be reached: it concerns whatever would follow, too.
    Unreachable,
    /// The configuration is refused as a whole, such as its credentials: it concerns whatever would follow, too.
    Misconfigured,
}

impl Cause {
    /// Whether it makes no sense to hand over the next message now.
    pub const fn stops_the_rest(self) -> bool {
        !matches!(self, Self::Transient)
    }

    /// Whether the wait counts as a try and uses up the retry period.
    pub const fn counts_as_try(self) -> bool {
        !matches!(self, Self::Throttled | Self::Quota)
    }
}
