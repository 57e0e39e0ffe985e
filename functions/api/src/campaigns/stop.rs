use axum::extract::State;
use campaign::CampaignId;
use campaign::status::Command;
use store::ledger::State as ExecutionState;

use super::out::CampaignOut;
use crate::auth::By;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// How many executions are read at once.
const PAGE: usize = 100;

/// Stop a campaign
///
/// For good. Whoever has not been sent to yet is excluded, with the reason `stopped`. Stopping it again changes nothing.
#[utoipa::path(
    post, path = "/campaigns/{id}/stop", tag = "campaigns",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "It is stopped", body = CampaignOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
        (status = 409, description = "Its status does not allow it", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn stop_campaign(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    By(by): By,
) -> Result<Tagged<CampaignOut>> {
    // The campaign first: from then on nothing of it can start. Its executions then, and if this dies in between, a
    // repeated call or the sweep turns them.
    let campaign = context.store.campaigns.command(id, Command::Stop, &by, |_| Ok(())).await?;
    turn_executions(&context, id).await?;
    CampaignOut::tagged(&context, campaign).await
}

async fn turn_executions(context: &Context, id: CampaignId) -> Result<()> {
    let ledger = &context.store.ledger;
    let mut after = None;
    loop {
        let (executions, next) = ledger.executions(id, after, PAGE).await?;
        for execution in executions.iter().filter(|execution| ExecutionState::OPEN.contains(&execution.state))
        {
            ledger.turn(execution.id, &ExecutionState::OPEN, ExecutionState::Stopping).await?;
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}
