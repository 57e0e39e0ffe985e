use axum::Json;
use axum::extract::State;
use campaign::ExecutionId;
use campaign::model::Actor;
use platform::Write;
use store::campaigns::HistoryEntry;
use store::ledger::{Head, State as ExecutionState, Turned};
use tracing::info;

use super::get::{ExecutionOut, execution};
use crate::auth::By;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Pause an execution
///
/// Within seconds nobody is handed over any more; whoever is left waits for the resume, and the time until then uses up
/// neither tries nor the retry period. Its campaign stays live. Pausing it again changes nothing. What has been paused for
/// 14 days in all is stopped. An execution whose call names its recipients can't be paused: they are sent to at once.
#[utoipa::path(
    post, path = "/executions/{id}/pause", tag = "executions",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "It is paused", body = ExecutionOut),
        (status = 404, description = "There is no such execution, or its recipients are no longer known", body = ProblemSchema),
        (status = 409, description = "Its state does not allow it", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn pause_execution(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
    By(by): By,
) -> Result<Json<ExecutionOut>> {
    let ledger = &context.store.ledger;
    let head = ledger.head(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
    let turned = ledger.pause(id, vec![entry(&context, &head, "pause", &by)?]).await?;
    if let Turned::Done(head) = &turned {
        info!(execution = %id, campaign = %head.campaign, "execution {id} of campaign {} is paused", head.campaign);
    }
    execution(&context, allowed(turned, "paused")?).await.map(Json)
}

/// What the campaign's history is to hold of a command to an execution of it.
pub(super) fn entry(context: &Context, head: &Head, command: &str, by: &Actor) -> Result<Write> {
    let entry = HistoryEntry::new(command, by, context.now());
    let entry = entry.with_version(Some(head.version)).with_execution(head.id);
    Ok(entry.write(head.campaign)?)
}

/// The execution as it is after a command; a problem where its state did not allow it.
pub(super) fn allowed(turned: Turned, participle: &str) -> Result<Head> {
    match turned {
        Turned::Done(head) | Turned::Already(head) => Ok(head),
        Turned::Refused(head) if head.is_call() => {
            let detail = format!(
                "an execution whose call names its recipients can't be {participle}: they are sent to at once, as long as its campaign is not stopped"
            );
            Err(Problem::new(Kind::StateNotAllowed, detail).with("execution_state", head.state.name()))
        }
        Turned::Refused(head) => Err(not_allowed(head.state.name(), participle)),
    }
}

/// Says what state it is in and which would do.
pub(super) fn not_allowed(state: &str, participle: &str) -> Problem {
    let allowed = ExecutionState::OPEN.map(ExecutionState::name);
    let detail =
        format!("an execution that is {state} can't be {participle}: allowed in {}", allowed.join(", "));
    Problem::new(Kind::StateNotAllowed, detail)
        .with("execution_state", state)
        .with("allowed_in", allowed.map(str::to_owned).to_vec())
}
