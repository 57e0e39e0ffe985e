//! Delivery: claim, read, render, send, settle. Every `deliver-*` function is this loop plus its [`Sender`].
//!
//! The loop is written once and holds the promises: nobody lost, nobody twice, doubt named. A channel brings only what
//! differs: how its content is compiled, where a profile is reached, and how a provider is spoken to.

mod answer;
mod deliver;
mod feedback;
mod metrics;
mod outcome;
mod proof;
mod remembered;
mod report;
mod sender;
pub mod tags;
mod templates;

pub use answer::{Answer, Cause};
pub use deliver::{Delivery, Settings};
pub use feedback::Listeners;
pub use metrics::Metrics;
pub use sender::{Job, JobLinks, MemberId, MessageId, Sender};
