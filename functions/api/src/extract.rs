//! What handlers take from a request, refused with a problem where it is not right.

use std::str::FromStr;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{FieldError, Kind, Problem};
use crate::objects::Objects;

/// The largest JSON body, in bytes. A Lambda takes 6 MB, of which the body is a part, escaped or in base64: a third more.
pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;
/// The most items of a page.
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 50;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body as it came.
#[derive(Debug)]
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Kind::UnsupportedMediaType, "the body must be application/json"));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(Kind::BodyTooLarge, format!("the body has more than {MAX_BODY} bytes"))
            } else {
                Problem::new(Kind::BadRequest, "the body broke off")
            }
        })
    }
}

/// A JSON body that may be left out, or be `null`.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        let Body(body) = <Body<Option<T>> as FromRequest<S>>::from_request(request, state).await?;
        Ok(body.map(Self))
    }
}

/// Reads JSON; an error names the field.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Objects(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            Problem::fields(
                Kind::InvalidField,
                vec![FieldError::new(path, without_position(&inner.to_string()))],
            )
        } else if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
            // A number where one of a few names is wanted counts as bad syntax.
            Problem::fields(Kind::InvalidField, vec![FieldError::new(path, "is of the wrong type")])
        } else {
            Problem::new(Kind::MalformedBody, inner.to_string())
        }
    })?;
    json.end().map_err(|error| Problem::new(Kind::MalformedBody, error.to_string()))?;
    Ok(value)
}

/// Reads a part of a body that was kept as it came; an error names the field within it.
pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|error| {
        let path = error.path().to_string();
        Problem::field(path, error.into_inner().to_string())
    })
}

/// The path says where it is better than line and column do.
fn without_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The body's media type without its parameters, in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> String {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(value) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            use std::error::Error;
            let message = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
            Problem::new(Kind::InvalidParameter, message)
        })?;
        Ok(Self(value))
    }
}

/// The id in the path. What is no id names nothing.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = found.and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| {
            Problem::new(Kind::NotFound, "there is no such thing: an id has 26 characters of 0-9 and a-z without i, l, o and u, the last one of 048cgmrw")
        })
    }
}

/// What If-Match says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Nothing.
    Anything,
    /// `*`: whatever is there.
    Existing,
    /// One of these.
    These(Vec<i64>),
}

impl IfMatch {
    /// Holds `revision` against it.
    pub(crate) fn check(&self, revision: i64) -> Result<(), Problem> {
        match self {
            Self::These(revisions) if !revisions.contains(&revision) => Err(Self::failed()),
            Self::Anything | Self::Existing | Self::These(_) => Ok(()),
        }
    }

    /// Holds against it that nothing is there (RFC 9110, section 13.1.1).
    pub(crate) fn check_absent(&self) -> Result<(), Problem> {
        match self {
            Self::Anything => Ok(()),
            Self::Existing | Self::These(_) => Err(Self::failed()),
        }
    }

    /// Whether a change that met another may be made again on what is there now.
    pub(crate) const fn may_retry(&self) -> bool {
        matches!(self, Self::Anything | Self::Existing)
    }

    pub(crate) fn failed() -> Problem {
        Problem::new(Kind::PreconditionFailed, "it has changed since it was read: read it again")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else {
            return Ok(Self::Anything);
        };
        let text = value.to_str().unwrap_or_default();
        if text.trim() == "*" {
            return Ok(Self::Existing);
        }
        // Proxies that compress an answer make its tag a weak one. A tag that is none of ours matches nothing.
        let revision = |tag: &str| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.parse().ok()
        };
        Ok(Self::These(text.split(',').filter_map(revision).collect()))
    }
}

/// A JSON answer with its ETag.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) revision: i64,
    pub(crate) body: T,
}

impl<T> Tagged<T> {
    pub(crate) const fn ok(revision: i64, body: T) -> Self {
        Self { status: StatusCode::OK, revision, body }
    }

    pub(crate) const fn created(revision: i64, body: T) -> Self {
        Self { status: StatusCode::CREATED, revision, body }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body)).into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.revision)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// How many items a page is to have.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(_) => {
            Err(Problem::new(Kind::InvalidParameter, format!("limit: must be between 1 and {MAX_LIMIT}")))
        }
    }
}

/// A field of a patch: `None` where it is absent, `Some(None)` where it is `null`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
