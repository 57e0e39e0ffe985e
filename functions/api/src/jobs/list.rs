use axum::Json;
use axum::extract::State;
use campaign::JobId;

use super::out::JobOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor};

const LIST: &str = "jobs";

/// List jobs
///
/// The newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = Page<JobOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_jobs(
    State(context): State<Context>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<JobOut>>> {
    let after = cursor::decode::<JobId>(LIST, paging.cursor.as_deref())?.map(|id| id.to_string());
    let (jobs, next) = context.store.jobs.list(after, limit(paging.limit)?).await?;
    Ok(Json(Page {
        items: jobs.into_iter().map(JobOut::from).collect(),
        next_cursor: next.map(|next| cursor::encode(LIST, next)),
    }))
}
