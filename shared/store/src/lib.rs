//! Repositories upon the ports: campaigns, profiles, segments, configurations, keys, and the ledger.
//!
//! Here a domain type becomes an item and a rule becomes a condition. Nothing above this crate knows a key or an
//! attribute; nothing in it knows which engine holds the items.

pub mod campaigns;
pub mod configurations;
pub mod csv;
mod document;
#[cfg(feature = "embedded")]
pub mod environment;
mod error;
pub mod idempotency;
pub mod import;
pub mod keys;
pub mod ledger;
pub mod messages;
pub mod profiles;
pub mod rates;
pub mod segments;
pub mod suppression;
pub mod tables;

pub use campaigns::Campaigns;
pub use configurations::Configurations;
pub use document::Revised;
pub use error::StoreError;
pub use idempotency::Idempotency;
pub use keys::Keys;
pub use ledger::Ledger;
use platform::Platform;
pub use profiles::Profiles;
pub use rates::Rates;
pub use segments::{Segment, Segments};
pub use suppression::{HashKey, Suppressions};

/// Every repository, over one platform.
#[derive(Debug, Clone)]
pub struct Store {
    /// The ports themselves.
    pub platform: Platform,
    /// Campaigns, versions and contents.
    pub campaigns: Campaigns,
    /// Channel configurations.
    pub configurations: Configurations,
    /// Answers kept for repeated calls.
    pub idempotency: Idempotency,
    /// API keys.
    pub keys: Keys,
    /// Executions, chunks and counters.
    pub ledger: Ledger,
    /// Profiles and identities.
    pub profiles: Profiles,
    /// Rate cells.
    pub rates: Rates,
    /// Segments and list members.
    pub segments: Segments,
    /// Suppressed addresses.
    pub suppressions: Suppressions,
}

impl Store {
    /// The repositories over `platform`; suppressed addresses are hashed under `key`.
    pub fn new(platform: Platform, key: HashKey) -> Self {
        Self {
            campaigns: Campaigns::new(platform.clone()),
            configurations: Configurations::new(platform.clone()),
            idempotency: Idempotency::new(platform.clone()),
            keys: Keys::new(platform.clone()),
            ledger: Ledger::new(platform.clone()),
            profiles: Profiles::new(platform.clone()),
            rates: Rates::new(platform.clone()),
            segments: Segments::new(platform.clone()),
            suppressions: Suppressions::new(platform.clone(), key),
            platform,
        }
    }
}
