//! Links that lead past us.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use links::{About, Kind, TokenError, target_of};

use crate::Context;
use crate::context::Broken;
use crate::location::location;
use crate::page::{Refusal, refuse, refuse_broken};
use crate::visit::count;
use crate::visitor::Visitor;

/// How long somebody waits for us at most before they are led on, counted or not. Long enough for a function that starts
/// and speaks to the database for the first time.
const WITHIN: Duration = Duration::from_secs(1);

/// Counts, and leads on to exactly what the link was signed with. `302`, which every client follows by GET. No
/// `Referrer-Policy` goes with it: what the target learns is what it would by the link itself, which is never of this
/// address.
pub(crate) async fn click(
    State(context): State<Context>,
    method: Method,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let Ok(Path((token, segment))) = path else { return refuse(Refusal::Invalid, &headers) };
    let Some(target) = target_of(&segment) else { return refuse(Refusal::Invalid, &headers) };
    let link = match context.read(Kind::Click, &token, &target).await {
        Ok(link) => link,
        Err(broken) => return refuse_broken(&broken, &headers),
    };
    let (About::Click(number), Some(location)) = (link.about, location(&target)) else {
        return refuse_broken(&Broken::Token(TokenError::Invalid), &headers);
    };
    let fact = Visitor::of(&method, &headers).clicks();
    count(&context, &link.member, fact, Some(number), WITHIN).await;
    let caching = HeaderValue::from_static("no-store");
    (StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, caching)]).into_response()
}
