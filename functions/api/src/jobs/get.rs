use axum::Json;
use axum::extract::State;
use campaign::JobId;

use super::out::JobOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Get a job
///
/// How far it is, and what came of it. A job is kept for 30 days.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The job", body = JobOut),
        (status = 404, description = "There is no such job", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_job(State(context): State<Context>, Id(id): Id<JobId>) -> Result<Json<JobOut>> {
    Ok(Json(context.store.jobs.get(id).await?.into()))
}
