use axum::Json;
use axum::extract::State;
use campaign::model::Actor;
use campaign::{CampaignId, ExecutionId, Status};
use jiff::Timestamp;
use serde::Serialize;
use store::campaigns::HistoryEntry;
use utoipa::ToSchema;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor, schema};

/// No position in this list is longer.
const LONGEST_CURSOR: usize = 100;

/// Something that was done to a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryOut {
    /// When.
    #[schema(value_type = schema::Instant)]
    at: Timestamp,
    /// Who did it.
    #[schema(value_type = schema::Actor)]
    by: Actor,
    /// What was done: by users `create`, `edit`, `rename`, `activate`, `discard_draft`, `stop`, `archive`, `delete`,
    /// `duplicate`, and to executions `pause`, `resume`, `resend`; by Envoi `become_scheduled`, `become_live`, `replace`,
    /// `fail_activation`, `start`, `complete`.
    command: String,
    /// The status before; `null` where there was none or it did not matter.
    #[schema(value_type = schema::Status, nullable)]
    from: Option<Status>,
    /// The status after; `null` where it did not matter.
    #[schema(value_type = schema::Status, nullable)]
    to: Option<Status>,
    /// The version it was done to.
    #[schema(required)]
    version: Option<u32>,
    /// The execution it was done to.
    #[schema(value_type = schema::Id, nullable)]
    execution_id: Option<ExecutionId>,
    /// The original of a duplicate, or the duplicate of an original.
    #[schema(value_type = schema::Id, nullable)]
    campaign_id: Option<CampaignId>,
    /// The fields that were given other values.
    changed: Vec<String>,
}

impl From<HistoryEntry> for HistoryOut {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            at: entry.at,
            by: entry.by,
            command: entry.command,
            from: entry.status_before,
            to: entry.status,
            version: entry.version,
            execution_id: entry.execution,
            campaign_id: entry.campaign,
            changed: entry.changed,
        }
    }
}

/// List what was done to a campaign
///
/// The latest first. Entries are written with the change they tell of and can't be edited; they outlive a deleted
/// campaign.
#[utoipa::path(
    get, path = "/campaigns/{id}/history", tag = "campaigns",
    params(("id" = schema::Id, Path), Paging),
    responses(
        (status = 200, description = "A page", body = Page<HistoryOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There never was such a campaign", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_history(
    State(context): State<Context>,
    Id(id): Id<CampaignId>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<HistoryOut>>> {
    let list = format!("history of {id}");
    let after: Option<String> = cursor::decode(&list, paging.cursor.as_deref())?;
    if after.as_ref().is_some_and(|after| after.len() > LONGEST_CURSOR) {
        return Err(cursor::foreign());
    }
    let is_first = after.is_none();
    let (entries, next) = context.store.campaigns.history(id, after, limit(paging.limit)?).await?;
    if is_first && entries.is_empty() {
        return Err(Problem::not_found("campaign", id));
    }
    Ok(Json(Page {
        items: entries.into_iter().map(HistoryOut::from).collect(),
        next_cursor: next.map(|next| cursor::encode(&list, next)),
    }))
}
