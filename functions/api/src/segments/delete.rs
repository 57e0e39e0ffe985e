use axum::extract::State;
use campaign::SegmentId;
use http::StatusCode;
use store::StoreError;

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema, usage};

/// Delete a segment
///
/// The members of a list with it, not their profiles: it is gone at once, and a job removes them once nothing reads them any
/// more, on AWS a quarter of an hour later at the soonest. Refused while a campaign that is activating, scheduled or live uses it, while an
/// execution is open that was started for a list's members, and while a call to the segment is planned.
#[utoipa::path(
    delete, path = "/segments/{id}", tag = "segments",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "A campaign, an execution or a planned call uses it, or it changed meanwhile", body = ProblemSchema),
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
    refuse_awaited(&context, id).await?;
    match context.store.delete_segment(&found).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}

/// Refuses where an execution under way reads it, of whatever version, or a call is planned to it.
async fn refuse_awaited(context: &Context, id: SegmentId) -> Result<()> {
    if let Some(execution) = context.store.open_reader(id).await? {
        let detail = format!("execution {execution} was started for its members and has not ended");
        return Err(Problem::new(Kind::InUse, detail).with("execution_id", execution.to_string()));
    }
    if let Some(call) = context.store.planned_call_to(id).await? {
        let detail = format!("a call to it is planned as {call}: wait for it, or take it back");
        return Err(Problem::new(Kind::InUse, detail).with("schedule_id", call.to_string()));
    }
    Ok(())
}
