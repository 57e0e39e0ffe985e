//! Idempotency-Key: of several calls with one key the first is carried out and all get its answer.

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use platform::batch;
use store::Idempotency;
use store::idempotency::{Begun, Call, CallKey, KeptAnswer};
use tracing::{Instrument, error};

use crate::auth::Caller;
use crate::error::{Kind, Problem};
use crate::extract::MAX_BODY;
use crate::openapi::shows_secret;

const HEADER: &str = "idempotency-key";
/// Says that an answer is that of an earlier call.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The headers that are kept with an answer.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];
/// The longest key, in characters.
const MAX_KEY: usize = 255;
/// The most bytes of an answer that is kept.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Carries a POST with an Idempotency-Key out once.
pub(crate) async fn once(State(kept): State<Idempotency>, request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    // Imports are streams of any length, and importing a file again changes nothing.
    let is_import =
        request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str().ends_with("/import"));
    let caller = request.extensions().get::<Caller>().cloned();
    let (true, false, Some(caller), Some(value)) =
        (is_post, is_import, caller, request.headers().get(HEADER))
    else {
        return next.run(request).await;
    };
    if shows_secret(request.uri().path()) {
        let detail = "a secret is shown once and never kept, so Idempotency-Key can't be given here";
        return Problem::new(Kind::InvalidHeader, detail).into_response();
    }
    let key = match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY => key,
        _ => {
            let detail = format!("Idempotency-Key has 1 to {MAX_KEY} characters of visible ASCII");
            return Problem::new(Kind::InvalidHeader, detail).into_response();
        }
    };
    let key = CallKey::new(&caller.id, request.method().as_str(), request.uri().path(), key);
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, MAX_BODY).await {
        Ok(body) => body,
        Err(_) => {
            let detail = format!("the body broke off, or has more than {MAX_BODY} bytes");
            return Problem::new(Kind::BodyTooLarge, detail).into_response();
        }
    };
    // Two calls that differ in their query differ.
    let whole = [parts.uri.query().unwrap_or_default().as_bytes(), b"\n", &body].concat();
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: a client that hangs up cuts off whatever works at its answer, and what is begun under a key must
    // come to an answer that is kept, or a repeat would carry it out again.
    let work = async move { carry_out(&kept, key, &whole, request, next).await };
    let carried_out = tokio::spawn(work.in_current_span());
    // It has panicked otherwise, of which the panic itself tells.
    carried_out.await.unwrap_or_else(|_| Problem::internal().into_response())
}

/// Carries a call out, where it is the first with its key.
async fn carry_out(kept: &Idempotency, key: CallKey, whole: &[u8], request: Request, next: Next) -> Response {
    match kept.begin(key, whole).await {
        Err(error) => Problem::from(error).into_response(),
        Ok(Begun::InProgress) => {
            Problem::new(Kind::IdempotencyInProgress, "wait for its answer, or ask again later")
                .into_response()
        }
        Ok(Begun::OtherBody) => {
            Problem::new(Kind::IdempotencyMismatch, "use a new key for a new call").into_response()
        }
        Ok(Begun::Answered(answer)) => replay(answer),
        Ok(Begun::Erased) => Problem::new(
            Kind::AnswerErased,
            "the call was carried out; its answer showed a person who was erased since",
        )
        .into_response(),
        Ok(Begun::First(call)) => settle(kept, call, next.run(request).await).await,
    }
}

/// Keeps the answer to the first call with a key, or gives the key back where we failed.
async fn settle(kept: &Idempotency, call: Call, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.unwrap_or_default();
    let done = if parts.status.is_server_error() {
        kept.release(call).await
    } else {
        let headers = KEPT
            .iter()
            .filter_map(|name| {
                let value = parts.headers.get(name)?.to_str().ok()?;
                Some((name.as_str().to_owned(), value.to_owned()))
            })
            .collect();
        let answer = KeptAnswer { status: parts.status.as_u16(), headers, body: body.to_vec() };
        kept.keep(&call, &answer).await
    };
    if let Err(error) = done {
        // The call itself was carried out, so its answer is the right one; a repeat has to wait for the lease.
        error!(error = %batch::chain(&error), "the answer of a call could not be kept");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(answer: KeptAnswer) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
