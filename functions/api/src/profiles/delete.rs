use axum::extract::State;
use campaign::ProfileId;
use http::StatusCode;
use store::StoreError;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Id, IfMatch};
use crate::{Context, schema};

/// How often a delete that names no revision is tried anew when others change the profile at the same time.
const TRIES: usize = 3;

/// Delete a profile
///
/// For good, its identities too. Reports and lists keep a pseudonym, and its addresses stay on the suppression list where
/// they are on it. To erase the person, use `POST /profiles/{id}/erase` instead.
#[utoipa::path(
    delete, path = "/profiles/{id}", tag = "profiles",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such profile", body = ProblemSchema),
        (status = 409, description = "It kept changing", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_profile(
    State(context): State<Context>,
    Id(id): Id<ProfileId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let profiles = &context.store.profiles;
    let mut tries = TRIES;
    loop {
        let before = profiles.get(id).await?;
        if_match.check(before.revision)?;
        tries -= 1;
        match profiles.delete_as_read(&before).await {
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
