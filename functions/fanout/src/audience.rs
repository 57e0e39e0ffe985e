//! Reading an audience page by page.

use std::collections::HashMap;

use campaign::ProfileId;
use campaign::segment::{Match, Rule};
use jiff::Timestamp;
use platform::Scan;
use serde::{Deserialize, Serialize};
use store::ledger::{Audience, Head};
use store::messages::FanOut;
use store::{Store, StoreError};

/// How many profiles are read at once.
const PROFILES: usize = 200;

/// One shard of an audience, ready to be read.
pub(crate) enum Reader<'a> {
    /// Profiles are scanned and judged.
    Rule { store: &'a Store, rule: Rule, shard: u32, shards: u32, now: Timestamp },
    /// Members are read, from every partition that belongs to the shard.
    List {
        store: &'a Store,
        segment: campaign::SegmentId,
        generation: u32,
        partitions: u32,
        shard: u32,
        shards: u32,
    },
}

/// Some of an audience.
#[derive(Debug, Default)]
pub(crate) struct AudiencePage {
    pub(crate) members: Vec<ProfileId>,
    /// The time zone of each, as the profile has it; none at all where they are not wanted.
    pub(crate) zones: Vec<Option<String>>,
    pub(crate) undecided: u64,
    /// Where to read on; `None` at the end.
    pub(crate) next: Option<String>,
}

/// Whether the members' time zones are read, too: those of a list's are in their profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zones {
    Wanted,
    Unwanted,
}

/// Where in a list the reading stands.
#[derive(Debug, Serialize, Deserialize)]
struct ListPosition {
    partition: u32,
    after: Option<String>,
}

impl<'a> Reader<'a> {
    /// The audience of `head`, of which `shard` is a part.
    pub(crate) fn new(store: &'a Store, head: &Head, shard: FanOut) -> Result<Self, StoreError> {
        let (number, shards) = (u32::from(shard.shard), u32::from(head.shards));
        Ok(match &head.audience {
            Audience::Rule { expression, .. } => {
                let rule = Rule::compile(expression)
                    .map_err(|error| StoreError::invalid("audience.expression", error.to_string()))?;
                Self::Rule { store, rule, shard: number, shards, now: head.started_at }
            }
            Audience::List { segment, generation, partitions } => Self::List {
                store,
                segment: *segment,
                generation: *generation,
                partitions: *partitions,
                shard: number,
                shards,
            },
            // It has no cursor either, so no fan-out comes here.
            Audience::Call { .. } => {
                return Err(StoreError::invalid("audience", "a call's recipients come with it"));
            }
        })
    }

    /// The page after `position` (`None`: the first), of at most `limit` profiles read.
    pub(crate) async fn page(
        &self,
        position: Option<&str>,
        limit: usize,
        zones: Zones,
    ) -> Result<AudiencePage, StoreError> {
        match self {
            Self::Rule { store, rule, shard, shards, now } => {
                let scan = Scan { bucket: *shard, of: *shards, after: position.map(str::to_owned), limit };
                let (profiles, next) = store.profiles.scan(scan).await?;
                let mut page = AudiencePage { next, ..AudiencePage::default() };
                for profile in &profiles {
                    match rule.matches(profile.document(), *now) {
                        Match::Yes => {
                            page.members.push(profile.id());
                            if zones == Zones::Wanted {
                                page.zones.push(profile.text("time_zone").map(str::to_owned));
                            }
                        }
                        Match::No => {}
                        Match::Undecided => page.undecided += 1,
                    }
                }
                Ok(page)
            }
            Self::List { store, segment, generation, partitions, shard, shards } => {
                let corrupt = |source| StoreError::Corrupt { what: "cursor", source: Some(source) };
                let position = match position {
                    None => ListPosition { partition: *shard, after: None },
                    Some(text) => serde_json::from_str(text).map_err(corrupt)?,
                };
                if position.partition >= *partitions {
                    return Ok(AudiencePage::default());
                }
                let page = store
                    .segments
                    .members(*segment, *generation, position.partition, position.after, limit)
                    .await?;
                let next = match page.next {
                    Some(after) => Some(ListPosition { partition: position.partition, after: Some(after) }),
                    None => Some(ListPosition { partition: position.partition + shards, after: None })
                        .filter(|next| next.partition < *partitions),
                };
                let next = next.map(|next| serde_json::to_string(&next)).transpose().map_err(corrupt)?;
                let zones = match zones {
                    Zones::Unwanted => Vec::new(),
                    Zones::Wanted => time_zones(store, &page.members).await?,
                };
                Ok(AudiencePage { members: page.members, zones, undecided: 0, next })
            }
        }
    }
}

/// The time zones of these profiles. One that is gone has none.
async fn time_zones(store: &Store, members: &[ProfileId]) -> Result<Vec<Option<String>>, StoreError> {
    let mut found: HashMap<ProfileId, String> = HashMap::with_capacity(members.len());
    for page in members.chunks(PROFILES) {
        for profile in store.profiles.get_many_lately(page).await? {
            if let Some(zone) = profile.text("time_zone") {
                found.insert(profile.id(), zone.to_owned());
            }
        }
    }
    Ok(members.iter().map(|member| found.remove(member)).collect())
}
