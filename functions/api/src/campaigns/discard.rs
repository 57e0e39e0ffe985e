use axum::extract::State;
use campaign::CampaignId;
use store::StoreError;

use super::TRIES;
use super::out::CampaignOut;
use crate::auth::By;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, IfMatch, Tagged};
use crate::{Context, schema};

/// Discard the draft beside the live version
///
/// The live version goes on as it is. A campaign that was never activated is deleted instead.
#[utoipa::path(
    delete, path = "/campaigns/{id}/draft", tag = "campaigns",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 200, description = "The campaign without it", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "There is no draft beside a live version, or it is being activated", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn discard_draft(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    if_match: IfMatch,
    By(by): By,
) -> Result<Tagged<CampaignOut>> {
    let campaigns = &context.store.campaigns;
    let mut tries = TRIES;
    loop {
        let campaign = campaigns.get(id).await?;
        if_match.check(campaign.revision)?;
        tries -= 1;
        match campaigns.discard(id, campaign.revision, &by).await {
            Ok(campaign) => return CampaignOut::tagged(&context, campaign).await,
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. } | StoreError::NotFound { what: "version", .. }) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}
