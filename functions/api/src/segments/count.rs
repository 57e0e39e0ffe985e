use axum::Json;
use axum::extract::State;
use campaign::SegmentId;
use campaign::segment::{Match, Rule, SegmentKind};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use platform::{Deadline, Scan};
use serde::Serialize;
use utoipa::ToSchema;

use super::{LONGEST_READ, PAGE, compile};
use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// In how many parts, read at the same time, profiles are judged.
const PARTS: u32 = 4;

/// How many are in a segment.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct CountOut {
    /// How many are in it.
    members: u64,
    /// Of how many the rule could not say, because a field is missing or of another type: they are not in it.
    undecided: u64,
    /// How many profiles or members were looked at.
    scanned: u64,
    /// Whether that was all of them; else the numbers are those of what could be looked at in 20 seconds.
    complete: bool,
}

impl CountOut {
    fn add(self, other: Self) -> Self {
        Self {
            members: self.members + other.members,
            undecided: self.undecided + other.undecided,
            scanned: self.scanned + other.scanned,
            complete: self.complete && other.complete,
        }
    }
}

/// Count who is in a segment
///
/// As it stands now. An execution judges each profile when it comes by it.
#[utoipa::path(
    post, path = "/segments/{id}/count", tag = "segments",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The count", body = CountOut),
        (status = 400, description = "The stored rule is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn count_segment(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
) -> Result<Json<CountOut>> {
    let segment = context.store.segments.get(id).await?.value;
    let deadline = Deadline::after(&*context.store.platform.clock, LONGEST_READ);
    let count = match segment.kind {
        SegmentKind::Rule { expression } => {
            let (rule, now) = (compile(&expression)?, context.now());
            futures::stream::iter(0..PARTS)
                .map(|part| count_part(&context, &rule, now, part, deadline))
                .buffer_unordered(PARTS as usize)
                .try_fold(CountOut { complete: true, ..CountOut::default() }, async |all, part| {
                    Ok(all.add(part))
                })
                .await?
        }
        SegmentKind::List { generation, partitions, .. } => {
            count_members(&context, id, generation, partitions, deadline).await?
        }
    };
    Ok(Json(count))
}

async fn count_part(
    context: &Context,
    rule: &Rule,
    now: Timestamp,
    part: u32,
    deadline: Deadline,
) -> Result<CountOut> {
    let mut count = CountOut::default();
    let mut after = None;
    while !deadline.remaining(&*context.store.platform.clock).is_zero() {
        let scan = Scan { bucket: part, of: PARTS, after, limit: PAGE };
        let (profiles, next) = context.store.profiles.scan(scan).await?;
        for profile in &profiles {
            count.scanned += 1;
            match rule.matches(profile.document(), now) {
                Match::Yes => count.members += 1,
                Match::Undecided => count.undecided += 1,
                Match::No => {}
            }
        }
        if next.is_none() {
            count.complete = true;
            break;
        }
        after = next;
        // Judging a page keeps the thread busy for milliseconds: let others have it in between.
        tokio::task::yield_now().await;
    }
    Ok(count)
}

async fn count_members(
    context: &Context,
    id: SegmentId,
    generation: u32,
    partitions: u32,
    deadline: Deadline,
) -> Result<CountOut> {
    let mut count = CountOut { complete: true, ..CountOut::default() };
    for partition in 0..partitions {
        let mut after = None;
        loop {
            if deadline.remaining(&*context.store.platform.clock).is_zero() {
                return Ok(CountOut { complete: false, ..count });
            }
            let page = context.store.segments.members(id, generation, partition, after, PAGE).await?;
            count.scanned += page.members.len() as u64;
            count.members += page.members.len() as u64;
            if page.next.is_none() {
                break;
            }
            after = page.next;
        }
    }
    Ok(count)
}
