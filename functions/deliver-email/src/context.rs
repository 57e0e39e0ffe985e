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

#[cfg(all(feature = "embedded", feature = "smtp", feature = "outbox"))]
impl Context {
    /// From the function's environment: [`store::environment`], and either `ENVOI_OUTBOX` (a folder) or `ENVOI_SMTP_HOST`,
    /// with `ENVOI_SMTP_PORT` (587), `ENVOI_SMTP_TLS` (`starttls`, `implicit`, `none`), `ENVOI_SMTP_USER` and
    /// `ENVOI_SMTP_PASSWORD`.
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub fn from_environment() -> anyhow::Result<Self> {
        let worker = Worker::new(store::ledger::Tenancy::Shared);
        let provider = crate::environment::provider()?;
        Ok(Self::new(store::environment::store()?, worker, provider, Settings::default()))
    }
}
