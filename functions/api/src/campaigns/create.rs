use axum::extract::State;
use campaign::content::OnMissing;
use campaign::model::CampaignType;
use campaign::outcome::OnUnknown;
use campaign::{Campaign, Category, SegmentId, TopicId, Version};
use serde::Deserialize;
use utoipa::ToSchema;

use super::action::{ActionBody, ActionSchema};
use super::body::{VersionPatch, check};
use super::out::CampaignOut;
use super::schedule::{EndBody, ScheduleBody};
use super::waves::WavesBody;
use crate::auth::By;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Body, Tagged};
use crate::{Context, schema};

/// A campaign to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignIn {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    /// Labels to filter by.
    #[serde(default)]
    #[schema(max_items = 50)]
    tags: Vec<String>,
    #[serde(rename = "type", default = "scheduled")]
    #[schema(value_type = schema::CampaignType, required = false)]
    kind: CampaignType,
    #[schema(value_type = schema::Category)]
    category: Category,
    /// Who gets it.
    #[schema(value_type = Option<schema::Id>)]
    segment_id: Option<SegmentId>,
    /// What is sent; all actions run at the same time.
    #[serde(default)]
    #[schema(value_type = Vec<ActionSchema>, max_items = 10)]
    actions: Vec<ActionBody>,
    /// When; at activation where absent.
    schedule: Option<ScheduleBody>,
    /// In which parts the audience gets it; all at once where absent.
    waves: Option<WavesBody>,
    /// Until when it starts at all; for ever where absent.
    ends: Option<EndBody>,
    #[schema(value_type = Option<schema::OnUnknown>)]
    on_unknown: Option<OnUnknown>,
    #[schema(value_type = Option<schema::OnMissing>)]
    on_missing: Option<OnMissing>,
    /// How late a start may be and still happen, in seconds; one hour where absent. Two minutes are always on time.
    #[schema(maximum = 604_800)]
    misfire_grace_seconds: Option<u32>,
    /// Whether a profile is made of a recipient whom a call names and nobody knows; not where absent.
    create_profiles: Option<bool>,
    /// What its marketing is about: one of the topics. Who has said no to it gets nothing of it.
    #[schema(value_type = Option<schema::TopicId>)]
    topic: Option<TopicId>,
}

const fn scheduled() -> CampaignType {
    CampaignType::Scheduled
}

/// Create a campaign
///
/// It begins as a draft, which may lack anything but a name and a category.
#[utoipa::path(
    post, path = "/campaigns", tag = "campaigns",
    request_body = CampaignIn,
    responses(
        (status = 201, description = "Created", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_campaign(
    State(context): State<Context>,
    By(by): By,
    Body(body): Body<CampaignIn>,
) -> Result<Tagged<CampaignOut>> {
    let now = context.now();
    let mut version = Version::draft(1);
    let mut contents = Vec::new();
    let mut campaign = Campaign {
        description: body.description,
        tags: body.tags,
        ..Campaign::new(&body.name, body.kind, body.category, by, now)
    };
    check(&campaign)?;
    let fields = VersionPatch {
        segment_id: Some(body.segment_id),
        actions: Some(body.actions),
        schedule: Some(body.schedule),
        waves: Some(body.waves),
        ends: Some(body.ends),
        on_unknown: Some(body.on_unknown),
        on_missing: Some(body.on_missing),
        misfire_grace_seconds: Some(body.misfire_grace_seconds),
        create_profiles: Some(body.create_profiles),
        topic: Some(body.topic),
    };
    fields.apply(&mut version, &mut contents)?;
    campaign.channels = version.channels();
    context.store.campaigns.create(&campaign, &version, &contents, None).await?;
    campaign.revision = 1;
    Ok(Tagged::created(1, CampaignOut::load(&context, campaign).await?))
}
