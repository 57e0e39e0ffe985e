use axum::extract::State;
use campaign::CampaignId;

use super::out::CampaignOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Get a campaign
#[utoipa::path(
    get, path = "/campaigns/{id}", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The campaign", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
) -> Result<Tagged<CampaignOut>> {
    let campaign = context.store.campaigns.get(id).await?;
    CampaignOut::tagged(&context, campaign).await
}
