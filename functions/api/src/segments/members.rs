use axum::Json;
use axum::extract::State;
use campaign::{ProfileId, SegmentId};
use serde::{Deserialize, Serialize};
use store::import::MemberName;
use utoipa::ToSchema;

use super::list_of;
use crate::error::{FieldError, Problem, ProblemSchema, Result};
use crate::extract::{Body, Id};
use crate::{Context, schema};

/// The most names of one call.
const MAX_NAMES: usize = 1000;

/// Members of a list, by any of their names.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MembersIn {
    /// By the profiles' ids.
    #[schema(max_items = 1000)]
    profiles: Vec<String>,
    /// By their email addresses.
    #[schema(max_items = 1000)]
    emails: Vec<String>,
    /// By the caller's own ids.
    #[schema(max_items = 1000)]
    external_ids: Vec<String>,
}

/// What became of the names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembersOut {
    /// How many members were added, or removed.
    changed: u64,
    /// How many names were of members already, or of nobody on the list.
    unchanged: u64,
    /// The names that nobody has.
    #[schema(value_type = Vec<schema::FieldError>)]
    unknown: Vec<FieldError>,
    /// How many members the list has now.
    members: u64,
}

/// Add members to a list
///
/// Names that nobody has are reported; the others are added all the same.
#[utoipa::path(
    put, path = "/segments/{id}/members", tag = "segments",
    params(("id" = schema::Id, Path)),
    request_body = MembersIn,
    responses(
        (status = 200, description = "What became of the names", body = MembersOut),
        (status = 400, description = "No name, or too many", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "The segment is not a list", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn add_members(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    Body(body): Body<MembersIn>,
) -> Result<Json<MembersOut>> {
    let (generation, _) = list_of(&context.store.segments.get(id).await?.value.kind)?;
    let (members, unknown) = resolve(&context, body).await?;
    let (added, total) = context.store.segments.enlist(id, generation, &members).await?;
    Ok(Json(MembersOut { changed: added, unchanged: members.len() as u64 - added, unknown, members: total }))
}

/// Remove members from a list
///
/// Names that nobody has are reported; the others are removed all the same.
#[utoipa::path(
    delete, path = "/segments/{id}/members", tag = "segments",
    params(("id" = schema::Id, Path)),
    request_body = MembersIn,
    responses(
        (status = 200, description = "What became of the names", body = MembersOut),
        (status = 400, description = "No name, or too many", body = ProblemSchema),
        (status = 404, description = "There is no such segment", body = ProblemSchema),
        (status = 409, description = "The segment is not a list", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn remove_members(
    State(context): State<Context>,
    Id(id): Id<SegmentId>,
    Body(body): Body<MembersIn>,
) -> Result<Json<MembersOut>> {
    let (generation, _) = list_of(&context.store.segments.get(id).await?.value.kind)?;
    let (members, unknown) = resolve(&context, body).await?;
    let (removed, total) = context.store.segments.dismiss(id, generation, &members).await?;
    Ok(Json(MembersOut {
        changed: removed,
        unchanged: members.len() as u64 - removed,
        unknown,
        members: total,
    }))
}

/// Who the names are of, and which are nobody's.
async fn resolve(context: &Context, body: MembersIn) -> Result<(Vec<ProfileId>, Vec<FieldError>)> {
    let given = [
        ("profiles", "id", body.profiles),
        ("emails", "email", body.emails),
        ("external_ids", "external_id", body.external_ids),
    ];
    let total: usize = given.iter().map(|(.., names)| names.len()).sum();
    if !(1..=MAX_NAMES).contains(&total) {
        return Err(Problem::field(
            "",
            format!("give 1 to {MAX_NAMES} names in profiles, emails and external_ids"),
        ));
    }
    let (mut fields, mut names, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (list, kind, texts) in given {
        for (index, text) in texts.iter().enumerate() {
            let field = format!("{list}[{index}]");
            match MemberName::parse(kind, text) {
                Ok(name) => {
                    fields.push(field);
                    names.push(name);
                }
                Err(message) => unknown.push(FieldError::new(field, message)),
            }
        }
    }
    let mut members = Vec::new();
    for (field, found) in fields.into_iter().zip(context.store.resolve(&names).await?) {
        match found {
            Some(id) => members.push(id),
            None => unknown.push(FieldError::new(field, "nobody has this identity")),
        }
    }
    Ok((members, unknown))
}
