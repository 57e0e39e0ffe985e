use axum::extract::State;
use campaign::EndpointId;

use super::EndpointOut;
use crate::error::{ProblemSchema, Result};
use crate::extract::{Id, Tagged};
use crate::{Context, schema};

/// Get a webhook endpoint
#[utoipa::path(
    get, path = "/webhook-endpoints/{id}", tag = "webhook endpoints",
    params(("id" = schema::Id, Path)),
    responses(
        (status = 200, description = "The endpoint", body = EndpointOut, headers(("etag" = String, description = "The revision"))),
        (status = 404, description = "There is no such endpoint", body = ProblemSchema),
    ),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn get_webhook_endpoint(
    State(context): State<Context>,
    Id(id): Id<EndpointId>,
) -> Result<Tagged<EndpointOut>> {
    let found = context.store.endpoints.get(id).await?;
    Ok(Tagged::ok(found.revision, found.value.into()))
}
