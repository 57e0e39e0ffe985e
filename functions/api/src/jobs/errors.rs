use axum::extract::State;
use axum::response::Response;
use campaign::JobId;

use super::download::download;
use super::errors_of;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// Get the rows that an import left out
///
/// All of them, once the job is over: a CSV file with the columns `row`, `line`, `field` and `message`, in the order of
/// the rows. The answer is the file, or leads to a URL where it is: follow it without the API key.
#[utoipa::path(
    get, path = "/jobs/{id}/errors", tag = "jobs",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/csv"),
        (status = 307, description = "Where the file is, for five minutes", headers(("location" = String, description = "Its URL"))),
        (status = 404, description = "There is no such job, it is not over, or no row was left out", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_job_errors(State(context): State<Context>, Id(id): Id<JobId>) -> Result<Response> {
    let job = context.store.jobs.get(id).await?;
    let none = || Problem::new(Kind::NotFound, format!("job {id} is not over, or has left out no row"));
    errors_of(&job).ok_or_else(none)?;
    let (name, file_name) = (job.errors_file(), format!("errors-{id}.csv"));
    download(&context, name, file_name, "text/csv; charset=utf-8").await?.ok_or_else(none)
}
