//! Repositories upon the ports: campaigns, profiles, segments, configurations, keys, jobs, and the ledger.
//!
//! Here a domain type becomes an item and a rule becomes a condition. Nothing above this crate knows a key or an
//! attribute; nothing in it knows which engine holds the items.

pub mod allowed;
pub mod calls;
pub mod campaigns;
pub mod configurations;
pub mod csv;
mod document;
pub mod endpoints;
#[cfg(any(feature = "aws", feature = "embedded"))]
pub mod environment;
mod error;
pub mod frequency;
pub mod idempotency;
pub mod import;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod links;
pub mod messages;
pub mod people;
pub mod profiles;
pub mod rates;
pub mod reports;
pub mod rules;
pub mod secrets;
pub mod segments;
pub mod suppression;
pub mod tables;
pub mod topics;

use std::sync::Arc;

pub use allowed::AllowedLists;
pub use campaigns::Campaigns;
pub use configurations::Configurations;
pub use document::Revised;
pub use endpoints::Endpoints;
pub use error::StoreError;
pub use frequency::Frequency;
pub use idempotency::Idempotency;
pub use jobs::Jobs;
pub use keys::Keys;
pub use ledger::Ledger;
pub use links::Links;
use platform::{KeyVault, Platform, Vault};
pub use profiles::Profiles;
pub use rates::Rates;
pub use rules::Rules;
pub use secrets::Secrets;
pub use segments::{Segment, Segments};
pub use suppression::{HashKey, Suppressions};
pub use topics::Topics;

/// Every repository, over one platform.
#[derive(Debug, Clone)]
pub struct Store {
    /// The ports themselves.
    pub platform: Platform,
    /// To whom alone messages may go, where that is limited.
    pub allowed: AllowedLists,
    /// Campaigns, versions and contents.
    pub campaigns: Campaigns,
    /// Channel configurations.
    pub configurations: Configurations,
    /// Addresses that are told what became of messages.
    pub endpoints: Endpoints,
    /// What frequency caps count.
    pub frequency: Frequency,
    /// Answers kept for repeated calls.
    pub idempotency: Idempotency,
    /// Imports of files, and counts.
    pub jobs: Jobs,
    /// API keys.
    pub keys: Keys,
    /// Executions, chunks and counters.
    pub ledger: Ledger,
    /// What public links are signed with.
    pub links: Links,
    /// Profiles and identities.
    pub profiles: Profiles,
    /// Rate cells.
    pub rates: Rates,
    /// Delivery rules.
    pub rules: Rules,
    /// What is sealed.
    pub secrets: Secrets,
    /// Segments and list members.
    pub segments: Segments,
    /// Suppressed addresses.
    pub suppressions: Suppressions,
    /// What marketing may be about.
    pub topics: Topics,
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

    /// The same, with public links at this URL: scheme and host.
    #[must_use]
    pub fn with_public_url(self, url: &str) -> Self {
        Self { links: self.links.at(url), ..self }
    }

    fn over(platform: Platform, vault: Arc<dyn Vault>, key: Option<HashKey>) -> Self {
        let secrets = Secrets::new(platform.clone(), Arc::clone(&vault));
        Self {
            allowed: AllowedLists::new(platform.clone()),
            campaigns: Campaigns::new(platform.clone()),
            configurations: Configurations::new(platform.clone()),
            endpoints: Endpoints::new(platform.clone(), vault),
            frequency: Frequency::new(platform.clone()),
            idempotency: Idempotency::new(platform.clone()),
            jobs: Jobs::new(platform.clone()),
            keys: Keys::new(platform.clone()),
            ledger: Ledger::new(platform.clone()),
            links: Links::new(platform.clone(), secrets.clone()),
            profiles: Profiles::new(platform.clone()),
            rates: Rates::new(platform.clone()),
            rules: Rules::new(platform.clone()),
            segments: Segments::new(platform.clone()),
            suppressions: Suppressions::new(platform.clone(), secrets.clone(), key),
            topics: Topics::new(platform.clone()),
            secrets,
            platform,
        }
    }
}
