//! The audience of a simulated campaign: some who get their message and some who must not or can't.

use campaign::{Code, Profile, ProfileId};
use serde_json::json;

/// What is special about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: the provider takes the message.
    Taken,
    /// The provider refuses the address.
    Refused,
    /// The provider takes the message at the second try.
    Greylisted,
    /// Has opted out.
    OptedOut,
    /// Has no address.
    Unreachable,
    /// Is on the suppression list.
    Suppressed,
    /// Rendering says no.
    Unrenderable,
    /// Rendering panics.
    Panicking,
    /// Rendering ends the process, each time.
    Deadly,
    /// A value that the content needs is missing.
    Incomplete,
    /// Has an address that is none.
    Misspelt,
    /// Is in the list, but their profile is gone.
    Gone,
}

impl Fate {
    /// What becomes of them in a run without faults.
    pub const fn code(self) -> Code {
        match self {
            Self::Taken | Self::Greylisted => Code::Sent,
            Self::Refused => Code::BadAddress,
            Self::OptedOut => Code::NoConsent,
            Self::Unreachable => Code::NoAddress,
            Self::Suppressed => Code::Suppressed,
            Self::Unrenderable | Self::Panicking => Code::RenderFailed,
            Self::Deadly => Code::Crashed,
            Self::Incomplete => Code::MissingValue,
            Self::Misspelt => Code::InvalidAddress,
            Self::Gone => Code::ProfileGone,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Greylisted => "greylisted",
            Self::OptedOut => "opted-out",
            Self::Unreachable => "unreachable",
            Self::Suppressed => "suppressed",
            Self::Unrenderable => "unrenderable",
            Self::Panicking => "panicking",
            Self::Deadly => "deadly",
            Self::Incomplete => "incomplete",
            Self::Misspelt => "misspelt",
            Self::Gone => "gone",
        }
    }

    /// The fate that an address or a profile tells of.
    pub(crate) fn of(profile: &Profile) -> Self {
        let fate = profile.text("fate").unwrap_or_default();
        [
            Self::Refused,
            Self::Greylisted,
            Self::OptedOut,
            Self::Unreachable,
            Self::Suppressed,
            Self::Unrenderable,
            Self::Panicking,
            Self::Deadly,
            Self::Incomplete,
            Self::Misspelt,
            Self::Gone,
        ]
        .into_iter()
        .find(|known| known.name() == fate)
        .unwrap_or(Self::Taken)
    }
}

/// Somebody in the audience.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Their profile.
    pub id: ProfileId,
    /// What is special about them.
    pub fate: Fate,
}

impl Person {
    /// The n-th person.
    pub fn new(number: u8, fate: Fate) -> Self {
        Self::of_many(number.into(), fate)
    }

    /// The n-th person of many.
    pub fn of_many(number: u16, fate: Fate) -> Self {
        let [high, low] = number.to_be_bytes();
        let mut id = [0; 16];
        // Spread over the list's partitions, which go by the first byte.
        id[0] = low;
        id[1] = high;
        id[15] = low;
        Self { id: ProfileId::from_bytes(id), fate }
    }

    /// Which person it is.
    pub fn number(&self) -> u16 {
        let id = self.id.as_bytes();
        u16::from_be_bytes([id[1], id[0]])
    }

    pub(crate) fn address(&self) -> String {
        format!("person-{}@example.org", self.number())
    }

    pub(crate) fn profile(&self) -> Profile {
        let mut document = json!({ "fate": self.fate.name(), "number": self.number() });
        if self.fate != Fate::Unreachable {
            document["email"] = self.address().into();
        }
        if self.fate == Fate::OptedOut {
            document["consent"] = json!({ "email": "out" });
        }
        let serde_json::Value::Object(document) = document else { unreachable!("an object was made") };
        Profile::new(self.id, document).unwrap()
    }
}
