use axum::extract::State;
use campaign::ConfigurationId;
use http::StatusCode;
use store::StoreError;

use super::Force;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch, Params};
use crate::{Context, schema, usage};

/// Delete a channel configuration
///
/// Refused while a campaign that is activating, scheduled or live uses it, unless `force` is given: what is still to be sent by
/// it then waits and, when the retry period ends, fails.
#[utoipa::path(
    delete, path = "/configurations/{id}", tag = "configurations",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read"), Force),
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
    Params(Force { force }): Params<Force>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found = context.store.configurations.get(id).await?;
    if_match.check(found.revision)?;
    if !force {
        usage::refuse_configuration_in_use(&context, id).await?;
    }
    match context.store.configurations.delete(id, found.revision).await {
        Ok(()) => {
            context.store.secrets.delete_of_configuration(found.value.sender.channel(), id, None).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}
