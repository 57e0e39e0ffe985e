//! What providers tell, a batch at a time.

use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use delivery::MessageId;
use futures::{FutureExt, StreamExt, stream};
use platform::{Deadline, batch};
use store::StoreError;
use store::messages::ChunkKey;
use tracing::{debug, error, warn};

use crate::apply::{self, Group};
use crate::event::ProviderEvent;
use crate::{Context, read, suppress};

/// How many chunks are written at once.
const AT_ONCE: usize = 10;
/// What an event source says of how often a message was received, this time included.
const RECEIVES: &str = "ApproximateReceiveCount";

/// A message of the batch, by its place.
type Place = usize;

/// What a batch holds.
#[derive(Debug, Default)]
struct Work {
    /// By chunk, with the messages that the events came in.
    groups: BTreeMap<[u8; 23], (Group, Vec<Place>)>,
    /// Events of messages that the ledger has no member for: of proofs, or none of ours.
    others: Vec<(ProviderEvent, Place)>,
}

/// Handles messages: reads the events in them and brings them to the ledger, those of the same chunk together. A message
/// any event of which could not be brought there is reported as failed, and comes back; what can't be read never is, since
/// it would be no better then.
pub async fn handle(context: &Context, event: SqsEvent, _: Deadline) -> SqsBatchResponse {
    let now_ms = context.store.platform.clock.now().as_millisecond();
    let mut work = Work::default();
    let mut ids = Vec::with_capacity(event.records.len());
    for (place, message) in event.records.into_iter().enumerate() {
        let id = message.message_id.unwrap_or_default();
        let again = message.attributes.get(RECEIVES).is_some_and(|receives| receives != "1");
        match read::events(message.body.as_deref().unwrap_or_default(), now_ms) {
            Ok(events) => events.into_iter().for_each(|event| work.add(event, place, again)),
            Err(read::Unread::Malformed) => {
                warn!(message_id = %id, "message {id} calls itself an event, and lacks what it should have: it is dropped");
            }
            Err(unread) => debug!(message_id = %id, why = %unread, "message {id} holds no event: {unread}"),
        }
        ids.push(id);
    }
    let failed = work.apply(context, &ids).await;
    let mut response = SqsBatchResponse::default();
    for (_, id) in ids.into_iter().enumerate().filter(|(place, _)| failed.contains(place)) {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        response.batch_item_failures.push(failure);
    }
    response
}

impl Work {
    fn add(&mut self, event: ProviderEvent, place: Place, again: bool) {
        let member = match &event.of {
            Some(MessageId::Member(member)) => {
                u8::try_from(member.index).ok().map(|index| (member.chunk, index))
            }
            _ => None,
        };
        let Some((chunk, index)) = member else {
            if event.mailed {
                // Nothing shows that we wrote to whom it names.
                return;
            }
            self.others.push((event, place));
            return;
        };
        let empty = || (Group { chunk, events: Vec::new(), again: false }, Vec::new());
        let (group, places) = self.groups.entry(order(&chunk)).or_insert_with(empty);
        group.events.push((index, event));
        group.again |= again;
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    /// Brings all to the ledger; the messages of which something could not be.
    async fn apply(self, context: &Context, ids: &[String]) -> HashSet<Place> {
        // Made at once: a closure that is kept while they run keeps the compiler from seeing that they can move to another
        // thread.
        let groups: Vec<_> = self
            .groups
            .into_values()
            .map(|(group, places)| async move { (caught(apply::group(context, group)).await, places) })
            .collect();
        let mut done: Vec<_> = stream::iter(groups).buffer_unordered(AT_ONCE).collect().await;
        for (event, place) in &self.others {
            done.push((caught(suppress::at_once(context, event)).await, vec![*place]));
        }
        let mut failed = HashSet::new();
        for (done, places) in done {
            let Err(why) = done else { continue };
            for place in places {
                if failed.insert(place) {
                    let id = ids.get(place).map_or("", String::as_str);
                    error!(message_id = %id, error = %why, "message {id} failed");
                }
            }
        }
        failed
    }
}

/// What it comes to; the error as text, also where it panics, so that the others of the batch do not suffer from it.
async fn caught(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| batch::chain(&error)),
        Err(_) => Err("it panicked".to_owned()),
    }
}

/// Chunks in a fixed order.
fn order(chunk: &ChunkKey) -> [u8; 23] {
    let mut key = [0; 23];
    key[..16].copy_from_slice(chunk.execution.as_bytes());
    key[16..18].copy_from_slice(&chunk.shard.to_be_bytes());
    key[18] = chunk.action;
    key[19..].copy_from_slice(&chunk.number.to_be_bytes());
    key
}
