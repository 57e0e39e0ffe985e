//! What became of a recipient: one byte in the ledger, a name and a reason in the API.

use serde::{Deserialize, Serialize};

/// The code of one member of a chunk. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// Not handed over yet.
    Pending = 0,
    /// To be handed over again, though an earlier hand-over may have succeeded.
    PendingAgain = 1,
    /// The provider took it.
    Sent = 10,
    /// The provider took it, and may have taken it before.
    SentAgain = 11,
    /// The provider refuses this address.
    BadAddress = 20,
    /// The provider refuses the message for its size.
    TooLarge = 21,
    /// The provider refuses by policy: content, reputation, authentication.
    Policy = 22,
    /// The provider refuses for another reason.
    Refused = 23,
    /// The content could not be rendered for this recipient.
    RenderFailed = 24,
    /// Handling this recipient ended the process three times.
    Crashed = 25,
    /// The retry period ended before the provider took it.
    Expired = 26,
    /// The channel's configuration is gone or was refused as a whole until the retry period ended.
    Misconfigured = 27,
    /// The recipient has opted out of this channel, or not confirmed yet.
    NoConsent = 40,
    /// The address is on the suppression list.
    Suppressed = 41,
    /// The profile has no address for this channel.
    NoAddress = 42,
    /// The profile's address is not one.
    InvalidAddress = 43,
    /// A value that the content needs is missing, and the campaign says `skip`.
    MissingValue = 44,
    /// The campaign was stopped first.
    Stopped = 45,
    /// The profile was deleted after the execution started.
    ProfileGone = 46,
    /// It was meant at an hour of the recipient's own time zone that had passed when the campaign was activated, and the
    /// campaign says `exclude`, or the next occurrence comes in its place.
    HourPassed = 47,
    /// The action's condition is not true of the recipient, or can't be decided.
    ConditionNotMet = 48,
    /// The channel's allowed list is on, and the address is not on it.
    NotAllowed = 49,
    /// A frequency cap is reached: the recipient has got as much marketing as the rules allow in the period.
    Capped = 50,
    /// It was to go out within the recipient's quiet hours, and the rules say `exclude`.
    QuietHours = 51,
    /// It may or may not have been taken; an event or the rule `on_unknown` may still decide.
    Unknown = 60,
    /// As `Unknown`, after having been handed over again.
    UnknownAgain = 61,
    /// It may have been taken when it was first handed over, and will not be handed over again: that was refused, or
    /// must not be.
    UnknownOnce = 62,
}

/// The kinds of outcome that must add up: `targeted = sent + failed + excluded + unknown` once nothing is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still to be decided.
    Pending,
    /// The provider took it.
    Sent,
    /// It will not be sent: the provider or we could not.
    Failed,
    /// It will not be sent: it must not.
    Excluded,
    /// It may have been sent.
    Unknown,
}

impl Outcome {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Excluded => "excluded",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Sent, Self::Failed, Self::Excluded, Self::Unknown]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 27] = [
        Self::Pending,
        Self::PendingAgain,
        Self::Sent,
        Self::SentAgain,
        Self::BadAddress,
        Self::TooLarge,
        Self::Policy,
        Self::Refused,
        Self::RenderFailed,
        Self::Crashed,
        Self::Expired,
        Self::Misconfigured,
        Self::NoConsent,
        Self::Suppressed,
        Self::NoAddress,
        Self::InvalidAddress,
        Self::MissingValue,
        Self::Stopped,
        Self::ProfileGone,
        Self::HourPassed,
        Self::ConditionNotMet,
        Self::NotAllowed,
        Self::Capped,
        Self::QuietHours,
        Self::Unknown,
        Self::UnknownAgain,
        Self::UnknownOnce,
    ];

    /// The code stored as this byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == byte)
    }

    /// The kind it counts under.
    pub const fn outcome(self) -> Outcome {
        match self as u8 {
            0..10 => Outcome::Pending,
            10..20 => Outcome::Sent,
            20..40 => Outcome::Failed,
            40..60 => Outcome::Excluded,
            _ => Outcome::Unknown,
        }
    }

    /// The reason in the API: stable, in snake case.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::PendingAgain => "pending_again",
            Self::Sent => "sent",
            Self::SentAgain => "sent_again",
            Self::BadAddress => "bad_address",
            Self::TooLarge => "too_large",
            Self::Policy => "policy",
            Self::Refused => "refused",
            Self::RenderFailed => "render_failed",
            Self::Crashed => "crashed",
            Self::Expired => "expired",
            Self::Misconfigured => "misconfigured",
            Self::NoConsent => "no_consent",
            Self::Suppressed => "suppressed",
            Self::NoAddress => "no_address",
            Self::InvalidAddress => "invalid_address",
            Self::MissingValue => "missing_value",
            Self::Stopped => "stopped",
            Self::ProfileGone => "profile_gone",
            Self::HourPassed => "hour_passed",
            Self::ConditionNotMet => "condition_not_met",
            Self::NotAllowed => "not_allowed",
            Self::Capped => "frequency_cap",
            Self::QuietHours => "quiet_hours",
            Self::Unknown => "unknown",
            Self::UnknownAgain => "unknown_again",
            Self::UnknownOnce => "unknown_once",
        }
    }

    /// What it means, for people: one sentence or two, as the documentation has it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pending => "Not handed over yet.",
            Self::PendingAgain => {
                "To be handed over again, though an earlier hand-over may have succeeded: `on_unknown` says `resend`, or \
                 somebody asked for it."
            }
            Self::Sent => "The provider took it.",
            Self::SentAgain => "The provider took it, and may have taken it before.",
            Self::BadAddress => "The provider refuses this address.",
            Self::TooLarge => "The provider refuses the message for its size.",
            Self::Policy => "The provider refuses by policy: content, reputation, authentication.",
            Self::Refused => "The provider refuses for another reason.",
            Self::RenderFailed => "The content could not be rendered for this recipient.",
            Self::Crashed => "Handling this recipient ended the process three times.",
            Self::Expired => "The retry period ended before the provider took it.",
            Self::Misconfigured => {
                "The channel's configuration was gone, or was refused as a whole, until the retry period ended."
            }
            Self::NoConsent => {
                "It is marketing, and the profile says `out` or `pending` to the channel, or `out` to the campaign's topic."
            }
            Self::Suppressed => {
                "The address or its domain is on the suppression list, for a reason that stops this category."
            }
            Self::NoAddress => "The profile has no address for this channel.",
            Self::InvalidAddress => "The profile's address is not one.",
            Self::MissingValue => "A value that the content needs is missing, and `on_missing` says `skip`.",
            Self::Stopped => "The campaign was stopped first.",
            Self::ProfileGone => "The profile was deleted after the execution started.",
            Self::HourPassed => {
                "The hour of the recipient's own time zone had passed when the campaign was activated, and \
                 `schedule.recipient_time.passed` says `exclude`, or the next occurrence comes in its place."
            }
            Self::ConditionNotMet => {
                "The action's condition is not true of the recipient, or can't be decided."
            }
            Self::NotAllowed => {
                "The channel's allowed list is on, and neither the address nor its domain is on it."
            }
            Self::Capped => {
                "It is marketing, and a frequency cap is reached: the person has got as much as the rules allow in the period."
            }
            Self::QuietHours => {
                "It is marketing that was to go out within the recipient's quiet hours, whose rule says `exclude`."
            }
            Self::Unknown => {
                "Nobody can say whether the provider took it. An event of the provider, or `on_unknown`, may still decide."
            }
            Self::UnknownAgain => "As `unknown`, after having been handed over again.",
            Self::UnknownOnce => {
                "It may have been taken when it was first handed over, and will not be handed over again: that was refused, \
                 or must not be."
            }
        }
    }

    /// Whether it is still to be handed over.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingAgain)
    }

    /// What this member becomes when the provider took it.
    #[must_use]
    pub const fn accepted(self) -> Self {
        match self {
            Self::PendingAgain | Self::UnknownAgain => Self::SentAgain,
            _ => Self::Sent,
        }
    }

    /// What this member becomes when it will not be sent, for the reason `code`: that, unless an earlier hand-over may
    /// have succeeded. A doubt is never forgotten.
    #[must_use]
    pub const fn closed(self, code: Self) -> Self {
        match self {
            Self::PendingAgain => Self::UnknownOnce,
            _ => code,
        }
    }

    /// What this member becomes when nobody can say whether the provider took it.
    #[must_use]
    pub const fn in_doubt(self) -> Self {
        match self {
            Self::PendingAgain => Self::UnknownAgain,
            _ => Self::Unknown,
        }
    }

    /// What this member becomes when it is to be handed over once more: with a warning where it may have been taken.
    #[must_use]
    pub const fn again(self) -> Self {
        match self.outcome() {
            Outcome::Unknown => Self::PendingAgain,
            _ => Self::Pending,
        }
    }
}

/// What to do with a member nobody can say was taken, once `unknown_wait` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Leave it `unknown`: never send twice.
    Hold,
    /// Send once more: rather twice than never.
    Resend,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_reasons_are_distinct_and_round_trip() {
        let mut reasons = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert_eq!(Code::from_byte(code as u8), Some(code));
            assert!(reasons.insert(code.reason()));
        }
        assert_eq!(Code::from_byte(255), None);
    }

    /// What `docs/reasons.md` is made of.
    fn documented() -> String {
        use std::fmt::Write;

        let mut text = "# What became of a recipient\n\n\
            For every recipient of every action of an execution the ledger holds one outcome and one reason. The API shows \
            both for\neach recipient (`GET /executions/{id}/recipients`) and counts both in reports. Once nothing is pending, \
            every execution adds\nup: `targeted = sent + failed + excluded + unknown`. A reason never changes its meaning.\n\n\
            This page is made of the code: `UPDATE_REASONS=1 cargo test -p campaign reasons` writes it anew.\n"
            .to_owned();
        for (outcome, about) in [
            (Outcome::Sent, "The provider took the message. What came of it then is told by events."),
            (
                Outcome::Excluded,
                "The message must not go to the recipient, or can't: nothing was handed over.",
            ),
            (Outcome::Failed, "It was to be sent, and the provider or we could not."),
            (Outcome::Unknown, "It may have been sent, and nobody can say yet whether it was."),
            (Outcome::Pending, "It is still to be decided."),
        ] {
            write!(text, "\n## `{}`\n\n{about}\n\n| reason | |\n|---|---|\n", outcome.name()).unwrap();
            for code in Code::ALL.into_iter().filter(|code| code.outcome() == outcome) {
                writeln!(text, "| `{}` | {} |", code.reason(), code.meaning()).unwrap();
            }
        }
        text
    }

    /// Row J3.
    #[test]
    fn the_documented_reasons_are_those_there_are() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons.md");
        if std::env::var_os("UPDATE_REASONS").is_some() {
            std::fs::write(&path, documented()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == documented(),
            "docs/reasons.md differs: run this test with UPDATE_REASONS=1 and look at the change"
        );
        for code in Code::ALL {
            assert!(found.contains(&format!("| `{}` | {} |", code.reason(), code.meaning())), "{code:?}");
        }
    }

    #[test]
    fn a_doubt_is_never_forgotten() {
        let again = Code::Unknown.again();
        assert_eq!(again.accepted(), Code::SentAgain);
        assert_eq!(again.in_doubt(), Code::UnknownAgain);
        assert_eq!(Code::UnknownAgain.accepted(), Code::SentAgain);
        assert_eq!(Code::Expired.again().accepted(), Code::Sent);
        assert_eq!(again.closed(Code::Stopped), Code::UnknownOnce);
        assert_eq!(Code::UnknownOnce.again(), Code::PendingAgain);
        assert_eq!(Code::Pending.closed(Code::Stopped), Code::Stopped);
    }
}
