//! Campaigns: what is sent, to whom and when.

mod action;
mod activate;
mod archive;
mod body;
mod create;
mod delete;
mod discard;
mod duplicate;
mod get;
mod history;
mod list;
mod occurrences;
mod out;
mod patch;
mod preview;
mod proof;
mod schedule;
mod stop;
mod trigger;
mod validate;
mod waves;

use campaign::content::Content;
use campaign::{Campaign, CampaignId, Version};
use store::StoreError;

pub(crate) use self::proof::addresses;

use crate::Context;
use crate::error::{Kind, Problem, Result};
use crate::operations::{Collect, routes};

/// How often something is tried anew when others change the campaign at the same time.
const TRIES: usize = 5;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_campaign,
        list::list_campaigns,
        get::get_campaign,
        patch::patch_campaign,
        delete::delete_campaign,
        occurrences::list_occurrences,
        validate::validate_campaign,
        preview::preview_campaign,
        proof::proof_campaign,
        activate::activate_campaign,
        stop::stop_campaign,
        archive::archive_campaign,
        duplicate::duplicate_campaign,
        discard::discard_draft,
        history::list_history,
    )
}

/// The version that the user works on: the draft, else the live one.
async fn current(context: &Context, campaign: &Campaign) -> Result<Version> {
    let number = campaign.draft_version.or(campaign.live_version);
    let number = number.ok_or_else(|| Problem::not_found("version of campaign", campaign.id))?;
    Ok(context.store.campaigns.version(campaign.id, number).await?)
}

/// The campaign and one of its versions with its contents, as they were at one time: read anew where a draft was edited or
/// discarded between the reads.
async fn whole(
    context: &Context,
    id: CampaignId,
    which: impl Fn(&Campaign) -> Option<u32>,
) -> Result<(Campaign, Version, Vec<Content>)> {
    let campaigns = &context.store.campaigns;
    let mut campaign = campaigns.get(id).await?;
    for _ in 0..TRIES {
        let number =
            which(&campaign).ok_or_else(|| Problem::field("version", "the campaign has no such version"))?;
        let read = async {
            let version = campaigns.version(id, number).await?;
            let contents = campaigns.contents(id, &version).await?;
            Ok((version, contents))
        };
        let read = match read.await {
            Err(StoreError::NotFound { .. }) => None,
            read => Some(read?),
        };
        // A live version never changes.
        let is_draft = campaign.draft_version == Some(number);
        let now = if is_draft || read.is_none() { Some(campaigns.get(id).await?) } else { None };
        match (read, now) {
            (Some((version, contents)), None) => return Ok((campaign, version, contents)),
            (Some((version, contents)), Some(now)) if now.revision == campaign.revision => {
                return Ok((campaign, version, contents));
            }
            (_, Some(now)) => campaign = now,
            (None, None) => {}
        }
    }
    Err(StoreError::Contended { what: "campaign" }.into())
}

/// Does on a thread of its own what can take long enough to keep everybody else waiting: contents being lowered.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The content of one action of a version.
async fn content(
    context: &Context,
    campaign: &Campaign,
    version: &Version,
    action: usize,
) -> Result<Content> {
    if action >= version.actions.len() {
        let detail = match version.actions.len() {
            0 => "there is no action yet".to_owned(),
            count => format!("there are the actions 0 to {}", count - 1),
        };
        return Err(Problem::field("action", detail));
    }
    let number =
        u8::try_from(action).map_err(|_| Problem::new(Kind::InvalidField, "action: is too large"))?;
    Ok(context.store.campaigns.content(campaign.id, version.number, number).await?)
}
