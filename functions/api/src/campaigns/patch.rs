use axum::extract::State;
use campaign::content::OnMissing;
use campaign::outcome::OnUnknown;
use campaign::status::{self, Command};
use campaign::{CampaignId, Category, SegmentId, Version};
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::body::{ActionBody, VersionPatch, check};
use super::out::CampaignOut;
use super::schedule::{EndBody, ScheduleBody};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Tagged, given};
use crate::{Context, schema};

/// How often a patch that names no revision is tried anew when others change the campaign at the same time.
const TRIES: usize = 5;

/// What is to change of a campaign; what is absent stays, `null` sets back. Name, description and tags may change in any
/// status, the rest only while it is a draft.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignPatch {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    tags: Option<Option<Vec<String>>>,
    #[schema(value_type = Option<schema::Category>)]
    category: Option<Category>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<schema::Id>)]
    segment_id: Option<Option<SegmentId>>,
    /// All the actions, in place of those there are.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<ActionBody>>, max_items = 10)]
    actions: Option<Option<Vec<ActionBody>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ScheduleBody>)]
    schedule: Option<Option<ScheduleBody>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<EndBody>)]
    ends: Option<Option<EndBody>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<schema::OnUnknown>)]
    on_unknown: Option<Option<OnUnknown>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<schema::OnMissing>)]
    on_missing: Option<Option<OnMissing>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    misfire_grace_seconds: Option<Option<u32>>,
}

/// Change a campaign
#[utoipa::path(
    patch, path = "/campaigns/{id}", tag = "campaigns",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    request_body = CampaignPatch,
    responses(
        (status = 200, description = "Changed", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "Its status does not allow it, or it kept changing", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn patch_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    if_match: IfMatch,
    Body(patch): Body<CampaignPatch>,
) -> Result<Tagged<CampaignOut>> {
    let campaigns = &context.store.campaigns;
    let mut tries = TRIES;
    loop {
        let mut campaign = campaigns.get(id).await?;
        if_match.check(campaign.revision)?;
        let patch = patch.clone();
        let fields = VersionPatch {
            segment_id: patch.segment_id,
            actions: patch.actions.map(Option::unwrap_or_default),
            schedule: patch.schedule,
            ends: patch.ends,
            on_unknown: patch.on_unknown,
            on_missing: patch.on_missing,
            misfire_grace_seconds: patch.misfire_grace_seconds,
        };
        let is_edit = !fields.is_empty() || patch.category.is_some();
        let command = if is_edit { Command::Edit } else { Command::Rename };
        status::after(campaign.status, command).map_err(StoreError::from)?;
        campaign.name = patch.name.unwrap_or(campaign.name);
        campaign.description = patch.description.map_or(campaign.description, Option::unwrap_or_default);
        campaign.tags = patch.tags.map_or(campaign.tags, Option::unwrap_or_default);
        campaign.category = patch.category.unwrap_or(campaign.category);
        campaign.modified_at = context.now();
        check(&campaign)?;
        tries -= 1;
        let saved = if fields.is_empty() {
            campaigns.save_draft(&campaign, None, 0).await
        } else {
            let number = campaign.draft_version.unwrap_or(1);
            let mut version: Version = campaigns.version(id, number).await?;
            let before = version.actions.len();
            let mut contents = campaigns.contents(id, &version).await?;
            fields.apply(&mut version, &mut contents)?;
            campaigns.save_draft(&campaign, Some((&version, &contents)), before).await
        };
        match saved {
            Ok(()) => {
                campaign.revision += 1;
                return CampaignOut::tagged(&context, campaign).await;
            }
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
