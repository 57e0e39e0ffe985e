use axum::Json;
use axum::extract::State;
use campaign::CampaignId;

use super::out::ExecutionListed;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor, schema};

/// No position in this list is longer.
const LONGEST_CURSOR: usize = 100;

/// List the executions of a campaign
///
/// The latest occurrence first.
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
    context.store.campaigns.get(id).await?;
    let (found, next) = context.store.ledger.executions(id, after, limit).await?;
    Ok(Json(Page {
        items: found.into_iter().map(ExecutionListed::from).collect(),
        next_cursor: next.map(|next| cursor::encode(&list, next)),
    }))
}
