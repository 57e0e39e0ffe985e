//! The campaign model: what a campaign is, what may happen to it, and the arithmetic of who gets what.
//!
//! Pure: no I/O, no clock, no async. Whatever depends on the time is given it.

pub mod address;
pub mod call;
pub mod chunk;
pub mod configuration;
pub mod content;
pub mod delivery_rules;
pub mod fact;
pub mod feedback;
pub mod frequency;
pub mod hosts;
pub mod id;
pub mod link;
pub mod lowered;
#[path = "campaign.rs"]
pub mod model;
pub mod outcome;
pub mod plan;
pub mod profile;
pub mod quiet;
pub mod rate;
pub mod report;
pub mod retry;
pub mod row;
pub mod schedule;
pub mod segment;
pub mod standing;
pub mod status;
pub mod suppression;
pub mod topic;
pub mod version;
pub mod waves;

pub use configuration::{Channel, Configuration};
pub use delivery_rules::DeliveryRules;
pub use fact::Fact;
pub use id::{
    CallScheduleId, CampaignId, ConfigurationId, EndpointId, EventId, ExecutionId, JobId, ProfileId,
    SegmentId,
};
pub use model::{Campaign, CampaignType, Category};
pub use outcome::{Code, Outcome};
pub use profile::Profile;
pub use row::CampaignRow;
pub use status::{Command, Status};
pub use topic::{Topic, TopicId};
pub use version::Version;
