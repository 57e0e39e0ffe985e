//! `envoi` and `smtp-sink` as processes of their own, for tests that kill them and for benchmarks.

mod api;
mod binaries;
mod child;
mod envoi;
mod sink;

pub use api::Api;
pub use binaries::binary;
pub use child::{Child, Usage};
pub use envoi::Envoi;
pub use sink::{SinkProcess, Taken};

use std::time::Duration;

/// Longer than anything takes that does not hang, on the slowest machine.
pub const GUARD: Duration = Duration::from_secs(300);
