//! Allowed lists: to whom alone a channel's messages may go, where its list is on.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use campaign::Channel;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use store::allowed::{Allowed, MOST_ENTRIES, entry};
use utoipa::{IntoParams, ToSchema};

use crate::error::{FieldError, Kind, Problem, ProblemSchema, Result};
use crate::extract::{Body, Params};
use crate::operations::{Collect, routes};
use crate::{Context, schema};

const CHANNELS: [Channel; 4] = [Channel::Email, Channel::Sms, Channel::Push, Channel::Webhook];

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, list_allowed, get_allowed, put_allowed, add_allowed, remove_allowed,)
}

/// The channel in the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfChannel(Channel);

impl<S: Send + Sync> FromRequestParts<S> for OfChannel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let name = Path::<String>::from_request_parts(parts, state).await.ok();
        let named = |channel: &Channel| name.as_ref().is_some_and(|Path(name)| name == channel.name());
        let channel = CHANNELS.into_iter().find(named);
        let none = || Problem::new(Kind::NotFound, "there is no such channel: email, sms, push, webhook");
        channel.map(Self).ok_or_else(none)
    }
}

/// How long an allowed list is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllowedSummary {
    #[schema(value_type = schema::Channel)]
    channel: Channel,
    /// Whether it is on.
    enabled: bool,
    /// How many entries it has.
    entries: usize,
}

/// The allowed lists, one a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllowedListsOut {
    items: Vec<AllowedSummary>,
}

/// An allowed list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllowedOut {
    #[schema(value_type = schema::Channel)]
    channel: Channel,
    /// Whether it is on.
    enabled: bool,
    /// What is on it, in alphabetical order.
    entries: Vec<String>,
}

impl AllowedOut {
    fn new(channel: Channel, list: Allowed) -> Self {
        Self { channel, enabled: list.enabled, entries: list.entries.into_iter().collect() }
    }
}

/// Whether an allowed list is to be on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowedIn {
    enabled: bool,
}

/// What is to be on an allowed list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntriesIn {
    /// Of email, addresses and domains (not their subdomains); of text messages, phone numbers in E.164; of push
    /// notifications, tokens.
    #[schema(min_items = 1, max_items = 1000, example = json!(["ann@example.org", "example.com"]))]
    entries: Vec<String>,
}

/// Which entry.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// As it is on the list.
    #[param(example = "ann@example.org")]
    entry: String,
}

/// List allowed lists
#[utoipa::path(
    get, path = "/allowed", tag = "allowed lists",
    responses((status = 200, description = "That of each channel", body = AllowedListsOut)),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_allowed(State(context): State<Context>) -> Result<Json<AllowedListsOut>> {
    let mut items = Vec::new();
    for channel in CHANNELS {
        let list = context.store.allowed.get(channel).await?;
        items.push(AllowedSummary { channel, enabled: list.enabled, entries: list.entries.len() });
    }
    Ok(Json(AllowedListsOut { items }))
}

/// Get a channel's allowed list
#[utoipa::path(
    get, path = "/allowed/{channel}", tag = "allowed lists",
    params(("channel" = schema::Channel, Path)),
    responses(
        (status = 200, description = "All of it", body = AllowedOut),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_allowed(
    State(context): State<Context>,
    OfChannel(channel): OfChannel,
) -> Result<Json<AllowedOut>> {
    Ok(Json(AllowedOut::new(channel, context.store.allowed.get(channel).await?)))
}

/// Turn a channel's allowed list on or off
///
/// Where it is on, nothing goes out over the channel but to what is on it, of neither category, proofs and tests included:
/// where it is on and empty, nothing at all. The others are `excluded`, by the reason `not_allowed`. It holds within some
/// two seconds. Over a channel without addresses, webhook, nothing goes out while it is on.
#[utoipa::path(
    put, path = "/allowed/{channel}", tag = "allowed lists",
    params(("channel" = schema::Channel, Path)),
    request_body = AllowedIn,
    responses(
        (status = 200, description = "It is as given", body = AllowedOut),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn put_allowed(
    State(context): State<Context>,
    OfChannel(channel): OfChannel,
    Body(body): Body<AllowedIn>,
) -> Result<Json<AllowedOut>> {
    let (_, list) = context.store.allowed.change(channel, |list| list.enabled = body.enabled).await?;
    Ok(Json(AllowedOut::new(channel, list)))
}

/// Put entries on a channel's allowed list
///
/// At most 1,000, together with those that are there. It need not be on.
#[utoipa::path(
    post, path = "/allowed/{channel}/entries", tag = "allowed lists",
    params(("channel" = schema::Channel, Path)),
    request_body = EntriesIn,
    responses(
        (status = 200, description = "They are on it", body = AllowedOut),
        (status = 400, description = "One is none, or there are too many", body = ProblemSchema),
        (status = 404, description = "There is no such channel", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn add_allowed(
    State(context): State<Context>,
    OfChannel(channel): OfChannel,
    Body(body): Body<EntriesIn>,
) -> Result<Json<AllowedOut>> {
    if !(1..=MOST_ENTRIES).contains(&body.entries.len()) {
        return Err(Problem::field("entries", format!("has 1 to {MOST_ENTRIES}")));
    }
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for (index, text) in body.entries.iter().enumerate() {
        match entry(channel, text) {
            Ok(entry) => entries.push(entry),
            Err(message) => errors.push(FieldError::new(format!("entries[{index}]"), message)),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(Kind::InvalidField, errors));
    }
    let add = |list: &mut Allowed| list.entries.extend(entries.iter().cloned());
    let (_, list) = context.store.allowed.change(channel, add).await?;
    Ok(Json(AllowedOut::new(channel, list)))
}

/// Take an entry off a channel's allowed list
#[utoipa::path(
    delete, path = "/allowed/{channel}/entries", tag = "allowed lists",
    params(("channel" = schema::Channel, Path), Which),
    responses(
        (status = 204, description = "It is no longer on it"),
        (status = 404, description = "There is no such channel, or it was not on its list", body = ProblemSchema),
    ),
    security(("bearer" = ["publisher"])),
)]
pub(crate) async fn remove_allowed(
    State(context): State<Context>,
    OfChannel(channel): OfChannel,
    Params(Which { entry: text }): Params<Which>,
) -> Result<StatusCode> {
    // What could not be on it is not.
    if let Ok(entry) = entry(channel, &text) {
        let remove = |list: &mut Allowed| {
            list.entries.remove(&entry);
        };
        let (before, after) = context.store.allowed.change(channel, remove).await?;
        if before != after {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(Problem::new(Kind::NotFound, "that is not on the list"))
}

/// Refuses a proof or a test that would surely not go out, where somebody looks.
pub(crate) async fn check(context: &Context, channel: Channel, addresses: &[String]) -> Result<()> {
    let list = context.store.allowed.get(channel).await?;
    if addresses.is_empty() && !list.lets(channel, None) {
        let message = format!("nothing goes out over {}: its allowed list is on", channel.name());
        return Err(Problem::field("addresses", message));
    }
    let refused: Vec<_> = (addresses.iter().enumerate())
        .filter(|(_, address)| !list.lets(channel, Some(address)))
        .map(|(index, _)| {
            let message = format!("is not on the allowed list of {}, which is on", channel.name());
            FieldError::new(format!("addresses[{index}]"), message)
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, refused)) }
}
