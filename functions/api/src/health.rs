use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Context;
use crate::error::{ProblemSchema, Result};

/// That the service works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthOut {
    /// `ok`.
    status: &'static str,
    /// The version that runs.
    version: &'static str,
}

/// Ask whether the service works
///
/// It reads its table to find out.
#[utoipa::path(
    get, path = "/health", tag = "service",
    responses(
        (status = 200, description = "It does", body = HealthOut),
        (status = 503, description = "The table can't be read", body = ProblemSchema),
    ),
    security(()),
)]
pub(crate) async fn health(State(context): State<Context>) -> Result<Json<HealthOut>> {
    context.store.keys.find("").await?;
    Ok(Json(HealthOut { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}
