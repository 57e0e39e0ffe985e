use axum::extract::State;
use campaign::ConfigurationId;
use http::StatusCode;
use store::StoreError;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema, usage};

/// Delete a channel configuration
///
/// Refused while a campaign that is activating, scheduled or live uses it.
#[utoipa::path(
    delete, path = "/configurations/{id}", tag = "configurations",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such configuration", body = ProblemSchema),
        (status = 409, description = "A campaign uses it, or it changed meanwhile", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_configuration(
    State(context): State<Context>,
    Id(id): Id<ConfigurationId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found = context.store.configurations.get(id).await?;
    if_match.check(found.revision)?;
    usage::refuse_in_use(&context, |version| {
        version.actions.iter().any(|action| action.configuration == Some(id))
    })
    .await?;
    match context.store.configurations.delete(id, found.revision).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}
