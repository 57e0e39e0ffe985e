//! The router: every operation, and around them the log, the guard and the memory for repeated calls.

use std::sync::{Arc, LazyLock};

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use serde_json::Value;
use utoipa::OpenApi;

use crate::auth::Guard;
use crate::error::{Kind, Problem};
use crate::extract::MAX_BODY;
use crate::operations::{Collect, Documented, Served, routes};
use crate::{
    Context, access_log, allowed, auth, campaigns, configurations, credentials, endpoints, executions,
    health, idempotency, im, jobs, keys, openapi as document, profiles, reports, rules, segments,
    suppressions, topics,
};

/// The API over this context.
pub fn router(context: Context) -> Router {
    let platform = &context.store.platform;
    let clock = Arc::clone(&platform.clock);
    let Served { router, operations } = operations(Served::default());
    let guard = Guard::new(operations, document::COMMITTED, context.store.keys.clone(), Arc::clone(&clock));
    let kept = context.store.idempotency.clone();
    // The last layer is the outermost.
    router
        .fallback(no_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(kept, idempotency::once))
        .layer(middleware::from_fn_with_state(guard, auth::guard))
        .layer(middleware::from_fn_with_state(clock, access_log::watch))
        .with_state(context)
}

/// The OpenAPI document of the API, made of the code. What is served is how it was committed; a test keeps them the same.
pub fn openapi() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let Documented(document) = operations(Documented(document::Document::openapi()));
        document::complete(&document)
    });
    &DOCUMENT
}

fn operations<C: Collect>(into: C) -> C {
    let into = profiles::routes(into);
    let into = segments::routes(into);
    let into = configurations::routes(into);
    let into = credentials::routes(into);
    let into = campaigns::routes(into);
    let into = executions::routes(into);
    let into = reports::routes(into);
    let into = im::routes(into);
    let into = jobs::routes(into);
    let into = keys::routes(into);
    let into = endpoints::routes(into);
    let into = suppressions::routes(into);
    let into = rules::routes(into);
    let into = allowed::routes(into);
    let into = topics::routes(into);
    routes!(into, health::health, document::get_openapi)
}

async fn no_route() -> Response {
    Problem::new(Kind::NoRoute, "see /openapi.json for what there is").into_response()
}

async fn method_not_allowed() -> Response {
    Problem::new(Kind::MethodNotAllowed, "see /openapi.json for what there is").into_response()
}
