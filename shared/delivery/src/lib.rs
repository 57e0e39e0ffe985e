//! Delivery: claim, read, render, send, settle. Every `deliver-*` function is this loop plus its [`Sender`].
//!
//! The loop is written once and holds the promises: nobody lost, nobody twice, doubt named. A channel brings only what
//! differs: how its content is compiled, where a profile is reached, and how a provider is spoken to.

mod answer;
mod deliver;
mod metrics;
mod outcome;
mod report;
mod sender;
mod statuses;
mod templates;

pub use answer::{Answer, Cause};
pub use deliver::{Delivery, Settings};
pub use metrics::Metrics;
pub use sender::{Job, MemberId, Sender};
