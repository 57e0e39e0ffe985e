use delivery::{Delivery, Settings};
use store::Store;
use store::ledger::Worker;

use crate::sender::{EmailSender, Provider};

/// What the delivery of email needs.
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// The loop, with email in it.
    pub delivery: Delivery<EmailSender>,
}

impl Context {
    /// Email through `provider`.
    pub fn new(store: Store, worker: Worker, provider: Provider, settings: Settings) -> Self {
        Self { delivery: Delivery::new(store.clone(), worker, EmailSender::new(provider), settings), store }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`] for the data; for the provider `ENVOI_OUTBOX`, or
    /// `ENVOI_SMTP_HOST` with its port, TLS and credentials, or else Amazon SES with `ENVOI_SES_CONFIGURATION_SET`.
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> anyhow::Result<Self> {
        let worker = Worker::new(store::ledger::Tenancy::Shared);
        let store = store::environment::store().await?;
        let provider = crate::environment::provider(&store.secrets).await?;
        Ok(Self::new(store, worker, provider, Settings::default()))
    }
}
