//! Deleting a segment: nobody finds it any more at once, and the members of a list go piece by piece, by a job.
//!
//! Executions read the members of the list that they were started for, and one may be started in the moment in which the list
//! is deleted. So the members stay until nothing that saw the list can be at work any more ([`Store::open_reader`]). Until the last
//! of them is gone the list is kept where deleted ones are, for whoever looks for a person on every list there is.

use campaign::segment::SegmentKind;
use campaign::{ProfileId, SegmentId};
use futures::stream::{self, StreamExt, TryStreamExt};
use platform::table::MAX_TRANSACTION;
use platform::{Deadline, Key, Query, Write};
use serde::{Deserialize, Serialize};

use super::memberships::generations;
use super::{Segment, Segments, WHAT, key, member_key};
use crate::document::{self, Revised};
use crate::error::refused;
use crate::jobs::{Job, Task};
use crate::tables::{self, AUDIENCE, CONTROL};
use crate::{Store, StoreError};

/// How many transactions are written at the same time.
const AT_ONCE: usize = 4;
/// How many members are removed at once.
const PAGE: usize = AT_ONCE * MAX_TRANSACTION;

/// How far the removal of a deleted list's members is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// How many members were removed, as far as that was remembered.
    pub removed: u64,
    /// About how many there were.
    pub about: u64,
    /// In which generation there may be any, and in those before it; 0: in none.
    generation: u32,
    /// In which of its partitions, and in those behind it.
    partition: u32,
    partitions: u32,
}

impl Removal {
    /// Of everybody who is on a list; `None` for a rule.
    fn begin(kind: &SegmentKind) -> Option<Self> {
        let SegmentKind::List { generation, partitions, members } = *kind else { return None };
        Some(Self { removed: 0, about: members, generation, partition: 0, partitions })
    }

    /// Whether nobody is left.
    pub const fn is_complete(&self) -> bool {
        self.generation == 0
    }

    const fn go_on(&mut self) {
        self.partition += 1;
        if self.partition >= self.partitions {
            self.partition = 0;
            self.generation -= 1;
        }
    }
}

impl Store {
    /// Deletes a segment as it was found. The members of a list are removed by a job that is begun with it. Whether a campaign
    /// uses it is the caller's to ask.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where it has changed since.
    pub async fn delete_segment(&self, found: &Revised<Segment>) -> Result<(), StoreError> {
        let id = found.value.id;
        let delete = Write::delete(CONTROL, key(id)).when(document::at_revision(found.revision));
        let Some(removal) = Removal::begin(&found.value.kind) else {
            return self.segments.apply(delete).await;
        };
        let job = Job::new(Task::DeleteList { list: id, removal }, self.platform.clock.now());
        let keep = document::put(CONTROL, WHAT, deleted(id), &found.value, 0)?;
        match self.jobs.create_with(&job, vec![delete, keep]).await {
            Err(StoreError::Stale { .. }) => Err(StoreError::Stale { what: WHAT }),
            created => created,
        }
    }
}

impl Segments {
    /// Goes on removing the members of a deleted list until nobody is left or `until`, whichever is first. Being done again it
    /// does no harm, from wherever it was remembered to be.
    ///
    /// # Errors
    /// As the engine's; then some may have been removed.
    pub async fn remove_deleted(
        &self,
        list: SegmentId,
        removal: &mut Removal,
        until: Deadline,
    ) -> Result<(), StoreError> {
        while !removal.is_complete() {
            if until.remaining(&*self.platform.clock).is_zero() {
                return Ok(());
            }
            let page = self.members(list, removal.generation, removal.partition, None, PAGE).await?;
            self.remove_all(list, removal.generation, &page.members).await?;
            removal.removed += page.members.len() as u64;
            if page.next.is_none() {
                removal.go_on();
            }
        }
        self.apply(Write::delete(CONTROL, deleted(list))).await
    }

    async fn remove_all(
        &self,
        list: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<(), StoreError> {
        let key = |member: &ProfileId| member_key(list, generation, *member);
        let removals: Vec<_> = members
            .chunks(MAX_TRANSACTION)
            .map(|members| members.iter().map(|member| Write::delete(AUDIENCE, key(member))).collect())
            .map(|writes| async move { refused(self.platform.table.transact(writes).await).map(|_| ()) })
            .collect();
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Of a page of the deleted lists that have members left, takes a person off each. Of how many, and where to go on.
    ///
    /// # Errors
    /// As the engine's; then the person may be off some.
    pub(crate) async fn leave_deleted(
        &self,
        person: ProfileId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(u64, Option<String>), StoreError> {
        let query = Query::of(tables::DELETED_LISTS, limit).after(after);
        let (lists, next) = document::list::<Segment>(&self.platform, WHAT, query).await?;
        let mut left = 0;
        for list in lists {
            let there = self.there(&generations(&list.value, person)).await?;
            left += u64::from(!there.is_empty());
            for keys in there.chunks(MAX_TRANSACTION) {
                let writes = keys.iter().map(|key| Write::delete(AUDIENCE, key.clone())).collect();
                refused(self.platform.table.transact(writes).await)?;
            }
        }
        Ok((left, next))
    }
}

fn deleted(list: SegmentId) -> Key {
    Key::new(tables::DELETED_LISTS, list.to_string())
}
