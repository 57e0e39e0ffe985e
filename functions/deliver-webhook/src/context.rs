use delivery::{Delivery, Settings};
use outbound::Policy;
use store::Store;
use store::ledger::Worker;

use crate::WebhookSender;

/// What the delivery of webhooks needs.
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// The loop, with webhooks in it.
    pub delivery: Delivery<WebhookSender>,
}

impl Context {
    /// Webhooks to whatever `policy` allows.
    pub fn new(store: Store, worker: Worker, policy: Policy, settings: Settings) -> Self {
        let sender = WebhookSender::new(store.clone(), policy);
        Self { delivery: Delivery::new(store.clone(), worker, sender, settings), store }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`], and `ENVOI_OUTBOUND_ALLOW`, what may be called beside the
    /// public Internet ([`Policy::allowing`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> anyhow::Result<Self> {
        let worker = Worker::new(store::ledger::Tenancy::Shared);
        let allowed = store::environment::variable("ENVOI_OUTBOUND_ALLOW").unwrap_or_default();
        let policy = Policy::allowing(&allowed)?;
        let store = store::environment::store().await?;
        Ok(Self::new(store, worker, policy, Settings::default()))
    }
}
