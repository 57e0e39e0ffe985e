//! Consuming a queue in the process that sends to it: what is sent while a consumer has a place free is handed to it with
//! the commit that stores it, as received already. It spares the message the way through the table, and the consumer a
//! commit for receiving it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::Embedded;
use super::catalog::QueueEntry;
use super::queue::later;
use crate::{PlatformError, QueueName, Received};

/// Whoever handles the messages of a queue, as many at once as it has places.
pub struct Consumer {
    engine: Embedded,
    queue: QueueName,
    entry: Arc<QueueEntry>,
    taker: Arc<Taker>,
    arrivals: watch::Receiver<u64>,
    max_receives: u32,
    /// Until when nothing in the table is visible, as far as is known, in microseconds since the Unix epoch.
    nothing_until: i64,
}

/// Where messages are handed to a consumer.
pub(super) struct Taker {
    visibility: Duration,
    places: Mutex<Places>,
    handed: Notify,
}

/// What becomes of a consumer's places. They are as many as it has said, less what it was given since.
#[derive(Default)]
struct Places {
    /// Those that a message may take.
    free: usize,
    /// Those whose message is not committed yet.
    reserved: usize,
    /// The messages that it has not fetched yet.
    handed: Vec<Received>,
}

/// A place for a message, free again when it is dropped without one.
pub(super) struct Place(Option<Arc<Taker>>);

impl Embedded {
    /// A consumer of `queue`. What it receives is hidden from others for `visibility`; see
    /// [`Source::receive`](crate::Source::receive) for `max_receives`.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be written.
    pub async fn consumer(
        &self,
        queue: QueueName,
        visibility: Duration,
        max_receives: u32,
    ) -> Result<Consumer, PlatformError> {
        let entry = self.queue_entry(queue).await?;
        let taker = Arc::new(Taker { visibility, places: Mutex::default(), handed: Notify::new() });
        entry.enlist(Arc::clone(&taker));
        Ok(Consumer {
            engine: self.clone(),
            queue,
            arrivals: entry.arrivals(),
            entry,
            taker,
            max_receives,
            nothing_until: i64::MIN,
        })
    }
}

impl Consumer {
    /// Waits for messages, for `max_wait` at most, and receives as many as there are `places` for, at most. The places
    /// that are left stay open for what is sent until the next call, whose `places` count them again.
    ///
    /// Where the future is dropped, nothing that was handed over is lost; what was being read from the table comes back
    /// when its visibility ends.
    ///
    /// # Errors
    /// [`PlatformError`] where the database can't be read or written.
    pub async fn next(&mut self, places: usize, max_wait: Duration) -> Result<Vec<Received>, PlatformError> {
        let clock = Arc::clone(&self.engine.shared().clock);
        let end = later(clock.now(), max_wait);
        loop {
            let (handed, room) = self.taker.fetch(places);
            if !handed.is_empty() {
                self.taker.open(room);
                return Ok(handed);
            }
            let now = clock.now().as_microsecond();
            // Older messages first; most of the time there are none, and it is known without a look.
            if room > 0 && (self.arrivals.has_changed().unwrap_or(true) || self.nothing_until <= now) {
                self.arrivals.mark_unchanged();
                // Where the read fails, there is one anew.
                self.nothing_until = i64::MIN;
                let next = self.engine.next_visible(self.queue).await?;
                // Not for ever: what a handler never deleted becomes visible unannounced.
                let next = next.map_or(i64::MAX, Timestamp::as_microsecond).min(end.max(now + 1));
                self.nothing_until = next;
                if next <= now {
                    let visibility = self.taker.visibility;
                    let received =
                        self.engine.receive_now(self.queue, room, visibility, self.max_receives).await?;
                    if received.is_empty() {
                        continue;
                    }
                    self.taker.open(room - received.len());
                    return Ok(received);
                }
            }
            self.taker.open(room);
            if end <= now {
                return Ok(Vec::new());
            }
            let until = if room > 0 { self.nothing_until.min(end) } else { end };
            let wait = Duration::from_micros(until.saturating_sub(now).unsigned_abs());
            tokio::select! {
                biased;
                () = self.taker.handed.notified() => {}
                // The sender lives in the catalog, so it can't be gone.
                _ = self.arrivals.changed(), if room > 0 => self.nothing_until = i64::MIN,
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// Takes no more, and gives back what was handed over and not fetched.
    pub fn close(self) -> Vec<Received> {
        self.entry.dismiss(&self.taker);
        self.taker.fetch(0).0
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.entry.dismiss(&self.taker);
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Taker {
    /// A place for a message, if one is free.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Place> {
        let mut places = self.places();
        places.free = places.free.checked_sub(1)?;
        places.reserved += 1;
        Some(Place(Some(Arc::clone(self))))
    }

    /// What was handed over, and how many of these places are left then. None is open until [`open`](Self::open).
    fn fetch(&self, all: usize) -> (Vec<Received>, usize) {
        let mut places = self.places();
        places.free = 0;
        let handed = std::mem::take(&mut places.handed);
        let room = all.saturating_sub(handed.len() + places.reserved);
        (handed, room)
    }

    /// Opens so many places.
    fn open(&self, room: usize) {
        self.places().free = room;
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// For how long its message is hidden from others.
    pub(super) fn visibility(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |taker| taker.visibility)
    }

    /// Hands over the message, which is committed.
    pub(super) fn hand(mut self, message: Received) {
        if let Some(taker) = self.0.take() {
            let mut places = taker.places();
            places.reserved -= 1;
            places.handed.push(message);
            drop(places);
            taker.handed.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(taker) = &self.0 {
            let mut places = taker.places();
            places.reserved -= 1;
            places.free += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Message, Queue, Source, SystemClock};

    const WORK: QueueName = QueueName("work");
    const MINUTE: Duration = Duration::from_secs(60);

    fn messages(bodies: &[&str]) -> Vec<Message> {
        bodies.iter().map(|body| Message::new(WORK, (*body).to_owned())).collect()
    }

    fn bodies(received: &[Received]) -> Vec<&str> {
        received.iter().map(|message| message.body.as_str()).collect()
    }

    /// Has it wait until the places are open.
    async fn waiting(consumer: &mut Consumer, places: usize) {
        assert!(consumer.next(places, Duration::from_millis(1)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_sent_to_who_waits_is_theirs_as_received() {
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let mut consumer = engine.consumer(WORK, MINUTE, 5).await.unwrap();
        waiting(&mut consumer, 2).await;
        engine.send(messages(&["a", "b", "c"])).await.unwrap();
        let counts = engine.counts(WORK).await.unwrap();
        assert_eq!((counts.visible, counts.in_flight), (1, 2), "as many as there are places for");
        let received = consumer.next(2, MINUTE).await.unwrap();
        assert_eq!((bodies(&received), received[0].receives), (vec!["a", "b"], 1));
        // The one that found no place comes by the table.
        let last = consumer.next(1, MINUTE).await.unwrap();
        assert_eq!(bodies(&last), ["c"]);
        let receipts = received.into_iter().chain(last).map(|message| message.receipt).collect();
        engine.delete(WORK, receipts).await.unwrap();
        assert_eq!(engine.counts(WORK).await.unwrap(), Default::default());
    }

    #[tokio::test]
    async fn older_messages_come_first_and_delayed_ones_in_time() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        engine.send(messages(&["old"])).await.unwrap();
        let mut consumer = engine.consumer(WORK, MINUTE, 5).await.unwrap();
        assert_eq!(bodies(&consumer.next(4, MINUTE).await.unwrap()), ["old"]);
        waiting(&mut consumer, 4).await;
        let late = messages(&["late"]).remove(0).after(Duration::from_millis(20));
        engine.send(vec![late]).await.unwrap();
        assert_eq!(bodies(&consumer.next(4, MINUTE).await.unwrap()), ["late"]);
    }

    #[tokio::test]
    async fn a_send_that_fails_hands_nothing_over_and_keeps_no_place() {
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let mut consumer = engine.consumer(WORK, MINUTE, 5).await.unwrap();
        waiting(&mut consumer, 1).await;
        let addressed = engine.address(messages(&["lost"])).await.unwrap();
        let failed = engine
            .write(move |step| -> Result<(), PlatformError> {
                super::super::queue::enqueue(step, &addressed)?;
                Err(PlatformError::Invalid("told to".to_owned()))
            })
            .await;
        assert!(failed.is_err());
        engine.send(messages(&["kept"])).await.unwrap();
        assert_eq!(engine.counts(WORK).await.unwrap().in_flight, 1, "the place was free again");
        assert_eq!(bodies(&consumer.next(1, MINUTE).await.unwrap()), ["kept"]);
    }

    #[tokio::test]
    async fn who_has_gone_is_handed_nothing_and_gives_back_what_they_did_not_fetch() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let mut consumer = engine.consumer(WORK, MINUTE, 5).await.unwrap();
        waiting(&mut consumer, 2).await;
        engine.send(messages(&["a"])).await.unwrap();
        let left = consumer.close();
        assert_eq!(bodies(&left), ["a"]);
        let receipts = left.into_iter().map(|message| message.receipt).collect();
        engine.release(WORK, receipts, Duration::ZERO).await.unwrap();
        engine.send(messages(&["b"])).await.unwrap();
        assert_eq!(engine.counts(WORK).await.unwrap().visible, 2);
    }

    /// Senders and a consumer whose places come and go: everything is handled once.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_between_places_and_the_table() {
        const SENDERS: usize = 8;
        const EACH: usize = 100;
        let folder = tempfile::TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
        let mut consumer = engine.consumer(WORK, MINUTE, 5).await.unwrap();
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let engine = engine.clone();
            senders.spawn(async move {
                for n in 0..EACH {
                    let body = format!("{sender}-{n}");
                    engine.send(vec![Message::new(WORK, body)]).await.unwrap();
                }
            });
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut places = 1;
        while seen.len() < SENDERS * EACH {
            let received = consumer.next(places, MINUTE).await.unwrap();
            assert!(received.len() <= places, "no more than there are places for");
            places = 1 + (places + received.len()) % 5;
            for message in received {
                assert_eq!(message.receives, 1);
                assert!(seen.insert(message.body));
                engine.delete_later(WORK, vec![message.receipt]).await.unwrap();
            }
        }
        senders.join_all().await;
        while engine.counts(WORK).await.unwrap() != Default::default() {
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }
}
