use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::ProfileId;
use http::StatusCode;
use store::StoreError;
use store::jobs::{Erasure, Job, Task};
use store::people::Erasing;

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Id;
use crate::jobs::JobOut;
use crate::{Context, schema};

/// How often is looked anew where others ask for the same erasure at the same time.
const TRIES: usize = 3;

/// Erase a person
///
/// For good, and more than deleting the profile does: its identities, its places on lists, what calls that are not through
/// have brought along (who is not written to by then is excluded, `profile_gone`), the provider's words about its messages,
/// answers kept for repeated calls that show it, events that webhook endpoints are still to be told of it, exports of it, and
/// its addresses on allowed lists.
///
/// What stays: the ledger's counts and its random id, which says nothing any more; of a suppressed address a keyed hash and
/// the reason. Who wants no marketing over a channel, or none about some topic, is remembered by such a hash, so that they
/// get none if they are imported again. Until the end of an import a file that was uploaded for it is kept, and one that
/// was never imported for 30 days. A call that names an address and no profile is none of the profile's: it goes on, and
/// keeps what it brought along until it is through. Other answers kept for repeated calls go after a day.
///
/// The profile, its addresses and its exports go at once. A delivery or a call that has the profile in hand by then may still
/// write of it, so the rest goes once none can be under way any more: about a quarter of an hour later on AWS, and a minute
/// in a process of one's own. The job is running until then.
///
/// The answer is a job to follow, which holds nothing of the person but the id. Asking again gives the same job; one that
/// was given up is begun anew. The id is taken by no other profile for 120 days.
#[utoipa::path(
    post, path = "/profiles/{id}/erase", tag = "profiles",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 202, description = "It is queued, under way, or done", body = JobOut),
        (status = 404, description = "There is no such profile", body = ProblemSchema),
        (status = 409, description = "Others asked for it at the same time, again and again", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn erase_profile(State(context): State<Context>, Id(id): Id<ProfileId>) -> Result<Response> {
    let jobs = &context.store.jobs;
    for _ in 0..TRIES {
        let is_there = match context.store.profiles.get(id).await {
            Ok(_) => true,
            Err(StoreError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let before = jobs.erasure(id).await?;
        let is_left = is_there || before.as_ref().is_some_and(Erasure::has_failed);
        if let Some(Erasure { job: Some(job), .. }) = &before
            && !(is_left && job.state.is_over())
        {
            return Ok((StatusCode::ACCEPTED, Json(JobOut::from(job.clone()))).into_response());
        }
        if !is_left {
            return Err(StoreError::not_found("profile", id).into());
        }
        let job = Job::new(Task::EraseProfile { profile: id, erasure: Erasing::default() }, context.now());
        match jobs.begin_erasure(id, &job, before.as_ref()).await {
            Ok(()) => return Ok((StatusCode::ACCEPTED, Json(JobOut::from(job))).into_response()),
            // Somebody else has begun it: their job is the answer.
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Kind::Conflict, "others ask for the same erasure at the same time: ask again"))
}
