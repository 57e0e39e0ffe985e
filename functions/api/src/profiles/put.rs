use axum::extract::State;
use campaign::{Profile, ProfileId};
use store::StoreError;

use super::{Identity, ProfileIn, ProfileInSchema, ProfileOut, problem};
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Tagged};
use crate::{Context, schema};

/// How often a put that names no revision is tried anew when others change the profile at the same time.
const TRIES: usize = 3;

/// Put a profile
///
/// Replaces the whole profile, or creates it under the id the caller chose. What the body leaves out is gone afterwards. The
/// id of a person who was erased is not taken for 120 days: messages to them are known by it.
#[utoipa::path(
    put, path = "/profiles/{id}", tag = "profiles",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    request_body = ProfileInSchema,
    responses(
        (status = 200, description = "Replaced", body = ProfileOut, headers(("etag" = String, description = "The revision"))),
        (status = 201, description = "Created", body = ProfileOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "The path's id is none", body = ProblemSchema),
        (status = 409, description = "Another profile has one of its identities, or it kept changing", body = ProblemSchema),
        (status = 410, description = "The person of this id was erased", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn put_profile(
    State(context): State<Context>,
    Id(id): Id<ProfileId>,
    if_match: IfMatch,
    Body(body): Body<ProfileIn>,
) -> Result<Tagged<ProfileOut>> {
    let document = body.into_document(Identity::Known(id))?;
    let profile = Profile::new(id, document).map_err(|error| problem(&error))?;
    let mut tries = TRIES;
    loop {
        let before = match context.store.profiles.get(id).await {
            Ok(before) => Some(before),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match &before {
            Some(before) => if_match.check(before.revision)?,
            None => if_match.check_absent()?,
        }
        if before.is_none() && context.store.jobs.erasure(id).await?.is_some() {
            return Err(Problem::new(Kind::ProfileErased, format!("the person of profile {id} was erased")));
        }
        tries -= 1;
        match context.store.profiles.put(&profile, before.as_ref()).await {
            Ok(()) => {
                let body = ProfileOut::new(profile);
                return Ok(match before {
                    Some(before) => Tagged::ok(before.revision + 1, body),
                    None => Tagged::created(1, body),
                });
            }
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
