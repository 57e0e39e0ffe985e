//! Handing work on: SQS's semantics, at least once and in no order.

use std::time::Duration;

use async_trait::async_trait;

use crate::PlatformError;

/// A queue by its logical name; each engine knows what it is called in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(pub &'static str);

/// The longest body: SQS's 1 MiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The longest delay a message may have: SQS's 15 minutes.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub queue: QueueName,
    /// JSON text, at most [`MAX_BODY_BYTES`].
    pub body: String,
    /// How long it stays hidden, at most [`MAX_DELAY`]. Engines may round it up to whole seconds.
    pub delay: Duration,
    /// Whose message it is, for fairness between campaigns (SQS's `MessageGroupId` on a standard queue).
    pub group: Option<String>,
}

impl Message {
    /// A message for `queue` to be seen at once.
    pub fn new(queue: QueueName, body: String) -> Self {
        Self { queue, body, delay: Duration::ZERO, group: None }
    }

    /// The same message, hidden for `delay` (cut to [`MAX_DELAY`]).
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay.min(MAX_DELAY);
        self
    }
}

/// Sends messages.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends every message, in batches of ten where the engine has batches. When it returns `Ok`, all are stored; on an
    /// error some may have been.
    ///
    /// # Errors
    /// [`PlatformError::TooLarge`] where a body or a delay breaks its limit (then nothing is sent).
    async fn send(&self, messages: Vec<Message>) -> Result<(), PlatformError>;

    /// Names the store behind this queue where that store holds tables too: [`Table::commit`](crate::Table::commit) of
    /// the same store then does both in one step. A wrapper that must see every message leaves it `None`.
    fn store_id(&self) -> Option<u64> {
        None
    }
}

/// A message as it is received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's id, the same each time it is received.
    pub id: String,
    /// Names this one receipt; an older receipt of the same message no longer counts.
    pub receipt: String,
    /// The body as sent.
    pub body: String,
    /// How often it has been received, this time included.
    pub receives: u32,
}

/// The consuming side, which on AWS is the event source mapping's affair and here that of `infra/local` and the tests.
#[async_trait]
pub trait Source: Send + Sync {
    /// Up to `max` visible messages, hidden from others for `visibility`. A message that has already been received
    /// `max_receives` times goes to the dead letters (`{queue}-dlq`) instead. On SQS that is the queue's own redrive policy,
    /// and `max_receives` must say the same.
    async fn receive(
        &self,
        queue: QueueName,
        max: usize,
        visibility: Duration,
        max_receives: u32,
    ) -> Result<Vec<Received>, PlatformError>;

    /// Deletes what was handled. A receipt that is no longer the newest is ignored.
    async fn delete(&self, queue: QueueName, receipts: Vec<String>) -> Result<(), PlatformError>;

    /// Makes messages visible again after `delay`.
    async fn release(
        &self,
        queue: QueueName,
        receipts: Vec<String>,
        delay: Duration,
    ) -> Result<(), PlatformError>;

    /// The dead letters of `queue`, oldest first, at most `max`.
    async fn dead_letters(&self, queue: QueueName, max: usize) -> Result<Vec<Received>, PlatformError>;
}
