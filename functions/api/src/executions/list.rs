use axum::Json;
use axum::extract::State;
use campaign::report::Scope;
use campaign::{Campaign, CampaignId, Channel};
use store::ledger::{ExecutionSummary, State as ExecutionState};
use store::reports::{Origin, Source};

use super::out::ExecutionListed;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor, schema};

/// No position in this list is longer.
const LONGEST_CURSOR: usize = 100;

/// List the executions of a campaign
///
/// The latest occurrence first. Totals are counted anew with each page, as reports are: what a provider tells after the end
/// changes both. That is a short query for each shard (at most 16) of each execution on the page that has ended, 16 at once.
#[utoipa::path(
    get, path = "/campaigns/{id}/executions", tag = "executions",
    params(("id" = schema::Id, Path), Paging),
    responses(
        (status = 200, description = "A page", body = Page<ExecutionListed>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such campaign", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_executions(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<ExecutionListed>>> {
    let list = format!("executions of {id}");
    let after: Option<String> = cursor::decode(&list, paging.cursor.as_deref())?;
    if after.as_ref().is_some_and(|after| after.len() > LONGEST_CURSOR) {
        return Err(cursor::foreign());
    }
    let limit = limit(paging.limit)?;
    let campaign = context.store.campaigns.get(id).await?;
    let (mut found, next) = context.store.ledger.executions(id, after, limit).await?;
    count(&context, &campaign, &mut found).await?;
    Ok(Json(Page {
        items: found.into_iter().map(ExecutionListed::from).collect(),
        next_cursor: next.map(|next| cursor::encode(&list, next)),
    }))
}

/// Puts what counters say now in place of the counts that were written at the end of each execution.
async fn count(context: &Context, campaign: &Campaign, found: &mut [ExecutionSummary]) -> Result<()> {
    let has_ended = |summary: &&mut ExecutionSummary| {
        matches!(summary.state, ExecutionState::Completed | ExecutionState::Stopped)
    };
    let mut ended: Vec<_> = found.iter_mut().filter(has_ended).collect();
    let source = |summary: &&mut ExecutionSummary| Source {
        origin: Origin::Execution(Box::new((**summary).clone())),
        version: summary.version,
        // There are as many actions as counts; which channels they have does not matter for those.
        channels: vec![Channel::Email; summary.counts.len()],
    };
    let sources = ended.iter().map(source).collect();
    let reported = context.store.report(campaign, sources, None, &Scope::default()).await?;
    for (summary, reported) in ended.iter_mut().zip(reported) {
        summary.counts =
            reported.actions.iter().map(|action| action.figures.counts(action.targeted)).collect();
    }
    Ok(())
}
