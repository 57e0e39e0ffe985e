//! Why nothing is sent to an address any more, and what that holds for.

use serde::{Deserialize, Serialize};

use crate::Category;

/// Why an address is on the suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
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
    /// Whether it stops messages of this category: a complaint is about marketing, the others about the address.
    pub const fn stops(self, category: Category) -> bool {
        match self {
            Self::Complaint => matches!(category, Category::Marketing),
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
        use SuppressionReason::{Complaint, HardBounce, Manual, SoftBounces};
        for reason in [Complaint, SoftBounces, Manual, HardBounce] {
            assert!(reason.stops(Category::Marketing));
            assert_eq!(reason.stops(Category::Transactional), reason != Complaint);
            assert_eq!(reason.or_graver(Complaint), reason);
            assert_eq!(reason.or_graver(HardBounce), HardBounce);
        }
    }
}
