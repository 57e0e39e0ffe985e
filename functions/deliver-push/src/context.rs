use delivery::{Delivery, Settings};
use store::Store;
use store::ledger::Worker;

use crate::fcm::Fcm;
use crate::sender::PushSender;

/// What the delivery of push notifications needs.
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// The loop, with push notifications in it.
    pub delivery: Delivery<PushSender>,
}

impl Context {
    /// Push notifications through `fcm`.
    pub fn new(store: Store, worker: Worker, fcm: Fcm, settings: Settings) -> Self {
        let sender = PushSender::new(store.clone(), fcm);
        Self { delivery: Delivery::new(store.clone(), worker, sender, settings), store }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`] for the data; `ENVOI_FCM_URL` for another address than that of
    /// Firebase Cloud Messaging; `ENVOI_OUTBOUND_ALLOW` for what may be called besides public addresses by https, as
    /// [`outbound::Policy::allowing`] reads it.
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> anyhow::Result<Self> {
        use anyhow::Context as _;
        use store::environment::variable;

        let allowed = variable("ENVOI_OUTBOUND_ALLOW").unwrap_or_default();
        let policy = outbound::Policy::allowing(&allowed).context("ENVOI_OUTBOUND_ALLOW can't be used")?;
        let fcm = Fcm::new(policy, variable("ENVOI_FCM_URL").as_deref());
        let worker = Worker::new(store::ledger::Tenancy::Shared);
        Ok(Self::new(store::environment::store().await?, worker, fcm, Settings::default()))
    }
}
