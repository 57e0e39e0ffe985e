use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use campaign::JobId;
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use platform::blob::Stat;
use platform::{Blob, BlobName, PlatformError};

use super::errors_of;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::{Context, schema};

/// How long a signed URL gives the file out.
const DOWNLOAD: Duration = Duration::from_secs(300);
/// How much of the file is read at once.
const PIECE: usize = 256 * 1024;

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
    let name = job.errors_file();
    let file = context.blob.stat(&name).await?.ok_or_else(none)?;
    let file_name = format!("errors-{id}.csv");
    if let Some(url) = context.blob.download(&name, &file_name, DOWNLOAD).await? {
        return Ok(Redirect::temporary(&url).into_response());
    }
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_LENGTH, file.size.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{file_name}\"")),
    ];
    Ok((headers, pieces(Arc::clone(&context.blob), name, file)).into_response())
}

/// The file as a body that is read as it goes out.
fn pieces(blob: Arc<dyn Blob>, name: BlobName, file: Stat) -> Body {
    Body::from_stream(stream::try_unfold((blob, name, file, 0), async |(blob, name, file, at)| {
        let read = blob.read(&name, &file.tag, at, PIECE).await?;
        let bytes = read.ok_or_else(|| PlatformError::Invalid("the file is gone".to_owned()))?;
        let next = at + bytes.len() as u64;
        Ok::<_, PlatformError>((!bytes.is_empty()).then_some((bytes, (blob, name, file, next))))
    }))
}
