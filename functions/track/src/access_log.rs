//! One line a request, without who or what it is about; and whatever goes wrong below is answered.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use campaign::id::random_bytes;
use futures::FutureExt;
use http::HeaderMap;
use links::Kind;
use tracing::{Instrument, error, error_span, info};

use crate::page::{Refusal, refuse};
use crate::{Context, open};

/// What a request is called in the log: as whoever hands it to the router called it, by an extension of this type, or by a
/// random name.
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

/// Runs a request, answers a panic, and logs a line, of the path the pattern it matched and no more: a token is about
/// somebody.
pub(crate) async fn watch(context: State<Context>, mut request: Request, next: Next) -> Response {
    let RequestId(id) = request.extensions_mut().remove().unwrap_or_else(RequestId::random);
    let span = error_span!("request", request_id = id);
    log(context, request, next).instrument(span).await
}

async fn log(State(context): State<Context>, request: Request, next: Next) -> Response {
    let began = context.clock().monotonic();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        error!(%method, path, "{method} {path} panicked");
        if path.starts_with(Kind::Open.path()) {
            return open::picture();
        }
        refuse(Refusal::Trouble, &HeaderMap::new())
    });
    let duration_ms = u64::try_from((context.clock().monotonic() - began).as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    info!(%method, path, status, duration_ms, "{method} {path} -> {status} in {duration_ms} ms");
    response
}
