use store::Store;
use store::ledger::Worker;

/// What a fan-out needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// Who takes the leases.
    pub worker: Worker,
}
