use axum::extract::State;
use campaign::CampaignId;
use campaign::status::Command;

use super::out::CampaignOut;
use crate::auth::By;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Archive a campaign
///
/// One that is stopped or completed is put away: lists show it only when asked for. It keeps its reports and can still be
/// duplicated. Archiving it again changes nothing.
#[utoipa::path(
    post, path = "/campaigns/{id}/archive", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "It is archived", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "Its status does not allow it", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn archive_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    By(by): By,
) -> Result<Tagged<CampaignOut>> {
    let campaign = context.store.campaigns.command(id, Command::Archive, &by, |_| Ok(())).await?;
    CampaignOut::tagged(&context, campaign).await
}
