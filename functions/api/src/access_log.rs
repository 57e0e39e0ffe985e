//! One line a request; and whatever goes wrong below becomes a problem.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use platform::Clock;
use tracing::{error, info};

use crate::error::{PROBLEM_JSON, Problem};

/// Runs a request, answers a panic with a problem, and logs a line. Never a body, a query or an address: the path is the
/// pattern it matched.
pub(crate) async fn watch(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let began = clock.monotonic();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        error!(%method, path, "{method} {path} panicked");
        Problem::internal().into_response()
    });
    let status = response.status();
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    let response = if (status.is_client_error() || status.is_server_error()) && !is_problem {
        let mut problem = Problem::of_status(status).into_response();
        if let Some(allow) = response.headers().get(http::header::ALLOW) {
            problem.headers_mut().insert(http::header::ALLOW, allow.clone());
        }
        problem
    } else {
        response
    };
    let duration_ms = (clock.monotonic() - began).as_millis();
    let status = response.status().as_u16();
    info!(%method, path, status, duration_ms, "{method} {path} -> {status} in {duration_ms} ms");
    response
}
