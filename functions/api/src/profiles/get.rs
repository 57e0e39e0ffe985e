use axum::extract::State;
use campaign::ProfileId;

use super::ProfileOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Get a profile
#[utoipa::path(
    get, path = "/profiles/{id}", tag = "profiles",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The profile", body = ProfileOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such profile", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_profile(
    State(context): State<Context>,
    Id(id): Id<ProfileId>,
) -> Result<Tagged<ProfileOut>> {
    let found = context.store.profiles.get(id).await?;
    Ok(Tagged::ok(found.revision, ProfileOut::new(found.value)))
}
