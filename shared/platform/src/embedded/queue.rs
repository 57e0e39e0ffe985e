//! The [`Queue`] and [`Source`] ports, and what a poller in the same process needs besides.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::Embedded;
use super::catalog::QueueEntry;
use super::table::Addressed;
use super::writer::Step;
use crate::rules::check_messages;
use crate::{Message, PlatformError, Queue, QueueName, Received, Source};

/// How often one receive looks again after it found dead letters; what is left waits for the next.
const DEAD_LETTER_ROUNDS: usize = 10;

#[async_trait]
impl Queue for Embedded {
    async fn send(&self, messages: Vec<Message>) -> Result<(), PlatformError> {
        check_messages(&messages)?;
        if messages.is_empty() {
            return Ok(());
        }
        let messages = self.address(messages).await?;
        self.write_checked(move |step| enqueue(step, &messages)).await
    }

    fn store_id(&self) -> Option<u64> {
        Some(self.shared().store_id)
    }
}

#[async_trait]
impl Source for Embedded {
    async fn receive(
        &self,
        queue: QueueName,
        max: usize,
        visibility: Duration,
        max_receives: u32,
    ) -> Result<Vec<Received>, PlatformError> {
        let from = self.queue_entry(queue).await?;
        let now = self.shared().now_micros();
        // Most polls of an idle queue end here, without a write.
        if max == 0 || !self.read(|conn| any_visible(conn, &from, now))? {
            return Ok(Vec::new());
        }
        self.receive_now(queue, max, visibility, max_receives).await
    }

    async fn delete(&self, queue: QueueName, receipts: Vec<String>) -> Result<(), PlatformError> {
        let receipts = read_receipts(&receipts)?;
        if receipts.is_empty() {
            return Ok(());
        }
        let from = self.queue_entry(queue).await?;
        self.write_checked(move |step| delete(step, &from, &receipts)).await
    }

    async fn release(
        &self,
        queue: QueueName,
        receipts: Vec<String>,
        delay: Duration,
    ) -> Result<(), PlatformError> {
        let receipts = read_receipts(&receipts)?;
        if receipts.is_empty() {
            return Ok(());
        }
        let to = self.queue_entry(queue).await?;
        self.write_checked(move |step| -> Result<(), PlatformError> {
            let visible_at = later(step.shared.clock.now(), delay);
            let mut release = step.conn.prepare_cached(&to.release)?;
            for Receipt { id, receives } in receipts {
                release.execute(params![id, receives, visible_at])?;
            }
            step.arrived(&to);
            Ok(())
        })
        .await
    }

    async fn dead_letters(&self, queue: QueueName, max: usize) -> Result<Vec<Received>, PlatformError> {
        let dead = self.ensure(self.shared().catalog.dead_letters(queue)).await?;
        self.read(|conn| {
            let mut oldest = conn.prepare_cached(&dead.oldest)?;
            let letters = oldest.query_map([i64::try_from(max).unwrap_or(i64::MAX)], |row| {
                let receipt = Receipt { id: row.get(0)?, receives: row.get(1)? };
                Ok(receipt.received(row.get(2)?))
            })?;
            Ok(letters.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Those that can be received now.
    pub visible: u64,
    /// Those that were received and are hidden for now.
    pub in_flight: u64,
    /// Those that were never received and are not visible yet.
    pub delayed: u64,
}

impl Embedded {
    /// Changes whenever a commit may have made messages of `queue` visible sooner than was known: it counts sends
    /// (delayed ones too), releases and fired wake-ups. Mark it seen, look, then wait for the change: nothing is missed.
    pub fn arrivals(&self, queue: QueueName) -> watch::Receiver<u64> {
        self.shared().catalog.queue(queue).arrivals()
    }

    /// When the earliest message of `queue` becomes or became visible; `None` if the queue is empty.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be read.
    pub async fn next_visible(&self, queue: QueueName) -> Result<Option<Timestamp>, PlatformError> {
        let entry = self.queue_entry(queue).await?;
        let next: Option<i64> =
            self.read(|conn| Ok(conn.prepare_cached(&entry.next)?.query_row([], |row| row.get(0))?))?;
        next.map(instant).transpose()
    }

    /// Waits until a message of `queue` can be received, for `max_wait` at most. Whether one could be when it looked
    /// last; another consumer may be quicker.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be read.
    pub async fn wait_for_messages(
        &self,
        queue: QueueName,
        max_wait: Duration,
    ) -> Result<bool, PlatformError> {
        let clock = &self.shared().clock;
        let end = later(clock.now(), max_wait);
        let mut arrivals = self.arrivals(queue);
        loop {
            arrivals.mark_unchanged();
            let now = clock.now().as_microsecond();
            let next = self.next_visible(queue).await?.map_or(i64::MAX, Timestamp::as_microsecond);
            if next <= now {
                return Ok(true);
            }
            if end <= now {
                return Ok(false);
            }
            let wait = Duration::from_micros(next.min(end).saturating_sub(now).unsigned_abs());
            tokio::select! {
                biased;
                // The sender lives in the catalog, so it can't be gone.
                _ = arrivals.changed() => {}
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// As [`Source::delete`], with the next commit and without waiting for it: what was handled comes back where the process
    /// dies before, as it does where it dies before it deletes.
    ///
    /// # Errors
    /// [`PlatformError`] where a receipt is not one of this queue's, or the database is closed.
    pub async fn delete_later(&self, queue: QueueName, receipts: Vec<String>) -> Result<(), PlatformError> {
        let receipts = read_receipts(&receipts)?;
        if receipts.is_empty() {
            return Ok(());
        }
        let from = self.queue_entry(queue).await?;
        self.write_later(move |step| delete(step, &from, &receipts))
    }

    /// Receives without looking first whether there is something.
    pub(super) async fn receive_now(
        &self,
        queue: QueueName,
        max: usize,
        visibility: Duration,
        max_receives: u32,
    ) -> Result<Vec<Received>, PlatformError> {
        let from = self.queue_entry(queue).await?;
        let dead = self.ensure(self.shared().catalog.dead_letters(queue)).await?;
        self.write_checked(move |step| receive(step, &from, &dead, max, visibility, max_receives)).await
    }

    /// Makes every message of `queue` that was received and not deleted visible again: for a host that has just started
    /// and, having the folder to itself, knows that whoever received them is gone.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be written.
    pub async fn recover(&self, queue: QueueName) -> Result<(), PlatformError> {
        let from = self.queue_entry(queue).await?;
        self.write(move |step| -> Result<(), PlatformError> {
            let now = step.shared.now_micros();
            step.conn.prepare_cached(&from.recover)?.execute([now])?;
            step.arrived(&from);
            Ok(())
        })
        .await
    }

    /// How many messages `queue` holds. It counts them one by one: for reports, not for polling.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be read.
    pub async fn counts(&self, queue: QueueName) -> Result<QueueCounts, PlatformError> {
        let entry = self.queue_entry(queue).await?;
        let now = self.shared().now_micros();
        self.read(|conn| {
            Ok(conn.prepare_cached(&entry.counts)?.query_row([now], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(QueueCounts { visible: count(0)?, in_flight: count(1)?, delayed: count(2)? })
            })?)
        })
    }

    pub(super) async fn queue_entry(&self, queue: QueueName) -> Result<Arc<QueueEntry>, PlatformError> {
        self.ensure(self.shared().catalog.queue(queue)).await
    }

    /// Finds the queue of each message.
    pub(super) async fn address(&self, messages: Vec<Message>) -> Result<Addressed, PlatformError> {
        let mut addressed = Vec::with_capacity(messages.len());
        for message in messages {
            addressed.push((self.queue_entry(message.queue).await?, message));
        }
        Ok(addressed)
    }
}

/// Puts the messages into their queues, those that somebody waits for as received by them.
pub(super) fn enqueue(
    step: &mut Step<'_>,
    messages: &[(Arc<QueueEntry>, Message)],
) -> Result<(), PlatformError> {
    let now = step.shared.clock.now();
    for (queue, message) in messages {
        let place = if message.delay.is_zero() { queue.place() } else { None };
        match place {
            Some(place) => {
                let receipt = Receipt { id: step.shared.running_number(), receives: 1 };
                let hidden_until = hidden_until(now, place.visibility());
                let mut insert = step.conn.prepare_cached(&queue.insert)?;
                insert.execute(params![receipt.id, hidden_until, receipt.receives, message.body])?;
                step.hand(place, receipt.received(message.body.clone()));
            }
            None => insert(step, queue, later(now, message.delay), &message.body)?,
        }
    }
    Ok(())
}

/// Puts one body into a queue.
pub(super) fn insert(
    step: &mut Step<'_>,
    queue: &Arc<QueueEntry>,
    visible_at: i64,
    body: &str,
) -> Result<(), PlatformError> {
    let id = step.shared.running_number();
    step.conn.prepare_cached(&queue.insert)?.execute(params![id, visible_at, 0, body])?;
    step.arrived(queue);
    Ok(())
}

fn any_visible(conn: &Connection, queue: &QueueEntry, now: i64) -> Result<bool, PlatformError> {
    Ok(conn.prepare_cached(&queue.any_visible)?.query_row([now], |_| Ok(())).optional()?.is_some())
}

fn receive(
    step: &mut Step<'_>,
    from: &QueueEntry,
    dead: &Arc<QueueEntry>,
    max: usize,
    visibility: Duration,
    max_receives: u32,
) -> Result<Vec<Received>, PlatformError> {
    let instant = step.shared.clock.now();
    let now = instant.as_microsecond();
    let hidden_until = hidden_until(instant, visibility);
    let mut received = Vec::new();
    for _ in 0..DEAD_LETTER_ROUNDS {
        let wanted = max - received.len();
        let found: Vec<(Receipt, String)> = step
            .conn
            .prepare_cached(&from.visible)?
            .query_map(params![now, i64::try_from(wanted).unwrap_or(i64::MAX)], |row| {
                Ok((Receipt { id: row.get(0)?, receives: row.get(1)? }, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let exhausted = found.len() < wanted;
        let mut hide = step.conn.prepare_cached(&from.hide)?;
        for (Receipt { id, receives }, body) in found {
            if receives >= max_receives.max(1) {
                step.conn.prepare_cached(&from.delete)?.execute(params![id, receives])?;
                step.conn.prepare_cached(&dead.insert)?.execute(params![id, now, receives, body])?;
                step.arrived(dead);
            } else {
                hide.execute(params![id, hidden_until])?;
                received.push(Receipt { id, receives: receives + 1 }.received(body));
            }
        }
        if exhausted || received.len() == max {
            break;
        }
    }
    Ok(received)
}

fn delete(step: &Step<'_>, from: &QueueEntry, receipts: &[Receipt]) -> Result<(), PlatformError> {
    let mut delete = step.conn.prepare_cached(&from.delete)?;
    for Receipt { id, receives } in receipts {
        delete.execute(params![id, receives])?;
    }
    Ok(())
}

/// Until when a message that is received now is hidden. A visibility of zero still hides it from this very call.
fn hidden_until(now: Timestamp, visibility: Duration) -> i64 {
    later(now, visibility).max(now.as_microsecond() + 1)
}

/// Names one receipt of one message: it is the newest for as long as the count has not gone on.
struct Receipt {
    id: i64,
    receives: u32,
}

impl Receipt {
    fn received(&self, body: String) -> Received {
        let Self { id, receives } = *self;
        Received { id: id.to_string(), receipt: format!("{id}.{receives}"), body, receives }
    }
}

fn read_receipts(receipts: &[String]) -> Result<Vec<Receipt>, PlatformError> {
    let read = |receipt: &String| {
        let (id, receives) = receipt.split_once('.')?;
        Some(Receipt { id: id.parse().ok()?, receives: receives.parse().ok()? })
    };
    let invalid = || PlatformError::Invalid("a receipt is not one of this queue's".to_owned());
    receipts.iter().map(|receipt| read(receipt).ok_or_else(invalid)).collect()
}

/// `delay` after `now`, in microseconds, rounded up.
pub(super) fn later(now: Timestamp, delay: Duration) -> i64 {
    let nanos = now.as_nanosecond().saturating_add(i128::try_from(delay.as_nanos()).unwrap_or(i128::MAX));
    let micros = nanos.div_euclid(1000) + i128::from(nanos.rem_euclid(1000) != 0);
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// The instant of so many microseconds.
pub(super) fn instant(micros: i64) -> Result<Timestamp, PlatformError> {
    Timestamp::from_microsecond(micros).map_err(|error| PlatformError::Corrupt(error.to_string()))
}
