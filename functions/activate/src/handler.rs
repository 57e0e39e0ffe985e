//! What a wake-up asks for.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use platform::{Deadline, batch};
use store::StoreError;
use store::messages::WakeUp;

use crate::meter::{Meter, Metrics};
use crate::sweep::sweep_counting;
use crate::{Context, check, start};

/// Does what the wake-ups of a batch ask for, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    handle_counting(context, event, deadline).await.0
}

/// The same, counting what an operator is to hear of.
pub async fn handle_counting(
    context: &Context,
    event: SqsEvent,
    deadline: Deadline,
) -> (SqsBatchResponse, Metrics) {
    let meter = Meter::default();
    let each = |wake_up: WakeUp| {
        let meter = &meter;
        async move { wake_counting(context, &wake_up, deadline, meter).await }
    };
    let response = batch::each(event, each).await;
    (response, meter.read())
}

/// Does what one wake-up asks for. Late, early, doubled and outdated ones do no harm.
///
/// # Errors
/// Only where something can't be read or written: the message is to come back.
pub async fn wake(context: &Context, wake_up: &WakeUp, deadline: Deadline) -> Result<(), StoreError> {
    wake_counting(context, wake_up, deadline, &Meter::default()).await
}

async fn wake_counting(
    context: &Context,
    wake_up: &WakeUp,
    deadline: Deadline,
    meter: &Meter,
) -> Result<(), StoreError> {
    match *wake_up {
        WakeUp::Activate { campaign } => check::activate(context, campaign, meter).await,
        WakeUp::Start { campaign, occurrence_ms } => {
            start::start(context, campaign, occurrence_ms, meter).await
        }
        WakeUp::Call { schedule } => context.store.make_call(schedule).await,
        WakeUp::Sweep => sweep_counting(context, deadline, meter).await.map(|_| ()),
    }
}
