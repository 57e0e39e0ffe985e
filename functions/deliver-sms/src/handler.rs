//! The work: chunks of campaigns, and proofs.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use delivery::Metrics;
use platform::Deadline;

use crate::Context;

/// Delivers what a batch of messages asks for, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    handle_event(context, event, deadline).await.0
}

/// As [`handle`], and says what it came to.
pub async fn handle_event(
    context: &Context,
    event: SqsEvent,
    deadline: Deadline,
) -> (SqsBatchResponse, Metrics) {
    context.delivery.handle(event, deadline).await
}
