//! What an endpoint could not be told.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use campaign::{EndpointId, EventId};
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use store::endpoints::DeadLetter;
use store::messages::Notify;
use utoipa::ToSchema;

use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::{Id, Params, limit};
use crate::page::{Page, Paging};
use crate::{Context, cursor, schema};

/// An event that an endpoint could not be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterOut {
    /// The event's id, which the header `webhook-id` holds.
    #[schema(value_type = schema::Id)]
    id: String,
    /// The event as it was posted.
    #[schema(value_type = Object)]
    event: Value,
    /// How often it was posted.
    tries: u32,
    /// What went wrong last time.
    #[schema(required)]
    error: Option<String>,
    /// When it was given up. It is kept for 30 days from then on.
    #[schema(value_type = schema::Instant)]
    given_up_at: Timestamp,
}

impl From<DeadLetter> for DeadLetterOut {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.parked.event.to_string(),
            event: serde_json::from_str(&letter.parked.body).unwrap_or_default(),
            tries: letter.parked.tries,
            error: letter.parked.error,
            given_up_at: Timestamp::from_millisecond(letter.dead_ms).unwrap_or_default(),
        }
    }
}

/// The two ids of a dead letter's path.
#[derive(Debug)]
pub(crate) struct Letter(EndpointId, EventId);

impl<S: Send + Sync> FromRequestParts<S> for Letter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let found = Path::<(String, String)>::from_request_parts(parts, state).await.ok();
        let ids =
            found.and_then(|Path((endpoint, event))| Some((endpoint.parse().ok()?, event.parse().ok()?)));
        ids.map(|(endpoint, event)| Self(endpoint, event))
            .ok_or_else(|| Problem::new(Kind::NotFound, "there is no such dead letter"))
    }
}

/// List what a webhook endpoint could not be told
///
/// What it did not take in somewhat more than a day, in the order of the events' ids; kept for 30 days.
#[utoipa::path(
    get, path = "/webhook-endpoints/{id}/dead-letters", tag = "webhook endpoints",
    params(("id" = schema::Id, Path), Paging),
    responses(
        (status = 200, description = "A page", body = Page<DeadLetterOut>),
        (status = 400, description = "A parameter is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_dead_letters(
    State(context): State<Context>,
    Id(id): Id<EndpointId>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<DeadLetterOut>>> {
    let list = format!("dead letters of {id}");
    let after = cursor::decode::<EventId>(&list, paging.cursor.as_deref())?.map(|event| event.to_string());
    let limit = limit(paging.limit)?;
    context.store.endpoints.get(id).await?;
    let (found, next) = context.store.endpoints.dead_letters(id, after, limit).await?;
    Ok(Json(Page {
        items: found.into_iter().map(DeadLetterOut::from).collect(),
        next_cursor: next.map(|next| cursor::encode(&list, next)),
    }))
}

/// Tell a webhook endpoint again whatever it could not be told
///
/// Every dead letter of this moment is posted anew, under its old id, soon; with all the tries before it that a new event has.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/dead-letters/replay", tag = "webhook endpoints",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 202, description = "They will be posted"),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
        (status = 409, description = "The endpoint is disabled", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn replay_dead_letters(
    State(context): State<Context>,
    Id(endpoint): Id<EndpointId>,
) -> Result<StatusCode> {
    enabled(&context, endpoint).await?;
    let until_ms = context.now().as_millisecond();
    let message = Notify::Replay { endpoint, until_ms, after: None }.message();
    context.store.platform.queue.send(vec![message]).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Tell a webhook endpoint again one thing that it could not be told
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/dead-letters/{event_id}/replay", tag = "webhook endpoints",
    params(("id" = schema::Id, Path), ("event_id" = schema::Id, Path)),
    responses(
        (status = 202, description = "It will be posted"),
        (status = 404, description = "There is no such endpoint or dead letter", body = ProblemSchema),
        (status = 409, description = "The endpoint is disabled", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn replay_dead_letter(
    State(context): State<Context>,
    Letter(endpoint, event): Letter,
) -> Result<StatusCode> {
    enabled(&context, endpoint).await?;
    let letter = context.store.endpoints.dead_letter(endpoint, event).await?;
    context.store.endpoints.revive(endpoint, vec![letter]).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What is told to nobody would be a dead letter again at once.
async fn enabled(context: &Context, endpoint: EndpointId) -> Result<()> {
    if context.store.endpoints.get(endpoint).await?.value.disabled {
        return Err(Problem::new(Kind::Conflict, "the endpoint is disabled: enable it before"));
    }
    Ok(())
}
