use axum::extract::State;
use campaign::SegmentId;
use campaign::segment::SegmentKind;
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::{SegmentOut, check};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Tagged, given};
use crate::{Context, schema};

/// How often a patch that names no revision is tried anew when others change the segment at the same time.
const TRIES: usize = 3;

/// What is to change of a segment; what is absent stays. Its kind can't.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentPatch {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    description: Option<Option<String>>,
    /// The rule, for a rule.
    expression: Option<String>,
}

/// Change a segment
///
/// An execution under way keeps the rule it began with.
#[utoipa::path(
    patch, path = "/segments/{id}", tag = "segments",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    request_body = SegmentPatch,
    responses(
        (status = 200, description = "Changed", body = SegmentOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field or the rule is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "It kept changing", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn patch_segment(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    if_match: IfMatch,
    Body(patch): Body<SegmentPatch>,
) -> Result<Tagged<SegmentOut>> {
    let mut tries = TRIES;
    loop {
        let found = context.store.segments.get(id).await?;
        if_match.check(found.revision)?;
        let (mut segment, patch) = (found.value, patch.clone());
        segment.name = patch.name.unwrap_or(segment.name);
        segment.description = patch.description.map_or(segment.description, Option::unwrap_or_default);
        if let Some(expression) = patch.expression {
            if !matches!(segment.kind, SegmentKind::Rule { .. }) {
                return Err(Problem::field("expression", "a list has none"));
            }
            segment.kind = SegmentKind::Rule { expression };
        }
        segment.modified_at = context.now();
        check(&segment)?;
        tries -= 1;
        match context.store.segments.put(&segment, found.revision).await {
            Ok(()) => return Ok(Tagged::ok(found.revision + 1, segment.into())),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
