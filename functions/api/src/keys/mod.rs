//! API keys.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::keys::{ApiKey, Role};
use utoipa::ToSchema;

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Params, limit};
use crate::operations::{Collect, routes};
use crate::page::{Page, Paging};
use crate::{Context, cursor, schema};

const LIST: &str = "keys";
/// The longest name, in characters.
const MAX_NAME: usize = 200;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, create_key, list_keys, delete_key, create_link_key, delete_link_key,)
}

/// Whether this may be a key's id: a SHA-256 in hexadecimal.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An API key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyIn {
    /// Its name, for people.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    #[schema(value_type = schema::Role)]
    role: Role,
}

/// An API key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyOut {
    /// Its id: the key's hash.
    id: String,
    name: String,
    #[schema(value_type = schema::Role)]
    role: Role,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
}

/// An API key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKeyOut {
    #[serde(flatten)]
    key: KeyOut,
    /// The key itself. It is not kept: this is the only time it is shown.
    secret: String,
}

impl From<ApiKey> for KeyOut {
    fn from(key: ApiKey) -> Self {
        Self { id: key.id, name: key.name, role: key.role, created_at: key.created_at }
    }
}

/// Make an API key
///
/// An Idempotency-Key is refused here: the answer holds a secret, which is never kept.
#[utoipa::path(
    post, path = "/keys", tag = "keys",
    request_body = KeyIn,
    responses(
        (status = 201, description = "Made", body = NewKeyOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn create_key(State(context): State<Context>, Body(body): Body<KeyIn>) -> Result<Response> {
    if body.name.trim().is_empty() || body.name.chars().count() > MAX_NAME {
        return Err(Problem::field("name", format!("has 1 to {MAX_NAME} characters")));
    }
    let (secret, key) = context.store.keys.create(&body.name, body.role).await?;
    Ok((StatusCode::CREATED, Json(NewKeyOut { key: key.into(), secret })).into_response())
}

/// List API keys
#[utoipa::path(
    get, path = "/keys", tag = "keys",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = Page<KeyOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn list_keys(
    State(context): State<Context>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<KeyOut>>> {
    let after: Option<String> = cursor::decode(LIST, paging.cursor.as_deref())?;
    if after.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(cursor::foreign());
    }
    let (keys, next) = context.store.keys.list(after, limit(paging.limit)?).await?;
    Ok(Json(Page {
        items: keys.into_iter().map(KeyOut::from).collect(),
        next_cursor: next.map(|next| cursor::encode(LIST, next)),
    }))
}

/// Revoke an API key
///
/// It stops working within two seconds. Revoking one that is not there is no error.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 400, description = "The path is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn delete_key(State(context): State<Context>, Path(id): Path<String>) -> Result<StatusCode> {
    if is_id(&id) {
        context.store.keys.delete(&id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A key for links that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkKeyOut {
    /// Its number: one more than the last.
    number: u32,
}

/// Make a new key for links
///
/// It signs the links of messages from two minutes later on. Those before it stay known: the last seven of them for all links, so
/// rotate no more often than your oldest mail is read, and the last 199 for unsubscribing. The key itself is shown to nobody.
#[utoipa::path(
    post, path = "/link-keys", tag = "keys",
    responses((status = 201, description = "Made", body = LinkKeyOut)),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn create_link_key(State(context): State<Context>) -> Result<Response> {
    let number = context.store.links.rotate().await?;
    Ok((StatusCode::CREATED, Json(LinkKeyOut { number })).into_response())
}

/// Revoke a key for links
///
/// For one that somebody else has got to know. All links that were signed with it are refused from a minute later on, those to
/// unsubscribe by among them, and that can't be taken back; its number is never given again. A key that links may still be signed
/// with stays: make a new one first, and revoke the old one three minutes later.
#[utoipa::path(
    delete, path = "/link-keys/{number}", tag = "keys",
    params(("number" = u32, Path, description = "The key's number")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 400, description = "The path is not valid", body = ProblemSchema),
        (status = 404, description = "No such key is known", body = ProblemSchema),
        (status = 409, description = "Links may still be signed with it", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn delete_link_key(
    State(context): State<Context>,
    Path(number): Path<u32>,
) -> Result<StatusCode> {
    context.store.links.revoke(number).await?;
    Ok(StatusCode::NO_CONTENT)
}
