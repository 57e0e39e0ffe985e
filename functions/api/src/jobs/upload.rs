use axum::body::Body;
use axum::extract::State;
use campaign::JobId;
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use platform::blob::Upload;
use store::jobs::{Job, JobState};

use super::{CSV, import};
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::profiles::check_csv;
use crate::{Context, schema};

/// How long the URL would be good that says whether there is one.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

/// Bring the file of an import
///
/// Where the import was answered with a path of this API. It is written as it comes, whatever its size, and takes the
/// place of one that was brought before.
#[utoipa::path(
    put, path = "/imports/{id}/file", tag = "jobs",
    params(("id" = schema::Id, Path)),
    request_body(content((String = "text/csv", example = "email\nann@example.org\n")), description = "The file"),
    responses(
        (status = 204, description = "Stored"),
        (status = 400, description = "The upload broke off", body = ProblemSchema),
        (status = 404, description = "There is no such import", body = ProblemSchema),
        (status = 409, description = "The import has been started already; or its file goes to another URL", body = ProblemSchema),
        (status = 415, description = "Not text/csv", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn put_import_file(
    State(context): State<Context>,
    Id(id): Id<JobId>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode> {
    check_csv(&headers)?;
    let job = import(&context, id).await?;
    check_awaiting(&job)?;
    if let Upload::Presigned(_) = context.blob.upload(&job.file(), CSV, MOMENT).await? {
        let detail =
            "make the request that `upload` of the import's answer describes: this API takes no large bodies";
        return Err(Problem::new(Kind::UploadElsewhere, detail));
    }
    let mut file = context.blob.create(&job.file()).await?;
    let mut bytes = body.into_data_stream();
    while let Some(bytes) = bytes.next().await {
        let bytes =
            bytes.map_err(|_| Problem::new(Kind::BadRequest, "the upload broke off: send the file again"))?;
        file.write(&bytes).await?;
    }
    // A long upload may end after somebody has started the import with an earlier file.
    check_awaiting(&import(&context, id).await?)?;
    file.finish().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_awaiting(job: &Job) -> Result<()> {
    if job.state == JobState::AwaitingUpload {
        return Ok(());
    }
    Err(Problem::new(Kind::ImportStarted, "make another import for another file"))
}
