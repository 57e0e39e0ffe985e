use axum::extract::State;
use campaign::{Profile, ProfileId};

use super::{Identity, ProfileIn, ProfileInSchema, ProfileOut, problem};
use crate::Context;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Body, Tagged};

/// Create a profile
///
/// Its id is made. To create or change one by an identity use the batch.
#[utoipa::path(
    post, path = "/profiles", tag = "profiles",
    request_body = ProfileInSchema,
    responses(
        (status = 201, description = "Created", body = ProfileOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 409, description = "Another profile has one of its identities", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn create_profile(
    State(context): State<Context>,
    Body(body): Body<ProfileIn>,
) -> Result<Tagged<ProfileOut>> {
    let document = body.into_document(Identity::Made)?;
    let profile = Profile::new(ProfileId::random(), document).map_err(|error| problem(&error))?;
    context.store.profiles.put(&profile, None).await?;
    Ok(Tagged::created(1, ProfileOut::new(profile)))
}
