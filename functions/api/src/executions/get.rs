use axum::Json;
use axum::extract::State;
use campaign::report::Counts;
use campaign::{CampaignId, Channel, ExecutionId};
use jiff::Timestamp;
use serde::Serialize;
use store::ledger::{ExecutionSummary, State as ExecutionState};
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
    #[schema(value_type = schema::Instant, nullable)]
    ended_at: Option<Timestamp>,
    /// Whether the whole audience has been read; until then `targeted` grows.
    audience_read: bool,
    /// Of how many profiles the segment's rule could not say whether they are in it: they are not targeted.
    undecided: u64,
    /// All actions together.
    total: CountsOut,
    /// Each action.
    actions: Vec<ActionOut>,
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
    let ended_at = match head.state {
        ExecutionState::Completed | ExecutionState::Stopped => {
            ledger.summary(&head).await?.and_then(|summary| summary.ended_at)
        }
        _ => None,
    };
    let tally = ledger.tally(&head).await?;
    let counts = tally.counts();
    let actions = actions(head.actions.iter().copied(), &counts);
    Ok(Json(ExecutionOut {
        id,
        campaign_id: head.campaign,
        version: head.version,
        occurrence: head.occurrence,
        state: head.state,
        started_at: Some(head.started_at),
        ended_at,
        audience_read: tally.fanned_out,
        undecided: tally.undecided,
        total: total(&counts),
        actions,
    }))
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
        ended_at: missed.ended_at,
        audience_read: false,
        undecided: 0,
        total: total(&counts),
        actions: actions(version.actions.iter().map(|action| action.channel), &counts),
    })
}

fn actions(channels: impl Iterator<Item = Channel>, counts: &[Counts]) -> Vec<ActionOut> {
    let action = |(action, (channel, counts))| ActionOut { action, channel, counts: CountsOut::from(counts) };
    channels.zip(counts).enumerate().map(action).collect()
}
