//! Delivery rules: one item, which is there whether or not anything was ever decided.

use campaign::DeliveryRules;
use platform::{Consistency, Key, Platform};

use crate::StoreError;
use crate::document::{self, Revised};
use crate::error::refused;
use crate::tables::{self, CONTROL};

const WHAT: &str = "delivery rules";

/// The repository of delivery rules.
#[derive(Debug, Clone)]
pub struct Rules {
    platform: Platform,
}

impl Rules {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// The rules, strongly read; none, at revision 0, where nothing was ever decided.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn get(&self) -> Result<Revised<DeliveryRules>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(), Consistency::Strong).await?;
        let none = Revised { value: DeliveryRules::default(), revision: 0 };
        item.map_or(Ok(none), |item| document::revised(WHAT, &item))
    }

    /// Stores rules over those at `revision`. Taking all of them away is storing none: so a revision is never used again.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest.
    pub async fn put(&self, rules: &DeliveryRules, revision: i64) -> Result<(), StoreError> {
        let write = document::put(CONTROL, WHAT, key(), rules, revision)?;
        match refused(self.platform.table.transact(vec![write]).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }
}

fn key() -> Key {
    Key::new(tables::RULES, "DELIVERY")
}
