use axum::extract::State;
use campaign::CampaignId;
use http::StatusCode;
use store::StoreError;

use crate::auth::By;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema};

/// Delete a draft
///
/// A campaign that was ever activated stays, for its reports.
#[utoipa::path(
    delete, path = "/campaigns/{id}", tag = "campaigns",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "It is no draft, or it changed meanwhile", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    if_match: IfMatch,
    By(by): By,
) -> Result<StatusCode> {
    let campaign = context.store.campaigns.get(id).await?;
    if_match.check(campaign.revision)?;
    match context.store.campaigns.delete(id, campaign.revision, &by).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Stale { .. }) if !if_match.may_retry() => Err(IfMatch::failed()),
        Err(error) => Err(Problem::from(error)),
    }
}
