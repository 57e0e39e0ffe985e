//! The [`Scheduler`] port where there is no EventBridge Scheduler.

use std::time::Duration;

use async_trait::async_trait;

use super::Aws;
use crate::queue::MAX_DELAY;
use crate::rules::check_wake_up;
use crate::{Message, PlatformError, Queue, QueueName, Scheduler, WakeUp};

/// A scheduler without schedules: what is due within a quarter of an hour comes by a delayed message, and whatever is
/// farther off is left to the sweep, which finds it by its `due` up to a minute late.
///
/// A put never replaces and a delete never removes what is on its way already: that is so near a start everywhere.
pub(super) struct SweepOnly(pub(super) Aws);

#[async_trait]
impl Scheduler for SweepOnly {
    async fn put(&self, wake_up: WakeUp) -> Result<(), PlatformError> {
        check_wake_up(&wake_up)?;
        let left = wake_up.at.duration_since(self.0.inner.clock.now());
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        if left > MAX_DELAY {
            return Ok(());
        }
        self.0.send(vec![Message::new(QueueName("wake-up"), wake_up.body).after(left)]).await
    }

    async fn delete(&self, _: &str) -> Result<(), PlatformError> {
        Ok(())
    }
}
