//! Why nothing is sent to an address any more, and what that holds for.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Category;

/// The keyed hash of an address over a channel: by it an entry of the list is found without holding the address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressHash([u8; 16]);

/// A text that is no [`AddressHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the hash of an address is 32 characters of 0-9 and a-f")]
pub struct InvalidHash;

impl AddressHash {
    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for AddressHash {
    /// In hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for AddressHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressHash({self})")
    }
}

impl FromStr for AddressHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| InvalidHash)?;
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }
}

/// Why an address is on the suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// The recipient wants no marketing any more, and has no profile that could say so.
    Unsubscribed,
    /// The recipient has called a message unwanted: no marketing any more.
    Complaint,
    /// It has not been reachable several times in a row.
    SoftBounces,
    /// Somebody has put it there.
    Manual,
    /// It does not exist.
    HardBounce,
}

impl SuppressionReason {
    /// Every reason, the gravest last.
    pub const ALL: [Self; 5] =
        [Self::Unsubscribed, Self::Complaint, Self::SoftBounces, Self::Manual, Self::HardBounce];

    /// Its name in the API and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Complaint => "complaint",
            Self::SoftBounces => "soft_bounces",
            Self::Manual => "manual",
            Self::HardBounce => "hard_bounce",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Whether it stops messages of this category: who has unsubscribed or complained wants no marketing; the others are
    /// about the address.
    pub const fn stops(self, category: Category) -> bool {
        match self {
            Self::Unsubscribed | Self::Complaint => matches!(category, Category::Marketing),
            Self::SoftBounces | Self::Manual | Self::HardBounce => true,
        }
    }

    /// The graver of the two: what stops more, and is more certain.
    #[must_use]
    pub fn or_graver(self, other: Self) -> Self {
        self.max(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row H2.
    #[test]
    fn a_complaint_is_about_marketing_and_a_bounce_about_the_address() {
        use SuppressionReason::{Complaint, HardBounce, Unsubscribed};
        for reason in SuppressionReason::ALL {
            assert!(reason.stops(Category::Marketing));
            let is_about_marketing = matches!(reason, Complaint | Unsubscribed);
            assert_eq!(reason.stops(Category::Transactional), !is_about_marketing);
            assert_eq!(reason.or_graver(Unsubscribed), reason);
            assert_eq!(reason.or_graver(HardBounce), HardBounce);
        }
        assert!(SuppressionReason::ALL.is_sorted());
    }

    #[test]
    fn a_hash_is_written_in_hexadecimal() {
        let hash = AddressHash::from_bytes([0xa5; 16]);
        assert_eq!(hash.to_string(), "a5".repeat(16));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in ["", "a5", &"A5".repeat(16), &"a5".repeat(17), &"zz".repeat(16)] {
            assert_eq!(text.parse::<AddressHash>(), Err(InvalidHash), "{text}");
        }
    }

    #[test]
    fn a_reason_goes_by_one_name_everywhere() {
        for reason in SuppressionReason::ALL {
            assert_eq!(SuppressionReason::from_name(reason.name()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
        assert_eq!(SuppressionReason::from_name("Complaint"), None);
    }
}
