use axum::extract::State;
use campaign::SegmentId;
use http::StatusCode;
use store::StoreError;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema, usage};

/// Delete a segment
///
/// The members of a list with it, not their profiles. Refused while a campaign that is activating, scheduled or live uses
/// it.
#[utoipa::path(
    delete, path = "/segments/{id}", tag = "segments",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "A campaign uses it, or it changed meanwhile", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_segment(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found = context.store.segments.get(id).await?;
    if_match.check(found.revision)?;
    usage::refuse_in_use(&context, |version| version.segment == Some(id)).await?;
    match context.store.segments.delete(id, found.revision).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}
