//! Days that pass: for campaigns that start again and again, whose wake-ups may go astray.

use std::time::Duration;

use campaign::Status;
use jiff::Timestamp;
use platform::{Clock, Deadline, Received, Source, batch};
use store::tables;

use super::{TIMEOUT, VISIBILITY, World};

/// What becomes of a wake-up on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// It arrives.
    Once,
    /// It arrives, and arrives again.
    Twice,
    /// It never arrives.
    Lost,
    /// It arrives so much later, maybe behind younger ones.
    After(Duration),
}

/// The second of each minute at which the sweep comes.
const SWEEP_SECOND: i64 = 17;

impl World {
    /// Lets time pass until the campaign has come to its end, or until this instant. Time in which nothing happens is
    /// skipped whole, so that a year takes seconds. Of each wake-up `post` says what becomes of it.
    ///
    /// # Panics
    /// Where more happens than may in anything here.
    pub async fn days(&self, until: Timestamp, mut post: impl FnMut() -> Post) {
        let mut process = self.boot();
        let mut late: Vec<(Timestamp, Received)> = Vec::new();
        let mut sweep_at = next_sweep(self.clock.now());
        for _ in 0..100_000 {
            let now = self.clock.now();
            if now >= until {
                return;
            }
            let mut woken = self.wake_ups(&mut late, &mut post).await;
            let mut idle = woken.is_empty();
            while let Some(wake_up) = woken.pop() {
                let event = batch::event(vec![wake_up.clone()]);
                let handled = self.faults.alive(process.handle(tables::WAKE_UP, event, self.timeout())).await;
                if handled != Some(true) {
                    late.push((now + VISIBILITY, wake_up));
                }
                if handled.is_none() {
                    process = self.boot();
                }
            }
            for queue in [tables::FAN_OUT, tables::DELIVER_EMAIL] {
                for received in self.engine.receive(queue, 1, VISIBILITY, 20).await.unwrap() {
                    idle = false;
                    let receipt = received.receipt.clone();
                    let event = batch::event(vec![received]);
                    match self.faults.alive(process.handle(queue, event, self.timeout())).await {
                        Some(true) => self.engine.delete(queue, vec![receipt]).await.unwrap(),
                        Some(false) => {}
                        None => process = self.boot(),
                    }
                }
            }
            if !idle {
                continue;
            }
            if now >= sweep_at {
                if self.faults.alive(process.handle_sweep()).await.is_none() {
                    process = self.boot();
                }
                sweep_at = next_sweep(now);
                continue;
            }
            if late.is_empty() && self.is_finished().await {
                return;
            }
            sweep_at = self.sweep_that_finds_something(sweep_at).await;
            let events = [self.next_event().await, late.iter().map(|(at, _)| *at).min()];
            let next = events.into_iter().flatten().fold(sweep_at, Timestamp::min).min(until);
            self.clock.advance(next.duration_since(now).unsigned_abs());
        }
        panic!("too much happens: {:?}", self.store.campaigns.get(self.campaign).await);
    }

    /// The wake-ups that arrive now: those that are due and not lost, and those that were late.
    async fn wake_ups(
        &self,
        late: &mut Vec<(Timestamp, Received)>,
        post: &mut impl FnMut() -> Post,
    ) -> Vec<Received> {
        let now = self.clock.now();
        self.engine.fire_due(tables::WAKE_UP).await.unwrap();
        let (due, rest) = std::mem::take(late).into_iter().partition(|(at, _)| *at <= now);
        *late = rest;
        let mut woken: Vec<_> = Vec::from_iter(due).into_iter().map(|(_, wake_up)| wake_up).collect();
        for received in self.engine.receive(tables::WAKE_UP, 10, VISIBILITY, 20).await.unwrap() {
            self.engine.delete(tables::WAKE_UP, vec![received.receipt.clone()]).await.unwrap();
            match post() {
                Post::Once => woken.push(received),
                Post::Twice => woken.extend([received.clone(), received]),
                Post::Lost => {}
                Post::After(delay) => late.push((now + delay, received)),
            }
        }
        woken
    }

    /// The first sweep from `sweep_at` on that may find something: all before it would look at nothing.
    async fn sweep_that_finds_something(&self, sweep_at: Timestamp) -> Timestamp {
        let campaign = self.store.campaigns.get(self.campaign).await.unwrap();
        if campaign.open_executions > 0 || campaign.status == Status::Activating {
            return sweep_at;
        }
        campaign.next_occurrence.map_or(sweep_at, |next| next_sweep(next).max(sweep_at))
    }

    fn timeout(&self) -> Deadline {
        Deadline::after(&*self.clock, TIMEOUT)
    }
}

/// The first sweep after an instant.
fn next_sweep(after: Timestamp) -> Timestamp {
    let past = (after.as_second() - SWEEP_SECOND).rem_euclid(60);
    Timestamp::from_second(after.as_second() - past + 60).unwrap()
}
