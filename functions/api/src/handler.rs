//! The router: every operation, and around them the log, the guard and the memory for repeated calls.

use std::sync::{Arc, LazyLock};

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, middleware};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Guard;
use crate::error::{Kind, Problem};
use crate::extract::MAX_BODY;
use crate::{
    Context, access_log, auth, campaigns, configurations, credentials, executions, health, idempotency, im,
    jobs, keys, openapi as document, profiles, segments,
};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document::complete(operations().get_openapi()));

/// The API over this context.
pub fn router(context: Context) -> Router {
    let platform = &context.store.platform;
    let clock = Arc::clone(&platform.clock);
    let guard = Guard::new(&DOCUMENT, context.store.keys.clone(), Arc::clone(&clock));
    let kept = context.store.idempotency.clone();
    let text = document::Text(DOCUMENT.to_string().into());
    let (router, _) = operations().split_for_parts();
    // The last layer is the outermost.
    router
        .fallback(no_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(text))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(kept, idempotency::once))
        .layer(middleware::from_fn_with_state(guard, auth::guard))
        .layer(middleware::from_fn_with_state(clock, access_log::watch))
        .with_state(context)
}

/// The OpenAPI document of the API.
pub fn openapi() -> &'static Value {
    &DOCUMENT
}

fn operations() -> OpenApiRouter<Context> {
    OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(profiles::routes())
        .merge(segments::routes())
        .merge(configurations::routes())
        .merge(credentials::routes())
        .merge(campaigns::routes())
        .merge(executions::routes())
        .merge(im::routes())
        .merge(jobs::routes())
        .merge(keys::routes())
        .routes(routes!(health::health))
        .routes(routes!(document::get_openapi))
}

async fn no_route() -> Response {
    Problem::new(Kind::NoRoute, "see /openapi.json for what there is").into_response()
}

async fn method_not_allowed() -> Response {
    Problem::new(Kind::MethodNotAllowed, "see /openapi.json for what there is").into_response()
}
