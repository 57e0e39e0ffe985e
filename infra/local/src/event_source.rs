//! What an event source mapping does on AWS: poll a queue, run the function on what comes, delete what was handled, and
//! leave the rest to come back.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use platform::embedded::{Consumer, Embedded};
use platform::{Clock, Deadline, PlatformError, QueueName, Received, Source, SystemClock, batch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::error;

/// After so many receives a message goes to the dead letters: later than a chunk needs to find out who kills it.
const MAX_RECEIVES: u32 = 20;
/// How long to wait after the queue could not be read.
const TROUBLE: Duration = Duration::from_secs(1);
/// How soon a message that failed comes back.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long one look for messages lasts, so that a stop is never far.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How a queue is consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consume {
    pub(crate) queue: QueueName,
    /// How many batches are handled at once.
    pub(crate) concurrency: usize,
    /// The most messages of a batch: as many as there are, when somebody is free.
    pub(crate) batch: usize,
    /// How long one may take; six times that it stays hidden.
    pub(crate) timeout: Duration,
}

/// Consumes a queue until `stop` says so, and returns when everything in hand is handled.
pub(crate) async fn run<F>(
    engine: Embedded,
    how: Consume,
    function: impl Fn(SqsEvent, Deadline) -> F + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) where
    F: Future<Output = SqsBatchResponse> + Send + 'static,
{
    let function = Arc::new(function);
    let permits = Arc::new(Semaphore::new(how.concurrency));
    let mut places = Vec::new();
    let mut running = JoinSet::new();
    let mut consumer = match engine.consumer(how.queue, how.timeout * 6, MAX_RECEIVES).await {
        Ok(consumer) => consumer,
        Err(error) => {
            error!(queue = how.queue.0, error = %batch::chain(&error), "queue {} can't be consumed", how.queue.0);
            return;
        }
    };
    while !*stop.borrow() {
        while running.try_join_next().is_some() {}
        let received = tokio::select! {
            biased;
            _ = stop.changed() => break,
            received = receive(&mut consumer, &mut places, &permits, how.batch) => received,
        };
        let mut messages = match received {
            Ok(messages) => messages,
            Err(error) => {
                error!(queue = how.queue.0, error = %batch::chain(&error), "queue {} can't be read", how.queue.0);
                SystemClock.sleep(TROUBLE).await;
                continue;
            }
        };
        while !messages.is_empty() {
            let rest = messages.split_off(how.batch.min(messages.len()));
            let batch = std::mem::replace(&mut messages, rest);
            let permit = places.pop();
            let (engine, function) = (engine.clone(), Arc::clone(&function));
            running.spawn(async move {
                let receipts: Vec<_> =
                    batch.iter().map(|message| (message.id.clone(), message.receipt.clone())).collect();
                let deadline = Deadline::after(&SystemClock, how.timeout);
                let response = function(batch::event(batch), deadline).await;
                finish(&engine, how.queue, receipts, &response).await;
                drop(permit);
            });
        }
    }
    // What was handed over and not begun is for the next start.
    let receipts = consumer.close().into_iter().map(|message| message.receipt).collect();
    if let Err(error) = engine.release(how.queue, receipts, Duration::ZERO).await {
        error!(queue = how.queue.0, error = %batch::chain(&error), "messages of {} can't be given back", how.queue.0);
    }
    while running.join_next().await.is_some() {}
}

/// Deletes what was handled, and gives back what was not. Each has its id and its receipt.
async fn finish(
    engine: &Embedded,
    queue: QueueName,
    messages: Vec<(String, String)>,
    response: &SqsBatchResponse,
) {
    let is_failed =
        |id: &str| response.batch_item_failures.iter().any(|failure| failure.item_identifier == id);
    let (failed, handled): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(id, _)| is_failed(id));
    let receipts =
        |messages: Vec<(String, String)>| messages.into_iter().map(|(_, receipt)| receipt).collect();
    let mut done = Ok(());
    if !handled.is_empty() {
        done = engine.delete_later(queue, receipts(handled)).await;
    }
    if !failed.is_empty() {
        done = done.and(engine.release(queue, receipts(failed), AFTER_FAILURE).await);
    }
    if let Err(error) = done {
        // It stays hidden for a while and comes back: whatever handles it is idempotent.
        error!(queue = queue.0, error = %batch::chain(&error), "a message of {} can't be deleted", queue.0);
    }
}

/// Waits for a free place and a message. Takes as many messages as there is room for in `places`, which it fills up before.
async fn receive(
    consumer: &mut Consumer,
    places: &mut Vec<OwnedSemaphorePermit>,
    permits: &Arc<Semaphore>,
    batch: usize,
) -> Result<Vec<Received>, PlatformError> {
    if places.is_empty() {
        // The semaphore is never closed.
        places.extend(Arc::clone(permits).acquire_owned().await);
    }
    while let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        places.push(permit);
    }
    consumer.next(places.len() * batch, LONGEST_WAIT).await
}
