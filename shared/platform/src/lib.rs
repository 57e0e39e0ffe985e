//! The ports everything above is written against, and the engines behind them.
//!
//! A port is a small trait: [`Table`], [`Queue`], [`Source`], [`Scheduler`], [`Blob`], [`Clock`]. Their semantics are those of
//! DynamoDB, SQS and EventBridge Scheduler, and each engine must pass the one contract suite in `tests/`. This crate
//! knows nothing of campaigns.

#[cfg(feature = "aws")]
pub mod aws;
pub mod batch;
pub mod blob;
pub mod clock;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
pub mod private;
pub mod queue;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod rules;
pub mod scheduler;
pub mod table;
#[cfg(feature = "tls")]
pub mod tls;
pub mod vault;

use std::sync::Arc;

pub use blob::{Blob, BlobName, BlobWriter};
pub use clock::{Clock, Deadline, SystemClock};
pub use error::{PlatformError, TransactError};
pub use queue::{Message, Queue, QueueName, Received, Source};
pub use scheduler::{Scheduler, WakeUp};
pub use table::{
    Change, Condition, Consistency, Due, Item, Key, Page, Query, Range, Scan, Table, TableName, Updated,
    Value, Write, WriteKind,
};
pub use vault::{KeyVault, NoVault, Vault};

/// Every port a handler may need, ready to be cloned into it.
#[derive(Clone)]
pub struct Platform {
    /// Where state is kept.
    pub table: Arc<dyn Table>,
    /// Where work is handed on.
    pub queue: Arc<dyn Queue>,
    /// Where wake-ups are asked for.
    pub scheduler: Arc<dyn Scheduler>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Platform {
    /// Writes `writes` whole or not at all, then hands `messages` to the queue.
    ///
    /// The embedded engine does both in one step. On AWS the process may die in between, so whatever is written must
    /// carry a [`Due`] by which the sweep finds it again.
    ///
    /// # Errors
    /// As [`Table::transact`]; a failure to enqueue after the write is [`TransactError::Engine`].
    pub async fn commit(&self, writes: Vec<Write>, messages: Vec<Message>) -> Result<(), TransactError> {
        self.table.commit(&*self.queue, writes, messages).await
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}
