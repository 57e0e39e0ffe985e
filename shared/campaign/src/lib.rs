//! The campaign model: what a campaign is, what may happen to it, and the arithmetic of who gets what.
//!
//! Pure: no I/O, no clock, no async. Whatever depends on the time is given it.

pub mod address;
pub mod content;
pub mod id;
pub mod profile;
pub mod segment;

pub use id::{CampaignId, ConfigurationId, ExecutionId, ProfileId, SegmentId};
