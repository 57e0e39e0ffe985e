//! The lists that a person is on. A list is looked up by its members; so whoever wants a person's lists asks each of them.

use campaign::segment::SegmentKind;
use campaign::{ProfileId, SegmentId};
use platform::{Condition, Consistency, Key, Write};

use super::{Segment, Segments, TRIES, WHAT, key, member_key};
use crate::StoreError;
use crate::document;
use crate::error::refused;
use crate::tables::{AUDIENCE, CONTROL};

/// How many generations are left in one transaction.
const AT_ONCE: usize = 50;

impl Segments {
    /// Of a page of segments, the lists that a person is on.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn lists_of(
        &self,
        person: ProfileId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Segment>, Option<String>), StoreError> {
        let (segments, next) = self.list(after, limit).await?;
        let mut lists = Vec::new();
        for segment in segments {
            let keys = generations(&segment.value, person);
            if !keys.is_empty() && !self.there(&keys).await?.is_empty() {
                lists.push(segment.value);
            }
        }
        Ok((lists, next))
    }

    /// Takes a person off a list, in each of its generations; whether they were on it.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`].
    pub async fn leave(&self, list: SegmentId, person: ProfileId) -> Result<bool, StoreError> {
        let mut was_on_it = false;
        for _ in 0..TRIES {
            let mut segment = match self.get(list).await {
                Err(StoreError::NotFound { .. }) => return Ok(was_on_it),
                found => found?,
            };
            let keys = generations(&segment.value, person);
            let newest = keys.last().cloned();
            let there = self.there(&keys).await?;
            let Some(some) = there.chunks(AT_ONCE).next() else { return Ok(was_on_it) };
            let mut writes: Vec<_> =
                some.iter().map(|key| Write::delete(AUDIENCE, key.clone()).when(Condition::Exists)).collect();
            if let SegmentKind::List { members, .. } = &mut segment.value.kind
                && newest.is_some_and(|newest| some.contains(&newest))
            {
                *members = members.saturating_sub(1);
                writes.push(document::put(CONTROL, WHAT, key(list), &segment.value, segment.revision)?);
            }
            was_on_it |= refused(self.platform.table.transact(writes).await)?.is_none();
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Which of these members are there.
    pub(super) async fn there(&self, keys: &[Key]) -> Result<Vec<Key>, StoreError> {
        let mut there = Vec::new();
        for keys in keys.chunks(platform::table::MAX_BATCH_GET) {
            let items = self.platform.table.batch_get(AUDIENCE, keys, Consistency::Strong).await?;
            there.extend(items.into_iter().map(|item| item.key));
        }
        Ok(there)
    }
}

/// Where a person would be in a list, in each of its generations, the newest last; nowhere in a rule.
pub(super) fn generations(segment: &Segment, person: ProfileId) -> Vec<Key> {
    match segment.kind {
        SegmentKind::List { generation, .. } => {
            (1..=generation).map(|generation| member_key(segment.id, generation, person)).collect()
        }
        SegmentKind::Rule { .. } => Vec::new(),
    }
}
