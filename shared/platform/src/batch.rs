//! Batches of messages as the event source hands them over, with an answer that says which failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use serde::de::DeserializeOwned;
use tracing::error;

use crate::Received;

/// What an event source says of how often a message was received, this time included.
const RECEIVES: &str = "ApproximateReceiveCount";

/// Whether a message comes for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Nobody received it before, as far as the queue knows.
    First,
    /// Somebody may have, and may have died of it.
    Again,
}

/// Runs `handle` on the body of each message in turn. A message whose body can't be read or whose handling fails or panics
/// is reported as failed, so that it alone comes back, and in the end goes to the dead letters.
pub async fn each<T, E, F>(event: SqsEvent, mut handle: impl FnMut(T) -> F) -> SqsBatchResponse
where
    T: DeserializeOwned,
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    each_arrival(event, |body, _| handle(body)).await
}

/// As [`each`], where it makes a difference whether a message came before.
pub async fn each_arrival<T, E, F>(
    event: SqsEvent,
    mut handle: impl FnMut(T, Arrival) -> F,
) -> SqsBatchResponse
where
    T: DeserializeOwned,
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let receives = message.attributes.get(RECEIVES).map(String::as_str);
        let arrival = if receives == Some("1") { Arrival::First } else { Arrival::Again };
        let id = message.message_id.unwrap_or_default();
        let failed = match serde_json::from_str(message.body.as_deref().unwrap_or_default()) {
            Err(error) => {
                // What the parser says may quote what it read, which may be an address.
                let (line, column) = (error.line(), error.column());
                error!(message_id = %id, kind = ?error.classify(), line, column, "message {id} can't be read");
                true
            }
            Ok(body) => match caught(|| handle(body, arrival)).await {
                Some(Ok(())) => false,
                Some(Err(error)) => {
                    error!(message_id = %id, error = %chain(&error), "message {id} failed");
                    true
                }
                None => {
                    error!(message_id = %id, "handling message {id} panicked");
                    true
                }
            },
        };
        if failed {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

/// What the future comes to; `None` where making or polling it panics, which the panic hook has told of.
pub async fn caught<F: Future>(make: impl FnOnce() -> F) -> Option<F::Output> {
    let mut future = pin!(catch_unwind(AssertUnwindSafe(make)).ok()?);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

/// The event that carries these messages.
pub fn event(messages: Vec<Received>) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .into_iter()
        .map(|received| {
            let mut message = SqsMessage::default();
            message.message_id = Some(received.id);
            message.receipt_handle = Some(received.receipt);
            message.body = Some(received.body);
            message.attributes.insert(RECEIVES.to_owned(), received.receives.to_string());
            message
        })
        .collect();
    event
}

/// An error and its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_can_not_be_read_or_whose_handling_fails_or_panics_comes_back_alone() {
        let received = |id: &str, body: &str| Received {
            id: id.to_owned(),
            receipt: id.to_owned(),
            body: body.to_owned(),
            receives: 1,
        };
        let messages = [("a", "1"), ("b", "nonsense"), ("c", "2"), ("d", "3"), ("e", "4")]
            .map(|(id, body)| received(id, body));
        let mut handled = Vec::new();
        let response = each(event(messages.to_vec()), |number: u32| {
            handled.push(number);
            async move {
                tokio::task::yield_now().await;
                match number {
                    2 => panic!("as the test wants it"),
                    3 => Err(std::io::Error::other("no")),
                    _ => Ok(()),
                }
            }
        })
        .await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!((failed, handled), (vec!["b", "c", "d"], vec![1, 2, 3, 4]));
    }
}
