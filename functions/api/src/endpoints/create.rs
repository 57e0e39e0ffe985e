use axum::extract::State;
use campaign::EndpointId;
use outbound::standard_webhooks::Secret;
use serde::Deserialize;
use store::endpoints::Endpoint;
use utoipa::ToSchema;

use super::{EndpointOut, EventName, SecretOut, check, types};
use crate::Context;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Body, Tagged};

/// A webhook endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointIn {
    /// Where events are posted to: https, and of the public Internet, unless the operator allows more.
    #[schema(max_length = 2000, example = "https://example.com/envoi")]
    url: String,
    /// What it is for, for people.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// Of which events it is told; of all where there is none.
    #[serde(default)]
    #[schema(max_items = 100)]
    events: Vec<EventName>,
    /// Whether it is told nothing for now.
    #[serde(default)]
    disabled: bool,
}

/// Register a webhook endpoint
///
/// It is told what becomes of each message of transactional campaigns, by events that are signed after Standard Webhooks. An
/// Idempotency-Key is refused here: the answer holds a secret, which is never kept.
#[utoipa::path(
    post, path = "/webhook-endpoints", tag = "webhook endpoints",
    request_body = EndpointIn,
    responses(
        (status = 201, description = "Registered", body = SecretOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 409, description = "There are as many as there can be", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn create_webhook_endpoint(
    State(context): State<Context>,
    Body(body): Body<EndpointIn>,
) -> Result<Tagged<SecretOut>> {
    let now = context.now();
    let endpoint = Endpoint {
        id: EndpointId::ordered(now.as_millisecond()),
        url: body.url,
        description: body.description,
        events: types(body.events),
        disabled: body.disabled,
        gone_at: None,
        created_at: now,
        secret_at: now,
    };
    check(&context, &endpoint)?;
    let secret = Secret::generate();
    context.store.endpoints.create(&endpoint, secret.reveal()).await?;
    let secret = secret.reveal().to_owned();
    Ok(Tagged::created(1, SecretOut { endpoint: EndpointOut::from(endpoint), secret }))
}
