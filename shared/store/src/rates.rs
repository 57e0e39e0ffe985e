//! The cell of each configuration's rate: one item, one conditional update a reservation.

use campaign::ConfigurationId;
use campaign::rate::{self, Slot};
use platform::{Change, Condition, Consistency, Key, Platform, Updated};

use crate::StoreError;
use crate::tables::LEDGER;

const CELL: &str = "cell";
/// Until when the provider asked everybody to wait.
const HELD: &str = "held";
/// The sort key of the cell of calls.
const CALLS: &str = "CALLS";
/// How often a reservation is tried anew when it meets another that sets a cell which lay in the past.
const TRIES: usize = 5;

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

    /// How far away the next slot is, in microseconds; 0 where it is now. Reserves nothing. A provider that asked
    /// everybody to wait is waited for also by a configuration without a rate.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn wait_us(&self, configuration: ConfigurationId) -> Result<i64, StoreError> {
        let item = self.platform.table.get(LEDGER, &key(configuration), Consistency::Eventual).await?;
        let cell = item.and_then(|item| item.number(CELL)).unwrap_or(0);
        Ok((cell - self.platform.clock.now().as_microsecond()).max(0))
    }

    /// For how long, in microseconds, the provider asked everybody to wait; 0 where it did not, or that is over.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn held_us(&self, configuration: ConfigurationId) -> Result<i64, StoreError> {
        let item = self.platform.table.get(LEDGER, &key(configuration), Consistency::Eventual).await?;
        let until = item.and_then(|item| item.number(HELD)).unwrap_or(0);
        Ok((until - self.platform.clock.now().as_microsecond()).max(0))
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
}

/// The instant is not there or lies before this.
fn past(name: &str, instant_us: i64) -> Condition {
    Condition::Any(vec![Condition::Lacks(name.to_owned()), Condition::Below(name.to_owned(), instant_us)])
}

fn key(configuration: ConfigurationId) -> Key {
    Key::new(format!("rate#{configuration}"), "CELL")
}
