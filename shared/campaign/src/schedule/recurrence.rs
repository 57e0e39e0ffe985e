//! Recurring schedules: a pattern of dates at a local time in a zone, from a start to an end.
//!
//! An occurrence is known by its number, which counts from the start. Both ways between numbers and instants are
//! arithmetic from the first local date, so a late wake-up, a reschedule or a year's pause changes neither when an
//! occurrence is nor which one is the last of ten.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use super::pattern::Dates;
use super::{Moment, OwnTime, Pattern, RecurrenceError, Zone, recipients};

/// The years a start may lie in: past ones for campaigns that go on, future ones with room for what follows.
const START_YEARS: std::ops::RangeInclusive<i16> = 1970..=9000;

/// The most occurrences an end may be given by.
pub const MAX_OCCURRENCES: u32 = 100_000;

/// A recurring schedule, checked.
///
/// Its first occurrence is the first local time of its pattern that is not before `start`. Every n weeks or months are
/// counted from the one that occurrence lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    pattern: Pattern,
    every: u16,
    start: DateTime,
    time: Time,
    zone: Zone,
    ends: Ends,
    recipient_time: Option<OwnTime>,
    dates: Dates,
}

/// When a recurring schedule ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// Never.
    #[default]
    Never,
    /// With the last occurrence that is not after a moment, or on that day.
    On(Moment),
    /// After so many occurrences, counted from the start, whether they ran or not.
    After(u32),
}

/// One occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// 1, 2, 3, ..., from the schedule's start.
    pub number: u64,
    /// The local time the schedule asks for. A clock change may leave it out: see [`local`](Self::local).
    pub planned: DateTime,
    /// What clocks in the zone show when it starts: `planned`, or that moved forward by the gap.
    pub local: DateTime,
    /// How far they are ahead of UTC then.
    pub offset: Offset,
    /// When it starts: in recipients' own time, in the earliest zone.
    pub instant: Timestamp,
    /// In recipients' own time, when it is the local time in the latest zone.
    pub last: Option<Timestamp>,
}

impl Recurrence {
    /// A schedule of every `every`-th day, week or month, at `time` in `zone`, from `start` on.
    ///
    /// # Errors
    /// [`RecurrenceError`] names the field: `every` out of the pattern's range, `start` out of the calendar, an `end`
    /// before the first occurrence, too many `occurrences`.
    pub fn new(
        pattern: Pattern,
        every: u16,
        start: DateTime,
        time: Time,
        zone: Zone,
        ends: Ends,
    ) -> Result<Self, RecurrenceError> {
        let most = pattern.most_every();
        if !(1..=most).contains(&every) {
            return Err(RecurrenceError::new("every", format!("must be a whole number from 1 to {most}")));
        }
        if !START_YEARS.contains(&start.year()) {
            let message = format!("must lie in the years {} to {}", START_YEARS.start(), START_YEARS.end());
            return Err(RecurrenceError::new("start", message));
        }
        let from = if time < start.time() { start.date().tomorrow().ok() } else { Some(start.date()) };
        let dates = from
            .and_then(|from| Dates::new(pattern, every, from))
            .ok_or_else(|| RecurrenceError::new("start", "has nothing after it"))?;
        let recurrence = Self { pattern, every, start, time, zone, ends, recipient_time: None, dates };
        match ends {
            Ends::After(occurrences) if !(1..=MAX_OCCURRENCES).contains(&occurrences) => {
                let message = format!("must be a whole number from 1 to {MAX_OCCURRENCES}");
                Err(RecurrenceError::new("occurrences", message))
            }
            Ends::On(end) if recurrence.nth(1).is_none() => {
                let first = recurrence.at(1).map_or(recurrence.start, |first| first.planned);
                Err(RecurrenceError::new("end", format!("{end} is before the first occurrence, {first}")))
            }
            _ => Ok(recurrence),
        }
    }

    /// The same, meant in every recipient's own zone where `recipient_time` says so.
    #[must_use]
    pub fn in_recipient_time(self, recipient_time: Option<OwnTime>) -> Self {
        Self { recipient_time, ..self }
    }

    /// Where it is meant in every recipient's own zone, what is done for those whose hour has passed.
    pub const fn recipient_time(&self) -> Option<OwnTime> {
        self.recipient_time
    }

    /// What it repeats by.
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Every how many days, weeks or months.
    pub const fn every(&self) -> u16 {
        self.every
    }

    /// From when on, in local time.
    pub const fn start(&self) -> DateTime {
        self.start
    }

    /// At what local time of the day.
    pub const fn time(&self) -> Time {
        self.time
    }

    /// Where.
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// When it ends by itself.
    pub const fn ends(&self) -> Ends {
        self.ends
    }

    /// The occurrence of this number, from 1 on; `None` where the schedule has ended before.
    pub fn nth(&self, number: u64) -> Option<Occurrence> {
        self.at(number).filter(|occurrence| self.has(occurrence))
    }

    /// The first occurrence that starts after `instant` and, where the campaign closes at an instant, before it: the
    /// next one for an occurrence's own instant, and the slot a start in the past rolls to. `None` where none is left.
    ///
    /// Where a zone leaves out a whole day (Apia, 2011-12-30), that day's occurrence and the next day's are at the same
    /// instant: this names the former, and goes on after both.
    pub fn after(&self, instant: Timestamp, closes: Option<Timestamp>) -> Option<Occurrence> {
        let next = self.next(instant)?;
        (self.has(&next) && closes.is_none_or(|closes| next.instant < closes)).then_some(next)
    }

    /// The latest occurrence that starts at `instant` or before it; `None` where there is none, or the schedule has ended
    /// long before.
    pub fn at_or_before(&self, instant: Timestamp) -> Option<Occurrence> {
        let before = self.next(instant)?.number - 1;
        let latest = match self.ends {
            Ends::After(occurrences) => before.min(occurrences.into()),
            Ends::On(_) | Ends::Never => before,
        };
        // Those beyond the end that have started, had it none: two at the most lie within the hours of one.
        (latest.saturating_sub(2)..=latest)
            .rev()
            .filter(|number| *number > 0)
            .find_map(|number| self.nth(number))
    }

    /// In recipients' own time, the latest occurrence that has started before `instant` in the earliest zone and is
    /// still to come, or just has come, in the latest. `None` where there is none, or the time is not theirs.
    pub fn under_way(&self, instant: Timestamp) -> Option<Occurrence> {
        self.recipient_time?;
        let latest = self.at_or_before(instant)?;
        (latest.instant < instant && latest.last.is_some_and(|last| last >= instant)).then_some(latest)
    }

    /// The occurrence, starting at another instant.
    pub(super) fn from(&self, occurrence: Occurrence, instant: Timestamp) -> Occurrence {
        let offset = self.zone.offset(instant);
        Occurrence { local: offset.to_datetime(instant), offset, instant, ..occurrence }
    }

    /// The first occurrence that starts after `instant`, had the schedule no end.
    fn next(&self, instant: Timestamp) -> Option<Occurrence> {
        // What is planned two days before starts before this day, whatever the clock does: no zone has ever moved
        // its clock by more than a day. So a few steps from there lead past the instant.
        let today = match self.recipient_time {
            None => self.zone.local(instant).date(),
            Some(_) => recipients::earliest_local(instant).date(),
        };
        let yesterday = today.yesterday().unwrap_or(Date::MIN);
        let mut number = self.dates.before(yesterday) + 1;
        loop {
            let occurrence = self.at(number)?;
            if occurrence.instant > instant {
                return Some(occurrence);
            }
            number += 1;
        }
    }

    /// The coming occurrences after `instant`, at most `most` of them, as [`after`](Self::after) gives one after the
    /// other.
    pub fn coming(
        &self,
        instant: Timestamp,
        closes: Option<Timestamp>,
        most: usize,
    ) -> impl Iterator<Item = Occurrence> {
        let next = move |last: Timestamp| self.after(last, closes);
        std::iter::successors(next(instant), move |last| next(last.instant)).take(most)
    }

    /// The occurrence of this number, had the schedule no end.
    fn at(&self, number: u64) -> Option<Occurrence> {
        let planned = self.dates.date(number)?.to_datetime(self.time);
        let (instant, last) = match self.recipient_time {
            None => (self.zone.instant(planned).ok()?, None),
            Some(_) => (recipients::earliest(planned).ok()?, Some(recipients::latest(planned).ok()?)),
        };
        let offset = self.zone.offset(instant);
        Some(Occurrence { number, planned, local: offset.to_datetime(instant), offset, instant, last })
    }

    /// Whether the schedule has not ended before it.
    fn has(&self, occurrence: &Occurrence) -> bool {
        match self.ends {
            Ends::Never => true,
            Ends::After(occurrences) => occurrence.number <= occurrences.into(),
            // An end past the calendar is never reached. In recipients' own time, an end is one of the campaign's zone,
            // and so is the local time that is held against it.
            Ends::On(end) => {
                let instant = match self.recipient_time {
                    None => Some(occurrence.instant),
                    Some(_) => self.zone.instant(occurrence.planned).ok(),
                };
                instant.is_none_or(|instant| end.includes(instant, &self.zone).unwrap_or(true))
            }
        }
    }
}

impl Pattern {
    /// The most days, weeks or months a schedule may repeat by: a year, two years, ten years.
    pub const fn most_every(self) -> u16 {
        match self {
            Self::Daily => 366,
            Self::Weekly(_) => 104,
            Self::Monthly(_) => 120,
        }
    }
}
