use axum::Json;
use axum::extract::State;
use campaign::ExecutionId;
use store::ledger::{State as ExecutionState, Turned};
use tracing::info;

use super::get::{ExecutionOut, execution};
use super::pause::{allowed, entry, not_allowed};
use crate::auth::By;
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Resume an execution
///
/// It goes on where the pause held it, at the rates of its configurations; nobody gets anything twice for it. Resuming one
/// that runs changes nothing.
#[utoipa::path(
    post, path = "/executions/{id}/resume", tag = "executions",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "It runs", body = ExecutionOut),
        (status = 404, description = "There is no such execution, or its recipients are no longer known", body = ProblemSchema),
        (status = 409, description = "Its state does not allow it", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn resume_execution(
    State(context): State<Context>,
    Id(id): Id<ExecutionId>,
    By(by): By,
) -> Result<Json<ExecutionOut>> {
    let ledger = &context.store.ledger;
    let head = ledger.head(id).await?.ok_or_else(|| Problem::not_found("execution", id))?;
    // A stop that died before it came to its executions has stopped this one all the same.
    if head.state == ExecutionState::Paused && context.store.campaigns.get(head.campaign).await?.is_stopped()
    {
        return Err(not_allowed("stopped with its campaign", "resumed"));
    }
    let turned = ledger.resume(id, vec![entry(&context, &head, "resume", &by)?]).await?;
    if let Turned::Done(head) = &turned {
        info!(execution = %id, campaign = %head.campaign, "execution {id} of campaign {} goes on", head.campaign);
    }
    execution(&context, allowed(turned, "resumed")?).await.map(Json)
}
