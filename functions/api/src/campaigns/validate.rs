use axum::Json;
use axum::extract::State;
use campaign::CampaignId;
use campaign::model::{Finding, Severity};
use serde::Serialize;
use utoipa::ToSchema;

use super::current;
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
    let campaign = context.store.campaigns.get(id).await?;
    let version = current(&context, &campaign).await?;
    let contents = context.store.campaigns.contents(id, &version).await?;
    let findings = validation::validate(&context.store, &campaign, &version, &contents).await?;
    let can_activate = findings.iter().all(|finding| finding.severity != Severity::Error);
    Ok(Json(ValidationOut { can_activate, findings }))
}
