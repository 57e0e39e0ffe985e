//! What a channel's provider knows us by: written, never read back.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use campaign::Channel;
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::secrets::Credentials;
use utoipa::ToSchema;

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Body;
use crate::operations::{Collect, routes};
use crate::{Context, schema};

/// The longest name or password, in bytes: as long as SMTP's AUTH PLAIN fits them in a line.
const MAX_BYTES: usize = 512;

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, get_credentials, put_credentials, delete_credentials,)
}

/// A channel whose provider asks for credentials.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Provider {
    /// The SMTP server.
    Email,
}

impl From<Provider> for Channel {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Email => Self::Email,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Provider {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) if name == Channel::Email.name() => Ok(Self::Email),
            _ => {
                Err(Problem::new(Kind::NotFound, "there is no such channel with credentials: email has them"))
            }
        }
    }
}

/// Credentials to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialsIn {
    #[schema(min_length = 1, max_length = 512)]
    username: String,
    #[schema(min_length = 1, max_length = 512)]
    password: Password,
}

/// A password, which no log shows.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Whether credentials are stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialsOut {
    /// When they were stored; `null` where there are none.
    #[schema(value_type = Option<schema::Instant>, required)]
    set_at: Option<Timestamp>,
}

/// Say whether a channel's credentials are stored
#[utoipa::path(
    get, path = "/channels/{channel}/credentials", tag = "configurations",
    params(("channel" = inline(Provider), Path)),
    responses(
        (status = 200, description = "When they were stored", body = CredentialsOut),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn get_credentials(
    State(context): State<Context>,
    channel: Provider,
) -> Result<Json<CredentialsOut>> {
    let set_at = context.store.secrets.credentials_set_at(channel.into()).await?;
    Ok(Json(CredentialsOut { set_at }))
}

/// Store a channel's credentials
///
/// They are sealed under the channel's own purpose, so that only its delivery can open them, and can't be read back. A
/// process that is running goes on with those it has; the next to start takes the new ones. What the server's own
/// command line or environment gives goes before them.
#[utoipa::path(
    put, path = "/channels/{channel}/credentials", tag = "configurations",
    params(("channel" = inline(Provider), Path)),
    request_body = CredentialsIn,
    responses(
        (status = 204, description = "Stored"),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn put_credentials(
    State(context): State<Context>,
    channel: Provider,
    Body(body): Body<CredentialsIn>,
) -> Result<StatusCode> {
    let CredentialsIn { username, password: Password(password) } = body;
    for (field, value) in [("username", &username), ("password", &password)] {
        if value.is_empty() || value.len() > MAX_BYTES || value.contains('\0') {
            return Err(Problem::field(field, format!("has 1 to {MAX_BYTES} bytes, none of them NUL")));
        }
    }
    context.store.secrets.set_credentials(channel.into(), &Credentials { username, password }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a channel's credentials
///
/// Where there are none that is no error.
#[utoipa::path(
    delete, path = "/channels/{channel}/credentials", tag = "configurations",
    params(("channel" = inline(Provider), Path)),
    responses(
        (status = 204, description = "Forgotten"),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn delete_credentials(
    State(context): State<Context>,
    channel: Provider,
) -> Result<StatusCode> {
    context.store.secrets.delete_credentials(channel.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
