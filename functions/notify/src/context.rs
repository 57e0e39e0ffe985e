use outbound::Client;
use store::Store;
use store::ledger::Worker;

use crate::addresses::Addresses;

/// What the function needs.
#[derive(Debug)]
pub struct Context {
    pub(crate) store: Store,
    pub(crate) client: Client,
    /// Who takes the right to tell an address what waits for it.
    pub(crate) worker: Worker,
    pub(crate) addresses: Addresses,
}

impl Context {
    /// Over this store, posting by this client.
    pub fn new(store: Store, client: Client, worker: Worker) -> Self {
        Self { store, client, worker, addresses: Addresses::default() }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`], and `ENVOI_OUTBOUND_ALLOW`, what may be called beside the
    /// public Internet ([`outbound::Policy::allowing`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        use store::environment::{EnvironmentError, store, variable};

        let name = "ENVOI_OUTBOUND_ALLOW";
        let policy = outbound::Policy::allowing(&variable(name).unwrap_or_default())
            .map_err(|error| EnvironmentError::Invalid { name, why: error.to_string() })?;
        let client = Client::new(policy, outbound::Limits::default());
        Ok(Self::new(store().await?, client, Worker::new(store::ledger::Tenancy::Shared)))
    }
}
