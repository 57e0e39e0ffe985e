//! Ids: 128 bits, written as 26 characters of Crockford's base32 in lower case.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification.translate.from.push_str("ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.to.push_str("abcdefghjkmnpqrstvwxyz");
    specification.encoding().expect("32 distinct symbols make an encoding")
});

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an id is 26 characters of 0-9 and a-z without i, l, o and u")]
pub struct InvalidId;

fn encode(bytes: [u8; 16]) -> String {
    BASE32.encode(&bytes)
}

fn decode(text: &str) -> Result<[u8; 16], InvalidId> {
    let bytes = BASE32.decode(text.as_bytes()).map_err(|_| InvalidId)?;
    bytes.try_into().map_err(|_| InvalidId)
}

/// Sixteen random bytes from the operating system.
///
/// # Panics
/// Where the operating system has no random source, without which no id can be made.
pub fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// A random id.
            pub fn random() -> Self {
                Self(random_bytes())
            }

            /// An id whose order is that of `at_ms` (milliseconds since the Unix epoch), random beyond it: ids made
            /// later sort later, so a listing by id is a listing by age.
            pub fn ordered(at_ms: i64) -> Self {
                let mut bytes = random_bytes();
                bytes[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A campaign.
    CampaignId
);
id!(
    /// One run of one version of a campaign.
    ExecutionId
);
id!(
    /// A profile: random, so that the ledger, which holds nothing else of a person, holds a pseudonym.
    ProfileId
);
id!(
    /// A segment.
    SegmentId
);
id!(
    /// A channel configuration.
    ConfigurationId
);
id!(
    /// A call to an audience that is made at an instant.
    CallScheduleId
);
id!(
    /// A job: work on a file or on every profile, which takes longer than a call.
    JobId
);
id!(
    /// An address that is told what became of messages.
    EndpointId
);
id!(
    /// What an address is told of one message: the same however often it is told.
    EventId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let id = CampaignId::random();
        assert_eq!(id.to_string().len(), 26);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn ids_of_a_later_instant_sort_later() {
        let early = CampaignId::ordered(1_700_000_000_000);
        let late = CampaignId::ordered(1_700_000_000_001);
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "x",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzz",
            "iiiiiiiiiiiiiiiiiiiiiiiiii",
            "01234567890123456789012345é",
        ] {
            assert_eq!(text.parse::<CampaignId>(), Err(InvalidId), "{text}");
        }
    }
}
