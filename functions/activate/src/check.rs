//! Activation: the draft is checked; it becomes the live version, or a draft again with the reasons kept.

use campaign::model::Severity;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Status};
use store::StoreError;
use tracing::info;

use crate::{Context, start};

/// Checks a campaign that is activating and makes its draft the live version. Nothing happens to one that is not.
pub(crate) async fn activate(context: &Context, id: CampaignId) -> Result<(), StoreError> {
    let store = &context.store;
    let now = store.platform.clock.now();
    let campaign = match store.campaigns.get(id).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        campaign => campaign?,
    };
    let (Status::Activating, Some(draft)) = (campaign.status, campaign.draft_version) else { return Ok(()) };
    let revision = campaign.revision;
    let version = store.campaigns.version(id, draft).await?;
    let contents = store.campaigns.contents(id, &version).await?;
    let findings = validation::validate(store, &campaign, &version, &contents).await?;
    let errors: Vec<_> = findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    if !errors.is_empty() {
        info!(campaign = %id, errors = errors.len(), "campaign {id} was not activated: {} errors", errors.len());
        let failed = store.campaigns.command(id, Command::FailActivation, |campaign| {
            campaign.activation_errors.clone_from(&errors);
            unchanged(campaign, revision)
        });
        return superseded(failed.await.map(|_| ()));
    }
    let first = version.first(campaign.asked_at(now), now);
    let first = first.map_err(|error| StoreError::invalid("schedule", error.to_string()))?;
    // The last slot may have passed since the checks: the next ones say so.
    let first = first.ok_or_else(|| StoreError::invalid("schedule", "no occurrence is left"))?;
    let command = if first > now { Command::BecomeScheduled } else { Command::BecomeLive };
    let activated = store.campaigns.command(id, command, |campaign| {
        campaign.live_version = Some(draft);
        campaign.draft_version = None;
        campaign.next_occurrence = Some(first);
        campaign.activation_errors.clear();
        unchanged(campaign, revision)
    });
    if let Err(error) = activated.await {
        return superseded(Err(error));
    }
    info!(campaign = %id, version = draft, "campaign {id} was activated with version {draft}");
    if first <= now {
        return start::start(context, id, first.as_millisecond()).await;
    }
    start::wake_at(context, id, first).await
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
