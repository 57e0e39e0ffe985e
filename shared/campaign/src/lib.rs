//! The campaign model: what a campaign is, what may happen to it, and the arithmetic of who gets what.
//!
//! Pure: no I/O, no clock, no async. Whatever depends on the time is given it.

pub mod address;
pub mod chunk;
pub mod configuration;
pub mod content;
pub mod id;
#[path = "campaign.rs"]
pub mod model;
pub mod outcome;
pub mod profile;
pub mod rate;
pub mod report;
pub mod retry;
pub mod schedule;
pub mod segment;
pub mod status;
pub mod version;

pub use configuration::{Channel, Configuration};
pub use id::{CampaignId, ConfigurationId, ExecutionId, JobId, ProfileId, SegmentId};
pub use model::{Campaign, CampaignType, Category};
pub use outcome::{Code, Outcome};
pub use profile::Profile;
pub use status::{Command, Status};
pub use version::Version;
