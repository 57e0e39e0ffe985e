//! Activation: what wakes up. Campaigns are checked and started, and the sweep finds whatever is overdue.

mod check;
mod context;
mod handler;
mod meter;
mod release;
mod start;
mod sweep;

pub use context::Context;
pub use handler::{handle, handle_counting, wake};
pub use meter::Metrics;
pub use sweep::sweep;
