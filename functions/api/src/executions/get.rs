use axum::Json;
use axum::extract::State;
use campaign::report::Counts;
use campaign::{CampaignId, Channel, ExecutionId};
use jiff::Timestamp;
use serde::Serialize;
use store::ledger::{ExecutionSummary, Head, Release, State as ExecutionState, Zones};
use utoipa::ToSchema;

use super::out::{CountsOut, total};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// An execution and its counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionOut {
    #[schema(value_type = schema::Id)]
    id: ExecutionId,
    #[schema(value_type = schema::Id)]
    campaign_id: CampaignId,
    /// The version it runs.
    version: u32,
    /// The instant it was to start at.
    #[schema(value_type = schema::Instant)]
    occurrence: Timestamp,
    #[schema(value_type = schema::State)]
    state: ExecutionState,
    /// When it started; `null` where it was missed.
    #[schema(value_type = schema::Instant, nullable)]
    started_at: Option<Timestamp>,
    /// Since when it is paused; `null` where it is not.
    #[schema(value_type = schema::Instant, nullable)]
    paused_at: Option<Timestamp>,
    #[schema(value_type = schema::Instant, nullable)]
    ended_at: Option<Timestamp>,
    /// Whether the whole audience has been read; until then `targeted` grows.
    audience_read: bool,
    /// Where not all get it at the start, when they do, in order: the waves, or the hour of each time zone that has
    /// recipients. `null` where all get it at the start.
    #[schema(required)]
    waves: Option<Vec<WaveOut>>,
    /// Where it is the recipients' own time, whose zone was meant for how many. `null` where it is not.
    #[schema(required)]
    zones: Option<ZonesOut>,
    /// Of how many profiles the segment's rule could not say whether they are in it: they are not targeted.
    undecided: u64,
    /// All actions together.
    total: CountsOut,
    /// Each action.
    actions: Vec<ActionOut>,
}

/// Recipients who get it at the same time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaveOut {
    /// When.
    #[schema(value_type = schema::Instant)]
    at: Timestamp,
    /// How many, as far as the audience has been read.
    recipients: u64,
}

/// Whose time zone was meant for how many recipients, as far as the audience has been read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ZonesOut {
    /// Their own.
    profile: u64,
    /// The campaign's, since their profile has none.
    missing: u64,
    /// The campaign's, since what their profile has is no zone.
    invalid: u64,
}

impl From<Zones> for ZonesOut {
    fn from(zones: Zones) -> Self {
        let Zones { profile, missing, invalid } = zones;
        Self { profile, missing, invalid }
    }
}

/// One action of an execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionOut {
    /// Its number.
    action: usize,
    #[schema(value_type = schema::Channel)]
    channel: Channel,
    #[serde(flatten)]
    counts: CountsOut,
}

/// Get an execution and its counts
///
/// Recipients are known for at least 90 days past its end; what stays after that is in the list of the campaign's
/// executions.
#[utoipa::path(
    get, path = "/executions/{id}", tag = "executions",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The execution", body = ExecutionOut),
        (status = 404, description = "There is no such execution, or its recipients are no longer known", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_execution(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
) -> Result<Json<ExecutionOut>> {
    let ledger = &context.store.ledger;
    let Some(head) = ledger.head(id).await? else {
        let missed = ledger.missed(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
        return missed_execution(&context, missed).await.map(Json);
    };
    execution(&context, head).await.map(Json)
}

/// One that was started, with its counts.
pub(super) async fn execution(context: &Context, head: Head) -> Result<ExecutionOut> {
    let ledger = &context.store.ledger;
    let ended_at = match head.state {
        // A call has no summary.
        _ if head.is_call() => head.ended_at,
        ExecutionState::Completed | ExecutionState::Stopped => {
            ledger.summary(&head).await?.and_then(|summary| summary.ended_at)
        }
        _ => None,
    };
    let tally = ledger.tally(&head).await?;
    let counts = tally.counts();
    let actions = actions(head.actions.iter().copied(), &counts);
    Ok(ExecutionOut {
        id: head.id,
        campaign_id: head.campaign,
        version: head.version,
        occurrence: head.occurrence,
        state: head.state,
        started_at: Some(head.started_at),
        paused_at: head.paused_at,
        ended_at,
        audience_read: tally.fanned_out,
        waves: head.plan.is_some().then(|| waves(&tally.releases)),
        zones: tally.zones.map(ZonesOut::from),
        undecided: tally.undecided,
        total: total(&counts),
        actions,
    })
}

/// One that was never started: nobody was targeted.
async fn missed_execution(context: &Context, missed: ExecutionSummary) -> Result<ExecutionOut> {
    let version = context.store.campaigns.version(missed.campaign, missed.version).await?;
    let counts = vec![Counts::default(); version.actions.len()];
    Ok(ExecutionOut {
        id: missed.id,
        campaign_id: missed.campaign,
        version: missed.version,
        occurrence: missed.occurrence,
        state: missed.state,
        started_at: missed.started_at,
        paused_at: None,
        ended_at: missed.ended_at,
        audience_read: false,
        waves: None,
        zones: None,
        undecided: 0,
        total: total(&counts),
        actions: actions(version.actions.iter().map(|action| action.channel), &counts),
    })
}

fn waves(releases: &[Release]) -> Vec<WaveOut> {
    let wave = |release: &Release| {
        let at = Timestamp::from_millisecond(release.at_ms).ok()?;
        Some(WaveOut { at, recipients: release.recipients })
    };
    releases.iter().filter_map(wave).collect()
}

fn actions(channels: impl Iterator<Item = Channel>, counts: &[Counts]) -> Vec<ActionOut> {
    let action = |(action, (channel, counts))| ActionOut { action, channel, counts: CountsOut::from(counts) };
    channels.zip(counts).enumerate().map(action).collect()
}
