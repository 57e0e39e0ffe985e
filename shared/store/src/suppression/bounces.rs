//! Soft bounces in a row: a mailbox that is full today may take mail tomorrow, but not one that is full each time.

use campaign::Channel;
use campaign::frequency::MessageTag;
use campaign::suppression::{AddressHash, SuppressionReason};
use jiff::{SignedDuration, Timestamp};
use platform::table::Updated;
use platform::{Change, Condition, Consistency, Key, Write};

use super::{Suppression, Suppressions, partition};
use crate::StoreError;
use crate::error::refused;
use crate::tables::AUDIENCE;

/// After how many soft bounces in a row nothing is sent to an address any more.
pub const BOUNCES_IN_A_ROW: u32 = 5;
/// How long after the last one they are remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Which messages they were of, by the tags of the last ones in a row, one behind the other.
const TAGS: &str = "t";
const REVISION: &str = "r";
/// How often a change is tried anew when others change the same address's at the same time. Each time one comes through.
const TRIES: usize = 50;
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
    /// in between. `message` tells messages apart: a bounce of one that is counted already changes nothing.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where its entry keeps changing. The bounce may have been counted.
    pub async fn soft_bounce(
        &self,
        channel: Channel,
        address: &str,
        message: MessageTag,
        at: Timestamp,
    ) -> Result<SoftBounces, StoreError> {
        let hash = self.hash(channel, address).await?;
        let count = self.count(hash, message).await?;
        if count < BOUNCES_IN_A_ROW {
            return Ok(SoftBounces::Counted(count));
        }
        // Each one more says it again, in case whoever counted the fifth did not come this far.
        let reason = SuppressionReason::SoftBounces;
        let (address, source) = (Some(address.to_owned()), Some(SOURCE.to_owned()));
        self.put(hash, &Suppression { channel, address, reason, source, at }).await?;
        Ok(SoftBounces::Suppressed)
    }

    /// How many bounces in a row there are with this one: no more are told apart than suppress.
    async fn count(&self, hash: AddressHash, message: MessageTag) -> Result<u32, StoreError> {
        let (at, table) = (bounces_key(hash), &self.platform.table);
        let mut found = table.get(AUDIENCE, &at, Consistency::Strong).await?;
        let tag = message.0.to_be_bytes();
        for _ in 0..TRIES {
            let mut tags = found.as_ref().and_then(|item| item.bytes(TAGS)).unwrap_or_default().to_vec();
            let (counted, _) = tags.as_chunks();
            let is_known = counted.contains(&tag);
            let count = u32::try_from(counted.len()).unwrap_or(u32::MAX);
            if is_known || count >= BOUNCES_IN_A_ROW {
                return Ok(count);
            }
            tags.extend(tag);
            let revision = found.as_ref().and_then(|item| item.number(REVISION));
            let as_read =
                revision.map_or(Condition::NotExists, |revision| Condition::equals(REVISION, revision));
            // From now on: what is told late is not forgotten the sooner.
            let expires = self.platform.clock.now().checked_add(MEMORY).unwrap_or(Timestamp::MAX).as_second();
            let changes =
                vec![Change::set(TAGS, tags), Change::add(REVISION, 1), Change::Expires(Some(expires))];
            match table.update(AUDIENCE, &at, Some(as_read), changes).await? {
                Updated::New(_) => return Ok(count + 1),
                Updated::Refused(other) => found = other,
            }
        }
        Err(StoreError::Contended { what: "soft bounces" })
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
