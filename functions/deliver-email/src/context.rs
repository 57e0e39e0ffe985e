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
