use axum::extract::State;
use campaign::status::Command;
use campaign::{CampaignId, Status};
use http::StatusCode;
use store::StoreError;

use super::out::CampaignOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, IfMatch, Tagged};
use crate::{Context, schema};

/// Activate a campaign
///
/// It is checked and then scheduled or started; where the checks fail it is a draft again, with `activation_errors`.
/// Asking again changes nothing and starts nothing twice. With If-Match a draft is activated only as it was read.
#[utoipa::path(
    post, path = "/campaigns/{id}/activate", tag = "campaigns",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 200, description = "It was activated before", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 202, description = "It is being activated", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "Its status does not allow it", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn activate_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    if_match: IfMatch,
) -> Result<Tagged<CampaignOut>> {
    let campaigns = &context.store.campaigns;
    let mut refused = None;
    let activated = campaigns
        .command(id, Command::Activate, |campaign| {
            // The command has set the new status already, so whether it was a draft is seen below.
            if let Err(problem) = if_match.check(campaign.revision) {
                refused = Some(problem);
                return Err(StoreError::Stale { what: "campaign" });
            }
            campaign.activation_errors.clear();
            Ok(())
        })
        .await;
    match activated {
        Ok(campaign) => {
            let answer = CampaignOut::tagged(&context, campaign).await?;
            Ok(Tagged { status: StatusCode::ACCEPTED, ..answer })
        }
        Err(StoreError::Stale { .. }) if refused.is_some() => {
            let campaign = campaigns.get(id).await?;
            match (campaign.status, refused) {
                (Status::Draft, Some(problem)) => Err(problem),
                // The first call's own change made the ETag an old one.
                _ => Ok(Tagged {
                    status: StatusCode::ACCEPTED,
                    ..CampaignOut::tagged(&context, campaign).await?
                }),
            }
        }
        // Pressed twice, the second time after the activation was through: the same campaign, nothing more.
        Err(StoreError::NotAllowed(refusal))
            if matches!(refusal.status, Status::Scheduled | Status::Live | Status::Completed) =>
        {
            let campaign = campaigns.get(id).await?;
            CampaignOut::tagged(&context, campaign).await
        }
        Err(error) => Err(error.into()),
    }
}
