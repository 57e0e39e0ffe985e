//! What was decided of members is told to every address that wants to know.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::fact::Fact;
use campaign::id::random_bytes;
use campaign::{Category, Code};
use futures::{StreamExt, stream};
use platform::{Deadline, batch};
use store::endpoints::{Endpoint, Parked};
use store::ledger::SKEW;
use store::messages::{Known, Notify, Settled};
use store::{StoreError, endpoints};
use tracing::{info, warn};

use crate::addresses::Address;
use crate::event::{self, Ready};
use crate::post::{Said, post};
use crate::{Context, schedule, waiting};

/// How soon to look again for what is not written yet.
const NOT_YET: Duration = Duration::from_secs(3);
/// For how long it may still be written by who holds no lease that can be seen: longer than a delivery may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// How much time a post may take, and what follows it.
pub(crate) const RESERVE: Duration = Duration::from_secs(20);

/// Handles messages: what was decided, and addresses for whom something waits. A message that comes twice tells an address
/// the same twice, under the same id.
pub async fn handle(context: &Context, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
    batch::each(event, |message| async move {
        match message {
            Notify::Settled(settled) => tell(context, settled, deadline).await,
            Notify::Known(known) => tell_known(context, known, deadline).await,
            Notify::GoOn { endpoint } => waiting::go_on(context, endpoint, deadline).await,
            Notify::Replay { endpoint, until_ms, after } => {
                waiting::replay(context, endpoint, until_ms, after, deadline).await
            }
        }
    })
    .await
}

/// Tells everybody who wants to know what was decided, as far as it was written.
async fn tell(context: &Context, settled: Settled, deadline: Deadline) -> Result<(), StoreError> {
    let store = &context.store;
    let addresses = context.addresses.all(store).await?;
    if addresses.is_empty() {
        return Ok(());
    }
    let Some(head) = store.ledger.head(settled.chunk.execution).await? else { return Ok(()) };
    if head.category != Category::Transactional {
        return Ok(());
    }
    let Some(chunk) = store.ledger.chunk(settled.chunk).await? else {
        // One of a call is made when it is first written.
        return come_back(context, &settled, settled.codes.clone(), None).await;
    };
    let (mut events, mut early) = (Vec::new(), Vec::new());
    for (index, byte) in &settled.codes {
        let (member, Some(code)) = (usize::from(*index), Code::from_byte(*byte)) else { continue };
        if chunk.members.codes.get(member) == Some(&code) {
            events.extend(event::of(&head, &chunk, member, code, settled.at_ms));
        } else {
            early.push((*index, *byte));
        }
    }
    if !early.is_empty() {
        come_back(context, &settled, early, chunk.leased_until_ms).await?;
    }
    tell_all(context, &addresses, &events, deadline).await
}

/// Tells everybody who wants to know what has become known of members after their outcome. Whoever sends the message has
/// seen to it that it was written.
async fn tell_known(context: &Context, known: Known, deadline: Deadline) -> Result<(), StoreError> {
    let store = &context.store;
    let addresses = context.addresses.all(store).await?;
    if addresses.is_empty() {
        return Ok(());
    }
    let Some(head) = store.ledger.head(known.chunk.execution).await? else { return Ok(()) };
    if head.category != Category::Transactional {
        return Ok(());
    }
    let Some(chunk) = store.ledger.chunk(known.chunk).await? else { return Ok(()) };
    let event = |(member, byte, at_ms): &(u8, u8, i64)| {
        event::of_fact(&head, &chunk, usize::from(*member), Fact::from_byte(*byte)?, *at_ms)
    };
    let events: Vec<_> = known.facts.iter().filter_map(event).collect();
    tell_all(context, &addresses, &events, deadline).await
}

async fn tell_all(
    context: &Context,
    addresses: &[Arc<Address>],
    events: &[Ready],
    deadline: Deadline,
) -> Result<(), StoreError> {
    let told = addresses.iter().map(|address| tell_one(context, address, events, deadline));
    futures::future::try_join_all(told).await?;
    Ok(())
}

/// Comes back to what is not written, while whoever sent the message may still write it. Where they can't any more it was
/// never decided, or it was decided anew, and that has a message of its own.
async fn come_back(
    context: &Context,
    settled: &Settled,
    codes: Vec<(u8, u8)>,
    leased_until_ms: Option<i64>,
) -> Result<(), StoreError> {
    let now_ms = context.store.platform.clock.now().as_millisecond();
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let is_held = leased_until_ms.is_some_and(|until| until + millis(SKEW) >= now_ms);
    if !is_held && now_ms - settled.at_ms > millis(PATIENCE) {
        return Ok(());
    }
    let message = Notify::Settled(Settled { codes, ..settled.clone() }).message().after(NOT_YET);
    Ok(context.store.platform.queue.send(vec![message]).await?)
}

/// Posts to one address what it wants to know. What it does not take, or what there is no time for, is put with what waits.
async fn tell_one(
    context: &Context,
    address: &Arc<Address>,
    events: &[Ready],
    deadline: Deadline,
) -> Result<(), StoreError> {
    let wants = address.endpoint.wants();
    let wanted = events.iter().filter(|event| wants.has(event.kind));
    // Made at once: a closure that is kept while they run keeps the compiler from seeing that they can move to another thread.
    let attempts: Vec<_> = wanted
        .map(|event| async move { (event, attempt(context, address, event, deadline).await) })
        .collect();
    let results: Vec<_> = stream::iter(attempts).buffer_unordered(crate::addresses::AT_ONCE).collect().await;
    let now_ms = context.store.platform.clock.now().as_millisecond();
    let (mut waits, mut dead) = (Vec::new(), Vec::new());
    for (event, said) in results {
        let parked = Parked {
            event: event.id,
            body: event.body.clone(),
            since_ms: event.at_ms,
            tries: 0,
            error: None,
            due_ms: now_ms,
        };
        match said {
            Some(Said::Yes) => {}
            None => waits.push(parked),
            Some(Said::Gone) => dead.push(gone(parked)),
            Some(Said::No { why, wait }) => match put_off(parked, why, wait, now_ms) {
                Ok(parked) => waits.push(parked),
                Err(parked) => dead.push(parked),
            },
        }
    }
    let id = address.endpoint.id;
    if !dead.is_empty() {
        context.store.endpoints.bury(id, dead).await?;
    }
    let first_ms = waits.iter().map(|event| event.due_ms).min().unwrap_or(now_ms);
    if context.store.endpoints.park(id, &waits).await? {
        waiting::ask(context, id, first_ms, now_ms).await?;
    }
    Ok(())
}

/// One post, unless the address is in trouble or time is short: then nothing was said.
async fn attempt(context: &Context, address: &Address, event: &Ready, deadline: Deadline) -> Option<Said> {
    let clock = &*context.store.platform.clock;
    let is_no_time = || address.line.is_troubled(clock) || deadline.remaining(clock) < RESERVE;
    if is_no_time() {
        return None;
    }
    // Never closed.
    let _permit = address.line.permits.acquire().await.ok()?;
    if is_no_time() {
        return None;
    }
    let said = post(context, address, event.id, &event.body).await;
    if said == Said::Gone {
        disable(context, &address.endpoint).await;
    }
    Some(said)
}

/// An event that an address does not want: as little as any other.
pub(crate) fn gone(parked: Parked) -> Parked {
    let error = Some("it answered 410: it is gone".to_owned());
    Parked { tries: parked.tries + 1, error, ..parked }
}

/// The event as it waits for its next try. The error is the event as a dead letter: that was its last.
pub(crate) fn put_off(
    parked: Parked,
    why: String,
    asked: Option<Duration>,
    now_ms: i64,
) -> Result<Parked, Parked> {
    let jitter = u64::from_be_bytes(random_bytes()[..8].try_into().unwrap_or_default());
    let tries = parked.tries.saturating_add(1);
    let is_old = is_old(&parked, now_ms);
    let parked = Parked { tries, error: Some(why), ..parked };
    match schedule::wait(tries, jitter, asked).filter(|_| !is_old) {
        Some(wait) => {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Ok(Parked { due_ms: now_ms.saturating_add(wait_ms), ..parked })
        }
        None => Err(parked),
    }
}

/// Whether an event has waited for so long that its next try is its last.
pub(crate) fn is_old(parked: &Parked, now_ms: i64) -> bool {
    now_ms - parked.since_ms >= i64::try_from(schedule::GIVE_UP.as_millis()).unwrap_or(i64::MAX)
}

/// Turns off an address that says that it is gone. Where that can't be written, its next answer says so again.
pub(crate) async fn disable(context: &Context, endpoint: &Endpoint) {
    let id = endpoint.id;
    let endpoints: &endpoints::Endpoints = &context.store.endpoints;
    let turned = async {
        let found = endpoints.get(id).await?;
        if found.value.disabled {
            return Ok(());
        }
        let gone_at = Some(context.store.platform.clock.now());
        endpoints.put(&Endpoint { disabled: true, gone_at, ..found.value }, found.revision).await?;
        info!(endpoint = %id, "webhook endpoint {id} says that it is gone: it is disabled");
        Ok::<_, StoreError>(())
    };
    if let Err(error) = turned.await {
        warn!(endpoint = %id, error = %batch::chain(&error), "webhook endpoint {id} can't be disabled");
    }
    context.addresses.forget().await;
}
