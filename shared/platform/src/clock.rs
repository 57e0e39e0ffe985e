//! What time it is, and waiting.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// The only way to read the time or to wait, so that tests can run on a clock of their own.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock, in UTC.
    fn now(&self) -> Timestamp;
    /// A reading that never goes back; only differences mean anything.
    fn monotonic(&self) -> Duration;
    /// Waits for `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock, waiting on tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    fn monotonic(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// When a handler must have returned, on the clock's monotonic reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// So long from now.
    pub fn after(clock: &dyn Clock, duration: Duration) -> Self {
        Self(clock.monotonic() + duration)
    }

    /// At this instant (milliseconds since the Unix epoch), as Lambda gives its deadlines.
    pub fn at_epoch_ms(clock: &dyn Clock, epoch_ms: u64) -> Self {
        let now_ms = u64::try_from(clock.now().as_millisecond()).unwrap_or(0);
        Self::after(clock, Duration::from_millis(epoch_ms.saturating_sub(now_ms)))
    }

    /// How long is left; zero where it has passed.
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }
}
