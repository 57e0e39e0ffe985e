//! How fast a claim goes: the slots of its configuration's rate, and how long everybody leaves a provider alone.

use std::time::Duration;

use campaign::Profile;
use campaign::rate::{self, Slot};
use store::StoreError;
use store::rates::Standing;

use super::{Run, trouble};
use crate::outcome::{QUOTA_WAIT, THROTTLE_WAIT};
use crate::{Cause, Sender};

/// Slots of the configuration's rate that were taken and not used yet.
#[derive(Default)]
pub(super) struct Slots {
    /// When the next one is, in microseconds since the Unix epoch.
    next_us: i64,
    /// For how many messages there are slots.
    left: usize,
}

impl<S: Sender> Run<'_, S> {
    /// Waits for the slot of the next `count` messages; how far it is, where that is too far. `waiting` are the profiles
    /// of those behind them.
    ///
    /// Slots are taken for the rest of the chunk at once, since each taking is a write, but for no more than pass in the
    /// time that a slot may be ahead.
    pub(super) async fn await_rate(
        &mut self,
        count: usize,
        waiting: &[Option<Profile>],
    ) -> Result<Option<Duration>, StoreError> {
        let Some(rate) = self.configuration.rate_per_second else { return Ok(None) };
        if self.chunk.key.is_call() {
            return self.await_call_rate(rate, count).await;
        }
        let store = &self.delivery.store;
        if self.slots.left < count {
            let is_behind = |(index, profile): &(usize, &Option<Profile>)| {
                let may_get_it =
                    |profile| !self.has_opted_out(profile) && self.check_rules(*index, profile).is_ok();
                profile.as_ref().is_some_and(may_get_it)
            };
            let behind = waiting.iter().enumerate().filter(is_behind).count();
            let wanted = (count + behind).min(rate::at_once(rate)).max(count) - self.slots.left;
            match store.rates.reserve(self.configuration.id, rate, wanted).await? {
                Slot::Later { wait_us } => return Ok(Some(Duration::from_micros(wait_us.unsigned_abs()))),
                // What is left of the slots before goes first: their time was reserved, too.
                Slot::At { start_us } => {
                    let next_us = start_us - rate::duration_us(rate, self.slots.left);
                    self.slots = Slots { next_us, left: self.slots.left + wanted };
                }
            }
        }
        let wait_us = self.slots.next_us - store.platform.clock.now().as_microsecond();
        self.slots.next_us += rate::duration_us(rate, count);
        self.slots.left -= count;
        if let Ok(wait_us @ 1..) = u64::try_from(wait_us) {
            store.platform.clock.sleep(Duration::from_micros(wait_us)).await;
        }
        Ok(None)
    }

    /// Waits for a slot as [`await_rate`](Self::await_rate) does, for messages that a call asked for. Slots for a moment
    /// are taken together and used by all calls, since each taking is a write.
    async fn await_call_rate(&self, rate: u32, count: usize) -> Result<Option<Duration>, StoreError> {
        let store = &self.delivery.store;
        let clock = &*store.platform.clock;
        let start_us = {
            let mut kept = self.delivery.call_slots.lock().await;
            let slots = kept.entry(self.configuration.id).or_default();
            let stale_us = clock.now().as_microsecond() - rate::CALL_BLOCK_US;
            if slots.left < count || slots.next_us < stale_us {
                let wanted = rate::call_block(rate, count);
                match store.rates.reserve_first(self.configuration.id, rate, wanted).await? {
                    Slot::Later { wait_us } => {
                        return Ok(Some(Duration::from_micros(wait_us.unsigned_abs())));
                    }
                    Slot::At { start_us } => *slots = Slots { next_us: start_us, left: wanted },
                }
            }
            let start_us = slots.next_us;
            slots.next_us += rate::duration_us(rate, count);
            slots.left -= count;
            start_us
        };
        if let Ok(wait_us @ 1..) = u64::try_from(start_us - clock.now().as_microsecond()) {
            clock.sleep(Duration::from_micros(wait_us)).await;
        }
        Ok(None)
    }

    /// Has everybody who uses the configuration wait, where the provider is out of reach or asks for it; has them go on
    /// where it is in reach again.
    pub(super) async fn hold(&mut self) {
        let least = match self.tally.cause {
            Some(Cause::Throttled) => Some(THROTTLE_WAIT),
            Some(Cause::Quota) => Some(QUOTA_WAIT),
            _ => None,
        };
        let (store, id) = (&self.delivery.store, self.configuration.id);
        let clock = &*store.platform.clock;
        let held = match (self.tally.cause, least) {
            (Some(Cause::Unreachable), _) => store.rates.outage(id, self.tally.retry_after).await.map(Some),
            (_, Some(least)) => {
                if std::mem::take(&mut self.outages) > 0
                    && let Err(error) = store.rates.reached(id).await
                {
                    trouble(&self.chunk.key, &error);
                }
                let wait = self.tally.retry_after.unwrap_or(least);
                let wait_us = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                let held_until_us = clock.now().as_microsecond().saturating_add(wait_us);
                let standing = Standing { next_us: held_until_us, held_until_us, outages: 0 };
                store.rates.hold(id, held_until_us).await.map(|()| Some(standing))
            }
            _ if self.outages > 0 => {
                self.outages = 0;
                store.rates.reached(id).await.map(|()| Some(Standing::default()))
            }
            _ => Ok(None),
        };
        match held {
            Ok(None) => {}
            Ok(Some(standing)) => self.delivery.standings.put(id, standing, clock),
            Err(error) => {
                trouble(&self.chunk.key, &error);
            }
        }
    }
}
