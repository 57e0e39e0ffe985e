use axum::Json;
use serde_json::{Value, json};

/// Whether the execution API answers
#[utoipa::path(
    get, path = "/im/health", tag = "executions api",
    responses((status = 200, description = "It does")),
    security(()),
)]
pub(crate) async fn im_health() -> Json<Value> {
    Json(json!({ "status": "UP" }))
}
