//! Events that are posted by HTTP: checked, and put on the queue. They are on it when the answer goes out.
//!
//! # Events in our own words
//!
//! `POST /feedback/events`, as `application/json`, with an API key of a manager:
//!
//! ```json
//! { "events": [ {
//!     "message_id": "01jd...-00-0-17-42",
//!     "type": "soft_bounced",
//!     "cause": "message",
//!     "channel": "sms",
//!     "address": "+33612345678",
//!     "at": "2026-11-26T10:00:00Z"
//! } ] }
//! ```
//!
//! - `message_id`: the id that the provider was given with the message, or an email's Message-ID. Only a `hard_bounced` may
//!   do without, if it has an `address`: then that address is suppressed, and nothing counted.
//! - `type`: `sent`, `delayed`, `soft_bounced`, `delivered`, `hard_bounced`, `complained`, `unsubscribed`, `rejected` (the
//!   provider had taken it, and does not send it) or `render_failed`.
//! - `cause` of a bounce: `address` (where absent) counts against the address, `message` and `list` do not.
//! - `channel`: `email` where absent. `address`: to whom it went; without it nothing is suppressed. `at`: now where absent.
//!
//! # Mail that came back
//!
//! `POST /feedback/bounces`, with such a key, takes a mail as it came to the sender's mailbox, as `message/rfc822`: a
//! [`report`], or any other mail, which tells nothing. It takes events, too. Since anybody can write such a mail, it counts
//! only where it gives back the Message-ID of one of ours, and suppresses only the address in the profile it went to.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::{MessageId, tags};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use platform::queue::MAX_BODY_BYTES;
use platform::{Message, PlatformError, batch};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::StoreError;
use store::keys::Role;
use store::messages::{Feedback, Reported};
use store::tables::FEEDBACK;
use tracing::{error, warn};

use crate::read::{Unread, report};
use crate::sns::{Asks, Refusal};
use crate::{Context, ProviderEvent};

/// The largest body, in bytes: a mail that came back may have all of ours in it.
const MAX_BODY: usize = 6 << 20;
/// The most events in one call, and in one message on the queue.
const MOST_EVENTS: usize = 1000;
const MOST_IN_A_MESSAGE: usize = 100;
/// The longest address, in bytes: an email's.
const LONGEST_ADDRESS: usize = 320;

/// The paths that events are posted to.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/feedback/sns", post(sns))
        .route("/feedback/events", post(events))
        .route("/feedback/bounces", post(events))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(context)
}

/// Why a call is refused.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_field", detail)
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again in a moment")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(),
            "code": self.code, "detail": self.detail,
        });
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // These are the caller's doing, and no better another time. What they say is of sizes, and of our own queues.
        match &error {
            StoreError::Platform(PlatformError::TooLarge { .. }) => {
                let detail = "what was posted is too large for the queue: post less at once";
                return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
            }
            StoreError::Platform(PlatformError::Invalid(_)) => {
                return Self::invalid("what was posted holds what the queue does not take");
            }
            _ => {}
        }
        error!(error = %batch::chain(&error), "what was posted can't be taken");
        Self::unavailable()
    }
}

impl From<PlatformError> for Problem {
    fn from(error: PlatformError) -> Self {
        StoreError::Platform(error).into()
    }
}

/// What SNS posts.
async fn sns(State(context): State<Arc<Context>>, body: Bytes) -> Result<StatusCode, Problem> {
    if !context.sns.is_listening() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_path", "no topic of SNS is listened to"));
    }
    let text = std::str::from_utf8(&body).ok().filter(|text| text.len() <= MAX_BODY_BYTES / 2);
    let Some(text) = text else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_body", Refusal::Unreadable.to_string()));
    };
    match context.sns.heed(text, context.store.platform.clock.now()).await {
        Ok(Asks::Reading(message)) => {
            // As if it had come there by itself, and without what is not signed. SQS takes every character but these two as
            // they are.
            let text = json!({ "Type": "Notification", "Message": message }).to_string();
            let text = text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
            context.store.platform.queue.send(vec![Message::new(FEEDBACK, text)]).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(Asks::Nothing) => Ok(StatusCode::NO_CONTENT),
        Err(refusal) => {
            warn!(why = %refusal, "a post in the name of SNS is refused: {refusal}");
            Err(match refusal {
                Refusal::Unreachable => Problem::unavailable(),
                Refusal::Unreadable => {
                    Problem::new(StatusCode::BAD_REQUEST, "malformed_body", refusal.to_string())
                }
                _ => Problem::new(StatusCode::FORBIDDEN, "forbidden", refusal.to_string()),
            })
        }
    }
}

/// What was taken of a call.
#[derive(Debug, Serialize)]
struct Taken {
    /// How many events were.
    accepted: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    events: Vec<PostedEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostedEvent {
    message_id: Option<String>,
    r#type: Report,
    cause: Option<Cause>,
    channel: Option<Channel>,
    address: Option<String>,
    at: Option<Timestamp>,
}

impl std::fmt::Debug for PostedEvent {
    /// Without the address: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostedEvent").field("type", &self.r#type).finish_non_exhaustive()
    }
}

/// What whoever has a key posts.
async fn events(
    State(context): State<Arc<Context>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, axum::Json<Taken>), Problem> {
    allow(&context, &headers).await?;
    let now_ms = context.store.platform.clock.now().as_millisecond();
    let reported = match essence(&headers).as_str() {
        "message/rfc822" | "message/global" => mailed(&body, now_ms)?,
        "application/json" => posted(&body, now_ms)?,
        _ => {
            let detail = "the body must be application/json or message/rfc822";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
    };
    let messages: Vec<_> = reported
        .chunks(MOST_IN_A_MESSAGE)
        .map(|some| Feedback { feedback: some.to_vec() }.message())
        .collect();
    if !messages.is_empty() {
        context.store.platform.queue.send(messages).await?;
    }
    Ok((StatusCode::ACCEPTED, axum::Json(Taken { accepted: reported.len() })))
}

fn mailed(body: &[u8], now_ms: i64) -> Result<Vec<Reported>, Problem> {
    match report::events(body, now_ms) {
        Ok(events) => {
            // Anybody can write such a mail, but only who has seen our message knows its id.
            let ours = events.iter().filter(|event| matches!(event.of, Some(MessageId::Member(_))));
            Ok(ours.take(MOST_EVENTS).map(ProviderEvent::reported).map(bounded).collect())
        }
        // Nobody reads what is answered to a mail server: it is taken, and tells nothing.
        Err(Unread::Malformed) => Ok(Vec::new()),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_body", "the body is no mail")),
    }
}

fn posted(body: &[u8], now_ms: i64) -> Result<Vec<Reported>, Problem> {
    let Posted { events } = serde_json::from_slice(body).map_err(|error| match error.is_data() {
        // What the parser says of data may quote it, but it is the caller's own.
        true => Problem::invalid(error.to_string()),
        false => Problem::new(StatusCode::BAD_REQUEST, "malformed_body", error.to_string()),
    })?;
    if events.len() > MOST_EVENTS {
        return Err(Problem::invalid(format!("events: there are more than {MOST_EVENTS}")));
    }
    let read = |(index, event): (usize, PostedEvent)| {
        let wrong = |what: &str| Problem::invalid(format!("events[{index}].{what}"));
        let message = event.message_id.as_deref().map(tags::parse);
        match message {
            Some(None) => return Err(wrong("message_id: is not the id of one of our messages")),
            None if event.r#type != Report::HardBounced || event.address.is_none() => {
                return Err(wrong("message_id: is missing, which a hard_bounced with an address may alone"));
            }
            _ => {}
        }
        Ok(bounded(Reported {
            message_id: message.flatten().map(|message| message.to_string()),
            channel: event.channel.unwrap_or(Channel::Email),
            report: event.r#type,
            cause: event.cause.unwrap_or_default(),
            at_ms: event.at.map_or(now_ms, Timestamp::as_millisecond),
            address: event.address,
            waits_since_ms: None,
            mailed: false,
        }))
    };
    events.into_iter().enumerate().map(read).collect()
}

/// An event without an address that can be none: what else it says counts.
fn bounded(mut event: Reported) -> Reported {
    let is_odd =
        |c: char| c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    event.address = event.address.filter(|given| given.len() <= LONGEST_ADDRESS && !given.contains(is_odd));
    event
}

/// Lets through whoever has the key of a manager.
async fn allow(context: &Context, headers: &HeaderMap) -> Result<(), Problem> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let own = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    for secret in [bearer, own].into_iter().flatten().filter(|secret| !secret.is_empty()) {
        match context.store.keys.find(secret).await? {
            Some(key) if key.role >= Role::Manager => return Ok(()),
            Some(_) => {
                let detail = "this takes the role manager";
                return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
            }
            None => {}
        }
    }
    let detail = "give an API key as Authorization: Bearer <key> or x-api-key: <key>";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail))
}

/// The body's media type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> String {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
