use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::SegmentId;
use http::StatusCode;
use jiff::SignedDuration;
use platform::blob::Upload;
use serde::Deserialize;
use store::jobs::{AWAIT_SECONDS, Import, Job, Task};
use utoipa::ToSchema;

use super::CSV;
use super::out::{JobOut, NewImportOut, UploadOut};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::Body;
use crate::segments::list_of;
use crate::{Context, schema};

/// How long a signed URL takes a file; the upload must have begun by then.
const UPLOAD: Duration = Duration::from_secs(3600);

/// What a file becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportKind {
    /// Profiles, as by `POST /profiles/import`.
    Profiles,
    /// Members of a list, as by `POST /segments/{id}/members/import`.
    Members,
}

/// An import to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportIn {
    kind: ImportKind,
    /// The list whose members the file names; of profiles, a list that everybody imported is to be on.
    #[schema(value_type = Option<schema::Id>)]
    segment_id: Option<SegmentId>,
}

/// Make an import of a CSV file of any size
///
/// The answer says where the file goes: bring it there as `upload` says, then start the import. Until then it is kept for
/// two days.
#[utoipa::path(
    post, path = "/imports", tag = "jobs",
    request_body = ImportIn,
    responses(
        (status = 201, description = "Made; its file is awaited", body = NewImportOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "The segment is not a list", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_import(
    State(context): State<Context>,
    Body(body): Body<ImportIn>,
) -> Result<Response> {
    if let Some(segment) = body.segment_id {
        list_of(&context.store.segments.get(segment).await?.value.kind)?;
    }
    let import = Import::default();
    let task = match (body.kind, body.segment_id) {
        (ImportKind::Profiles, list) => Task::ImportProfiles { list, import },
        (ImportKind::Members, Some(list)) => Task::ImportMembers { list, import },
        (ImportKind::Members, None) => {
            return Err(Problem::field("segment_id", "says which list the members are for"));
        }
    };
    let job = Job::new(task, context.now());
    let upload = match context.blob.upload(&job.file(), CSV, UPLOAD).await? {
        Upload::Presigned(request) => UploadOut {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().collect(),
            expires_at: job.created_at + UPLOAD,
        },
        Upload::Direct => UploadOut {
            method: "PUT".to_owned(),
            url: format!("/imports/{}/file", job.id),
            headers: BTreeMap::from([("content-type".to_owned(), CSV.to_owned())]),
            expires_at: job.created_at + SignedDuration::from_secs(AWAIT_SECONDS),
        },
    };
    context.store.jobs.create(&job).await?;
    Ok((StatusCode::CREATED, Json(NewImportOut { job: JobOut::from(job), upload })).into_response())
}
