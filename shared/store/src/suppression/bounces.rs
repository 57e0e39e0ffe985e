//! Soft bounces in a row: a mailbox that is full today may take mail tomorrow, but not one that is full each time.

use campaign::Channel;
use campaign::suppression::{AddressHash, SuppressionReason};
use jiff::{SignedDuration, Timestamp};
use platform::table::Updated;
use platform::{Change, Consistency, Key, Write};

use super::{Suppression, Suppressions, partition};
use crate::StoreError;
use crate::error::refused;
use crate::tables::AUDIENCE;

/// After how many soft bounces in a row nothing is sent to an address any more.
pub const BOUNCES_IN_A_ROW: u32 = 5;
/// How long after the last one they are remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many there were.
const COUNT: &str = "n";
/// What an entry that comes of them says of its source.
const SOURCE: &str = "soft bounces in a row";

/// Where an address stands after a soft bounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoftBounces {
    /// There were so many in a row, fewer than [`BOUNCES_IN_A_ROW`].
    Counted(u32),
    /// They were too many: it is on the suppression list.
    Suppressed,
}

impl Suppressions {
    /// Counts a soft bounce of an address, and puts it on the list where that makes [`BOUNCES_IN_A_ROW`] without a delivery
    /// in between. To be called once for each bounce: the order does not matter, repetitions count.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where its entry keeps changing. The bounce may have been counted.
    pub async fn soft_bounce(
        &self,
        channel: Channel,
        address: &str,
        at: Timestamp,
    ) -> Result<SoftBounces, StoreError> {
        let hash = self.hash(channel, address).await?;
        let expires = at.checked_add(MEMORY).unwrap_or(Timestamp::MAX).as_second();
        let changes = vec![Change::add(COUNT, 1), Change::Expires(Some(expires))];
        let table = &self.platform.table;
        let count = match table.update(AUDIENCE, &bounces_key(hash), None, changes).await? {
            Updated::New(item) => item.number(COUNT).and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            Updated::Refused(_) => 1,
        };
        if count < BOUNCES_IN_A_ROW {
            return Ok(SoftBounces::Counted(count));
        }
        // Each one more says it again, in case whoever counted the fifth did not come this far.
        let reason = SuppressionReason::SoftBounces;
        let (address, source) = (Some(address.to_owned()), Some(SOURCE.to_owned()));
        self.put(hash, &Suppression { channel, address, reason, source, at }).await?;
        Ok(SoftBounces::Suppressed)
    }

    /// Says that a message has reached an address: the bounces before are no longer in a row with those to come. Nothing is
    /// written where there were none. An entry of the list stays.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn delivered(&self, channel: Channel, address: &str) -> Result<(), StoreError> {
        let at = bounces_key(self.hash(channel, address).await?);
        let table = &self.platform.table;
        if table.get(AUDIENCE, &at, Consistency::Eventual).await?.is_some() {
            // A bounce that is being counted right now may go with them: rather one too few than one too many.
            refused(table.transact(vec![Write::delete(AUDIENCE, at)]).await)?;
        }
        Ok(())
    }
}

/// Beside the entry, so that what is kept of an address lies together.
pub(super) fn bounces_key(hash: AddressHash) -> Key {
    Key::new(partition(hash), "B")
}
