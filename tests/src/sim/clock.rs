//! A clock on which waiting takes no time: who sleeps moves it.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::Clock;

/// A clock that jumps: sleeping on it moves it at once, for everybody.
#[derive(Debug)]
pub struct JumpClock {
    start: Timestamp,
    now: Mutex<Timestamp>,
}

impl JumpClock {
    /// A clock that stands at `start`.
    pub const fn at(start: Timestamp) -> Self {
        Self { start, now: Mutex::new(start) }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for JumpClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.now().duration_since(self.start).unsigned_abs()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}
