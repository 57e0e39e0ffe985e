use std::time::Duration;

use store::Store;

/// What an activation needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// How often the sweep comes: what it releases must last until the next.
    pub sweep_every: Duration,
}
