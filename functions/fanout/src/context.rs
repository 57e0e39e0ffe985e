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

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment ([`store::environment`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self {
            store: store::environment::store_without_secrets().await?,
            worker: Worker::new(store::ledger::Tenancy::Shared),
        })
    }
}
