//! Activation: what wakes up. Campaigns are checked and started, and the sweep finds whatever is overdue.

mod check;
mod context;
mod handler;
mod release;
mod start;
mod sweep;

pub use context::Context;
pub use handler::{handle, wake};
pub use sweep::sweep;
