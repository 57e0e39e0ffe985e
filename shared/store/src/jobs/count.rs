//! Counting a segment, as far as the time goes and then on from there.

use campaign::SegmentId;
use campaign::segment::{Match, Rule, RuleError, SegmentKind};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use platform::{Deadline, Scan};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// In how many buckets all profiles are read.
const BUCKETS: u32 = 4;
/// How many parts are read at the same time.
const AT_ONCE: usize = 4;
/// How many profiles or members are read at once.
const PAGE: usize = 1000;

/// A count, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// How many are in the segment, as far as was looked.
    pub members: u64,
    /// Of how many the rule could not say: they are not in it.
    pub undecided: u64,
    /// At how many was looked.
    pub scanned: u64,
    /// About how many there are to be looked at, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<u64>,
    /// The instant rules are judged at.
    at: Timestamp,
    who: Who,
    /// The buckets or partitions that are not read to their end.
    parts: Vec<Part>,
}

/// What is counted, as it was when the count began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Who {
    Rule { expression: String },
    List { segment: SegmentId, generation: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// What one part has given.
#[derive(Default)]
struct Read {
    members: u64,
    undecided: u64,
    scanned: u64,
    left: Option<Part>,
}

impl Counting {
    /// A count of a segment as it stands now, which has not looked at anybody yet.
    pub fn begin(id: SegmentId, kind: &SegmentKind, now: Timestamp) -> Self {
        let (who, parts, about) = match kind {
            SegmentKind::Rule { expression } => (Who::Rule { expression: expression.clone() }, BUCKETS, None),
            SegmentKind::List { generation, partitions, members } => {
                (Who::List { segment: id, generation: *generation }, *partitions, Some(*members))
            }
        };
        Self {
            members: 0,
            undecided: 0,
            scanned: 0,
            about,
            at: now,
            who,
            parts: (0..parts).map(|number| Part { number, after: None }).collect(),
        }
    }

    /// Whether everybody was looked at.
    pub const fn is_complete(&self) -> bool {
        self.parts.is_empty()
    }
}

impl Store {
    /// Goes on with a count until it is complete or `until`, whichever is first. Nobody is counted twice or left out, so
    /// that the count is exact however often it is broken off; who changes meanwhile is judged as they are found.
    ///
    /// # Errors
    /// As the engine's, and then the count is as it was before; [`StoreError::Invalid`] where the rule is none.
    pub async fn count(&self, counting: &mut Counting, until: Deadline) -> Result<(), StoreError> {
        let rule = match &counting.who {
            Who::Rule { expression } => Some(Rule::compile(expression).map_err(|error| invalid(&error))?),
            Who::List { .. } => None,
        };
        let (who, at) = (&counting.who, counting.at);
        let reads: Vec<Read> = stream::iter(counting.parts.clone())
            .map(|part| {
                let rule = rule.as_ref();
                async move {
                    match who {
                        Who::Rule { .. } => self.judge(part, rule, at, until).await,
                        Who::List { segment, generation } => {
                            self.look_up(part, *segment, *generation, until).await
                        }
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        counting.parts.clear();
        for read in reads {
            counting.members += read.members;
            counting.undecided += read.undecided;
            counting.scanned += read.scanned;
            counting.parts.extend(read.left);
        }
        counting.parts.sort_by_key(|part| part.number);
        Ok(())
    }

    async fn judge(
        &self,
        mut part: Part,
        rule: Option<&Rule>,
        at: Timestamp,
        until: Deadline,
    ) -> Result<Read, StoreError> {
        let mut read = Read::default();
        while !until.remaining(&*self.platform.clock).is_zero() {
            let scan = Scan { bucket: part.number, of: BUCKETS, after: part.after, limit: PAGE };
            let (profiles, next) = self.profiles.scan(scan).await?;
            for profile in &profiles {
                read.scanned += 1;
                match rule.map(|rule| rule.matches(profile.document(), at)) {
                    Some(Match::Yes) => read.members += 1,
                    Some(Match::Undecided) => read.undecided += 1,
                    Some(Match::No) | None => {}
                }
            }
            if next.is_none() {
                return Ok(read);
            }
            part.after = next;
            // Judging a page keeps the thread busy for milliseconds: let others have it in between.
            tokio::task::yield_now().await;
        }
        Ok(Read { left: Some(part), ..read })
    }

    async fn look_up(
        &self,
        mut part: Part,
        segment: SegmentId,
        generation: u32,
        until: Deadline,
    ) -> Result<Read, StoreError> {
        let mut read = Read::default();
        while !until.remaining(&*self.platform.clock).is_zero() {
            let page = self.segments.members(segment, generation, part.number, part.after, PAGE).await?;
            read.scanned += page.members.len() as u64;
            read.members += page.members.len() as u64;
            if page.next.is_none() {
                return Ok(read);
            }
            part.after = page.next;
        }
        Ok(Read { left: Some(part), ..read })
    }
}

fn invalid(error: &RuleError) -> StoreError {
    StoreError::invalid("expression", error.message.clone())
}
