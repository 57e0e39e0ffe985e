//! One line a request; and whatever goes wrong below becomes a problem.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use campaign::id::random_bytes;
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use platform::Clock;
use tracing::{Instrument, error, error_span, info};

use crate::auth::Caller;
use crate::error::{PROBLEM_JSON, Problem};

/// What a request is called in the log: as whoever hands it to the router called it, by an extension of this type, or by a
/// random name. Never by what the request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    fn random() -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random_bytes())))
    }
}

impl From<String> for RequestId {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// Runs a request, answers a panic with a problem, and logs a line. Never a body, a query or an address: the path is the
/// pattern it matched, the key its id. Whatever else is logged meanwhile stands in a span with the request's id.
pub(crate) async fn watch(clock: State<Arc<dyn Clock>>, mut request: Request, next: Next) -> Response {
    let RequestId(id) = request.extensions_mut().remove().unwrap_or_else(RequestId::random);
    let span = error_span!("request", request_id = id);
    log(clock, request, next).instrument(span).await
}

async fn log(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let began = clock.monotonic();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        error!(%method, path, "{method} {path} panicked");
        Problem::internal().into_response()
    });
    let key =
        response.extensions().get::<Caller>().map_or_else(|| "none".to_owned(), |caller| caller.id.clone());
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
    let duration_ms = u64::try_from((clock.monotonic() - began).as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    info!(%method, path, status, duration_ms, key, "{method} {path} -> {status} in {duration_ms} ms");
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::StatusCode;
    use platform::SystemClock;
    use tower::ServiceExt;

    use super::*;

    async fn panicking() -> StatusCode {
        panic!("secret")
    }

    async fn plain() -> (StatusCode, &'static str) {
        (StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded")
    }

    async fn call(path: &str) -> (StatusCode, serde_json::Value) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let router = Router::new()
            .route("/panic", get(panicking))
            .route("/plain", get(plain))
            .layer(from_fn_with_state(clock, watch));
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_gives_nothing_away() {
        let (status, problem) = call("/panic").await;
        assert_eq!((status.as_u16(), &problem["code"]), (500, &"internal".into()));
        assert!(!problem.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn whatever_refuses_below_the_handlers_becomes_a_problem() {
        let (status, problem) = call("/plain").await;
        assert_eq!((status.as_u16(), &problem["code"]), (413, &"body_too_large".into()));
    }
}
