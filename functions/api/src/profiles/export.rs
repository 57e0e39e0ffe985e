use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::ProfileId;
use http::StatusCode;
use store::jobs::{Job, Task};
use store::people::Exporting;

use crate::error::{ProblemSchema, Result};
use crate::extract::Id;
use crate::jobs::JobOut;
use crate::{Context, schema};

/// Export what is held of a person
///
/// A file of JSON: the profile, its identities, consent and topics, the lists it is on, the suppression entries of its
/// addresses, and every message that was sent to it or kept from it, in no order: campaign, version, execution, action,
/// channel, outcome and reason, the provider's words where something failed, when that was decided, what became known
/// later, and what a call that is not through brought along. Messages are known for 120 days. The answer is a job to follow,
/// which says where the file is once it is completed; it is kept for 30 days, or until the person is erased.
#[utoipa::path(
    post, path = "/profiles/{id}/export", tag = "profiles",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 202, description = "It is queued", body = JobOut),
        (status = 404, description = "There is no such profile", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn export_profile(
    State(context): State<Context>,
    Id(id): Id<ProfileId>,
) -> Result<Response> {
    context.store.profiles.get(id).await?;
    let job = Job::new(Task::ExportProfile { profile: id, export: Exporting::default() }, context.now());
    context.store.jobs.create(&job).await?;
    Ok((StatusCode::ACCEPTED, Json(JobOut::from(job))).into_response())
}
