//! Asking to be woken once, at an instant.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::PlatformError;

/// A one-time wake-up. When it fires, `body` arrives as a message on the wake-up queue: at least once, and late rather
/// than early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeUp {
    /// Its name; putting another of that name replaces it. At most 64 of `[0-9A-Za-z-_.]`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// JSON text.
    pub body: String,
}

/// Puts and removes wake-ups.
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Adds the wake-up, or replaces the one of that name. One that is due within a minute and a half may be on its way
    /// already: it then comes besides.
    async fn put(&self, wake_up: WakeUp) -> Result<(), PlatformError>;
    /// Removes the wake-up of that name, if it is there. One that is due within a minute and a half may be on its way
    /// already.
    async fn delete(&self, name: &str) -> Result<(), PlatformError>;
}
