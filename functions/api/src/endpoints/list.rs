use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::EndpointOut;
use crate::Context;
use crate::error::Result;

/// Every webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointsOut {
    items: Vec<EndpointOut>,
}

/// List webhook endpoints
///
/// All of them, the oldest first: there can be only a few.
#[utoipa::path(
    get, path = "/webhook-endpoints", tag = "webhook endpoints",
    responses((status = 200, description = "The endpoints", body = EndpointsOut)),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_webhook_endpoints(State(context): State<Context>) -> Result<Json<EndpointsOut>> {
    let found = context.store.endpoints.all().await?;
    Ok(Json(EndpointsOut { items: found.into_iter().map(|found| found.value.into()).collect() }))
}
