//! A campaign as it goes out.

use campaign::content::OnMissing;
use campaign::model::{Actor, CampaignType, Finding};
use campaign::outcome::OnUnknown;
use campaign::schedule::{CampaignEnd, Schedule};
use campaign::waves::Waves;
use campaign::{Campaign, CampaignId, CampaignRow, Category, Channel, Command, SegmentId, Status, TopicId};
use jiff::Timestamp;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;
use validation::Estimate;

use super::action::{ActionBody, ActionSchema};
use super::schedule::{EndOut, ScheduleBody};
use super::trigger::{TriggerOut, trigger};
use super::waves::WavesBody;
use super::{TRIES, aside};
use crate::error::{Kind, Result};
use crate::extract::Tagged;
use crate::{Context, schema};

/// A campaign as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignSummary {
    #[schema(value_type = schema::Id)]
    id: CampaignId,
    name: String,
    tags: Vec<String>,
    #[serde(rename = "type")]
    #[schema(value_type = schema::CampaignType)]
    kind: CampaignType,
    #[schema(value_type = schema::Category)]
    category: Category,
    #[schema(value_type = schema::Status)]
    status: Status,
    /// The channels of its live version, or else of its draft.
    #[schema(value_type = Vec<schema::Channel>)]
    channels: Vec<Channel>,
    /// When it next starts.
    #[schema(value_type = schema::Instant, nullable)]
    next_occurrence: Option<Timestamp>,
    /// Whether there is a draft beside or instead of a live version.
    has_draft: bool,
    /// When the activation of its draft was asked for, while that is being checked.
    #[schema(value_type = schema::Instant, nullable)]
    activating_since: Option<Timestamp>,
    /// What may be done with it now.
    #[schema(value_type = Vec<schema::CampaignCommand>)]
    actions: Vec<&'static str>,
    #[schema(value_type = schema::Actor)]
    created_by: Actor,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    #[schema(value_type = schema::Instant)]
    modified_at: Timestamp,
}

impl From<CampaignRow> for CampaignSummary {
    fn from(row: CampaignRow) -> Self {
        Self {
            actions: row.actions().into_iter().map(Command::name).collect(),
            id: row.id,
            name: row.name,
            tags: row.tags,
            kind: row.kind,
            category: row.category,
            status: row.status,
            channels: row.channels,
            next_occurrence: row.next_occurrence,
            has_draft: row.draft_version.is_some(),
            activating_since: row.activating_since,
            created_by: row.created_by,
            created_at: row.created_at,
            modified_at: row.modified_at,
        }
    }
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignOut {
    #[serde(flatten)]
    summary: CampaignSummary,
    description: String,
    /// Why the last activation failed; empty where none has.
    #[schema(value_type = Vec<schema::Finding>)]
    activation_errors: Vec<Finding>,
    /// The version being edited.
    #[schema(required)]
    draft: Option<VersionOut>,
    /// The version that runs or will run. It never changes.
    #[schema(required)]
    live: Option<VersionOut>,
}

/// About how long a campaign takes to be sent at the rates of its configurations. What is slow is late, never left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EstimateOut {
    /// About how many recipients it has: the members of a list; for a rule, which is judged when it is sent, all profiles.
    recipients: u64,
    /// The rate of the configuration that takes the longest, in messages a second.
    rate_per_second: u32,
    /// How long that is, in seconds.
    seconds: u64,
}

impl From<Estimate> for EstimateOut {
    fn from(estimate: Estimate) -> Self {
        let Estimate { recipients, rate_per_second, seconds } = estimate;
        Self { recipients, rate_per_second, seconds }
    }
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
    #[schema(value_type = Vec<ActionSchema>)]
    actions: Vec<ActionBody>,
    #[schema(value_type = ScheduleBody)]
    schedule: Schedule,
    /// In which parts its audience gets it; `null`: all at once.
    #[schema(value_type = WavesBody, nullable)]
    waves: Option<Waves>,
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
    /// Whether a profile is made of a recipient whom a call names and nobody knows.
    create_profiles: bool,
    /// What its marketing is about; `null`: nothing that people could say no to but all of it.
    #[schema(value_type = schema::TopicId, nullable)]
    topic: Option<TopicId>,
    /// How to call it; `null` where its schedule starts it.
    #[schema(nullable)]
    trigger: Option<TriggerOut>,
}

impl CampaignOut {
    /// The campaign with its versions.
    pub(super) async fn load(context: &Context, campaign: Campaign) -> Result<Self> {
        let draft = version(context, &campaign, campaign.draft_version).await?;
        let live = version(context, &campaign, campaign.live_version).await?;
        Ok(Self {
            summary: campaign.row().into(),
            description: campaign.description,
            activation_errors: campaign.activation_errors,
            draft,
            live,
        })
    }

    /// As [`Self::load`], with its ETag; as it is by now where its draft was discarded or cut between the reads.
    pub(super) async fn tagged(context: &Context, mut campaign: Campaign) -> Result<Tagged<Self>> {
        let id = campaign.id;
        for _ in 0..TRIES {
            let revision = campaign.revision;
            match Self::load(context, campaign).await {
                Err(problem) if problem.kind == Kind::NotFound => {
                    campaign = context.store.campaigns.get(id).await?;
                }
                loaded => return Ok(Tagged::ok(revision, loaded?)),
            }
        }
        Err(StoreError::Contended { what: "campaign" }.into())
    }
}

async fn version(context: &Context, campaign: &Campaign, number: Option<u32>) -> Result<Option<VersionOut>> {
    let Some(number) = number else { return Ok(None) };
    let version = context.store.campaigns.version(campaign.id, number).await?;
    let contents = context.store.campaigns.contents(campaign.id, &version).await?;
    let is_called = campaign.kind == CampaignType::ApiTriggered;
    let trigger = if is_called {
        let (id, contents) = (campaign.id, contents.clone());
        Some(aside(move || trigger(id, &contents)).await)
    } else {
        None
    };
    let actions = version
        .actions
        .iter()
        .zip(&contents)
        .map(|(action, content)| ActionBody::join(action, content))
        .collect();
    Ok(Some(VersionOut {
        number,
        segment_id: version.segment,
        actions,
        schedule: version.schedule,
        waves: version.waves,
        ends: version.ends,
        on_unknown: version.on_unknown,
        on_missing: version.on_missing,
        misfire_grace_seconds: version.misfire_grace_seconds,
        create_profiles: version.create_profiles,
        topic: version.topic,
        trigger,
    }))
}
