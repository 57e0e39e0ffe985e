use std::collections::BTreeSet;

use axum::extract::State;
use campaign::content::{Content, OnMissing};
use campaign::outcome::OnUnknown;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Category, SegmentId, TopicId, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::StoreError;
use utoipa::ToSchema;

use super::action::{ActionBody, ActionSchema};
use super::body::{VersionPatch, check};
use super::out::CampaignOut;
use super::schedule::{EndBody, ScheduleBody};
use super::waves::WavesBody;
use super::{TRIES, current};
use crate::auth::By;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Tagged, given};
use crate::{Context, schema};

/// What is to change of a campaign; what is absent stays, `null` sets back. Name, description and tags may change in any
/// status, the category only before the first activation, the rest while it is a draft or a start lies ahead.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignPatch {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
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
    #[schema(value_type = Option<Vec<ActionSchema>>, max_items = 10)]
    actions: Option<Option<Vec<ActionBody>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ScheduleBody>)]
    schedule: Option<Option<ScheduleBody>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<WavesBody>)]
    waves: Option<Option<WavesBody>>,
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
    /// Whether a profile is made of a recipient whom a call names and nobody knows.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    create_profiles: Option<Option<bool>>,
    /// What its marketing is about: one of the topics.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<schema::TopicId>)]
    topic: Option<Option<TopicId>>,
}

/// Change a campaign
///
/// On a scheduled or live campaign an edit opens a draft beside the live version, which goes on as it is until the draft is
/// activated or discarded. One whose last run has begun can't be edited, only duplicated. What changes nothing writes
/// nothing.
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
    By(by): By,
    Body(patch): Body<CampaignPatch>,
) -> Result<Tagged<CampaignOut>> {
    let campaigns = &context.store.campaigns;
    let mut tries = TRIES;
    loop {
        let mut campaign = campaigns.get(id).await?;
        if_match.check(campaign.revision)?;
        let before = campaign.clone();
        let patch = patch.clone();
        campaign.name = patch.name.unwrap_or(campaign.name);
        campaign.description = patch.description.map_or(campaign.description, Option::unwrap_or_default);
        campaign.tags = patch.tags.map_or(campaign.tags, Option::unwrap_or_default);
        campaign.category = patch.category.unwrap_or(campaign.category);
        if campaign.category != before.category && before.live_version.is_some() {
            // It belongs to the campaign and not to a version: what runs would change with it.
            return Err(Problem::field("category", "can't change once the campaign has been activated"));
        }
        check(&campaign)?;
        let fields = VersionPatch {
            segment_id: patch.segment_id,
            actions: patch.actions.map(Option::unwrap_or_default),
            schedule: patch.schedule,
            waves: patch.waves,
            ends: patch.ends,
            on_unknown: patch.on_unknown,
            on_missing: patch.on_missing,
            misfire_grace_seconds: patch.misfire_grace_seconds,
            create_profiles: patch.create_profiles,
            topic: patch.topic,
        };
        if !fields.is_empty() || patch.category.is_some() {
            before.after(Command::Edit).map_err(StoreError::from)?;
        }
        let mut changed = differences(&before, &campaign);
        let draft = match edit(&context, &campaign, fields).await {
            // It was discarded or cut between the reads.
            Err(problem) if problem.kind == Kind::NotFound && tries > 0 => {
                tries -= 1;
                continue;
            }
            edited => edited?,
        };
        if let Some(draft) = &draft {
            changed.extend(draft.changed.iter().cloned());
            campaign.draft_version = Some(draft.version.number);
            campaign.last_version = campaign.last_version.max(draft.version.number);
            if campaign.live_version.is_none() {
                campaign.channels = draft.version.channels();
            }
        }
        if changed.is_empty() {
            return CampaignOut::tagged(&context, campaign).await;
        }
        campaign.touch(context.now());
        tries -= 1;
        let version = draft.as_ref().map(|draft| (&draft.version, draft.contents.as_slice()));
        let actions_before = draft.as_ref().map_or(0, |draft| draft.actions_before);
        match campaigns.save_draft(&campaign, version, actions_before, &by, changed).await {
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

/// An edited draft.
struct Draft {
    version: Version,
    contents: Vec<Content>,
    /// How many actions of it are stored.
    actions_before: usize,
    changed: Vec<String>,
}

/// The draft as the fields change it; a copy of the live version where there is none yet. `None` where nothing changes.
async fn edit(context: &Context, campaign: &Campaign, fields: VersionPatch) -> Result<Option<Draft>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let campaigns = &context.store.campaigns;
    let before = current(context, campaign).await?;
    let contents_before = campaigns.contents(campaign.id, &before).await?;
    let (mut version, mut contents) = (before.clone(), contents_before.clone());
    fields.apply(&mut version, &mut contents)?;
    let mut changed = differences(&before, &version);
    if contents != contents_before && !changed.iter().any(|field| field == "actions") {
        changed.push("actions".to_owned());
    }
    if changed.is_empty() {
        return Ok(None);
    }
    let mut actions_before = before.actions.len();
    if campaign.draft_version.is_none() {
        version.number = campaign.last_version + 1;
        actions_before = 0;
    }
    Ok(Some(Draft { version, contents, actions_before, changed }))
}

/// The names of the fields in which two of a kind differ.
fn differences<T: Serialize>(before: &T, after: &T) -> Vec<String> {
    let fields = |of: &T| match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    // As the API calls it.
    differs.map(|name| if name == "segment" { "segment_id".to_owned() } else { name.clone() }).collect()
}
