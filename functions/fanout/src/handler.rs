//! The work: read pages, fill chunks, write them with the cursor, enqueue; until the audience or the time is used up.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::Code;
use campaign::chunk::CHUNK;
use campaign::plan::Lane;
use platform::{Deadline, Message, batch};
use store::StoreError;
use store::ledger::{Begins, Cursor, CursorClaim, Head, NewChunk, SKEW, State};
use store::messages::{ChunkKey, FanOut};
use tracing::{debug, info};

use crate::Context;
use crate::audience::{Reader, Zones};
use crate::place::Places;

/// The most writes of one transaction beside the cursor's.
const MOST_WRITES: usize = 99;
/// How many profiles are read at once, over all actions.
const PAGE: usize = 1000;
/// How long reading may go on before the cursor is written, so that a selective rule does not start over from far back.
const LONGEST_READ: Duration = Duration::from_secs(5);
/// What must be left of the time to begin another round.
const RESERVE: Duration = Duration::from_secs(8);
/// A lease outlives the function: it can be killed up to a second after its own deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// Chunks that are to be delivered within so long have their message from here, with a delay: the sweep, which releases
/// all others, might come too late for them.
const SOON_MS: i64 = 120_000;

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
    let mut places = Places::new(&head, shard.shard);
    // An earlier worker may have died between writing these and enqueueing them.
    let unsent = enqueue_rest(&mut cursor, &head, clock.now().as_millisecond());
    if !unsent.is_empty() {
        store.platform.queue.send(unsent).await?;
    }
    while !(cursor.read && cursor.open.is_empty()) {
        // A stop closes the cursor, so what this worker would still write is refused anyway; looking saves the reading.
        match store.ledger.state(shard.execution).await? {
            Some(State::Running) => {}
            // The resume has it go on from here.
            Some(State::Paused) => {
                store.ledger.release_cursor(&cursor, Vec::new()).await?;
                return Ok(());
            }
            _ => return Ok(()),
        }
        if deadline.remaining(clock) < RESERVE {
            store.ledger.release_cursor(&cursor, vec![shard.message()]).await?;
            debug!(execution = %shard.execution, shard = shard.shard, "the fan-out of shard {} of execution {} goes on by a message", shard.shard, shard.execution);
            return Ok(());
        }
        let now_ms = clock.now().as_millisecond();
        let mut round = Round::new(&head, &cursor, now_ms);
        read_some(&reader, &mut places, &mut cursor, &mut round, clock, deadline).await?;
        let Round { chunks, messages, enqueued, .. } = round;
        if !store.ledger.advance(&mut cursor, chunks, messages).await? {
            return Ok(());
        }
        for lane in enqueued {
            if let Some(stands) = cursor.lanes.get_mut(&lane) {
                stands.enqueued = stands.written;
            }
        }
    }
    cursor.done = true;
    store.ledger.release_cursor(&cursor, Vec::new()).await?;
    let chunks = cursor.written() * u32::from(cursor.actions);
    let recipients = cursor.targeted() * u64::from(cursor.actions);
    let undecided = cursor.undecided;
    info!(execution = %shard.execution, campaign = %head.campaign, shard = shard.shard, chunks, recipients, undecided, "shard {} of execution {} is fanned out: {recipients} recipients in {chunks} chunks", shard.shard, shard.execution);
    Ok(())
}

/// What one transaction writes.
struct Round<'a> {
    head: &'a Head,
    now_ms: i64,
    /// How many chunks of each action it may still take.
    room: usize,
    chunks: Vec<NewChunk>,
    messages: Vec<Message>,
    /// The lanes of which every chunk written so far has its message by this round.
    enqueued: Vec<Lane>,
}

impl<'a> Round<'a> {
    fn new(head: &'a Head, cursor: &Cursor, now_ms: i64) -> Self {
        let actions = head.actions.len().max(1);
        // The counters of chunks that are closed from the start: one write an action.
        let counters = if head.plan.is_some() { actions } else { 0 };
        let enqueued = cursor.lanes.iter().filter(|(_, stands)| stands.enqueued == stands.written);
        Self {
            head,
            now_ms,
            room: (MOST_WRITES - counters) / actions,
            chunks: Vec::new(),
            messages: Vec::new(),
            enqueued: enqueued.map(|(lane, _)| *lane).collect(),
        }
    }

    /// Writes the lane's first open members as its next chunk, once for each action.
    fn cut(&mut self, cursor: &mut Cursor, lane: Lane) {
        let Some(open) = cursor.open.get_mut(&lane) else { return };
        let members: Vec<_> = open.drain(..open.len().min(CHUNK)).collect();
        if open.is_empty() {
            cursor.open.remove(&lane);
        }
        let at_ms = self.head.plan.as_ref().and_then(|plan| plan.release_ms(lane));
        let begins = match at_ms {
            _ if lane == Lane::EXCLUDED => Begins::Closed(Code::HourPassed),
            Some(at_ms) if at_ms > self.now_ms => Begins::At(at_ms),
            _ => Begins::AtOnce,
        };
        if !cursor.lanes.contains_key(&lane) {
            self.enqueued.push(lane);
        }
        let stands = cursor.lanes.entry(lane).or_default();
        let delay = delay(at_ms, self.now_ms).filter(|_| lane != Lane::EXCLUDED);
        for action in 0..cursor.actions {
            let FanOut { execution, shard } = cursor.shard;
            let key = ChunkKey { execution, shard, action, number: lane.number(stands.written) };
            if let Some(delay) = delay {
                self.messages.push(self.head.message(&key).after(delay));
            }
            self.chunks.push(NewChunk { key, members: members.clone(), begins });
        }
        if delay.is_none() && lane != Lane::EXCLUDED {
            self.enqueued.retain(|enqueued| *enqueued != lane);
        }
        stands.written += 1;
        stands.members += members.len() as u64;
        self.room = self.room.saturating_sub(1);
    }

    /// Cuts every full chunk there is room for, and at the audience's end those that are not full, too.
    fn cut_all(&mut self, cursor: &mut Cursor) {
        while self.room > 0 {
            let is_ready = |open: usize| open >= CHUNK || cursor.read;
            let next = cursor.open.iter().find(|(_, open)| is_ready(open.len())).map(|(lane, _)| *lane);
            let Some(lane) = next else { return };
            self.cut(cursor, lane);
        }
    }
}

/// How long from now the message of a chunk that waits until `at_ms` is to come; `None` where the sweep sends it.
fn delay(at_ms: Option<i64>, now_ms: i64) -> Option<Duration> {
    let wait_ms = at_ms.map_or(0, |at_ms| (at_ms - now_ms).max(0));
    (wait_ms <= SOON_MS).then(|| Duration::from_millis(wait_ms.unsigned_abs()))
}

/// Reads until a transaction's worth of chunks is full, or the audience or the time is used up. Members whose chunk has no
/// room in it are open, as are those whose chunk is not full yet.
async fn read_some(
    reader: &Reader<'_>,
    places: &mut Places<'_>,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    clock: &dyn platform::Clock,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let page_size = (PAGE / usize::from(cursor.actions.max(1))).max(CHUNK);
    let chunks_a_page = page_size / CHUNK + 1;
    let zones = if places.wants_zones() { Zones::Wanted } else { Zones::Unwanted };
    let until = Deadline::after(clock, LONGEST_READ.min(deadline.remaining(clock) / 2));
    round.cut_all(cursor);
    while !cursor.read {
        // What has no room would be carried in the cursor: where some lanes fill at the same time, it is.
        if !round.chunks.is_empty() && round.room < chunks_a_page || round.room == 0 {
            break;
        }
        let page = reader.page(cursor.position.as_deref(), page_size, zones).await?;
        cursor.undecided += page.undecided;
        let mut zones = page.zones.iter();
        for member in page.members {
            let lane = places.next(cursor, zones.next().and_then(Option::as_deref));
            cursor.open.entry(lane).or_default().push(member);
        }
        cursor.read = page.next.is_none();
        cursor.position = page.next;
        round.cut_all(cursor);
        if until.remaining(clock).is_zero() {
            break;
        }
        // Judging a page keeps the thread busy for milliseconds: let others have it in between.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The messages of the chunks that are written but not known to be enqueued, of those that are due soon.
fn enqueue_rest(cursor: &mut Cursor, head: &Head, now_ms: i64) -> Vec<Message> {
    let mut messages = Vec::new();
    let lanes: Vec<_> = cursor.lanes.keys().copied().filter(|lane| *lane != Lane::EXCLUDED).collect();
    for lane in lanes {
        let at_ms = head.plan.as_ref().and_then(|plan| plan.release_ms(lane));
        let Some(delay) = delay(at_ms, now_ms) else { continue };
        let from = cursor.enqueued(lane);
        let Some(stands) = cursor.lanes.get_mut(&lane) else { continue };
        let FanOut { execution, shard } = cursor.shard;
        for number in from..stands.written {
            let keys = (0..cursor.actions).map(|action| ChunkKey {
                execution,
                shard,
                action,
                number: lane.number(number),
            });
            messages.extend(keys.map(|key| head.message(&key).after(delay)));
        }
        stands.enqueued = stands.written;
    }
    messages
}
