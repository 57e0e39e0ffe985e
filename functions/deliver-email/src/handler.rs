//! The work: chunks of campaigns, and proofs.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use platform::{Deadline, batch};
use store::messages::Proof;

use crate::{Context, proof};

/// Delivers the chunks that a batch of messages names, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    context.delivery.handle(event, deadline).await
}

/// Sends the proofs that a batch of messages asks for, in turn.
pub async fn handle_proofs(context: &Context, event: SqsEvent) -> SqsBatchResponse {
    let sender = context.delivery.sender();
    batch::each(event, async |asked: Proof| proof::send(&context.store, sender, &asked).await).await
}
