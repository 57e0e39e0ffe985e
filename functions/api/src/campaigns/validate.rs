use axum::Json;
use axum::extract::State;
use campaign::CampaignId;
use campaign::model::{Finding, Severity};
use serde::Serialize;
use utoipa::ToSchema;
use validation::{Lowering, Validation};

use super::out::EstimateOut;
use super::whole;
use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// What is to be said of a campaign before it is activated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidationOut {
    /// Whether it could be activated: no finding is an error.
    can_activate: bool,
    /// Everything there is to say.
    #[schema(value_type = Vec<schema::Finding>)]
    findings: Vec<Finding>,
    /// About how long it takes to be sent; `null` where no configuration has a rate.
    #[schema(required)]
    estimate: Option<EstimateOut>,
}

/// Check a campaign
///
/// As an activation does, of the draft or else of the live version.
#[utoipa::path(
    post, path = "/campaigns/{id}/validate", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The findings", body = ValidationOut),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn validate_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
) -> Result<Json<ValidationOut>> {
    let (campaign, version, contents) =
        whole(&context, id, |campaign| campaign.draft_version.or(campaign.live_version)).await?;
    let Validation { findings, estimate, .. } =
        validation::validate(&context.store, &campaign, &version, &Lowering::aside(contents).await).await?;
    let can_activate = findings.iter().all(|finding| finding.severity != Severity::Error);
    Ok(Json(ValidationOut { can_activate, findings, estimate: estimate.map(EstimateOut::from) }))
}
