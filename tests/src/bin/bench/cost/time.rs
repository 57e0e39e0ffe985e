//! Time that passes as on AWS and not as on the emulator: it stands still while anybody works, and leaps to the next thing
//! that somebody waits for when nobody does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::Clock;
use tokio::sync::oneshot;

/// The clock of those who have [entered](Self::enter) it. One of them at a time is awake, so that what they do comes in
/// the same order each time. Their sleeps must not be cancelled.
#[derive(Debug)]
pub(crate) struct ModelClock {
    start: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    elapsed: Duration,
    /// How many are not asleep.
    awake: usize,
    /// Who sleeps until when, in the order in which they went to sleep.
    sleepers: BinaryHeap<Reverse<(Duration, u64)>>,
    wakers: std::collections::HashMap<u64, oneshot::Sender<()>>,
    slept: u64,
}

/// Somebody for whom time waits; dropping it lets time go on without them.
#[derive(Debug)]
pub(crate) struct Awake(Arc<ModelClock>);

impl ModelClock {
    /// A clock at this instant.
    pub(crate) fn at(start: Timestamp) -> Self {
        Self { start, state: Mutex::default() }
    }

    /// From now on time waits for one more.
    pub(crate) fn enter(self: &Arc<Self>) -> Awake {
        self.state().awake += 1;
        Awake(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Somebody went to sleep or left; if they were the last, time goes on to the next.
    fn leave(&mut self) {
        self.awake = self.awake.saturating_sub(1);
        if self.awake > 0 {
            return;
        }
        let Some(Reverse((at, number))) = self.sleepers.pop() else { return };
        self.elapsed = self.elapsed.max(at);
        self.awake = 1;
        if let Some(waker) = self.wakers.remove(&number) {
            // It waits: sleeps are not cancelled.
            let _: Result<(), ()> = waker.send(());
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.state().leave();
    }
}

#[async_trait]
impl Clock for ModelClock {
    fn now(&self) -> Timestamp {
        self.start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let (waker, woken) = oneshot::channel();
        {
            let mut state = self.state();
            let (until, number) = (state.elapsed + duration, state.slept);
            state.slept += 1;
            state.sleepers.push(Reverse((until, number)));
            state.wakers.insert(number, waker);
            state.leave();
        }
        // The clock outlives whoever sleeps on it.
        let _: Result<(), oneshot::error::RecvError> = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_time_and_each_at_its_own() {
        let clock = Arc::new(ModelClock::at(Timestamp::UNIX_EPOCH));
        let log = Arc::new(Mutex::new(Vec::new()));
        let everybody = clock.enter();
        let tasks = [30, 10, 20].map(|seconds| {
            let (clock, log, awake) = (Arc::clone(&clock), Arc::clone(&log), clock.enter());
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                clock.sleep(Duration::from_secs(15)).await;
                log.lock().unwrap().push(clock.monotonic().as_secs());
                drop(awake);
            })
        });
        drop(everybody);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*log.lock().unwrap(), [25, 35, 45]);
    }
}
