//! The sweep: what is due in the tables is the truth; queues and schedules only make it punctual. It starts what is
//! overdue, hands out again what stands still, releases what waits, and ends what is complete.

use std::time::Duration;

use campaign::{Channel, ExecutionId, Status};
use platform::Message;
use store::StoreError;
use store::ledger::{Cursor, Head, Overdue, SKEW, Seen, State, StoredChunk};
use store::messages::FanOut;
use tracing::{info, warn};

use crate::{Context, check, start};

/// How many items of each due bucket one sweep looks at.
const LIMIT: usize = 100;
/// How often a shard whose fan-out is under way is looked at.
const FAN_OUT_LOOK: Duration = Duration::from_secs(10);
/// A shard that has not changed for so long, with chunks that nobody holds, has lost their messages.
const STALLED: Duration = Duration::from_secs(300);
/// How long after its instant a waiting chunk is taken to have lost its message.
const LATE: Duration = Duration::from_secs(15);
/// How often the chunks of an execution that is being stopped are handed out again.
const NUDGE: Duration = Duration::from_secs(60);

/// Looks at whatever is due. Returns how many things that were.
///
/// # Errors
/// Where the tables can't be read or written; what was done stays done, and the next sweep goes on.
pub async fn sweep(context: &Context) -> Result<usize, StoreError> {
    let store = &context.store;
    let now = store.platform.clock.now();
    let mut looked_at = 0;
    for campaign in store.campaigns.due(now).await? {
        looked_at += 1;
        match (campaign.status, campaign.next_occurrence) {
            (Status::Activating, _) => {
                store.campaigns.postpone(&campaign).await?;
                check::activate(context, campaign.id).await?;
            }
            (_, Some(next)) => start::start(context, campaign.id, next.as_millisecond()).await?,
            _ => {}
        }
    }
    for overdue in store.ledger.overdue(now.as_millisecond(), LIMIT).await? {
        looked_at += 1;
        match overdue {
            Overdue::Execution(id) => execution(context, id).await?,
            Overdue::Shard(shard) => look(context, shard).await?,
        }
    }
    Ok(looked_at)
}

/// Ends an execution that is complete, and moves on one that is being stopped.
async fn execution(context: &Context, id: ExecutionId) -> Result<(), StoreError> {
    let store = &context.store;
    let Some(mut head) = store.ledger.head(id).await? else { return Ok(()) };
    if head.state == State::Running && store.campaigns.get(head.campaign).await?.status == Status::Stopped {
        // Whoever stopped the campaign may have died before it came to its executions.
        match store.ledger.turn(id, &[State::Running], State::Stopping).await? {
            Some(turned) => head = turned,
            None => return Ok(()),
        }
    }
    if head.state == State::Stopping {
        for shard in head.shards() {
            store.ledger.close_cursor(shard).await?;
        }
        let now_ms = store.platform.clock.now().as_millisecond();
        if store.ledger.nudge(id, now_ms, now_ms - millis(NUDGE)).await? {
            for shard in head.shards() {
                hand_out(context, &head, shard).await?;
            }
        }
    }
    let tally = store.ledger.tally(&head).await?;
    if !tally.is_complete() {
        return Ok(());
    }
    let ended = if head.state == State::Stopping { State::Stopped } else { State::Completed };
    let mut campaign = store.campaigns.get(head.campaign).await?;
    campaign.open_executions = (campaign.open_executions - 1).max(0);
    campaign.modified_at = store.platform.clock.now();
    if campaign.status == Status::Live && campaign.open_executions == 0 && campaign.next_occurrence.is_none()
    {
        campaign.status = Status::Completed;
    }
    // Where something changed meanwhile, the execution is still due and the next sweep sees it.
    if store.ledger.end(&head, ended, tally.counts(), Some(&campaign)).await? {
        info!(execution = %id, campaign = %head.campaign, state = ended.name(), "execution {id} is {}", ended.name());
    }
    Ok(())
}

/// Hands out the open chunks of a shard that nobody holds.
async fn hand_out(context: &Context, head: &Head, shard: FanOut) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (chunks, next) = context.store.ledger.chunks(shard, after, 500).await?;
        let messages: Vec<Message> =
            chunks.iter().filter(|chunk| !chunk.closed).map(|chunk| message(chunk, head)).collect();
        if !messages.is_empty() {
            context.store.platform.queue.send(messages).await?;
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

/// Looks at one shard: does its fan-out go on, do its chunks, and who of them is to be released.
async fn look(context: &Context, shard: FanOut) -> Result<(), StoreError> {
    let store = &context.store;
    let now_ms = store.platform.clock.now().as_millisecond();
    let head = store.ledger.head(shard.execution).await?;
    let Some(head) = head.filter(|head| matches!(head.state, State::Running | State::Stopping)) else {
        return store.ledger.look_never(shard).await;
    };
    let Some(cursor) = store.ledger.cursor(shard).await? else { return Ok(()) };
    let mut messages = Vec::new();
    if !cursor.done && cursor.leased_until_ms.is_none_or(|until| until + millis(SKEW) < now_ms) {
        messages.push(shard.message());
    }
    let view = View::read(context, &head, shard, now_ms).await?;
    let mut release = per_release(context, &head).await?;
    let mut next_look_ms = now_ms + millis(if cursor.done { STALLED } else { FAN_OUT_LOOK });
    for chunk in &view.waiting_for_rate {
        let quota = release.get_mut(usize::from(chunk.key.action));
        let Some(quota @ 1..) = quota else {
            next_look_ms = next_look_ms.min(now_ms + millis(context.sweep_every));
            continue;
        };
        *quota -= 1;
        messages.push(message(chunk, &head));
    }
    messages.extend(view.late.iter().map(|chunk| message(chunk, &head)));
    if let Some(at_ms) = view.next_ms {
        next_look_ms = next_look_ms.min(at_ms.max(now_ms + 1000));
    }
    let seen = seen(&cursor, &view, now_ms);
    let seen = if now_ms - seen.at_ms >= millis(STALLED) && !view.idle.is_empty() {
        warn!(execution = %shard.execution, shard = shard.shard, chunks = view.idle.len(), "shard {} stands still: {} chunks handed out again", shard.shard, view.idle.len());
        messages.extend(view.idle.iter().map(|chunk| message(chunk, &head)));
        Seen { at_ms: now_ms, ..seen }
    } else {
        seen
    };
    if !messages.is_empty() {
        store.platform.queue.send(messages).await?;
    }
    store.ledger.look_at(shard, next_look_ms, seen).await
}

/// The open chunks of a shard, by what they wait for.
#[derive(Default)]
struct View {
    /// For their turn at the configuration's rate.
    waiting_for_rate: Vec<StoredChunk>,
    /// For an instant that has passed: their message is lost, or they never had one.
    late: Vec<StoredChunk>,
    /// For nothing but their message.
    idle: Vec<StoredChunk>,
    /// The next instant at which one is to be released.
    next_ms: Option<i64>,
    /// Changes with every change of any chunk.
    mark: i64,
}

impl View {
    async fn read(context: &Context, head: &Head, shard: FanOut, now_ms: i64) -> Result<Self, StoreError> {
        let mut view = Self::default();
        let mut after = None;
        loop {
            let (chunks, next) = context.store.ledger.chunks(shard, after, 500).await?;
            for chunk in chunks {
                view.mark = view.mark.wrapping_add(chunk.revision + 1);
                if chunk.closed || chunk.leased_until_ms.is_some_and(|until| until + millis(SKEW) >= now_ms) {
                    continue;
                }
                view.sort_in(chunk, head, now_ms);
            }
            if next.is_none() {
                return Ok(view);
            }
            after = next;
        }
    }

    fn sort_in(&mut self, chunk: StoredChunk, head: &Head, now_ms: i64) {
        if head.state == State::Stopping {
            return self.idle.push(chunk);
        }
        if chunk.awaits_rate {
            return self.waiting_for_rate.push(chunk);
        }
        match chunk.not_before_ms {
            Some(at_ms) if at_ms + millis(LATE) <= now_ms => self.late.push(chunk),
            Some(at_ms) => {
                let at_ms = at_ms + millis(LATE);
                self.next_ms = Some(self.next_ms.map_or(at_ms, |next| next.min(at_ms)));
            }
            None => self.idle.push(chunk),
        }
    }
}

/// For each action, how many of a shard's chunks to release now: its share of what the rate allows in one look, and one
/// more, so that the rate is used whole.
async fn per_release(context: &Context, head: &Head) -> Result<Vec<u64>, StoreError> {
    let version = context.store.campaigns.version(head.campaign, head.version).await?;
    let mut release = Vec::with_capacity(version.actions.len());
    for action in &version.actions {
        let rate = match action.configuration {
            Some(id) => match context.store.configurations.get(id).await {
                Ok(found) => found.value.rate_per_second,
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        // An edited configuration that has no rate any more releases everybody.
        release.push(rate.map_or(u64::MAX, |rate| {
            let messages = u64::from(rate) * millis(context.sweep_every).unsigned_abs() / 1000;
            messages / (campaign::chunk::CHUNK as u64 * u64::from(head.shards)) + 1
        }));
    }
    Ok(release)
}

/// What is seen of the shard now, and since when it has been so.
fn seen(cursor: &Cursor, view: &View, now_ms: i64) -> Seen {
    match cursor.seen {
        Some(seen) if seen.mark == view.mark => seen,
        _ => Seen { mark: view.mark, at_ms: now_ms },
    }
}

fn message(chunk: &StoredChunk, head: &Head) -> Message {
    let channel = head.actions.get(usize::from(chunk.key.action)).copied().unwrap_or(Channel::Email);
    let mut message = chunk.key.message(channel);
    message.group = Some(head.campaign.to_string());
    message
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
