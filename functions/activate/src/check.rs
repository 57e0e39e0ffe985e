//! Activation: the draft is checked; it becomes the live version, or a draft again with the reasons kept.

use campaign::model::{Actor, Finding, Severity};
use campaign::schedule::ScheduleError;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, CampaignType};
use jiff::Timestamp;
use store::StoreError;
use tracing::info;
use validation::{Lowering, Validation};

use crate::{Context, start};

/// Checks a campaign whose draft is to be activated and makes that its live version; one that has a live version already
/// goes on with that until then, and if the checks fail. Nothing happens to a campaign of which nothing is asked.
pub(crate) async fn activate(context: &Context, id: CampaignId) -> Result<(), StoreError> {
    let store = &context.store;
    let (campaign, draft, now) = loop {
        let now = store.platform.clock.now();
        let campaign = match store.campaigns.get(id).await {
            Err(StoreError::NotFound { .. }) => return Ok(()),
            campaign => campaign?,
        };
        let (Some(asked), Some(draft)) = (campaign.activating_since, campaign.draft_version) else {
            return Ok(());
        };
        let is_due = |next: &Timestamp| campaign.live_version.is_some() && *next < asked && *next <= now;
        match campaign.next_occurrence.filter(is_due) {
            // What came due before this was asked for is the live version's: it would be passed over.
            Some(due) => start::start(context, id, due.as_millisecond()).await?,
            None => break (campaign, draft, now),
        }
    };
    let (revision, by) = (campaign.revision, Actor::envoi());
    let version = store.campaigns.version(id, draft).await?;
    let lowering = Lowering::stored(store, id, &version).await?;
    let Validation { findings, .. } = validation::validate(store, &campaign, &version, &lowering).await?;
    let mut errors: Vec<_> =
        findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let is_beside = campaign.live_version.is_some();
    let has_starts = campaign.kind == CampaignType::Scheduled;
    if is_beside && has_starts && campaign.next_occurrence.is_none() {
        // The start fired first. What runs now finishes on its own version, and nothing is left to be replaced.
        errors =
            vec![Finding::error("has_run", "schedule", "the last run has begun: duplicate the campaign")];
    }
    if !errors.is_empty() {
        info!(campaign = %id, errors = errors.len(), "campaign {id} was not activated: {} errors", errors.len());
        let failed = store.campaigns.command(id, Command::FailActivation, &by, |campaign| {
            campaign.activation_errors.clone_from(&errors);
            unchanged(campaign, revision)
        });
        return superseded(failed.await.map(|_| ()));
    }
    let invalid = |error: ScheduleError| StoreError::invalid("schedule", error.to_string());
    let first = if has_starts { version.first_of(&campaign, now).map_err(invalid)? } else { None };
    if has_starts && first.is_none() {
        // The last slot has passed since the checks: the next ones say so.
        return Err(StoreError::invalid("schedule", "no occurrence is left"));
    }
    let closes = if has_starts { None } else { version.closes().map_err(invalid)? };
    let command = match first {
        _ if is_beside => Command::Replace,
        Some(first) if first > now => Command::BecomeScheduled,
        _ => Command::BecomeLive,
    };
    let activated = store.campaigns.command(id, command, &by, |campaign| {
        campaign.channels = version.channels();
        campaign.next_occurrence = first;
        campaign.closes = closes;
        unchanged(campaign, revision)
    });
    if let Err(error) = activated.await {
        return superseded(Err(error));
    }
    info!(campaign = %id, version = draft, "campaign {id} was activated with version {draft}");
    match first {
        Some(first) if first <= now => start::start(context, id, first.as_millisecond()).await,
        Some(first) => start::wake_at(context, id, first).await,
        None => Ok(()),
    }
}

/// What was checked is what is decided about: a campaign that changed meanwhile is checked anew, by the message or the
/// sweep that comes next.
fn unchanged(campaign: &Campaign, revision: i64) -> Result<(), StoreError> {
    if campaign.revision == revision { Ok(()) } else { Err(StoreError::Stale { what: "campaign" }) }
}

/// A command that came too late, because somebody else's was faster, is no failure.
fn superseded(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::NotAllowed(_)) => Ok(()),
        result => result,
    }
}
