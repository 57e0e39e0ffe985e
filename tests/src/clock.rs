//! Clocks that a test moves.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::{Clock, SystemClock};
use tokio::sync::watch;

/// A clock that only moves when it is told to; whoever sleeps on it wakes when it has moved far enough.
#[derive(Debug)]
pub struct TestClock {
    start: Timestamp,
    now: watch::Sender<Timestamp>,
}

impl TestClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self { start, now: watch::Sender::new(start) }
    }

    /// Moves it on.
    ///
    /// # Panics
    /// Where that leaves the range of instants.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.checked_add(by).expect("within the range of instants"));
    }

    /// Sets it to an instant that is not before the one it stands at.
    ///
    /// # Panics
    /// Where it would go back, which [`Clock::monotonic`] rules out.
    pub fn set(&self, to: Timestamp) {
        self.now.send_modify(|now| {
            assert!(to >= *now, "this clock does not go back");
            *now = to;
        });
    }
}

impl Default for TestClock {
    /// Noon of a day in 2026.
    fn default() -> Self {
        Self::at(Timestamp::constant(1_780_315_200, 0))
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn monotonic(&self) -> Duration {
        self.now().duration_since(self.start).unsigned_abs()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now().checked_add(duration).unwrap_or(Timestamp::MAX);
        // The sender is part of self, so it can't be gone.
        let _ = self.now.subscribe().wait_for(|now| *now >= until).await;
    }
}

/// The system's clock, ahead of it by as much as it was moved: for whole nodes, which would stand still on any other. Whoever
/// sleeps on it sleeps as long as on the system's.
#[derive(Debug, Default)]
pub struct AheadClock {
    ahead: Mutex<Duration>,
}

impl AheadClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for AheadClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.ahead.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_once_the_clock_has_moved_far_enough() {
        let clock = TestClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(10));
        assert!(poll_once(&mut sleep).await.is_none());
        clock.advance(Duration::from_secs(9));
        assert!(poll_once(&mut sleep).await.is_none());
        clock.advance(Duration::from_secs(1));
        assert!(poll_once(&mut sleep).await.is_some());
        assert_eq!(clock.monotonic(), Duration::from_secs(10));
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
