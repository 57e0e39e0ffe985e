//! What endpoints are still to be told, and what they could not be told in the end.
//!
//! Each endpoint has a partition: what waits, in the order of its time; what was given up; and one item that says when to
//! look next, is found by the sweep, and is leased by whoever works on the endpoint. So an endpoint that is down keeps
//! nobody busy with anything but one look now and then, however much waits for it.

use std::time::Duration;

use campaign::{EndpointId, EventId};
use jiff::Timestamp;
use platform::table::{DUE_BUCKETS, MAX_TRANSACTION};
use platform::{Change, Condition, Consistency, Due, Item, Key, Query, Range, Updated, Write};
use serde::{Deserialize, Serialize};

use super::Endpoints;
use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::error::refused;
use crate::ledger::{Worker, lease};
use crate::messages::Notify;
use crate::tables::{self, CONTROL};

const WHAT: &str = "event";
/// Begins the key of what waits; the instant and the event's id follow.
pub(super) const WAITS: &str = "P#";
/// Begins the key of what was given up; the event's id follows.
pub(super) const DEAD: &str = "D#";
/// The key of the one item that says when to look.
const LOOK: &str = "LOOK";
/// When to look next, in milliseconds since the Unix epoch.
const AT: &str = "at";
/// Until when the endpoint is left alone, whatever comes; in milliseconds since the Unix epoch.
const DOWN: &str = "down";
/// Counts what came while a look was planned that is early enough for it.
const CAME: &str = "came";
/// How long what waits is kept at most, in seconds: it is given up long before.
const KEEP_SECONDS: i64 = 40 * 24 * 3600;
/// How long what was given up is kept, in seconds: 30 days.
pub const DEAD_KEEP_SECONDS: i64 = 30 * 24 * 3600;
/// How long after it was asked for a look is taken to be forgotten, in milliseconds.
const PATIENCE_MS: i64 = 60_000;
/// How often a look's end is written anew when others ask for a look at the same time.
const TRIES: usize = 10;

/// An event that an endpoint is still to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Which.
    pub event: EventId,
    /// What it is told: JSON, the same each time.
    pub body: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// How often that was tried.
    #[serde(default)]
    pub tries: u32,
    /// Why it went wrong last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is due, in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub due_ms: i64,
}

/// An event that an endpoint could not be told in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What it was to be told.
    #[serde(flatten)]
    pub parked: Parked,
    /// When it was given up, in milliseconds since the Unix epoch.
    pub dead_ms: i64,
}

/// What becomes of an event that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The endpoint has it.
    Told,
    /// It waits on, as it is now.
    Waits(Parked),
    /// It is given up, as it is now.
    Dead(Parked),
}

/// The right to tell an endpoint what waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    endpoint: EndpointId,
    /// What the look's item said when it was taken.
    at_ms: i64,
    /// How much had come by then.
    came: i64,
}

impl Endpoints {
    /// Has an endpoint told something later: each at its time. True where nobody would have looked as early, so that a
    /// message is wanted.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn park(&self, endpoint: EndpointId, events: &[Parked]) -> Result<bool, StoreError> {
        let Some(first_ms) = events.iter().map(|event| event.due_ms).min() else { return Ok(false) };
        let expires = self.platform.clock.now().as_second() + KEEP_SECONDS;
        let items = events.iter().map(|event| waiting(endpoint, event, expires));
        self.platform.table.batch_put(CONTROL, items.collect::<Result<_, _>>()?).await?;
        self.look_by(endpoint, first_ms).await
    }

    /// Has an endpoint looked at by then. True where nobody would have looked as early.
    async fn look_by(&self, endpoint: EndpointId, at_ms: i64) -> Result<bool, StoreError> {
        let later = Condition::Any(vec![
            Condition::Lacks(AT.to_owned()),
            Condition::All(vec![
                Condition::Above(AT.to_owned(), at_ms),
                Condition::Any(vec![
                    Condition::Lacks(DOWN.to_owned()),
                    Condition::Below(DOWN.to_owned(), at_ms + 1),
                ]),
            ]),
        ]);
        let key = look(endpoint);
        for _ in 0..TRIES {
            let (sooner, changes) = (later.clone(), look_at(endpoint, Some(at_ms)));
            let planned = match self.platform.table.update(CONTROL, &key, Some(sooner), changes).await? {
                Updated::New(_) => return Ok(true),
                Updated::Refused(item) => item.and_then(|item| item.number(AT)),
            };
            let Some(planned_ms) = planned else { continue };
            // Whoever is just about to give the right back may have looked before this came, and must look again.
            let still = Condition::equals(AT, planned_ms);
            let came = vec![Change::add(CAME, 1)];
            if let Updated::New(_) = self.platform.table.update(CONTROL, &key, Some(still), came).await? {
                return Ok(false);
            }
        }
        Err(StoreError::Contended { what: "webhook endpoint" })
    }

    /// Endpoints for whom something is due by then.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<EndpointId>, StoreError> {
        let mut due = Vec::new();
        for bucket in 0..DUE_BUCKETS {
            let items = self.platform.table.query_due(CONTROL, bucket, until.as_millisecond(), limit).await?;
            due.extend(items.iter().filter_map(|item| {
                item.key.pk.strip_prefix(tables::ENDPOINT).and_then(|id| id.parse::<EndpointId>().ok())
            }));
        }
        Ok(due)
    }

    /// Asks that somebody goes on with an endpoint for whom something is due; not again for a while, since whoever is asked
    /// may be busy.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn hand_on(&self, endpoint: EndpointId) -> Result<(), StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let is_due = Condition::Below(AT.to_owned(), now_ms + 1);
        let changes = look_at(endpoint, Some(now_ms + PATIENCE_MS));
        match self.platform.table.update(CONTROL, &look(endpoint), Some(is_due), changes).await? {
            Updated::New(_) => self.ask(endpoint, Duration::ZERO).await,
            Updated::Refused(_) => Ok(()),
        }
    }

    /// Asks that somebody goes on with an endpoint.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn ask(&self, endpoint: EndpointId, wait: Duration) -> Result<(), StoreError> {
        let message = Notify::GoOn { endpoint }.message().after(wait);
        Ok(self.platform.queue.send(vec![message]).await?)
    }

    /// Takes the right to tell an endpoint what waits for it, for `lease`. `None` where another has it, who then sees what
    /// came meanwhile, too.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn take(
        &self,
        endpoint: EndpointId,
        worker: &Worker,
        lease: Duration,
    ) -> Result<Option<Telling>, StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let at_ms = now_ms.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        // If this worker dies, the sweep looks when the lease is over.
        let mut changes = look_at(endpoint, Some(at_ms));
        changes.extend(worker.take(at_ms));
        let free = worker.may_take(now_ms);
        let updated = self.platform.table.update(CONTROL, &look(endpoint), Some(free), changes).await?;
        Ok(match updated {
            Updated::New(item) => Some(Telling { endpoint, at_ms, came: came(&item) }),
            Updated::Refused(_) => None,
        })
    }

    /// Gives the right back. The next look is when the next event is due; where the endpoint is down it is at
    /// `down_until_ms` instead, and nothing that comes meanwhile makes it sooner. Says when.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`].
    pub async fn give_back(
        &self,
        telling: Telling,
        down_until_ms: Option<i64>,
    ) -> Result<Option<i64>, StoreError> {
        let mut seen = telling;
        for attempt in 1..=TRIES {
            let next = self.waiting(telling.endpoint, None, 1).await?;
            let mut next_ms = next.first().map(|next| down_until_ms.unwrap_or(next.due_ms));
            // Where more comes all the time, a look at once sees to whatever it is.
            let whatever_comes = attempt == TRIES;
            if whatever_comes {
                let now_ms = self.platform.clock.now().as_millisecond();
                next_ms = Some(down_until_ms.unwrap_or(now_ms));
            }
            match self.end_telling(seen, next_ms, down_until_ms, whatever_comes).await? {
                Updated::New(_) => return Ok(next_ms),
                // It was purged, or another has taken it.
                Updated::Refused(None) => return Ok(None),
                Updated::Refused(Some(item)) => match item.number(AT) {
                    Some(at_ms) if at_ms <= seen.at_ms => seen = Telling { at_ms, came: came(&item), ..seen },
                    _ => return Ok(None),
                },
            }
        }
        Err(StoreError::Contended { what: "webhook endpoint" })
    }

    /// Gives the right back, as long as nobody has parked anything since it was seen like this; or though somebody has.
    pub(super) async fn end_telling(
        &self,
        seen: Telling,
        next_ms: Option<i64>,
        down_until_ms: Option<i64>,
        whatever_comes: bool,
    ) -> Result<Updated, StoreError> {
        let mut unchanged = vec![Condition::equals(AT, seen.at_ms)];
        if !whatever_comes {
            unchanged.push(match seen.came {
                0 => Condition::Lacks(CAME.to_owned()),
                came => Condition::equals(CAME, came),
            });
        }
        let unchanged = Condition::All(unchanged);
        let mut changes = look_at(seen.endpoint, next_ms);
        changes.extend(lease::give_back());
        changes.push(match down_until_ms {
            Some(until_ms) => Change::set(DOWN, until_ms),
            None => Change::Remove(DOWN.to_owned()),
        });
        Ok(self.platform.table.update(CONTROL, &look(seen.endpoint), Some(unchanged), changes).await?)
    }

    /// What waits for an endpoint and is due by then, or at all; the earliest first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn waiting(
        &self,
        endpoint: EndpointId,
        until_ms: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let range = match until_ms {
            Some(until_ms) => Range::Between(WAITS.to_owned(), format!("{WAITS}{:015}", until_ms + 1)),
            None => Range::Prefix(WAITS.to_owned()),
        };
        let query = Query { range, ..Query::of(tables::endpoint(endpoint), limit) };
        let page = self.platform.table.query(CONTROL, query).await?;
        page.items
            .iter()
            .map(|item| {
                let mut parked: Parked = document::decode(WHAT, item)?;
                let due = item.key.sk[WAITS.len()..].split('#').next();
                parked.due_ms = due.and_then(|due| due.parse().ok()).unwrap_or(0);
                Ok(parked)
            })
            .collect()
    }

    /// Writes what became of events that waited. One that is not where it waited any more is left alone: it was erased, or
    /// another has decided.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn decide(&self, endpoint: EndpointId, fates: Vec<(Parked, Fate)>) -> Result<(), StoreError> {
        let now = self.platform.clock.now();
        let mut moves = Vec::with_capacity(fates.len());
        for (before, fate) in fates {
            moves.push(moving(endpoint, &before, fate, now)?);
        }
        // An event's old and new place are written together.
        for some in moves.chunks(MAX_TRANSACTION / 2) {
            let all = some.iter().flatten().cloned().collect();
            if refused(self.platform.table.transact(all).await)?.is_some() {
                for one in some {
                    refused(self.platform.table.transact(one.clone()).await)?;
                }
            }
        }
        Ok(())
    }

    /// Gives up events that have not waited yet.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn bury(&self, endpoint: EndpointId, events: Vec<Parked>) -> Result<(), StoreError> {
        let now = self.platform.clock.now();
        let items = events.into_iter().map(|event| dead(endpoint, event, now));
        Ok(self.platform.table.batch_put(CONTROL, items.collect::<Result<_, _>>()?).await?)
    }

    /// A page of what an endpoint could not be told, in the order of the events' ids.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn dead_letters(
        &self,
        endpoint: EndpointId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<DeadLetter>, Option<String>), StoreError> {
        let after = after.map(|event| format!("{DEAD}{event}"));
        let query = Query::of(tables::endpoint(endpoint), limit).prefix(DEAD).after(after);
        let page = self.platform.table.query(CONTROL, query).await?;
        let letters = page.items.iter().map(|item| document::decode(WHAT, item)).collect::<Result<_, _>>()?;
        Ok((letters, page.next.map(|next| next[DEAD.len()..].to_owned())))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn dead_letter(&self, endpoint: EndpointId, event: EventId) -> Result<DeadLetter, StoreError> {
        let item = self.platform.table.get(CONTROL, &dead_key(endpoint, event), Consistency::Strong).await?;
        let item = item.ok_or_else(|| StoreError::not_found("dead letter", event))?;
        document::decode(WHAT, &item)
    }

    /// Has what could not be told waiting again, with all its tries before it. What is no longer a dead letter is left alone.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn revive(&self, endpoint: EndpointId, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        let now = self.platform.clock.now();
        let now_ms = now.as_millisecond();
        for letter in letters {
            let key = dead_key(endpoint, letter.parked.event);
            let parked = Parked { tries: 0, since_ms: now_ms, due_ms: now_ms, error: None, ..letter.parked };
            let writes = vec![
                Write::delete(CONTROL, key).when(Condition::Exists),
                Write::put(CONTROL, waiting(endpoint, &parked, now.as_second() + KEEP_SECONDS)?),
            ];
            refused(self.platform.table.transact(writes).await)?;
        }
        if self.look_by(endpoint, now_ms).await? {
            self.ask(endpoint, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Removes some of what is left of an endpoint that is gone; false where there is more.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn purge(&self, endpoint: EndpointId) -> Result<bool, StoreError> {
        let query = Query::of(tables::endpoint(endpoint), MAX_TRANSACTION);
        let page = self.platform.table.query(CONTROL, query).await?;
        let writes: Vec<_> = page.items.into_iter().map(|item| Write::delete(CONTROL, item.key)).collect();
        if !writes.is_empty() {
            refused(self.platform.table.transact(writes).await)?;
        }
        Ok(page.next.is_none())
    }
}

/// How much had come when the look's item was like this.
fn came(look: &Item) -> i64 {
    look.number(CAME).unwrap_or(0)
}

fn look(endpoint: EndpointId) -> Key {
    Key::new(tables::endpoint(endpoint), LOOK)
}

fn look_at(endpoint: EndpointId, at_ms: Option<i64>) -> Vec<Change> {
    match at_ms {
        Some(at_ms) => {
            let due = Due { bucket: tables::bucket(endpoint.as_bytes()), at_ms };
            vec![Change::set(AT, at_ms), Change::Due(Some(due))]
        }
        None => vec![Change::Remove(AT.to_owned()), Change::Due(None)],
    }
}

fn waits_key(endpoint: EndpointId, event: &Parked) -> Key {
    Key::new(tables::endpoint(endpoint), format!("{WAITS}{:015}#{}", event.due_ms.max(0), event.event))
}

fn waiting(endpoint: EndpointId, event: &Parked, expires: i64) -> Result<Item, StoreError> {
    let mut item = Item::new(waits_key(endpoint, event)).with(DOCUMENT, document::encode(WHAT, event)?);
    item.expires = Some(expires);
    Ok(item)
}

/// What is written as an event meets its fate, if it waits still.
fn moving(
    endpoint: EndpointId,
    before: &Parked,
    fate: Fate,
    now: Timestamp,
) -> Result<Vec<Write>, StoreError> {
    let old = waits_key(endpoint, before);
    let new = match fate {
        Fate::Told => return Ok(vec![Write::delete(CONTROL, old)]),
        Fate::Waits(parked) => waiting(endpoint, &parked, now.as_second() + KEEP_SECONDS)?,
        Fate::Dead(parked) => dead(endpoint, parked, now)?,
    };
    // One item can't be written twice at once.
    if new.key == old {
        return Ok(vec![Write::put(CONTROL, new).when(Condition::Exists)]);
    }
    Ok(vec![Write::delete(CONTROL, old).when(Condition::Exists), Write::put(CONTROL, new)])
}

fn dead_key(endpoint: EndpointId, event: EventId) -> Key {
    Key::new(tables::endpoint(endpoint), format!("{DEAD}{event}"))
}

fn dead(endpoint: EndpointId, parked: Parked, now: Timestamp) -> Result<Item, StoreError> {
    let key = dead_key(endpoint, parked.event);
    let letter = DeadLetter { parked, dead_ms: now.as_millisecond() };
    let mut item = Item::new(key).with(DOCUMENT, document::encode(WHAT, &letter)?);
    item.expires = Some(now.as_second() + DEAD_KEEP_SECONDS);
    Ok(item)
}
