use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use campaign::Channel;
use campaign::suppression::{AddressHash, SuppressionReason};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::suppression::{Entry, Suppression};
use utoipa::{IntoParams, ToSchema};

use super::{canonical, check_source};
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Params, limit};
use crate::page::Page;
use crate::{Context, cursor, schema};

/// The list of a channel.
fn list_of(channel: Channel) -> String {
    format!("suppressions/{}", channel.name())
}

/// An address to be suppressed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuppressionIn {
    /// Over which channel: email or sms.
    #[schema(value_type = schema::Channel)]
    channel: Channel,
    /// The email address, or the phone number in E.164.
    #[schema(example = "ann@example.org")]
    address: String,
    /// Why; `manual` where absent.
    #[serde(default = "manual")]
    reason: SuppressionReason,
    /// Who or what it comes from, for people.
    #[schema(max_length = 200)]
    source: Option<String>,
}

pub(super) const fn manual() -> SuppressionReason {
    SuppressionReason::Manual
}

/// A suppressed address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionOut {
    #[schema(value_type = schema::Channel)]
    channel: Channel,
    /// The address; `null` where nothing but its hash is known.
    #[schema(required)]
    address: Option<String>,
    /// What it is found by beside its address.
    #[schema(value_type = schema::AddressHash)]
    hash: String,
    /// Why. `complaint` and `unsubscribed` are about marketing alone, the others stop everything.
    reason: SuppressionReason,
    #[schema(required)]
    source: Option<String>,
    /// Since when.
    #[schema(value_type = schema::Instant)]
    at: Timestamp,
}

impl From<Entry> for SuppressionOut {
    fn from(Entry { hash, suppression }: Entry) -> Self {
        let Suppression { channel, address, reason, source, at } = suppression;
        Self { channel, address, hash: hash.to_string(), reason, source, at }
    }
}

/// Which addresses.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Over which channel; email where absent.
    #[param(value_type = Option<schema::Channel>)]
    channel: Option<Channel>,
    /// This one alone.
    address: Option<String>,
    /// How many, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which address: by `channel` and `address`, or by `hash`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct One {
    /// Over which channel.
    #[param(value_type = Option<schema::Channel>)]
    channel: Option<Channel>,
    #[param(example = "ann@example.org")]
    address: Option<String>,
    /// What a list says of it.
    #[param(value_type = Option<schema::AddressHash>)]
    hash: Option<String>,
}

/// Suppress an address
///
/// Nothing is sent to it any more from the next 50 recipients on: it is `excluded`, by the reason `suppressed`. One that is
/// suppressed already keeps its time and the graver of the two reasons; one of which nothing but the hash is known stays so.
#[utoipa::path(
    post, path = "/suppressions", tag = "suppressions",
    request_body = SuppressionIn,
    responses(
        (status = 200, description = "It was suppressed before", body = SuppressionOut),
        (status = 201, description = "It is suppressed", body = SuppressionOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn add_suppression(
    State(context): State<Context>,
    Body(body): Body<SuppressionIn>,
) -> Result<Response> {
    check_source(body.source.as_deref())?;
    let suppression = Suppression {
        channel: body.channel,
        address: Some(canonical(body.channel, &body.address)?),
        reason: body.reason,
        source: body.source,
        at: context.now(),
    };
    let (stored, is_new) = context.store.suppressions.add(&suppression).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(SuppressionOut::from(stored))).into_response())
}

/// List suppressed addresses
///
/// The newest first; with `address`, the one or none.
#[utoipa::path(
    get, path = "/suppressions", tag = "suppressions",
    params(Wanted),
    responses(
        (status = 200, description = "A page", body = Page<SuppressionOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_suppressions(
    State(context): State<Context>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<SuppressionOut>>> {
    let channel = wanted.channel.unwrap_or(Channel::Email);
    let limit = limit(wanted.limit)?;
    let list = &context.store.suppressions;
    if let Some(address) = wanted.address {
        let found = list.find(channel, &parameter(channel, &address)?).await?;
        return Ok(Json(Page { items: found.into_iter().map(Into::into).collect(), next_cursor: None }));
    }
    let after = cursor::decode::<String>(&list_of(channel), wanted.cursor.as_deref())?;
    let (found, next) = list.list(channel, after, limit).await?;
    Ok(Json(Page {
        items: found.into_iter().map(Into::into).collect(),
        next_cursor: next.map(|next| cursor::encode(&list_of(channel), next)),
    }))
}

/// Let an address be written to again
#[utoipa::path(
    delete, path = "/suppressions", tag = "suppressions",
    params(One),
    responses(
        (status = 204, description = "It is no longer suppressed"),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "It was not suppressed", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_suppression(
    State(context): State<Context>,
    Params(one): Params<One>,
) -> Result<StatusCode> {
    let list = &context.store.suppressions;
    let was_there = match one {
        One { channel: Some(channel), address: Some(address), hash: None } => {
            list.remove(channel, &parameter(channel, &address)?).await?
        }
        One { channel: None, address: None, hash: Some(hash) } => {
            let hash = hash
                .parse::<AddressHash>()
                .map_err(|error| Problem::new(Kind::InvalidParameter, format!("hash: {error}")))?;
            list.remove_hashed(hash).await?
        }
        One { .. } => {
            let detail = "name the address by channel and address, or by hash";
            return Err(Problem::new(Kind::InvalidParameter, detail));
        }
    };
    if was_there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(Kind::NotFound, "the address is not suppressed"))
    }
}

/// As [`canonical`], of an address in the query.
fn parameter(channel: Channel, address: &str) -> Result<String> {
    canonical(channel, address).map_err(|problem| {
        let detail =
            problem.errors().into_iter().next().map(|error| format!("{}: {}", error.field, error.message));
        Problem::new(Kind::InvalidParameter, detail.unwrap_or_default())
    })
}
