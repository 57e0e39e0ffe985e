//! Segments and the members of lists.

mod memberships;

use campaign::segment::SegmentKind;
use campaign::{ProfileId, SegmentId};
use jiff::Timestamp;
use platform::{Consistency, Item, Key, Platform, Query, Write};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::document::{self, Revised};
use crate::error::refused;
use crate::tables::{self, AUDIENCE, CONTROL, LIST_PARTITIONS};

const WHAT: &str = "segment";

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

    /// Removes a segment at `revision`, its members too. Whether a campaign uses it is the caller's to ask.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Stale`].
    pub async fn delete(&self, id: SegmentId, revision: i64) -> Result<(), StoreError> {
        let segment = self.get(id).await?.value;
        self.apply(Write::delete(CONTROL, key(id)).when(document::at_revision(revision))).await?;
        if let SegmentKind::List { generation, partitions, .. } = segment.kind {
            for partition in 0..partitions {
                loop {
                    let page = self.members(id, generation, partition, None, 100).await?;
                    if page.members.is_empty() {
                        break;
                    }
                    self.remove_members(id, generation, &page.members).await?;
                }
            }
        }
        Ok(())
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

    /// Adds members to a generation of a list and returns how many were not in it before.
    ///
    /// # Errors
    /// As the engine's; then some may have been added, and the call may be repeated.
    pub async fn add_members(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<u64, StoreError> {
        let mut added = 0;
        for keys in member_keys(id, generation, members) {
            let there = self.platform.table.batch_get(AUDIENCE, &keys, Consistency::Strong).await?;
            let new: Vec<Item> = keys
                .into_iter()
                .filter(|key| !there.iter().any(|item| item.key == *key))
                .map(Item::new)
                .collect();
            added += new.len() as u64;
            self.platform.table.batch_put(AUDIENCE, new).await?;
        }
        Ok(added)
    }

    /// Removes members from a generation of a list and returns how many were in it.
    ///
    /// # Errors
    /// As the engine's; then some may have been removed, and the call may be repeated.
    pub async fn remove_members(
        &self,
        id: SegmentId,
        generation: u32,
        members: &[ProfileId],
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        for keys in member_keys(id, generation, members) {
            let there = self.platform.table.batch_get(AUDIENCE, &keys, Consistency::Strong).await?;
            let writes: Vec<_> = there.into_iter().map(|item| Write::delete(AUDIENCE, item.key)).collect();
            removed += writes.len() as u64;
            if !writes.is_empty() {
                refused(self.platform.table.transact(writes).await)?;
            }
        }
        Ok(removed)
    }

    /// Books how many members a list has, after members were added (`change > 0`) or removed. The number guides how
    /// an audience is split; who is a member is told by the members alone.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Contended`] where others change the segment again and again.
    pub async fn count_members(&self, id: SegmentId, change: i64) -> Result<u64, StoreError> {
        for _ in 0..10 {
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
        .chunks(platform::table::MAX_BATCH_GET)
        .map(|members| members.iter().map(|member| member_key(id, generation, *member)).collect())
        .collect()
}

fn member_key(id: SegmentId, generation: u32, member: ProfileId) -> Key {
    let partition = u32::from(member.as_bytes()[0]) % LIST_PARTITIONS;
    Key::new(tables::members(id, generation, partition), member.to_string())
}
