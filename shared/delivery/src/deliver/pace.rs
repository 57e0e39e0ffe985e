//! How fast a claim goes: the slots of its configuration's rate, and how long everybody leaves a provider alone.

use std::time::Duration;

use campaign::Profile;
use campaign::rate::{self, Slot};
use store::StoreError;
use store::rates::Standing;

use super::{Delivery, Run, trouble};
use crate::outcome::{Ended, QUOTA_WAIT};
use crate::{Cause, Sender};

/// What is farther away than this waits in the ledger instead of coming back with every look at its rate.
const LONG_HOLD: Duration = Duration::from_secs(5);
/// The longest that a function sleeps for a provider that has everybody wait: it is paid for meanwhile.
const LONGEST_SLEEP_US: i64 = 500_000;

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

    /// Waits for a provider that has everybody wait, or that others stand in front of; how the claim ends where that takes too
    /// long.
    pub(super) async fn await_provider(&mut self) -> Result<Option<Ended>, StoreError> {
        let Delivery { store, standings, .. } = self.delivery;
        let (rates, clock, id) = (&store.rates, &*store.platform.clock, self.configuration.id);
        let is_call = self.chunk.key.is_call();
        let standing = if is_call {
            standings.get(id, clock, rates.standing(id)).await?
        } else {
            rates.standing(id).await?
        };
        self.is_strained = standing.outages > 0 || standing.throttles > 0;
        // Others in front keep nobody waiting whom a call asked for, nor anybody where there is no rate.
        let takes_slots = self.configuration.rate_per_second.is_some() && !is_call;
        let (next_us, farthest_us) = if takes_slots {
            (standing.next_us, rate::FARTHEST_SLOT_US)
        } else {
            (standing.held_until_us, LONGEST_SLEEP_US)
        };
        let hold_us = next_us - clock.now().as_microsecond();
        let hold = Duration::from_micros(u64::try_from(hold_us).unwrap_or(0));
        if hold_us <= farthest_us {
            // A near slot is waited for when it is taken.
            if !takes_slots {
                clock.sleep(hold).await;
            }
            return Ok(None);
        }
        Ok(Some(match standing.outages {
            // Whoever finds a provider out of reach waits until somebody has tried it, not each on their own.
            1.. if !is_call => Ended::OutOfRate,
            _ if takes_slots && hold <= LONG_HOLD => Ended::OutOfRate,
            _ => Ended::OnHold(hold),
        }))
    }

    /// Has everybody who uses the configuration wait, where the provider is out of reach or asks for it; has them go on
    /// where it is in reach again.
    pub(super) async fn hold(&mut self) {
        match self.standing_after_window().await {
            Ok(None) => {}
            Ok(Some(standing)) => {
                let clock = &*self.delivery.store.platform.clock;
                self.tally.held_until_ms = Some(standing.held_until_us / 1000);
                self.delivery.standings.put(self.configuration.id, standing, clock);
            }
            Err(error) => {
                trouble(&self.chunk.key, &error);
            }
        }
    }

    /// Where the configuration stands after a window, if the window has changed that.
    ///
    /// What the provider only took in silence, or did not take, says nothing of its being in reach.
    async fn standing_after_window(&mut self) -> Result<Option<Standing>, StoreError> {
        let (store, id) = (&self.delivery.store, self.configuration.id);
        let is_back = self.tally.is_in_reach && std::mem::take(&mut self.is_strained);
        if is_back && let Err(error) = store.rates.reached(id).await {
            trouble(&self.chunk.key, &error);
        }
        let asked = self.tally.hold_asked;
        match self.tally.cause {
            Some(Cause::Unreachable) => store.rates.outage(id, asked).await.map(Some),
            Some(Cause::Throttled) => store.rates.throttle(id, asked).await.map(Some),
            Some(Cause::Quota) => {
                let wait_us = i64::try_from(asked.unwrap_or(QUOTA_WAIT).as_micros()).unwrap_or(i64::MAX);
                let held_until_us = store.platform.clock.now().as_microsecond().saturating_add(wait_us);
                store.rates.hold(id, held_until_us).await?;
                Ok(Some(Standing { next_us: held_until_us, held_until_us, ..Standing::default() }))
            }
            _ => Ok(is_back.then(Standing::default)),
        }
    }
}
