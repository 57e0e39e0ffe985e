//! What a wake-up asks for.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use platform::{Deadline, batch};
use store::StoreError;
use store::messages::WakeUp;

use crate::sweep::sweep;
use crate::{Context, check, start};

/// Does what the wake-ups of a batch ask for, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    batch::each(event, |wake_up: WakeUp| async move { wake(context, &wake_up, deadline).await }).await
}

/// Does what one wake-up asks for. Late, early, doubled and outdated ones do no harm.
///
/// # Errors
/// Only where something can't be read or written: the message is to come back.
pub async fn wake(context: &Context, wake_up: &WakeUp, deadline: Deadline) -> Result<(), StoreError> {
    match *wake_up {
        WakeUp::Activate { campaign } => check::activate(context, campaign).await,
        WakeUp::Start { campaign, occurrence_ms } => start::start(context, campaign, occurrence_ms).await,
        WakeUp::Call { schedule } => context.store.make_call(schedule).await,
        WakeUp::Sweep => sweep(context, deadline).await.map(|_| ()),
    }
}
