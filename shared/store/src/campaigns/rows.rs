//! The rows that the list of campaigns is read from.
//!
//! A campaign has one row an order in which it can be listed, in the partition of its status and of that order; so a page of
//! what is at work never meets what was put away. Rows are written in the transaction that changes their campaign: its own
//! conditional put guards them, and they need no conditions. What no row shows, such as that an execution has ended, writes
//! none.

use std::collections::VecDeque;

use campaign::{CampaignId, CampaignRow, Status};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use platform::{Item, Key, Platform, Query, Range, Write};
use serde::{Deserialize, Serialize};

use super::Campaigns;
use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::tables::{self, CONTROL};

const WHAT: &str = "campaign row";
/// The most rows that one call reads.
pub const MOST_ROWS_READ: usize = 1000;
/// The most rows that are read of a partition at once; fewer where several are read, for what is not looked at in the end
/// was read for nothing.
const MOST_AT_ONCE: usize = 250;
/// How much of a name is in a key, in bytes: more than any allowed name has, and less than a key takes.
const LONGEST_NAME: usize = 900;
/// The longest sort key.
const LONGEST_KEY: usize = 1024;
/// Between a name and an id: before whatever a name goes on with.
const END_OF_NAME: char = '\u{1}';
/// Before whatever instants and ids are written with.
const FIRST: &str = "!";
/// Behind whatever instants and ids are written with.
const LAST: &str = "~";

/// By what campaigns are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The name, whatever its case.
    Name,
    /// The status, in the life's order; in a status as [`Sort::Created`].
    Status,
    /// When they last changed.
    Modified,
    /// When they next start. Those that do not come last, in either direction, as [`Sort::Created`].
    Start,
    /// When they were made, by the millisecond.
    Created,
}

/// Which way. Equals stand in the order of their ids, and so the other way round in the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// Its first instant; `None`: it has always begun.
    pub from: Option<Timestamp>,
    /// The first instant after it; `None`: it never ends.
    pub to: Option<Timestamp>,
}

impl Span {
    /// Whether it is all of time.
    pub const fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether an instant lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

/// Which rows, in which order.
#[derive(Debug, Clone)]
pub struct RowQuery {
    /// Of these statuses. A status that is named twice is read once.
    pub statuses: Vec<Status>,
    /// By what they are sorted.
    pub sort: Sort,
    /// Which way.
    pub direction: Direction,
    /// Only where the instant that they are sorted by lies in here. Of no effect on names and statuses.
    pub span: Span,
    /// What comes after this place only.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// A place in an order of rows. It stays where it is when rows come, go and move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// In which stretch of the order.
    stretch: usize,
    /// Behind this sort key.
    key: String,
}

/// A page of rows.
#[derive(Debug, Clone, Default)]
pub struct RowPage {
    /// The rows; there may be fewer than asked for, and more to come all the same.
    pub rows: Vec<CampaignRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

/// What a campaign's rows lie by in their partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Id,
    Name,
    Modified,
    /// Only where a start lies ahead.
    Start,
}

impl Order {
    const ALL: [Self; 4] = [Self::Id, Self::Name, Self::Modified, Self::Start];

    fn partition(self, status: Status) -> String {
        tables::rows(
            status,
            match self {
                Self::Id => "id",
                Self::Name => "name",
                Self::Modified => "modified",
                Self::Start => "start",
            },
        )
    }

    /// Where it keeps a campaign's row; `None` where it has none of it.
    fn key(self, row: &CampaignRow) -> Option<Key> {
        let id = row.id;
        let sk = match self {
            Self::Id => id.to_string(),
            Self::Name => format!("{}{END_OF_NAME}{id}", folded(&row.name)),
            Self::Modified => format!("{}#{id}", digits(row.modified_at)),
            Self::Start => format!("{}#{id}", digits(row.next_occurrence?)),
        };
        Some(Key::new(self.partition(row.status), sk))
    }

    /// The sort keys of a span.
    fn range(self, span: Span) -> Range {
        if span.is_all() || self == Self::Name {
            return Range::All;
        }
        let bound = |at: Timestamp| match self {
            Self::Id => first_id(at),
            _ => digits(at),
        };
        // Ids know milliseconds only: the one that the span ends in belongs to it.
        let to = match self {
            Self::Id => span.to.and_then(|to| to.checked_add(SignedDuration::from_millis(1)).ok()),
            _ => span.to,
        };
        Range::Between(
            span.from.map_or_else(|| FIRST.to_owned(), bound),
            to.map_or_else(|| LAST.to_owned(), bound),
        )
    }
}

/// A name as it is sorted by.
fn folded(name: &str) -> String {
    let mut folded = name.to_lowercase();
    folded.truncate(folded.floor_char_boundary(LONGEST_NAME));
    folded
}

/// An instant as it is sorted by: nanoseconds since the Unix epoch.
fn digits(at: Timestamp) -> String {
    format!("{:021}", at.as_nanosecond().max(0))
}

/// The least id of a campaign that was made at this millisecond.
fn first_id(at: Timestamp) -> String {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.as_millisecond().max(0).to_be_bytes()[2..]);
    CampaignId::from_bytes(bytes).to_string()
}

/// What turns the rows of a campaign into those that it is to have. `None`: there were none, or are to be none.
pub(super) fn writes(
    before: Option<&CampaignRow>,
    after: Option<&CampaignRow>,
) -> Result<Vec<Write>, StoreError> {
    if before == after {
        return Ok(Vec::new());
    }
    let document = after.map(|row| document::encode(WHAT, row)).transpose()?;
    let mut writes = Vec::new();
    for order in Order::ALL {
        let old = before.and_then(|row| order.key(row));
        let new = after.and_then(|row| order.key(row));
        if let Some(old) = old.filter(|old| Some(old) != new.as_ref()) {
            writes.push(Write::delete(CONTROL, old));
        }
        if let (Some(new), Some(document)) = (new, &document) {
            writes.push(Write::put(CONTROL, Item::new(new).with(DOCUMENT, document.clone())));
        }
    }
    Ok(writes)
}

impl Campaigns {
    /// A page of the rows that match. It reads at most [`MOST_ROWS_READ`] rows, whatever matches, and may so be short, or
    /// empty, and still have a `next`. A walk from page to page meets each campaign once that does not move in the order
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where `after` is no place in this order; else as the engine's.
    pub async fn rows(
        &self,
        query: &RowQuery,
        matches: impl Fn(&CampaignRow) -> bool,
    ) -> Result<RowPage, StoreError> {
        let stretches = stretches(query);
        let begin = query.after.as_ref().map_or(0, |place| place.stretch);
        if query.after.as_ref().is_some_and(|place| {
            place.stretch >= stretches.len() || place.key.is_empty() || place.key.len() > LONGEST_KEY
        }) {
            return Err(StoreError::invalid("after", "is no place in this order"));
        }
        let (mut rows, mut left, mut place) = (Vec::new(), MOST_ROWS_READ, query.after.clone());
        for (number, stretch) in stretches.iter().enumerate().skip(begin) {
            let after =
                place.as_ref().filter(|place| place.stretch == number).map(|place| place.key.as_str());
            let mut merge = Merge::new(stretch, query, after);
            loop {
                if !merge.fill(&self.platform, &mut left).await? {
                    return Ok(RowPage { rows, next: place });
                }
                let Some((key, row)) = merge.pop() else { break };
                let here = Some(Place { stretch: number, key });
                // A campaign whose status changed between two reads is met in both partitions.
                if here == place {
                    continue;
                }
                if stretch.keeps(&row) && matches(&row) {
                    if rows.len() == query.limit {
                        return Ok(RowPage { rows, next: place });
                    }
                    rows.push(row);
                }
                place = here;
            }
        }
        Ok(RowPage { rows, next: None })
    }
}

/// Rows of several partitions in one order of their sort keys.
#[derive(Debug)]
struct Stretch {
    partitions: Vec<String>,
    range: Range,
    /// Whether those with a start ahead are left out, having come before.
    without_start: bool,
}

impl Stretch {
    fn keeps(&self, row: &CampaignRow) -> bool {
        !(self.without_start && row.next_occurrence.is_some())
    }
}

/// What an order consists of, one after the other.
fn stretches(query: &RowQuery) -> Vec<Stretch> {
    let statuses = || Status::ALL.into_iter().filter(|status| query.statuses.contains(status));
    let merged = |order: Order, range, without_start| Stretch {
        partitions: statuses().map(|status| order.partition(status)).collect(),
        range,
        without_start,
    };
    let whole = |order: Order| vec![merged(order, order.range(query.span), false)];
    match query.sort {
        Sort::Name => whole(Order::Name),
        Sort::Modified => whole(Order::Modified),
        Sort::Created => whole(Order::Id),
        Sort::Start => {
            let mut stretches = whole(Order::Start);
            if query.span.is_all() {
                stretches.push(merged(Order::Id, Range::All, true));
            }
            stretches
        }
        Sort::Status => {
            let single = |status| Stretch {
                partitions: vec![Order::Id.partition(status)],
                range: Range::All,
                without_start: false,
            };
            let mut stretches: Vec<_> = statuses().map(single).collect();
            if query.direction == Direction::Descending {
                stretches.reverse();
            }
            stretches
        }
    }
}

/// What is being read of one partition.
#[derive(Debug)]
struct Lane {
    query: Query,
    rows: VecDeque<(String, CampaignRow)>,
    is_over: bool,
}

impl Lane {
    fn is_waiting(&self) -> bool {
        self.rows.is_empty() && !self.is_over
    }
}

/// Lanes that run together.
#[derive(Debug)]
struct Merge {
    lanes: Vec<Lane>,
    /// How many rows are read of one of them at once, at most.
    at_once: usize,
    descending: bool,
}

impl Merge {
    fn new(stretch: &Stretch, query: &RowQuery, after: Option<&str>) -> Self {
        let descending = query.direction == Direction::Descending;
        let at_once = (MOST_ROWS_READ / 2 / stretch.partitions.len().max(1)).min(MOST_AT_ONCE);
        let lane = |partition: &String| Lane {
            query: Query {
                range: stretch.range.clone(),
                descending,
                // One more than asked for tells whether anything follows.
                ..Query::of(partition, (query.limit + 1).min(at_once)).after(after.map(str::to_owned))
            },
            rows: VecDeque::new(),
            is_over: false,
        };
        Self { lanes: stretch.partitions.iter().map(lane).collect(), at_once, descending }
    }

    /// Reads on wherever nothing lies ready, so that the next row is known. False where `left`, how many rows may still be
    /// read, does not suffice for that.
    async fn fill(&mut self, platform: &Platform, left: &mut usize) -> Result<bool, StoreError> {
        let at_once = self.at_once;
        loop {
            let waiting = self.lanes.iter().filter(|lane| lane.is_waiting()).count();
            if waiting == 0 {
                return Ok(true);
            }
            let share = *left / waiting;
            if share == 0 {
                return Ok(false);
            }
            let reads = self.lanes.iter_mut().filter(|lane| lane.is_waiting()).map(|lane| async move {
                lane.query.limit = lane.query.limit.min(share);
                let page = platform.table.query(CONTROL, lane.query.clone()).await?;
                for item in &page.items {
                    lane.rows.push_back((item.key.sk.clone(), document::decode(WHAT, item)?));
                }
                lane.is_over = page.next.is_none();
                lane.query.after = page.next;
                // Whoever reads on finds little of what is asked for.
                lane.query.limit = (lane.query.limit * 2).min(at_once);
                Ok::<_, StoreError>(page.items.len().max(1))
            });
            let read: usize = try_join_all(reads).await?.into_iter().sum();
            *left -= read.min(*left);
        }
    }

    /// The next row and its sort key, where all lanes are filled; `None` where all are over.
    fn pop(&mut self) -> Option<(String, CampaignRow)> {
        let fronts = self.lanes.iter().enumerate();
        let fronts = fronts.filter_map(|(index, lane)| Some((&lane.rows.front()?.0, index)));
        let (_, first) = if self.descending { fronts.max() } else { fronts.min() }?;
        self.lanes[first].rows.pop_front()
    }
}

#[cfg(test)]
mod tests;
