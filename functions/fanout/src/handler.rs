//! The work: read pages, fill chunks, write them with the cursor, enqueue; until the audience or the time is used up.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::ProfileId;
use campaign::chunk::Filler;
use platform::{Deadline, Message, batch};
use store::StoreError;
use store::ledger::{Cursor, CursorClaim, Head, SKEW, State};
use store::messages::{ChunkKey, FanOut};
use tracing::{debug, info};

use crate::Context;
use crate::audience::Reader;

/// The most chunk writes of one transaction, beside the cursor's.
const MOST_CHUNKS: usize = 98;
/// How many profiles are read at once, over all actions.
const PAGE: usize = 1000;
/// How long reading may go on before the cursor is written, so that a selective rule does not start over from far back.
const LONGEST_READ: Duration = Duration::from_secs(5);
/// What must be left of the time to begin another round.
const RESERVE: Duration = Duration::from_secs(8);
/// A lease outlives the function: it can be killed up to a second after its own deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Fans out the shards that a batch of messages names, in turn.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    batch::each(event, |shard: FanOut| fan_out(context, shard, deadline)).await
}

/// Goes on with the fan-out of one shard as far as the time goes. Being asked twice does no harm.
///
/// # Errors
/// Only where the ledger or the audience can't be read: the message is to come back.
pub async fn fan_out(context: &Context, shard: FanOut, deadline: Deadline) -> Result<(), StoreError> {
    let store = &context.store;
    let clock = &*store.platform.clock;
    let lease = deadline.remaining(clock) + LEASE_MARGIN;
    let mut cursor = match store.ledger.claim_cursor(shard, &context.worker, lease).await? {
        CursorClaim::Claimed(cursor) => *cursor,
        CursorClaim::Done | CursorClaim::Missing => return Ok(()),
        CursorClaim::Leased(until_ms) => {
            let wait_ms = u64::try_from(until_ms - clock.now().as_millisecond()).unwrap_or(0);
            let wait = Duration::from_millis(wait_ms) + SKEW + Duration::from_millis(1);
            return Ok(store.platform.queue.send(vec![shard.message().after(wait)]).await?);
        }
    };
    let Some(head) = store.ledger.head(shard.execution).await? else { return Ok(()) };
    let reader = Reader::new(store, &head, shard)?;
    // An earlier worker may have died between writing these and enqueueing them.
    let unsent = enqueue_rest(&mut cursor, &head);
    if !unsent.is_empty() {
        store.platform.queue.send(unsent).await?;
    }
    while !cursor.read {
        // A stop closes the cursor, so what this worker would still write is refused anyway; looking saves the reading.
        if store.ledger.state(shard.execution).await? != Some(State::Running) {
            return Ok(());
        }
        if deadline.remaining(clock) < RESERVE {
            store.ledger.release_cursor(&cursor, vec![shard.message()]).await?;
            debug!(execution = %shard.execution, shard = shard.shard, "the fan-out of shard {} of execution {} goes on by a message", shard.shard, shard.execution);
            return Ok(());
        }
        let chunks = read_some(&reader, &mut cursor, &head, clock, deadline).await?;
        let messages = chunks.iter().map(|(chunk, _)| head.message(chunk)).collect();
        if !store.ledger.advance(&mut cursor, chunks, messages).await? {
            return Ok(());
        }
        for action in &mut cursor.actions {
            action.enqueued = action.written;
        }
    }
    cursor.done = true;
    store.ledger.release_cursor(&cursor, Vec::new()).await?;
    let chunks: u32 = cursor.actions.iter().map(|action| action.written).sum();
    let recipients: u64 = cursor.actions.iter().map(|action| action.members).sum();
    let undecided = cursor.undecided;
    info!(execution = %shard.execution, campaign = %head.campaign, shard = shard.shard, chunks, recipients, undecided, "shard {} of execution {} is fanned out: {recipients} recipients in {chunks} chunks", shard.shard, shard.execution);
    Ok(())
}

/// Reads until a transaction's worth of chunks is full, or the audience or the time is used up.
async fn read_some(
    reader: &Reader<'_>,
    cursor: &mut Cursor,
    head: &Head,
    clock: &dyn platform::Clock,
    deadline: Deadline,
) -> Result<Vec<(ChunkKey, Vec<ProfileId>)>, StoreError> {
    let actions = head.actions.len().max(1);
    let page_size = (PAGE / actions).max(campaign::chunk::CHUNK);
    let chunks_a_page = actions * (page_size / campaign::chunk::CHUNK + 1);
    let until = Deadline::after(clock, LONGEST_READ.min(deadline.remaining(clock) / 2));
    let mut fillers: Vec<Filler> = std::mem::take(&mut cursor.open).into_iter().map(Filler::resume).collect();
    let mut chunks = Vec::new();
    loop {
        let page = reader.page(cursor.position.as_deref(), page_size).await?;
        cursor.undecided += page.undecided;
        for (action, filler) in fillers.iter_mut().enumerate() {
            for member in &page.members {
                if let Some(full) = filler.push(*member) {
                    chunks.push(number(cursor, action, full));
                }
            }
        }
        cursor.read = page.next.is_none();
        cursor.position = page.next;
        if cursor.read {
            for (action, filler) in fillers.iter_mut().enumerate() {
                if let Some(last) = filler.finish() {
                    chunks.push(number(cursor, action, last));
                }
            }
        }
        let full = chunks.len() + chunks_a_page + actions > MOST_CHUNKS;
        if cursor.read || full || until.remaining(clock).is_zero() {
            break;
        }
        // Judging a page keeps the thread busy for milliseconds: let others have it in between.
        tokio::task::yield_now().await;
    }
    cursor.open = fillers.iter().map(|filler| filler.open().to_vec()).collect();
    Ok(chunks)
}

/// Gives a full chunk the next number of its action.
fn number(cursor: &mut Cursor, action: usize, members: Vec<ProfileId>) -> (ChunkKey, Vec<ProfileId>) {
    let stands = &mut cursor.actions[action];
    let key = ChunkKey {
        execution: cursor.shard.execution,
        shard: cursor.shard.shard,
        action: u8::try_from(action).unwrap_or(u8::MAX),
        number: stands.written,
    };
    stands.written += 1;
    stands.members += members.len() as u64;
    (key, members)
}

/// The messages of the chunks that are written but not known to be enqueued.
fn enqueue_rest(cursor: &mut Cursor, head: &Head) -> Vec<Message> {
    let mut messages = Vec::new();
    for (action, stands) in cursor.actions.iter_mut().enumerate() {
        for number in stands.enqueued..stands.written {
            let action = u8::try_from(action).unwrap_or(u8::MAX);
            let FanOut { execution, shard } = cursor.shard;
            messages.push(head.message(&ChunkKey { execution, shard, action, number }));
        }
        stands.enqueued = stands.written;
    }
    messages
}
