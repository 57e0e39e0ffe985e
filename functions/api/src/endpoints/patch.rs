use axum::extract::State;
use campaign::EndpointId;
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::{EndpointOut, EventName, check, types};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, IfMatch, Tagged};
use crate::{Context, schema};

/// How often a patch that names no revision is tried anew when others change the endpoint at the same time.
const TRIES: usize = 3;

/// What is to change of a webhook endpoint; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointPatch {
    /// Where events are posted to.
    #[schema(max_length = 2000)]
    url: Option<String>,
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Of which events it is told; of all where the list is empty.
    #[schema(max_items = 100)]
    events: Option<Vec<EventName>>,
    /// Whether it is told nothing for now: what waits for it becomes dead letters.
    disabled: Option<bool>,
}

/// Change a webhook endpoint
///
/// A change is seen within seconds. Enabling it does not send again what it missed; replaying its dead letters does.
#[utoipa::path(
    patch, path = "/webhook-endpoints/{id}", tag = "webhook endpoints",
    params(("id" = schema::Id, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was read")),
    request_body = EndpointPatch,
    responses(
        (status = 200, description = "Changed", body = EndpointOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
        (status = 409, description = "It kept changing", body = ProblemSchema),
        (status = 412, description = "It is not what If-Match says", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn patch_webhook_endpoint(
    State(context): State<Context>,
    Id(id): Id<EndpointId>,
    if_match: IfMatch,
    Body(patch): Body<EndpointPatch>,
) -> Result<Tagged<EndpointOut>> {
    let mut tries = TRIES;
    loop {
        let found = context.store.endpoints.get(id).await?;
        if_match.check(found.revision)?;
        let (mut endpoint, patch) = (found.value, patch.clone());
        endpoint.url = patch.url.unwrap_or(endpoint.url);
        endpoint.description = patch.description.unwrap_or(endpoint.description);
        endpoint.events = patch.events.map_or(endpoint.events, types);
        if let Some(disabled) = patch.disabled {
            endpoint.disabled = disabled;
            endpoint.gone_at = endpoint.gone_at.filter(|_| disabled);
        }
        check(&context, &endpoint)?;
        tries -= 1;
        match context.store.endpoints.put(&endpoint, found.revision).await {
            Ok(()) => return Ok(Tagged::ok(found.revision + 1, endpoint.into())),
            Err(StoreError::Stale { .. }) if !if_match.may_retry() => return Err(IfMatch::failed()),
            Err(StoreError::Stale { .. }) if tries > 0 => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
}
