use delivery::{Delivery, Settings};
use outbound::Client;
use store::Store;
use store::ledger::Worker;

use crate::SmsSender;

/// What the delivery of text messages needs.
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// The loop, with text messages in it.
    pub delivery: Delivery<SmsSender>,
}

impl Context {
    /// Text messages to providers that take them by HTTP, called by `client`.
    pub fn new(store: Store, worker: Worker, client: Client, settings: Settings) -> Self {
        let sender = SmsSender::new(store.secrets.clone(), store.platform.clock.clone(), client);
        Self::with_sender(store, worker, sender, settings)
    }

    /// Text messages by `sender`.
    pub fn with_sender(store: Store, worker: Worker, sender: SmsSender, settings: Settings) -> Self {
        Self { delivery: Delivery::new(store.clone(), worker, sender, settings), store }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`] for the data; `ENVOI_OUTBOUND_ALLOW` for what may be called
    /// beside the public Internet ([`outbound::Policy::allowing`]); the standard AWS variables for AWS End User Messaging,
    /// which is there where they name a region.
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> anyhow::Result<Self> {
        let allowed = store::environment::variable("ENVOI_OUTBOUND_ALLOW").unwrap_or_default();
        let policy = outbound::Policy::allowing(&allowed)?;
        let store = store::environment::store().await?;
        let client = Client::new(policy, outbound::Limits::default());
        let sender = SmsSender::new(store.secrets.clone(), store.platform.clock.clone(), client);
        #[cfg(feature = "aws")]
        let sender = match crate::aws::EndUserMessaging::of_environment().await {
            Some(aws) => sender.with_aws(aws),
            None => sender,
        };
        let worker = Worker::new(store::ledger::Tenancy::Shared);
        Ok(Self::with_sender(store, worker, sender, Settings::default()))
    }
}
