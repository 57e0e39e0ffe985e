//! The cell of each configuration's rate: one item, one conditional update a reservation.

use std::time::Duration;

use campaign::ConfigurationId;
use campaign::rate::{self, Slot};
use platform::{Change, Condition, Consistency, Item, Key, Platform, Updated};

use crate::StoreError;
use crate::tables::LEDGER;

const CELL: &str = "cell";
/// Until when the provider asked everybody to wait.
const HELD: &str = "held";
/// How often in a row the provider could not be reached.
const OUTAGES: &str = "down";
/// How often in a row the provider asked to wait.
const THROTTLES: &str = "slow";
/// The sort key of the cell of calls.
const CALLS: &str = "CALLS";
/// How often a reservation is tried anew when it meets another that sets a cell which lay in the past.
const TRIES: usize = 5;

/// Where a configuration stands: how far away its next slot is, and what its provider has had us do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the next slot is, in microseconds since the Unix epoch.
    pub next_us: i64,
    /// Until when everybody waits, in microseconds since the Unix epoch; 0 where nobody ever had to.
    pub held_until_us: i64,
    /// How often in a row the provider could not be reached; 0 where it was the last time.
    pub outages: u32,
    /// How often in a row the provider asked to wait; 0 where it did not the last time.
    pub throttles: u32,
}

/// The repository of rate cells.
#[derive(Debug, Clone)]
pub struct Rates {
    platform: Platform,
}

impl Rates {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Reserves `count` messages at `rate` a second: one update, which others at the same time can't make fail. Where the
    /// cell lies in the past, a second one brings it to the present.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn reserve(
        &self,
        configuration: ConfigurationId,
        rate: u32,
        count: usize,
    ) -> Result<Slot, StoreError> {
        self.reserve_in(&key(configuration), rate, count, rate::FARTHEST_SLOT_US).await
    }

    /// Reserves as [`reserve`](Self::reserve) for messages that calls asked for. They keep to the rate among themselves and
    /// stand behind no others; those wait for so much longer.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn reserve_first(
        &self,
        configuration: ConfigurationId,
        rate: u32,
        count: usize,
    ) -> Result<Slot, StoreError> {
        let first = Key { sk: CALLS.to_owned(), ..key(configuration) };
        let slot = self.reserve_in(&first, rate, count, rate::FARTHEST_CALL_US).await?;
        if matches!(slot, Slot::At { .. }) {
            self.reserve_in(&key(configuration), rate, count, i64::MAX / 2).await?;
        }
        Ok(slot)
    }

    async fn reserve_in(
        &self,
        key: &Key,
        rate: u32,
        count: usize,
        farthest_us: i64,
    ) -> Result<Slot, StoreError> {
        let takes_us = rate::duration_us(rate, count);
        for _ in 0..TRIES {
            let now_us = self.platform.clock.now().as_microsecond();
            let ahead = Condition::All(vec![
                Condition::Above(CELL.to_owned(), now_us - 1),
                Condition::Below(CELL.to_owned(), now_us + farthest_us + 1),
            ]);
            let add = vec![Change::add(CELL, takes_us)];
            let cell = match self.platform.table.update(LEDGER, key, Some(ahead), add).await? {
                Updated::New(item) => {
                    let start_us = item.number(CELL).unwrap_or(now_us) - takes_us;
                    return Ok(Slot::At { start_us });
                }
                Updated::Refused(item) => item.and_then(|item| item.number(CELL)).unwrap_or(0),
            };
            if cell > now_us + farthest_us {
                return Ok(Slot::Later { wait_us: cell - now_us });
            }
            let set = vec![Change::set(CELL, now_us + takes_us)];
            if let Updated::New(_) =
                self.platform.table.update(LEDGER, key, Some(past(CELL, now_us)), set).await?
            {
                return Ok(Slot::At { start_us: now_us });
            }
        }
        Ok(Slot::Later { wait_us: rate::FARTHEST_SLOT_US })
    }

    /// Where a configuration stands. Reserves nothing. A provider that asked everybody to wait is waited for also by a
    /// configuration without a rate.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn standing(&self, configuration: ConfigurationId) -> Result<Standing, StoreError> {
        let item = self.platform.table.get(LEDGER, &key(configuration), Consistency::Eventual).await?;
        Ok(item.map(|item| Standing::of(&item)).unwrap_or_default())
    }

    /// Lets nobody start before `until_us` (microseconds since the Unix epoch): the provider asked everybody to wait.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn hold(&self, configuration: ConfigurationId, until_us: i64) -> Result<(), StoreError> {
        for name in [CELL, HELD] {
            let (later, set) = (past(name, until_us), vec![Change::set(name, until_us)]);
            self.platform.table.update(LEDGER, &key(configuration), Some(later), set).await?;
        }
        Ok(())
    }

    /// Has everybody wait for a provider that could not be reached: longer each time in a row, and at least as long as it
    /// asks. Those who find it so at the same time are one time. Gives where the configuration stands then.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn outage(
        &self,
        configuration: ConfigurationId,
        asked: Option<Duration>,
    ) -> Result<Standing, StoreError> {
        self.strain(configuration, OUTAGES, rate::outage_us, asked).await
    }

    /// Has everybody wait for a provider that asks for it: longer each time in a row, and at least as long as it asks. Those who
    /// are asked at the same time are one time. Gives where the configuration stands then.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn throttle(
        &self,
        configuration: ConfigurationId,
        asked: Option<Duration>,
    ) -> Result<Standing, StoreError> {
        self.strain(configuration, THROTTLES, rate::throttle_us, asked).await
    }

    /// Counts one more of what has everybody wait, and holds them for as long as that takes by `wait_us`.
    async fn strain(
        &self,
        configuration: ConfigurationId,
        counter: &str,
        wait_us: fn(u32) -> i64,
        asked: Option<Duration>,
    ) -> Result<Standing, StoreError> {
        let now_us = self.platform.clock.now().as_microsecond();
        let key = key(configuration);
        // Counted and held at once, so that whoever comes a moment later finds it held.
        let changes = vec![Change::add(counter, 1), Change::set(HELD, now_us + wait_us(1))];
        let updated = self.platform.table.update(LEDGER, &key, Some(past(HELD, now_us)), changes).await?;
        let (item, counted_us) = match updated {
            Updated::New(item) => {
                let times = u32::try_from(item.number(counter).unwrap_or(0)).unwrap_or(u32::MAX);
                (Some(item), wait_us(times))
            }
            Updated::Refused(item) => (item, 0),
        };
        let standing = item.map(|item| Standing::of(&item)).unwrap_or_default();
        let asked_us = asked.map_or(0, |asked| i64::try_from(asked.as_micros()).unwrap_or(i64::MAX / 2));
        let until_us = now_us.saturating_add(counted_us.max(asked_us));
        if until_us <= now_us {
            return Ok(standing);
        }
        self.hold(configuration, until_us).await?;
        Ok(Standing { held_until_us: standing.held_until_us.max(until_us), ..standing })
    }

    /// Notes that the provider is reached again, and takes what it is given.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn reached(&self, configuration: ConfigurationId) -> Result<(), StoreError> {
        let counters = [OUTAGES, THROTTLES];
        let was_strained = counters.map(|counter| Condition::Above(counter.to_owned(), 0)).to_vec();
        let set = counters.map(|counter| Change::set(counter, 0)).to_vec();
        let condition = Some(Condition::Any(was_strained));
        self.platform.table.update(LEDGER, &key(configuration), condition, set).await?;
        Ok(())
    }
}

impl Standing {
    fn of(item: &Item) -> Self {
        let number = |name| item.number(name).unwrap_or(0);
        let count = |name| u32::try_from(number(name)).unwrap_or(0);
        Self {
            next_us: number(CELL),
            held_until_us: number(HELD),
            outages: count(OUTAGES),
            throttles: count(THROTTLES),
        }
    }

    /// Whether everybody waits for the provider.
    pub const fn is_held(&self, now_us: i64) -> bool {
        self.held_until_us > now_us
    }
}

/// The instant is not there or lies before this.
fn past(name: &str, instant_us: i64) -> Condition {
    Condition::Any(vec![Condition::Lacks(name.to_owned()), Condition::Below(name.to_owned(), instant_us)])
}

fn key(configuration: ConfigurationId) -> Key {
    Key::new(format!("rate#{configuration}"), "CELL")
}
