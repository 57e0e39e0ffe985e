//! The work: chunks of campaigns, and proofs.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::Channel;
use delivery::Metrics;
use platform::{Deadline, batch};
use store::messages::Proof;

use crate::{Context, proof};

/// Delivers the chunks that a batch of messages names, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    context.delivery.handle(event, deadline).await.0
}

/// Sends the proofs that a batch of messages asks for, in turn.
pub async fn handle_proofs(context: &Context, event: SqsEvent) -> SqsBatchResponse {
    let sender = context.delivery.sender();
    batch::each(event, |asked: Proof| async move { proof::send(&context.store, sender, &asked).await }).await
}

/// Handles a batch of whichever of the two queues it comes from, and says what the deliveries came to.
pub async fn handle_event(
    context: &Context,
    event: SqsEvent,
    deadline: Deadline,
) -> (SqsBatchResponse, Metrics) {
    let proofs = event.records.iter().any(|message| {
        let source = message.event_source_arn.as_deref().unwrap_or_default();
        source.rsplit(':').next().is_some_and(|queue| queue.ends_with(store::tables::PROOFS.0))
    });
    if proofs {
        (handle_proofs(context, event).await, Metrics::new(Channel::Email))
    } else {
        context.delivery.handle(event, deadline).await
    }
}
