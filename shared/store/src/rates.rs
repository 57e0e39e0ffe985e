//! The cell of each configuration's rate: one item, one conditional update a reservation.

use campaign::ConfigurationId;
use campaign::rate::{self, Slot};
use platform::{Change, Condition, Consistency, Key, Platform, Updated};

use crate::StoreError;
use crate::tables::LEDGER;

const CELL: &str = "cell";
/// How often a reservation is tried anew when others reserve at the same time.
const TRIES: usize = 20;

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

    /// Reserves `count` messages at `rate` a second.
    ///
    /// # Errors
    /// [`StoreError::Contended`] where others reserve again and again.
    pub async fn reserve(
        &self,
        configuration: ConfigurationId,
        rate: u32,
        count: usize,
    ) -> Result<Slot, StoreError> {
        let key = key(configuration);
        let item = self.platform.table.get(LEDGER, &key, Consistency::Strong).await?;
        let mut cell = item.and_then(|item| item.number(CELL));
        for _ in 0..TRIES {
            let now_us = self.platform.clock.now().as_microsecond();
            let slot = rate::reserve(cell.unwrap_or(0), now_us, rate, count);
            let Slot::At { cell: next, .. } = slot else { return Ok(slot) };
            let unchanged =
                cell.map_or_else(|| Condition::Lacks(CELL.to_owned()), |cell| Condition::equals(CELL, cell));
            let changes = vec![Change::set(CELL, next)];
            match self.platform.table.update(LEDGER, &key, Some(unchanged), changes).await? {
                Updated::New(_) => return Ok(slot),
                Updated::Refused(item) => cell = item.and_then(|item| item.number(CELL)),
            }
        }
        Err(StoreError::Contended { what: "rate" })
    }

    /// Lets nobody start before `until_us` (microseconds since the Unix epoch): the provider asked everybody to wait.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn hold(&self, configuration: ConfigurationId, until_us: i64) -> Result<(), StoreError> {
        let later = Condition::Any(vec![
            Condition::Lacks(CELL.to_owned()),
            Condition::Below(CELL.to_owned(), until_us),
        ]);
        let changes = vec![Change::set(CELL, until_us)];
        self.platform.table.update(LEDGER, &key(configuration), Some(later), changes).await?;
        Ok(())
    }
}

fn key(configuration: ConfigurationId) -> Key {
    Key::new(format!("rate#{configuration}"), "CELL")
}
