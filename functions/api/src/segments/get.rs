use axum::extract::State;
use campaign::SegmentId;

use super::SegmentOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Get a segment
#[utoipa::path(
    get, path = "/segments/{id}", tag = "segments",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The segment", body = SegmentOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_segment(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
) -> Result<Tagged<SegmentOut>> {
    let found = context.store.segments.get(id).await?;
    Ok(Tagged::ok(found.revision, found.value.into()))
}
