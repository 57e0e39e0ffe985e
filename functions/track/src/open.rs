//! The picture that tells that a message is opened.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use links::Kind;

use crate::Context;
use crate::visit::count;
use crate::visitor::Visitor;

/// One transparent pixel.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x21\xf9\x04\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";
/// How long it may take to count: nobody waits for a picture that can't be seen.
const WITHIN: Duration = Duration::from_secs(3);

/// Counts and gives the picture. That it gives whatever happens: a broken picture helps nobody.
pub(crate) async fn open(
    State(context): State<Context>,
    method: Method,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
) -> Response {
    if let Ok(Path(token)) = token {
        let token = token.strip_suffix(".gif").unwrap_or(&token);
        if let Ok(link) = context.read(Kind::Open, token, "").await {
            let fact = Visitor::of(&method, &headers).opens();
            count(&context, &link.member, fact, None, WITHIN).await;
        }
    }
    picture()
}

/// The picture, which no cache keeps: it is to be asked for each time.
pub(crate) fn picture() -> Response {
    let mut response = PIXEL.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    let caching = HeaderValue::from_static("no-store, no-cache, must-revalidate, private, max-age=0");
    headers.insert(CACHE_CONTROL, caching);
    response
}
