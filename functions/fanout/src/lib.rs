//! Fan-out: one shard of an audience becomes chunks in the ledger, and messages on the channels' queues.

mod audience;
mod context;
mod handler;
mod place;

pub use context::Context;
pub use handler::{fan_out, handle};
