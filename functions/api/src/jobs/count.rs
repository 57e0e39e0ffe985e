use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::SegmentId;
use http::StatusCode;
use store::jobs::{Job, Task};

use super::out::JobOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::segments::begin_count;
use crate::{Context, schema};

/// Count who is in a segment, however many there are
///
/// As the segment stands now; who changes while it is counted is judged as they are found. The answer is a job to follow.
#[utoipa::path(
    post, path = "/segments/{id}/count-jobs", tag = "segments",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 202, description = "It is queued", body = JobOut),
        (status = 400, description = "The stored rule is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_count_job(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
) -> Result<Response> {
    let segment = context.store.segments.get(id).await?.value;
    let count = begin_count(&context, &segment)?;
    let job = Job::new(Task::CountSegment { segment: id, count }, context.now());
    context.store.jobs.create(&job).await?;
    Ok((StatusCode::ACCEPTED, Json(JobOut::from(job))).into_response())
}
