//! What an operator is to hear of.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one invocation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// How many occurrences were recorded as missed: nobody of their audience is sent anything.
    pub missed: u64,
}

/// Counts one invocation.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// So many occurrences more were missed.
    pub(crate) fn missed(&self, occurrences: u64) {
        self.0.fetch_add(occurrences, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Metrics {
        Metrics { missed: self.0.load(Ordering::Relaxed) }
    }
}
