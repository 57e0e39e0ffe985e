//! A campaign as it goes out.

use campaign::content::OnMissing;
use campaign::model::{CampaignType, Finding};
use campaign::outcome::OnUnknown;
use campaign::schedule::{CampaignEnd, Schedule};
use campaign::{Campaign, CampaignId, Category, SegmentId, Status};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::ActionBody;
use super::schedule::{EndOut, ScheduleBody};
use crate::error::Result;
use crate::extract::Tagged;
use crate::{Context, schema};

/// A campaign without its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignSummary {
    #[schema(value_type = schema::Id)]
    id: CampaignId,
    name: String,
    description: String,
    tags: Vec<String>,
    #[serde(rename = "type")]
    #[schema(value_type = schema::CampaignType)]
    kind: CampaignType,
    #[schema(value_type = schema::Category)]
    category: Category,
    #[schema(value_type = schema::Status)]
    status: Status,
    /// When it next starts.
    #[schema(value_type = schema::Instant, nullable)]
    next_occurrence: Option<Timestamp>,
    /// Whether there is a draft beside or instead of a live version.
    has_draft: bool,
    /// Why the last activation failed; empty where none has.
    #[schema(value_type = Vec<schema::Finding>)]
    activation_errors: Vec<Finding>,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    #[schema(value_type = schema::Instant)]
    modified_at: Timestamp,
}

impl From<Campaign> for CampaignSummary {
    fn from(campaign: Campaign) -> Self {
        Self {
            id: campaign.id,
            name: campaign.name,
            description: campaign.description,
            tags: campaign.tags,
            kind: campaign.kind,
            category: campaign.category,
            status: campaign.status,
            next_occurrence: campaign.next_occurrence,
            has_draft: campaign.draft_version.is_some(),
            activation_errors: campaign.activation_errors,
            created_at: campaign.created_at,
            modified_at: campaign.modified_at,
        }
    }
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignOut {
    #[serde(flatten)]
    summary: CampaignSummary,
    /// The version being edited.
    #[schema(required)]
    draft: Option<VersionOut>,
    /// The version that runs or will run. It never changes.
    #[schema(required)]
    live: Option<VersionOut>,
}

/// A version: what is sent, to whom and when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionOut {
    /// 1, 2, 3, ...
    number: u32,
    /// Who gets it.
    #[schema(value_type = schema::Id, nullable)]
    segment_id: Option<SegmentId>,
    /// What is sent; all actions run at the same time.
    actions: Vec<ActionBody>,
    #[schema(value_type = ScheduleBody)]
    schedule: Schedule,
    /// Until when it starts at all; `null`: for ever.
    #[schema(value_type = EndOut, nullable)]
    ends: Option<CampaignEnd>,
    /// What to do in doubt; `null`: as the category says.
    #[schema(value_type = schema::OnUnknown, nullable)]
    on_unknown: Option<OnUnknown>,
    #[schema(value_type = schema::OnMissing)]
    on_missing: OnMissing,
    /// How late a start may be and still happen, in seconds.
    misfire_grace_seconds: u32,
}

impl CampaignOut {
    /// The campaign with its versions.
    pub(super) async fn load(context: &Context, campaign: Campaign) -> Result<Self> {
        let draft = version(context, &campaign, campaign.draft_version).await?;
        let live = version(context, &campaign, campaign.live_version).await?;
        Ok(Self { summary: campaign.into(), draft, live })
    }

    /// As [`Self::load`], with its ETag.
    pub(super) async fn tagged(context: &Context, campaign: Campaign) -> Result<Tagged<Self>> {
        let revision = campaign.revision;
        Ok(Tagged::ok(revision, Self::load(context, campaign).await?))
    }
}

async fn version(context: &Context, campaign: &Campaign, number: Option<u32>) -> Result<Option<VersionOut>> {
    let Some(number) = number else { return Ok(None) };
    let version = context.store.campaigns.version(campaign.id, number).await?;
    let contents = context.store.campaigns.contents(campaign.id, &version).await?;
    let actions = version
        .actions
        .iter()
        .zip(contents)
        .map(|(action, content)| ActionBody::join(action, content))
        .collect();
    Ok(Some(VersionOut {
        number,
        segment_id: version.segment,
        actions,
        schedule: version.schedule,
        ends: version.ends,
        on_unknown: version.on_unknown,
        on_missing: version.on_missing,
        misfire_grace_seconds: version.misfire_grace_seconds,
    }))
}
