use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::profiles::{Incoming, RowResult, UpsertError};
use utoipa::ToSchema;

use super::{Identity, ProfileIn, ProfileInSchema, problem};
use crate::Context;
use crate::error::{FieldError, Problem, ProblemSchema, Result};
use crate::extract::Body;

/// The most profiles of a batch.
const MAX_ITEMS: usize = 500;

/// Profiles to create or change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchIn {
    /// The profiles, at most 500.
    #[schema(value_type = Vec<ProfileInSchema>, min_items = 1, max_items = 500)]
    profiles: Vec<Value>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchOut {
    created: usize,
    updated: usize,
    /// Items that were merged into a later one of the same identity.
    duplicates: usize,
    invalid: usize,
    /// What became of each item, in their order.
    results: Vec<ItemOut>,
}

/// What became of one item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemOut {
    status: ItemStatus,
    /// The profile, where it was created or updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = crate::schema::Id, required = false)]
    id: Option<String>,
    /// What is wrong, where it is invalid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<crate::schema::FieldError>, required = false)]
    errors: Vec<FieldError>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemStatus {
    /// A profile was made.
    Created,
    /// A profile was changed, or already said the same.
    Updated,
    /// A later item of the batch names the same profile: what this one says was written with it, if
    /// that one was written.
    Duplicate,
    /// It was left out.
    Invalid,
}

impl ItemOut {
    fn done(status: ItemStatus, id: campaign::ProfileId) -> Self {
        Self { status, id: Some(id.to_string()), errors: Vec::new() }
    }

    fn invalid(errors: Vec<FieldError>) -> Self {
        Self { status: ItemStatus::Invalid, id: None, errors }
    }
}

impl From<Result<RowResult, UpsertError>> for ItemOut {
    fn from(result: Result<RowResult, UpsertError>) -> Self {
        match result {
            Ok(RowResult::Created(id)) => Self::done(ItemStatus::Created, id),
            Ok(RowResult::Updated(id)) => Self::done(ItemStatus::Updated, id),
            Ok(RowResult::Duplicate) => Self { status: ItemStatus::Duplicate, id: None, errors: Vec::new() },
            Err(UpsertError::Profile(error)) => Self::invalid(problem(&error).errors()),
            Err(UpsertError::IdentityTaken(field)) => {
                Self::invalid(vec![FieldError::new(field, UpsertError::IdentityTaken(field).to_string())])
            }
            Err(error) => Self::invalid(vec![FieldError::new("", error.to_string())]),
        }
    }
}

/// Create or change profiles
///
/// Each is found by its `external_id`, else its `email`, else its `phone`, and changed as by a JSON merge patch (RFC
/// 7396): objects are merged, `null` removes a field, what is not named stays. Items of one identity are applied one after the other
/// and written at once. One bad item never stops the others.
#[utoipa::path(
    post, path = "/profiles/batch", tag = "profiles",
    request_body = BatchIn,
    responses(
        (status = 200, description = "What became of each", body = BatchOut),
        (status = 400, description = "The batch itself is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn upsert_profiles(
    State(context): State<Context>,
    Body(body): Body<BatchIn>,
) -> Result<Json<BatchOut>> {
    if !(1..=MAX_ITEMS).contains(&body.profiles.len()) {
        return Err(Problem::field("profiles", format!("a batch has 1 to {MAX_ITEMS} profiles")));
    }
    let mut results = Vec::with_capacity(body.profiles.len());
    let (mut rows, mut incoming) = (Vec::new(), Vec::new());
    for (index, value) in body.profiles.into_iter().enumerate() {
        let parsed = serde_json::from_value::<ProfileIn>(value)
            .map_err(|error| Problem::field("", error.to_string()))
            .and_then(|profile| profile.into_document(Identity::Made));
        results.push(match parsed {
            Ok(document) => {
                rows.push(index);
                incoming.push(Incoming { document });
                None
            }
            Err(problem) => Some(ItemOut::invalid(problem.errors())),
        });
    }
    for (row, result) in rows.into_iter().zip(context.store.profiles.upsert(incoming).await?) {
        results[row] = Some(ItemOut::from(result));
    }
    let results: Vec<_> = results.into_iter().flatten().collect();
    let count = |status| results.iter().filter(|item| item.status == status).count();
    Ok(Json(BatchOut {
        created: count(ItemStatus::Created),
        updated: count(ItemStatus::Updated),
        duplicates: count(ItemStatus::Duplicate),
        invalid: count(ItemStatus::Invalid),
        results,
    }))
}
