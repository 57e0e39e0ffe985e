use std::time::Duration;

use axum::extract::State;
use campaign::EndpointId;
use outbound::standard_webhooks::Secret;
use serde::Deserialize;
use store::endpoints::OVERLAP;
use utoipa::ToSchema;

use super::{EndpointOut, SecretOut};
use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::{Body, Id, Tagged};
use crate::{Context, schema};

/// The longest overlap: a week.
const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 3600;

/// How a secret is exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationIn {
    /// For how long messages are signed with the secret before, too, in seconds: a day where absent.
    #[schema(maximum = 604_800)]
    overlap_seconds: Option<u32>,
}

/// Exchange a webhook endpoint's secret
///
/// For a while messages are signed with both, so that the receiver can change over without losing one. An Idempotency-Key is
/// refused here: the answer holds a secret, which is never kept.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/rotate-secret", tag = "webhook endpoints",
    params(("id" = schema::Id, Path)),
    request_body = Option<RotationIn>,
    responses(
        (status = 200, description = "Exchanged", body = SecretOut, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
        (status = 409, description = "It changed meanwhile", body = ProblemSchema),
    ),
    security(("bearer" = ["admin"])),
)]
pub(crate) async fn rotate_webhook_secret(
    State(context): State<Context>,
    Id(id): Id<EndpointId>,
    body: Option<Body<RotationIn>>,
) -> Result<Tagged<SecretOut>> {
    let asked = body.and_then(|Body(body)| body.overlap_seconds);
    if asked.is_some_and(|seconds| seconds > MAX_OVERLAP_SECONDS) {
        return Err(Problem::field("overlap_seconds", format!("must be at most {MAX_OVERLAP_SECONDS}")));
    }
    let overlap = asked.map_or(OVERLAP, |seconds| Duration::from_secs(seconds.into()));
    let found = context.store.endpoints.get(id).await?;
    let secret = Secret::generate();
    let changed = context.store.endpoints.change_secret(&found, secret.reveal(), overlap).await?;
    let secret = secret.reveal().to_owned();
    Ok(Tagged::ok(found.revision + 1, SecretOut { endpoint: EndpointOut::from(changed), secret }))
}
