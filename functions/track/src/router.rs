use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Router, middleware};
use http::HeaderMap;

use crate::page::{Refusal, refuse};
use crate::{Context, access_log, click, open, unsubscribe, view};

/// The most that may be posted, in bytes: a form has a few short fields.
const MAX_BODY: usize = 16 * 1024;

/// Public links over this context. It answers below `/t/` only, so that it can be merged into a router of other paths.
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/t/o/{token}", get(open::open))
        .route("/t/c/{token}/{target}", get(click::click))
        .route("/t/u/{token}", get(unsubscribe::ask).post(unsubscribe::post))
        .route("/t/v/{token}", get(view::view))
        .route("/t/{*rest}", any(none))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(context.clone(), access_log::watch))
        .with_state(context)
}

/// What is no link of ours: somebody's mail program has cut one short.
async fn none(headers: HeaderMap) -> Response {
    refuse(Refusal::Invalid, &headers)
}
