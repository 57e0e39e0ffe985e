//! The start of an occurrence: one transaction, which only one of any number of wake-ups can win.

use std::time::Duration;

use campaign::{Campaign, CampaignId, Status, Version};
use jiff::Timestamp;
use platform::WakeUp as Alarm;
use store::StoreError;
use store::ledger::{Audience, ExecutionSummary, Head, State, execution_id};
use store::messages::WakeUp;
use tracing::{info, warn};

use crate::Context;
use crate::meter::Meter;

/// A wake-up that is earlier than this is not the one that was meant.
const EARLY: Duration = Duration::from_secs(60);
/// How many occurrences one wake-up decides: after a long time down there may be many, each of them missed.
const MOST_AT_ONCE: usize = 50;
/// How often a start is tried anew when others change the campaign at the same time.
const TRIES: usize = 10;

/// Starts the occurrence, if it is still the campaign's next one and its time has come. One found too late is recorded
/// as missed, and so are those after it, until one is found in time or lies ahead: that one wakes us next.
pub(crate) async fn start(
    context: &Context,
    id: CampaignId,
    occurrence_ms: i64,
    meter: &Meter,
) -> Result<(), StoreError> {
    let mut occurrence_ms = occurrence_ms;
    for _ in 0..MOST_AT_ONCE {
        let Some(next) = decide(context, id, occurrence_ms, meter).await? else { return Ok(()) };
        if next > context.store.platform.clock.now() {
            return wake_at(context, id, next).await;
        }
        occurrence_ms = next.as_millisecond();
    }
    // Others have their turn before the rest.
    let message = WakeUp::Start { campaign: id, occurrence_ms }.message();
    Ok(context.store.platform.queue.send(vec![message]).await?)
}

/// Asks to be woken for an occurrence. If this is lost, the sweep starts it all the same, up to a minute late.
pub(crate) async fn wake_at(context: &Context, id: CampaignId, at: Timestamp) -> Result<(), StoreError> {
    let occurrence_ms = at.as_millisecond();
    let body = WakeUp::Start { campaign: id, occurrence_ms }.body();
    // Each has a name of its own: under one name the next could be removed together with the one that has just fired.
    let name = format!("start-{id}-{occurrence_ms}");
    Ok(context.store.platform.scheduler.put(Alarm { name, at, body }).await?)
}

/// Starts one occurrence or records it as missed; the one after it, where this call did either and there is one.
async fn decide(
    context: &Context,
    id: CampaignId,
    occurrence_ms: i64,
    meter: &Meter,
) -> Result<Option<Timestamp>, StoreError> {
    let store = &context.store;
    for _ in 0..TRIES {
        let now = store.platform.clock.now();
        let mut campaign = match store.campaigns.get(id).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            campaign => campaign?,
        };
        let next = campaign.next_occurrence.filter(|next| next.as_millisecond() == occurrence_ms);
        let (Status::Scheduled | Status::Live, Some(occurrence), Some(live)) =
            (campaign.status, next, campaign.live_version)
        else {
            return Ok(None);
        };
        if occurrence > now {
            let wait = occurrence.duration_since(now).unsigned_abs();
            if wait <= EARLY {
                // By another machine's clock it was time.
                let message = WakeUp::Start { campaign: id, occurrence_ms }.message().after(wait);
                store.platform.queue.send(vec![message]).await?;
            }
            return Ok(None);
        }
        let version = store.campaigns.version(id, live).await?;
        let closes = version.closes().map_err(|error| StoreError::invalid("ends", error.to_string()))?;
        let following = version.schedule.following(occurrence, closes);
        campaign.next_occurrence = following;
        campaign.last_occurrence = Some(occurrence);
        // In recipients' own time, some have their hour before them while others' has passed.
        let last_hour = version.last_hour(occurrence);
        let last_hour = last_hour.map_err(|error| StoreError::invalid("schedule", error.to_string()))?;
        let lateness = now.duration_since(last_hour.unwrap_or(occurrence));
        let is_late = lateness.is_positive() && lateness.unsigned_abs() > version.misfire_grace();
        let is_over = is_late || closes.is_some_and(|closes| closes <= now);
        let audience = if is_over { None } else { audience(context, &version).await? };
        let done = match audience {
            Some((audience, size)) => {
                run(context, campaign, &version, occurrence, audience, size, now).await?
            }
            None => {
                let missed = miss(context, campaign, live, occurrence, now).await?;
                meter.missed(u64::from(missed));
                missed
            }
        };
        if done {
            return Ok(following);
        }
    }
    Err(StoreError::Contended { what: "campaign" })
}

async fn run(
    context: &Context,
    mut campaign: Campaign,
    version: &Version,
    occurrence: Timestamp,
    audience: Audience,
    size: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // That it starts changes it for its users once.
    if campaign.status != Status::Live {
        campaign.status = Status::Live;
        campaign.touch(now);
    }
    campaign.open_executions += 1;
    let id = execution_id(campaign.id, occurrence.as_millisecond());
    let plan =
        version.plan(occurrence, now).map_err(|error| StoreError::invalid("schedule", error.to_string()))?;
    let head = Head { occurrence, plan, ..Head::new(id, &campaign, version, audience, size, now) };
    let shards = head.shards;
    let started = context.store.ledger.start(&campaign, &head, Vec::new()).await?;
    if started {
        info!(execution = %head.id, campaign = %campaign.id, version = head.version, occurrence = %occurrence, shards, "execution {} of campaign {} started", head.id, campaign.id);
    }
    Ok(started)
}

/// Records an occurrence that will not run: found later than the grace or the campaign's end allows, or its segment is
/// gone.
async fn miss(
    context: &Context,
    mut campaign: Campaign,
    version: u32,
    occurrence: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if campaign.next_occurrence.is_none() && campaign.open_executions == 0 {
        campaign.touch(now);
        campaign.complete();
    }
    let id = execution_id(campaign.id, occurrence.as_millisecond());
    let summary = ExecutionSummary {
        id,
        campaign: campaign.id,
        version,
        occurrence,
        state: State::Missed,
        started_at: None,
        paused_at: None,
        ended_at: Some(now),
        counts: Vec::new(),
        shards: 0,
    };
    let missed = context.store.ledger.miss(&campaign, &summary).await?;
    if missed {
        warn!(execution = %id, campaign = %campaign.id, version, occurrence = %occurrence, "the occurrence of campaign {} at {occurrence} was missed", campaign.id);
    }
    Ok(missed)
}

/// Who the version is for, as the segment stands now, and about how many they are; `None` where the segment is gone.
async fn audience(context: &Context, version: &Version) -> Result<Option<(Audience, u64)>, StoreError> {
    match version.segment {
        Some(segment) => context.store.audience(segment).await,
        None => Ok(None),
    }
}
