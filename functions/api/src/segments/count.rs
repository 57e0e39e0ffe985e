use axum::Json;
use axum::extract::State;
use campaign::SegmentId;
use campaign::segment::SegmentKind;
use platform::Deadline;
use serde::Serialize;
use store::Segment;
use store::jobs::Counting;
use utoipa::ToSchema;

use super::{LONGEST_READ, compile};
use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// How many are in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CountOut {
    /// How many are in it.
    members: u64,
    /// Of how many the rule could not say, because a field is missing or of another type: they are not in it.
    undecided: u64,
    /// How many profiles or members were looked at.
    scanned: u64,
    /// Whether that was all of them; else the numbers are those of whom could be looked at so far.
    complete: bool,
}

impl From<&Counting> for CountOut {
    fn from(counting: &Counting) -> Self {
        Self {
            members: counting.members,
            undecided: counting.undecided,
            scanned: counting.scanned,
            complete: counting.is_complete(),
        }
    }
}

/// Count who is in a segment
///
/// As it stands now. An execution judges each profile when it comes by it. Where everybody can't be looked at within 20
/// seconds, `complete` is false and the numbers are those of whom could be: then `POST /segments/{id}/count-jobs` counts
/// to the end.
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
    let mut counting = begin(&context, &segment)?;
    let until = Deadline::after(&*context.store.platform.clock, LONGEST_READ);
    context.store.count(&mut counting, until).await?;
    Ok(Json(CountOut::from(&counting)))
}

/// A count of a segment whose rule can be judged.
pub(crate) fn begin(context: &Context, segment: &Segment) -> Result<Counting> {
    if let SegmentKind::Rule { expression } = &segment.kind {
        compile(expression)?;
    }
    Ok(Counting::begin(segment.id, &segment.kind, context.now()))
}
