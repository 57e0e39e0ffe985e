//! Releasing what waits for its instant: the chunks of a wave, or of a time zone's hour.
//!
//! They lie in the ledger without a message, since a queue holds nothing for days. The cursor says how many there are of
//! each release, so none of them has to be read before its time: shortly before it, they are all sent a message that
//! comes at the instant.

use std::time::Duration;

use campaign::plan::Lane;
use platform::Message;
use store::StoreError;
use store::ledger::{Cursor, Head, State};
use store::messages::ChunkKey;

use crate::Context;
use crate::sweep::Time;

/// How many chunks are released before that is written down: what dies in between is sent again, which does no harm.
const SLICE: usize = 500;
/// How many chunks one look releases at most, so that other shards have their turn.
const MOST: usize = 5_000;

/// How long before its instant a chunk is sent its message: two sweeps, so that one may fail.
fn ahead_ms(context: &Context) -> i64 {
    let ahead: Duration = context.sweep_every * 2;
    i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX)
}

/// When the next chunks of a shard are to be sent their messages; `None` where none waits to be. It may have passed.
pub(crate) fn next_ms(context: &Context, head: &Head, cursor: &Cursor) -> Option<i64> {
    let waiting = waiting(head, cursor).map(|(_, at_ms)| at_ms).min();
    waiting.filter(|_| head.state == State::Running).map(|at_ms| at_ms - ahead_ms(context))
}

/// The lanes of a shard that have chunks without a message, and their instants.
fn waiting(head: &Head, cursor: &Cursor) -> impl Iterator<Item = (Lane, i64)> {
    let plan = head.plan.as_ref();
    cursor.lanes.iter().filter_map(move |(lane, stands)| {
        let at_ms = plan?.release_ms(*lane)?;
        (cursor.enqueued(*lane) < stands.written).then_some((*lane, at_ms))
    })
}

/// Sends the messages of the chunks of a shard that are due by now or soon, as far as the time goes, and notes it in
/// `cursor`.
pub(crate) async fn release(
    context: &Context,
    time: Time,
    head: &Head,
    cursor: &mut Cursor,
    now_ms: i64,
) -> Result<(), StoreError> {
    let store = &context.store;
    let soon_ms = now_ms + ahead_ms(context);
    let due: Vec<_> = waiting(head, cursor).filter(|(_, at_ms)| *at_ms <= soon_ms).collect();
    let mut left = MOST;
    for (lane, at_ms) in due {
        let wait = Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0));
        let written = cursor.lanes.get(&lane).map_or(0, |stands| stands.written);
        let mut from = cursor.enqueued(lane);
        while from < written && left > 0 && !time.is_over(context) {
            let slice = SLICE.min(left).min(usize::try_from(written - from).unwrap_or(SLICE));
            let until = from + u32::try_from(slice).unwrap_or(1);
            let mut messages: Vec<Message> = Vec::with_capacity(slice);
            for number in from..until {
                let chunk = |action| ChunkKey {
                    execution: head.id,
                    shard: cursor.shard.shard,
                    action,
                    number: lane.number(number),
                };
                messages.extend((0..cursor.actions).map(|action| head.message(&chunk(action)).after(wait)));
            }
            store.platform.queue.send(messages).await?;
            cursor.released.insert(lane, until);
            store.ledger.release(cursor.shard, &cursor.released).await?;
            left -= slice;
            from = until;
        }
    }
    Ok(())
}
