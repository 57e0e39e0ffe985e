use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use store::StoreError;
use store::import::MemberName;
use utoipa::IntoParams;

use super::ProfileOut;
use crate::Context;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Params;
use crate::page::Page;

/// By which identity.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The email address, whatever its case.
    #[param(min_length = 1)]
    email: Option<String>,
    /// The caller's own id.
    #[param(min_length = 1, max_length = 256)]
    external_id: Option<String>,
    /// The phone number in E.164.
    #[param(min_length = 1)]
    phone: Option<String>,
}

/// Find a profile by an identity
///
/// Give exactly one of the parameters. The list holds one profile, or none.
#[utoipa::path(
    get, path = "/profiles", tag = "profiles",
    params(Wanted),
    responses(
        (status = 200, description = "Who has this identity", body = Page<ProfileOut>),
        (status = 400, description = "Not exactly one identity, or none that could be", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn find_profiles(
    State(context): State<Context>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<ProfileOut>>> {
    let given = [("email", wanted.email), ("external_id", wanted.external_id), ("phone", wanted.phone)];
    let mut given = given.into_iter().filter_map(|(kind, text)| Some((kind, text?)));
    let (Some((kind, text)), None) = (given.next(), given.next()) else {
        return Err(Problem::new(Kind::InvalidParameter, "give one of email, external_id and phone"));
    };
    let name = MemberName::parse(kind, &text)
        .map_err(|message| Problem::new(Kind::InvalidParameter, format!("{kind}: {message}")))?;
    let mut items = Vec::new();
    if let Some(id) = context.store.resolve(&[name]).await?.into_iter().next().flatten() {
        match context.store.profiles.get(id).await {
            Ok(found) => items.push(ProfileOut::new(found.value)),
            // Deleted between the two reads.
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(Page { items, next_cursor: None }))
}
