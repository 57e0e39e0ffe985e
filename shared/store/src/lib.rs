//! Repositories upon the ports: campaigns, profiles, segments, configurations, keys, jobs, and the ledger.
//!
//! Here a domain type becomes an item and a rule becomes a condition. Nothing above this crate knows a key or an
//! attribute; nothing in it knows which engine holds the items.

pub mod calls;
pub mod campaigns;
pub mod configurations;
pub mod csv;
mod document;
pub mod endpoints;
#[cfg(any(feature = "aws", feature = "embedded"))]
pub mod environment;
mod error;
pub mod idempotency;
pub mod import;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod messages;
pub mod profiles;
pub mod rates;
pub mod secrets;
pub mod segments;
pub mod suppression;
pub mod tables;

use std::sync::Arc;

pub use campaigns::Campaigns;
pub use configurations::Configurations;
pub use document::Revised;
pub use endpoints::Endpoints;
pub use error::StoreError;
pub use idempotency::Idempotency;
pub use jobs::Jobs;
pub use keys::Keys;
pub use ledger::Ledger;
use platform::{KeyVault, Platform, Vault};
pub use profiles::Profiles;
pub use rates::Rates;
pub use secrets::Secrets;
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
    /// Addresses that are told what became of messages.
    pub endpoints: Endpoints,
    /// Answers kept for repeated calls.
    pub idempotency: Idempotency,
    /// Imports of files, and counts.
    pub jobs: Jobs,
    /// API keys.
    pub keys: Keys,
    /// Executions, chunks and counters.
    pub ledger: Ledger,
    /// Profiles and identities.
    pub profiles: Profiles,
    /// Rate cells.
    pub rates: Rates,
    /// What is sealed.
    pub secrets: Secrets,
    /// Segments and list members.
    pub segments: Segments,
    /// Suppressed addresses.
    pub suppressions: Suppressions,
}

impl Store {
    /// The repositories over `platform`; suppressed addresses are hashed under `key`, and secrets sealed under one that
    /// is derived from it.
    pub fn new(platform: Platform, key: HashKey) -> Self {
        let vault = Arc::new(KeyVault::new(&key.0));
        Self::over(platform, vault, Some(key))
    }

    /// The repositories over `platform`; secrets are sealed in `vault`, the one that suppressed addresses are hashed under
    /// among them.
    pub fn sealed(platform: Platform, vault: Arc<dyn Vault>) -> Self {
        Self::over(platform, vault, None)
    }

    fn over(platform: Platform, vault: Arc<dyn Vault>, key: Option<HashKey>) -> Self {
        let secrets = Secrets::new(platform.clone(), Arc::clone(&vault));
        Self {
            campaigns: Campaigns::new(platform.clone()),
            configurations: Configurations::new(platform.clone()),
            endpoints: Endpoints::new(platform.clone(), vault),
            idempotency: Idempotency::new(platform.clone()),
            jobs: Jobs::new(platform.clone()),
            keys: Keys::new(platform.clone()),
            ledger: Ledger::new(platform.clone()),
            profiles: Profiles::new(platform.clone()),
            rates: Rates::new(platform.clone()),
            segments: Segments::new(platform.clone()),
            suppressions: Suppressions::new(platform.clone(), secrets.clone(), key),
            secrets,
            platform,
        }
    }
}
