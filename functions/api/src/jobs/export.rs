use axum::extract::State;
use axum::response::Response;
use campaign::JobId;
use store::jobs::{Job, JobState, Task};

use super::download::download;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Get what was exported of a person
///
/// Once the job is completed, and until the person is erased. The answer is the file, or leads to a URL where it is: follow
/// it without the API key.
#[utoipa::path(
    get, path = "/jobs/{id}/export", tag = "jobs",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The file", body = Object),
        (status = 307, description = "Where the file is, for five minutes", headers(("location" = String, description = "Its URL"))),
        (status = 404, description = "There is no such job, it is no export, not completed, or its file is gone", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn get_job_export(State(context): State<Context>, Id(id): Id<JobId>) -> Result<Response> {
    let job = context.store.jobs.get(id).await?;
    let none = || Problem::new(Kind::NotFound, format!("job {id} has exported nothing, or that is gone"));
    if !has_exported(&job) {
        return Err(none());
    }
    let (name, file_name) = (job.export_file(), format!("profile-{id}.json"));
    download(&context, name, file_name, "application/json").await?.ok_or_else(none)
}

/// Whether a job has made a file of what is held of a person.
pub(super) fn has_exported(job: &Job) -> bool {
    matches!(job.task, Task::ExportProfile { .. }) && job.state == JobState::Completed
}
