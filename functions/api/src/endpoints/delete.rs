use axum::extract::State;
use campaign::EndpointId;
use http::StatusCode;
use store::StoreError;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema};

/// Remove a webhook endpoint
///
/// With its secret, with what it is still to be told, and with its dead letters.
#[utoipa::path(
    delete, path = "/webhook-endpoints/{id}", tag = "webhook endpoints",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
        (status = 409, description = "It changed meanwhile", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn delete_webhook_endpoint(
    State(context): State<Context>,
    Id(id): Id<EndpointId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found = context.store.endpoints.get(id).await?;
    if_match.check(found.revision)?;
    match context.store.endpoints.delete(id, found.revision).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}
