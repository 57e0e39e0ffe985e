//! What waits for an address, told when its time has come, by one worker at a time.

use std::time::Duration;

use campaign::{EndpointId, retry};
use futures::{StreamExt, stream};
use platform::Deadline;
use store::StoreError;
use store::endpoints::{Fate, Parked, Telling};
use store::messages::Notify;
use tracing::warn;

use crate::Context;
use crate::addresses::Address;
use crate::handler::{RESERVE, disable, gone, is_old, put_off};
use crate::post::{Said, post};

/// How many events are posted at once; of an address that was down, how many it takes to see whether it is back.
const ROUND: usize = 8;
/// How many are taken at once from an address that answers.
const BATCH: usize = 48;
/// How long one worker stays with one address before it is others' turn.
const SLICE: Duration = Duration::from_secs(15);
/// How long what waits for an address that is down is left alone, whatever comes meanwhile.
const DOWN: Duration = Duration::from_secs(60);
/// How long the right to tell outlives the function.
const MARGIN: Duration = Duration::from_secs(5);
/// How many dead letters are taken at once.
const LETTERS: usize = 50;

/// Tells an address what is due, and sees to it that somebody goes on with the rest.
pub(crate) async fn go_on(
    context: &Context,
    endpoint: EndpointId,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let store = &context.store;
    let clock = &*store.platform.clock;
    let Some(address) = context.addresses.one(store, endpoint).await? else {
        while !store.endpoints.purge(endpoint).await? {
            if deadline.remaining(clock) < RESERVE {
                return store.endpoints.ask(endpoint, Duration::ZERO).await;
            }
        }
        return Ok(());
    };
    let lease = deadline.remaining(clock) + MARGIN;
    let Some(telling) = store.endpoints.take(endpoint, &context.worker, lease).await? else {
        return Ok(());
    };
    // Whatever happens, the right is given back: another would have to wait until it ends.
    let went = slice(context, &address, deadline).await;
    let down_until_ms = match &went {
        Ok(Went::Through) => None,
        Ok(Went::Down) | Err(_) => {
            let down_ms = i64::try_from(DOWN.as_millis()).unwrap_or(i64::MAX);
            Some(clock.now().as_millisecond().saturating_add(down_ms))
        }
    };
    give_back(context, endpoint, telling, down_until_ms).await?;
    went.map(|_| ())
}

async fn give_back(
    context: &Context,
    endpoint: EndpointId,
    telling: Telling,
    down_until_ms: Option<i64>,
) -> Result<(), StoreError> {
    match context.store.endpoints.give_back(telling, down_until_ms).await? {
        Some(next_ms) => {
            let now_ms = context.store.platform.clock.now().as_millisecond();
            ask(context, endpoint, next_ms, now_ms).await
        }
        None => Ok(()),
    }
}

/// Asks that somebody looks at an address then. What is further off than a queue may hold it is the sweep's.
pub(crate) async fn ask(
    context: &Context,
    endpoint: EndpointId,
    at_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let wait = Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0));
    if wait > retry::LONGEST_IN_QUEUE {
        return Ok(());
    }
    context.store.endpoints.ask(endpoint, wait).await
}

/// How a slice went.
enum Went {
    /// Everything due was tried, or time was short.
    Through,
    /// The address took nothing.
    Down,
}

/// Tells an address what is due, until that is all, time is short, or it takes nothing.
async fn slice(context: &Context, address: &Address, deadline: Deadline) -> Result<Went, StoreError> {
    let store = &context.store;
    let clock = &*store.platform.clock;
    let until = Deadline::after(clock, SLICE.min(deadline.remaining(clock).saturating_sub(RESERVE)));
    let endpoint = address.endpoint.id;
    loop {
        if address.endpoint.disabled {
            return give_up_all(context, endpoint, until).await;
        }
        let now_ms = clock.now().as_millisecond();
        let due = store.endpoints.waiting(endpoint, Some(now_ms), ROUND).await?;
        if due.is_empty() || until.remaining(clock).is_zero() {
            return Ok(Went::Through);
        }
        let said: Vec<_> = stream::iter(due)
            .map(|parked| async move {
                let said = post(context, address, parked.event, &parked.body).await;
                (parked, said)
            })
            .buffer_unordered(ROUND)
            .collect()
            .await;
        let took_some = said.iter().any(|(_, said)| *said == Said::Yes);
        let is_gone = said.iter().any(|(_, said)| *said == Said::Gone);
        let now_ms = clock.now().as_millisecond();
        let fates = said.into_iter().map(|(parked, said)| (parked.clone(), fate(parked, said, now_ms)));
        store.endpoints.decide(endpoint, fates.collect()).await?;
        if is_gone {
            disable(context, &address.endpoint).await;
            return give_up_all(context, endpoint, until).await;
        }
        if !took_some {
            give_up_old(context, endpoint, until).await?;
            return Ok(Went::Down);
        }
    }
}

fn fate(parked: Parked, said: Said, now_ms: i64) -> Fate {
    match said {
        Said::Yes => Fate::Told,
        Said::Gone => Fate::Dead(gone(parked)),
        Said::No { why, wait } => match put_off(parked, why, wait, now_ms) {
            Ok(parked) => Fate::Waits(parked),
            Err(parked) => Fate::Dead(parked),
        },
    }
}

/// Gives up what has waited for too long for an address that is down: it is not asked for each.
async fn give_up_old(context: &Context, endpoint: EndpointId, until: Deadline) -> Result<(), StoreError> {
    let store = &context.store;
    let clock = &*store.platform.clock;
    loop {
        let now_ms = clock.now().as_millisecond();
        let due = store.endpoints.waiting(endpoint, Some(now_ms), BATCH).await?;
        let (old, young): (Vec<_>, Vec<_>) = due.into_iter().partition(|parked| is_old(parked, now_ms));
        let given_up = old.len();
        let why = |parked: Parked| {
            let error =
                parked.error.clone().or_else(|| Some("the address took nothing for too long".to_owned()));
            (parked.clone(), Fate::Dead(Parked { error, ..parked }))
        };
        store.endpoints.decide(endpoint, old.into_iter().map(why).collect()).await?;
        if given_up > 0 {
            warn!(%endpoint, given_up, "webhook endpoint {endpoint} took nothing for too long: {given_up} events are given up");
        }
        if given_up == 0 || !young.is_empty() || until.remaining(clock).is_zero() {
            return Ok(());
        }
    }
}

/// Gives up all that waits for an address that is disabled. It can be had again when it is enabled.
async fn give_up_all(context: &Context, endpoint: EndpointId, until: Deadline) -> Result<Went, StoreError> {
    let store = &context.store;
    loop {
        let all = store.endpoints.waiting(endpoint, None, BATCH).await?;
        if all.is_empty() || until.remaining(&*store.platform.clock).is_zero() {
            return Ok(Went::Through);
        }
        let why = |parked: Parked| {
            let error = Some("the webhook endpoint is disabled".to_owned());
            (parked.clone(), Fate::Dead(Parked { error, ..parked }))
        };
        store.endpoints.decide(endpoint, all.into_iter().map(why).collect()).await?;
    }
}

/// Has everything waiting again that was given up by then.
pub(crate) async fn replay(
    context: &Context,
    endpoint: EndpointId,
    until_ms: i64,
    mut after: Option<String>,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let store = &context.store;
    loop {
        let (letters, next) = store.endpoints.dead_letters(endpoint, after, LETTERS).await?;
        let letters = letters.into_iter().filter(|letter| letter.dead_ms <= until_ms).collect();
        store.endpoints.revive(endpoint, letters).await?;
        after = next;
        if after.is_none() {
            return Ok(());
        }
        if deadline.remaining(&*store.platform.clock) < RESERVE {
            let message = Notify::Replay { endpoint, until_ms, after }.message();
            return Ok(store.platform.queue.send(vec![message]).await?);
        }
    }
}
