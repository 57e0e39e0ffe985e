//! Activation: the draft is checked; it becomes the live version, or a draft again with the reasons kept.

use campaign::model::{Actor, Finding, Severity};
use campaign::schedule::ScheduleError;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, CampaignType, Version};
use jiff::{SignedDuration, Timestamp};
use platform::batch;
use store::StoreError;
use tracing::{info, warn};
use validation::{Lowering, Validation};

use crate::meter::Meter;
use crate::{Context, start};

/// How many checks may begin and not come to an end until it is taken that none will.
const MOST_CHECKS: i64 = 3;
/// For how long after an activation was asked for that is not taken: several messages may have as many begin at once.
const BEGINNING: SignedDuration = SignedDuration::from_secs(90);

/// Checks a campaign whose draft is to be activated and makes that its live version; one that has a live version already
/// goes on with that until then, and if the checks fail. Nothing happens to a campaign of which nothing is asked.
pub(crate) async fn activate(context: &Context, id: CampaignId, meter: &Meter) -> Result<(), StoreError> {
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
            Some(due) => start::start(context, id, due.as_millisecond(), meter).await?,
            None => break (campaign, draft, now),
        }
    };
    let begun = store.campaigns.begin_check(&campaign).await?;
    let decided = decide(context, &campaign, draft, now, begun, meter).await;
    if decided.is_err()
        && let Err(error) = store.campaigns.end_check(id).await
    {
        // It counts as one that did not end: there are more.
        warn!(campaign = %id, error = %batch::chain(&error), "the end of a check of campaign {id} can't be noted");
    }
    decided
}

/// Decides on a campaign as it was read at `now`, of whose draft so many checks have begun.
async fn decide(
    context: &Context,
    campaign: &Campaign,
    draft: u32,
    now: Timestamp,
    begun: i64,
    meter: &Meter,
) -> Result<(), StoreError> {
    let (store, id) = (&context.store, campaign.id);
    let (revision, by) = (campaign.revision, Actor::envoi());
    let version = store.campaigns.version(id, draft).await?;
    let is_new = campaign.activating_since.is_none_or(|asked| now < asked + BEGINNING);
    let is_hopeless = begun > MOST_CHECKS && !is_new;
    let mut errors = if is_hopeless { given_up() } else { check(context, campaign, &version).await? };
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
    let first = if has_starts { version.first_of(campaign, now).map_err(invalid)? } else { None };
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
        Some(first) if first <= now => start::start(context, id, first.as_millisecond(), meter).await,
        Some(first) => start::wake_at(context, id, first).await,
        None => Ok(()),
    }
}

/// What stops the activation of a version.
async fn check(
    context: &Context,
    campaign: &Campaign,
    version: &Version,
) -> Result<Vec<Finding>, StoreError> {
    let store = &context.store;
    let lowering = Lowering::stored(store, campaign.id, version).await?;
    let Validation { findings, .. } = validation::validate(store, campaign, version, &lowering).await?;
    Ok(findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect())
}

/// What is said of a version whose checks end the process that does them: to try it for good would keep ending it.
fn given_up() -> Vec<Finding> {
    let message = format!(
        "the check has begun {MOST_CHECKS} times and never come to an end: a content may need more memory or time than there is"
    );
    vec![Finding::error("check_not_ended", "actions", message)]
}

/// What was checked is what is decided about: a campaign that changed meanwhile is checked anew, by the message or the
/// sweep that comes next.
pub(crate) fn unchanged(campaign: &Campaign, revision: i64) -> Result<(), StoreError> {
    if campaign.revision == revision { Ok(()) } else { Err(StoreError::Stale { what: "campaign" }) }
}

/// A command that came too late, because somebody else's was faster, is no failure.
fn superseded(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::NotAllowed(_)) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use campaign::{Category, Status};
    use platform::SystemClock;
    use platform::embedded::Embedded;
    use store::{HashKey, Store};

    use super::*;

    /// A campaign of which an activation is asked, and what its checks are done with.
    async fn asked() -> (Context, CampaignId) {
        let store = Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([7; 32]));
        let (kind, category) = (CampaignType::ApiTriggered, Category::Marketing);
        let campaign = Campaign::new("n", kind, category, Actor::envoi(), Timestamp::UNIX_EPOCH);
        store.campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        ask(&store, campaign.id).await;
        (Context { store, sweep_every: Duration::from_secs(60) }, campaign.id)
    }

    async fn ask(store: &Store, id: CampaignId) {
        store.campaigns.command(id, Command::Activate, &Actor::envoi(), |_| Ok(())).await.unwrap();
    }

    /// What the activation failed with.
    async fn failed(context: &Context, id: CampaignId) -> Vec<String> {
        activate(context, id, &Meter::default()).await.unwrap();
        let campaign = context.store.campaigns.get(id).await.unwrap();
        assert_eq!((campaign.status, campaign.activating_since), (Status::Draft, None));
        campaign.activation_errors.into_iter().map(|error| error.code).collect()
    }

    /// A process begins a check and dies of it, again and again; meanwhile the campaign gets other names.
    async fn die(store: &Store, id: CampaignId) {
        for begun in 1..=MOST_CHECKS {
            let campaign = store.campaigns.get(id).await.unwrap();
            assert_eq!(store.campaigns.begin_check(&campaign).await.unwrap(), begun);
            let renamed = |campaign: &mut Campaign| {
                campaign.name = format!("n{begun}");
                Ok(())
            };
            store.campaigns.command(id, Command::Rename, &Actor::envoi(), renamed).await.unwrap();
        }
    }

    #[tokio::test]
    async fn checks_that_never_end_fail_the_activation() {
        let (context, id) = asked().await;
        let store = &context.store;
        die(store, id).await;
        let campaign = store.campaigns.get(id).await.unwrap();
        let later = campaign.activating_since.unwrap() + BEGINNING;
        decide(&context, &campaign, 1, later, MOST_CHECKS + 1, &Meter::default()).await.unwrap();
        let campaign = store.campaigns.get(id).await.unwrap();
        assert_eq!((campaign.status, campaign.activating_since), (Status::Draft, None));
        assert_eq!(campaign.activation_errors[0].code, "check_not_ended");
        // Asked for anew, it is checked anew.
        ask(store, id).await;
        assert!(failed(&context, id).await.contains(&"no_actions".to_owned()));
    }

    #[tokio::test]
    async fn as_many_checks_as_there_are_messages_may_begin_at_once() {
        let (context, id) = asked().await;
        die(&context.store, id).await;
        assert!(failed(&context, id).await.contains(&"no_actions".to_owned()));
    }

    #[tokio::test]
    async fn a_check_that_ends_without_a_decision_is_not_counted() {
        let (context, id) = asked().await;
        let campaigns = &context.store.campaigns;
        for _ in 0..3 * MOST_CHECKS {
            let campaign = campaigns.get(id).await.unwrap();
            assert_eq!(campaigns.begin_check(&campaign).await.unwrap(), 1);
            campaigns.end_check(id).await.unwrap();
        }
        campaigns.end_check(id).await.unwrap();
        assert_eq!(campaigns.get(id).await.unwrap().checks_begun, 0);
        assert!(failed(&context, id).await.contains(&"no_actions".to_owned()));
    }
}
