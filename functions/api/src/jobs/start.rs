use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::JobId;
use http::StatusCode;
use store::jobs::JobState;

use super::import;
use super::out::JobOut;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Start an import
///
/// Its file must be there. Starting one again changes nothing.
#[utoipa::path(
    post, path = "/imports/{id}/start", tag = "jobs",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 202, description = "It is queued, or under way", body = JobOut),
        (status = 404, description = "There is no such import", body = ProblemSchema),
        (status = 409, description = "Its file is not there", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn start_import(State(context): State<Context>, Id(id): Id<JobId>) -> Result<Response> {
    let mut job = import(&context, id).await?;
    if job.state == JobState::AwaitingUpload {
        let file = context.blob.stat(&job.file()).await?;
        let file = file.ok_or_else(|| {
            Problem::new(Kind::FileMissing, "bring it as `upload` of the import's answer says, then start")
        })?;
        job = context.store.jobs.start(job, file).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(JobOut::from(job))).into_response())
}
