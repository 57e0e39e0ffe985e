//! Whatever comes on the queue, as [`ProviderEvent`]s: envelopes are opened, and each dialect is read.
//!
//! An event comes bare or in an envelope, and envelopes in envelopes: SNS puts it as text into `Message`, EventBridge as an
//! object into `detail`. Our own functions put [`Feedback`](store::messages::Feedback) on the same queue.

mod json;
pub mod report;
mod ses;
mod sms;

use serde::Deserialize;
use store::messages::Reported;
use thiserror::Error;

use self::json::{Outer, Text, Wire};
use crate::event::ProviderEvent;

/// How many envelopes of SNS may lie around each other: one is the most that anybody makes.
const DEEPEST: usize = 3;

/// Why there are no events to be read. Nothing of it is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unread {
    /// It is no JSON, as what SES says when a topic is first given to it.
    #[error("it is no JSON")]
    NotJson,
    /// It is JSON, and nothing that we know.
    #[error("it is no event that is known")]
    Unknown,
    /// It calls itself an event that we know, and lacks what such a one has.
    #[error("it lacks what an event of its kind has")]
    Malformed,
}

/// The events that a body holds. None where they are of a kind that tells us nothing: opens and clicks, which we find out
/// by ourselves, or an automatic reply. `now_ms` is when it was received, in milliseconds since the Unix epoch: nothing came
/// about later.
///
/// # Errors
/// [`Unread`].
pub fn events(body: &str, now_ms: i64) -> Result<Vec<ProviderEvent>, Unread> {
    let mut events = opened(body, now_ms, 0)?;
    for event in &mut events {
        event.at_ms = event.at_ms.clamp(0, now_ms.max(0));
    }
    Ok(events)
}

fn opened(body: &str, now_ms: i64, depth: usize) -> Result<Vec<ProviderEvent>, Unread> {
    if depth == DEEPEST {
        return Err(Unread::Unknown);
    }
    match serde_json::from_str::<Outer<'_>>(body) {
        Ok(Wire { detail: Some(detail), .. }) => inside(&detail, now_ms, depth),
        // We put ours into no envelope: in one, it is what somebody else may say.
        Ok(Wire { feedback: Some(told), .. }) if depth == 0 => {
            Ok(told.into_iter().map(ProviderEvent::from).collect())
        }
        Ok(wire) => inside(&wire, now_ms, depth),
        Err(error) if error.is_data() => Err(unreadable(body)),
        Err(_) => Err(Unread::NotJson),
    }
}

/// What can't be read as an event either is one that lacks something, or none at all.
fn unreadable(body: &str) -> Unread {
    #[derive(Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    #[derive(Default)]
    struct Names<'a> {
        #[serde(borrow)]
        event_type: Text<'a>,
        #[serde(borrow)]
        notification_type: Text<'a>,
    }
    match serde_json::from_str::<Names<'_>>(body) {
        Ok(names) if names.event_type.is_some() || names.notification_type.is_some() => Unread::Malformed,
        _ => Unread::Unknown,
    }
}

fn inside<D>(wire: &Wire<'_, D>, now_ms: i64, depth: usize) -> Result<Vec<ProviderEvent>, Unread> {
    if let Some(kind) = wire.kind.get() {
        // Confirmations of subscriptions are for people.
        return match (kind, wire.message.get()) {
            ("Notification", Some(message)) => opened(message, now_ms, depth + 1),
            _ => Err(Unread::Unknown),
        };
    }
    match wire.event_type.get().or(wire.notification_type.get()) {
        Some(kind) if kind.starts_with("TEXT_") => sms::event(kind, wire, now_ms),
        Some(kind) => ses::event(kind, wire, now_ms),
        None => Err(Unread::Unknown),
    }
}

/// An instant as text, in milliseconds since the Unix epoch.
fn millis(text: &Text<'_>) -> Option<i64> {
    text.get()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// What our own functions put on the queue.
type Ours = Vec<Reported>;
