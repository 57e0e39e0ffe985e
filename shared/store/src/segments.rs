//! Segments and the members of lists.

mod memberships;
mod readers;
mod removal;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use campaign::segment::SegmentKind;
use campaign::{ProfileId, SegmentId};
use jiff::Timestamp;
use platform::table::MAX_TRANSACTION;
use platform::{Condition, Consistency, Item, Key, Platform, Query, Write};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::document::{self, Revised};
use crate::error::refused;
use crate::tables::{self, AUDIENCE, CONTROL, LIST_PARTITIONS};

pub use removal::Removal;

const WHAT: &str = "segment";
/// How often a change is tried against those of others.
const TRIES: usize = 10;

/// A segment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// Its name, for people.
    pub name: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who is in it.
    #[serde(flatten)]
    pub kind: SegmentKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
}

/// A page of a list's members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// Who.
    pub members: Vec<ProfileId>,
    /// Where to go on within the partition.
    pub next: Option<String>,
}

/// What is done with members.
#[derive(Debug, Clone, Copy)]
enum Membership {
    Begin,
    End,
}

/// How many members were added, or removed, that their list does not count yet.
#[derive(Debug, Default)]
pub(crate) struct Changed(AtomicU64);

impl Changed {
    /// From now on, they are as good as counted.
    fn take(&self) -> i64 {
        i64::try_from(self.0.swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }
}

/// The repository of segments.
#[derive(Debug, Clone)]
pub struct Segments {
    platform: Platform,
}

impl Segments {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// The segment, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: SegmentId) -> Result<Revised<Segment>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(id), Consistency::Strong).await?;
        item.map_or_else(|| Err(StoreError::not_found(WHAT, id)), |item| document::revised(WHAT, &item))
    }

    /// Stores a segment over the one at `revision` (0: a new one).
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest.
    pub async fn put(&self, segment: &Segment, revision: i64) -> Result<(), StoreError> {
        self.apply(document::put(CONTROL, WHAT, key(segment.id), segment, revision)?).await
    }

    /// A page of segments, in the order of their ids.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Revised<Segment>>, Option<String>), StoreError> {
        document::list(&self.platform, WHAT, Query::of(tables::SEGMENTS, limit).after(after)).await
    }

    /// Adds members to a list and has it count them, those too that were added before something went wrong. How many were not
    /// on it before, and how many members it has now.
    ///
    /// # Errors
    /// As [`Self::add_members`] and [`Self::count_members`].
    pub async fn enlist(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<(u64, u64), StoreError> {
        let added = Changed::default();
        let done = self.add(id, generation, members, &added).await;
        let total = self.count_members(id, added.take()).await;
        Ok((done?, total?))
    }

    /// Removes members from a list and has it count them, as [`Self::enlist`] adds them. How many were on it before, and how
    /// many members it has now.
    ///
    /// # Errors
    /// As [`Self::remove_members`] and [`Self::count_members`].
    pub async fn dismiss(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<(u64, u64), StoreError> {
        let removed = Changed::default();
        let done = self.change(id, generation, members, Membership::End, &removed).await;
        let total = self.count_members(id, -removed.take()).await;
        Ok((done?, total?))
    }

    /// Adds members to a generation of a list, which does not count them by that. How many were not in it before: of two who
    /// add the same member, only one is told so.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`]. Then some may have been added, and the call may be repeated.
    pub async fn add_members(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<u64, StoreError> {
        self.add(id, generation, members, &Changed::default()).await
    }

    /// The same, where `added` knows how many were added even if it fails.
    pub(crate) async fn add(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
        added: &Changed,
    ) -> Result<u64, StoreError> {
        self.change(id, generation, members, Membership::Begin, added).await
    }

    /// Removes members from a generation of a list, which does not count them by that. How many were in it.
    ///
    /// # Errors
    /// As [`Self::add_members`].
    pub async fn remove_members(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<u64, StoreError> {
        self.change(id, generation, members, Membership::End, &Changed::default()).await
    }

    async fn change(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
        membership: Membership,
        changed: &Changed,
    ) -> Result<u64, StoreError> {
        let mut sum = 0;
        for keys in member_keys(id, generation, members) {
            let of_batch = self.change_batch(&keys, membership).await?;
            changed.0.fetch_add(of_batch, Ordering::Relaxed);
            sum += of_batch;
        }
        Ok(sum)
    }

    async fn change_batch(&self, keys: &[Key], membership: Membership) -> Result<u64, StoreError> {
        for _ in 0..TRIES {
            let there = self.there(keys).await?;
            let writes: Vec<_> = match membership {
                Membership::Begin => {
                    let new = keys.iter().filter(|key| !there.contains(key));
                    let put = |key: &Key| Write::put(AUDIENCE, Item::new(key.clone()));
                    new.map(|key| put(key).when(Condition::NotExists)).collect()
                }
                Membership::End => there
                    .into_iter()
                    .map(|key| Write::delete(AUDIENCE, key).when(Condition::Exists))
                    .collect(),
            };
            let changes = writes.len() as u64;
            if changes == 0 || refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(changes);
            }
            // Somebody else has changed one of them in between.
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Has a list count what was changed since that was last done.
    pub(crate) async fn book(&self, id: SegmentId, added: &Changed) -> Result<(), StoreError> {
        let change = added.take();
        if change == 0 {
            return Ok(());
        }
        let booked = self.count_members(id, change).await;
        if booked.is_err() {
            added.0.fetch_add(change.unsigned_abs(), Ordering::Relaxed);
        }
        booked.map(|_| ())
    }

    /// Books how many members a list has, after members were added (`change > 0`) or removed. The number guides how
    /// an audience is split; who is a member is told by the members alone.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Contended`] where others change the segment again and again.
    pub async fn count_members(&self, id: SegmentId, change: i64) -> Result<u64, StoreError> {
        for _ in 0..TRIES {
            let mut segment = self.get(id).await?;
            let SegmentKind::List { members, .. } = &mut segment.value.kind else {
                return Err(StoreError::invalid("kind", "only a list has members"));
            };
            *members = members.saturating_add_signed(change);
            let count = *members;
            match self.put(&segment.value, segment.revision).await {
                Err(StoreError::Stale { .. }) => {}
                result => return result.map(|()| count),
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// A page of one partition of a generation's members.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn members(
        &self,
        id: SegmentId,
        generation: u32,
        partition: u32,
        after: Option<String>,
        limit: usize,
    ) -> Result<MemberPage, StoreError> {
        let query = Query::of(tables::members(id, generation, partition), limit).after(after);
        let page = self.platform.table.query(AUDIENCE, query).await?;
        let members = page
            .items
            .iter()
            .map(|item| {
                item.key.sk.parse().map_err(|_| StoreError::Corrupt { what: "list member", source: None })
            })
            .collect::<Result<_, _>>()?;
        Ok(MemberPage { members, next: page.next })
    }

    async fn apply(&self, write: Write) -> Result<(), StoreError> {
        match refused(self.platform.table.transact(vec![write]).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }
}

fn key(id: SegmentId) -> Key {
    Key::new(tables::SEGMENTS, id.to_string())
}

/// The keys of members, each once, in batches that can be read at once.
fn member_keys(id: SegmentId, generation: u32, members: &[ProfileId]) -> Vec<Vec<Key>> {
    let mut unique = members.to_vec();
    unique.sort_unstable();
    unique.dedup();
    unique
        .chunks(MAX_TRANSACTION)
        .map(|members| members.iter().map(|member| member_key(id, generation, *member)).collect())
        .collect()
}

fn member_key(id: SegmentId, generation: u32, member: ProfileId) -> Key {
    let partition = u32::from(member.as_bytes()[0]) % LIST_PARTITIONS;
    Key::new(tables::members(id, generation, partition), member.to_string())
}
