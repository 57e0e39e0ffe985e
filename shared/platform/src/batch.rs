//! Batches of messages as the event source hands them over, with an answer that says which failed.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use serde::de::DeserializeOwned;
use tracing::error;

use crate::Received;

/// Runs `handle` on the body of each message in turn. A message whose body can't be read or whose handling fails is
/// reported as failed, so that it alone comes back, and in the end goes to the dead letters.
pub async fn each<T, E, F>(event: SqsEvent, mut handle: impl FnMut(T) -> F) -> SqsBatchResponse
where
    T: DeserializeOwned,
    E: std::error::Error,
    F: Future<Output = Result<(), E>>,
{
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        let failed = match serde_json::from_str(message.body.as_deref().unwrap_or_default()) {
            Err(error) => {
                error!(message_id = %id, %error, "message {id} can't be read");
                true
            }
            Ok(body) => match handle(body).await {
                Ok(()) => false,
                Err(error) => {
                    error!(message_id = %id, error = %chain(&error), "message {id} failed");
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
