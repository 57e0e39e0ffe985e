use axum::extract::State;
use campaign::SegmentId;
use campaign::segment::SegmentKind;
use serde::Deserialize;
use store::Segment;
use store::tables::LIST_PARTITIONS;
use utoipa::ToSchema;

use super::{Kinds, SegmentOut, check};
use crate::Context;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Tagged};

/// A segment to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentIn {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    kind: Kinds,
    /// The rule, in the Common Expression Language: `profile.country == "de"`. Needed for a rule, and for a rule only.
    expression: Option<String>,
}

/// Create a segment
///
/// A list begins empty.
#[utoipa::path(
    post, path = "/segments", tag = "segments",
    request_body = SegmentIn,
    responses(
        (status = 201, description = "Created", body = SegmentOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field or the rule is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_segment(
    State(context): State<Context>,
    Body(body): Body<SegmentIn>,
) -> Result<Tagged<SegmentOut>> {
    let kind = match (body.kind, body.expression) {
        (Kinds::Rule, Some(expression)) => SegmentKind::Rule { expression },
        (Kinds::Rule, None) => return Err(Problem::field("expression", "a rule needs one")),
        (Kinds::List, None) => SegmentKind::List { generation: 1, partitions: LIST_PARTITIONS, members: 0 },
        (Kinds::List, Some(_)) => return Err(Problem::field("expression", "a list has none")),
    };
    let now = context.now();
    let segment = Segment {
        id: SegmentId::ordered(now.as_millisecond()),
        name: body.name,
        description: body.description,
        kind,
        created_at: now,
        modified_at: now,
    };
    check(&segment)?;
    context.store.segments.put(&segment, 0).await?;
    Ok(Tagged::created(1, segment.into()))
}
