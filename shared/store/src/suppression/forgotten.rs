//! Forgetting addresses: what is kept of one is a keyed hash, by which it is known again and never named.

use campaign::Channel;
use campaign::suppression::AddressHash;
use platform::{Condition, Consistency, Item, Key, Write};

use super::{Suppression, Suppressions, TRIES, WHAT, item_key, partition, put_writes};
use crate::StoreError;
use crate::error::refused;
use crate::tables::{AUDIENCE, LEDGER_TTL_SECONDS};

/// How long it is remembered that an address is not to be named, in seconds: as long as events can come of messages to it.
const REMEMBER_SECONDS: i64 = LEDGER_TTL_SECONDS;

impl Suppression {
    /// The same without its address, and without what people wrote down as its source: that may name somebody, too.
    pub(super) fn unnamed(&self) -> Self {
        Self { address: None, source: None, ..self.clone() }
    }
}

impl Suppressions {
    /// Forgets an address, and where its entry came from: a keyed hash is kept, so that nothing is sent to it as before, and
    /// so that what late events say of it does not name it again. Says whether an entry named it.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where its entry keeps changing.
    pub async fn forget(&self, channel: Channel, address: &str) -> Result<bool, StoreError> {
        let hash = self.hash(channel, address).await?;
        for _ in 0..TRIES {
            let mut marker = Item::new(marker_key(hash));
            marker.expires = Some(self.platform.clock.now().as_second() + REMEMBER_SECONDS);
            let mut writes = vec![Write::put(AUDIENCE, marker)];
            let named = self.read(&item_key(hash)).await?;
            let named = named.filter(|(found, _)| found.address.is_some() || found.source.is_some());
            let was_named = named.is_some();
            if let Some((found, revision)) = named {
                writes.extend(put_writes(hash, &found.unnamed(), revision)?);
            }
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(was_named);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Checks that an address has not been forgotten in the last moment.
    pub(super) fn still_named(hash: AddressHash) -> Write {
        Write::check(AUDIENCE, marker_key(hash), Condition::NotExists)
    }

    /// What is to be added, as it may be kept: it names nobody where its address is forgotten.
    pub(super) async fn unnamed(
        &self,
        hash: AddressHash,
        new: &Suppression,
    ) -> Result<Suppression, StoreError> {
        let is_forgotten = new.address.is_some()
            && self.platform.table.get(AUDIENCE, &marker_key(hash), Consistency::Strong).await?.is_some();
        Ok(if is_forgotten { new.unnamed() } else { new.clone() })
    }
}

pub(super) fn marker_key(hash: AddressHash) -> Key {
    Key::new(partition(hash), "F")
}
