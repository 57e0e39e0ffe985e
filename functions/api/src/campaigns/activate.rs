use axum::extract::State;
use campaign::status::Why;
use campaign::{Campaign, CampaignId, Status};
use http::StatusCode;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use super::current;
use super::out::{CampaignOut, EstimateOut};
use crate::auth::By;
use crate::error::{Kind, ProblemSchema, Result};
use crate::extract::{Id, IfMatch, Tagged};
use crate::{Context, schema};

/// A campaign whose activation was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivatedOut {
    #[serde(flatten)]
    campaign: CampaignOut,
    /// About how long the activated version takes to be sent; `null` where no configuration has a rate.
    #[schema(required)]
    estimate: Option<EstimateOut>,
}

/// Activate a campaign
///
/// It is checked and then scheduled or started; where the checks fail it is a draft again, with `activation_errors`. A
/// draft beside a live version takes that one's place once it is checked: the schedule moves, and what runs by then
/// finishes on its own version. Until then `activating_since` tells that it is being checked. Asking again changes
/// nothing and starts nothing twice. With If-Match a draft is activated only as it was read.
#[utoipa::path(
    post, path = "/campaigns/{id}/activate", tag = "campaigns",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 200, description = "It was activated before", body = ActivatedOut, headers(("etag" = String, description = "The revision"))),
        (status = 202, description = "It is being activated", body = ActivatedOut, headers(("etag" = String, description = "The revision"))),
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
    By(by): By,
) -> Result<Tagged<ActivatedOut>> {
    let campaigns = &context.store.campaigns;
    let mut refused = None;
    let activated = validation::ask_activation(&context.store, id, &by, |campaign| {
        // The command has been applied already, so whether it had anything to do is seen below.
        if let Err(problem) = if_match.check(campaign.revision) {
            refused = Some(problem);
            return Err(StoreError::Stale { what: "campaign" });
        }
        Ok(())
    });
    match activated.await {
        Ok(campaign) => answer(&context, campaign, StatusCode::ACCEPTED).await,
        Err(StoreError::Stale { .. }) if refused.is_some() => {
            let campaign = campaigns.get(id).await?;
            let is_asked = campaign.activating_since.is_some() || campaign.draft_version.is_none();
            match refused {
                Some(problem) if !is_asked => Err(problem),
                // The first call's own change made the ETag an old one.
                _ => answer(&context, campaign, StatusCode::ACCEPTED).await,
            }
        }
        // Pressed twice, the second time after the activation was through: the same campaign, nothing more. A draft that
        // is still there was not activated.
        Err(StoreError::NotAllowed(refusal))
            if refusal.why == Why::NoDraft || refusal.status == Status::Completed =>
        {
            let campaign = campaigns.get(id).await?;
            match campaign.draft_version {
                None => answer(&context, campaign, StatusCode::OK).await,
                Some(_) => Err(StoreError::NotAllowed(refusal).into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

async fn answer(context: &Context, campaign: Campaign, status: StatusCode) -> Result<Tagged<ActivatedOut>> {
    let estimate = match current(context, &campaign).await {
        Ok(version) => validation::estimate(&context.store, &version).await?.map(EstimateOut::from),
        // It has failed and was discarded meanwhile.
        Err(problem) if problem.kind == Kind::NotFound => None,
        Err(problem) => return Err(problem),
    };
    let Tagged { revision, body: campaign, .. } = CampaignOut::tagged(context, campaign).await?;
    Ok(Tagged { status, revision, body: ActivatedOut { campaign, estimate } })
}
