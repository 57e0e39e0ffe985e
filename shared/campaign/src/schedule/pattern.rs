//! On which dates a recurring schedule falls: every n days, weeks or months, counted from its first date.
//!
//! Everything here is arithmetic on day and month numbers: the thousandth date costs what the first does. A pattern's
//! dates lie in **periods** (days, weeks from Monday on, months), of which every n-th is visited; a period has one
//! **slot** for each of its dates.

use jiff::civil::{Date, Weekday};

/// What a schedule repeats by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// By days.
    Daily,
    /// By weeks, on these days of theirs. A week begins on Monday.
    Weekly(Weekdays),
    /// By months, on these days of theirs.
    Monthly(MonthDays),
}

/// Days of a week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// These days; `None` where there are none.
    pub fn new(days: impl IntoIterator<Item = Weekday>) -> Option<Self> {
        let bits = days.into_iter().fold(0, |bits, day| bits | 1 << day.to_monday_zero_offset());
        (bits != 0).then_some(Self(bits))
    }

    /// Whether this day is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & 1 << day.to_monday_zero_offset() != 0
    }

    /// The days, Monday first.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        Weekday::Monday.cycle_forward().take(7).filter(move |day| self.contains(*day))
    }
}

/// Days of a month, at least one. Where a month is shorter than a day's number, its last day is meant: it counts once,
/// however many numbers come to mean it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthDays(u32);

impl MonthDays {
    /// Bit 0 stands for the last day, the others for the day of their number.
    const LAST: u32 = 1;

    /// These days, 1 to 31, with the last one or not; `None` where there are none, or a number is out of range.
    pub fn new(days: impl IntoIterator<Item = u8>, last: Option<LastDay>) -> Option<Self> {
        let start = last.map_or(0, |LastDay| Self::LAST);
        let bits =
            days.into_iter().try_fold(start, |bits, day| (1..=31).contains(&day).then(|| bits | 1 << day))?;
        (bits != 0).then_some(Self(bits))
    }

    /// The numbered days, from the first on.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (1..=31).filter(move |day| self.0 & 1 << day != 0)
    }

    /// Whether the last day is named as such.
    pub const fn last(self) -> Option<LastDay> {
        if self.0 & Self::LAST != 0 { Some(LastDay) } else { None }
    }

    /// The days in a month of this length, a bit each.
    const fn within(self, length: i8) -> u32 {
        let real = (u32::MAX >> (31 - length)) & !Self::LAST;
        let in_month = self.0 & real;
        if self.0 & !real != 0 { in_month | 1 << length } else { in_month }
    }

    /// How many days these are in a month of this length.
    fn count(self, length: i8) -> i64 {
        self.within(length).count_ones().into()
    }
}

/// More dates than the calendar has days: no number beyond is one, and sums up to it stay small.
const MOST_DATES: u64 = 4_000_000;

/// The last day of a month, whatever its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDay;

/// A pattern and its first date: all its dates, numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dates {
    pattern: Pattern,
    every: i64,
    /// The first date. It lies in the first period.
    first: Date,
    /// The slots of the first period that come before it.
    skipped: i64,
}

impl Dates {
    /// The dates of a pattern that are not before `from`, in every n-th period counted from the first date's; `None`
    /// at the end of the calendar.
    pub(super) fn new(pattern: Pattern, every: u16, from: Date) -> Option<Self> {
        let first = match pattern {
            Pattern::Daily => from,
            Pattern::Weekly(days) => {
                let ahead = (0..7).find(|ahead| days.contains(from.weekday().wrapping_add(*ahead)))?;
                plus_days(from, ahead.into())?
            }
            Pattern::Monthly(days) => {
                let later = days.within(from.days_in_month()) >> from.day();
                if later == 0 {
                    let month = from.last_of_month().tomorrow().ok()?;
                    nth_day(month, days, 0)?
                } else {
                    plus_days(from, later.trailing_zeros().into())?
                }
            }
        };
        let mut dates = Self { pattern, every: every.max(1).into(), first, skipped: 0 };
        dates.skipped = dates.slots_within(first);
        Some(dates)
    }

    /// The date of this number, from 1 on; `None` past the end of the calendar.
    pub(super) fn date(&self, number: u64) -> Option<Date> {
        let before = number.checked_sub(1).filter(|before| *before < MOST_DATES)?;
        let slot = i64::try_from(before).ok()? + self.skipped;
        match self.pattern {
            Pattern::Daily => plus_days(self.first, slot * self.every),
            Pattern::Weekly(days) => {
                let of_week = i64::from(days.0.count_ones());
                let day = nth_bit(days.0.into(), slot % of_week);
                let weeks = slot / of_week * self.every;
                plus_days(monday(self.first), weeks * 7 + i64::from(day))
            }
            Pattern::Monthly(days) => {
                let months = self.months_before(days, slot);
                let month = month_at(month_index(self.first) + months * self.every)?;
                nth_day(month, days, slot - self.slots_in_months(days, months))
            }
        }
    }

    /// How many of the dates lie before this one.
    pub(super) fn before(&self, date: Date) -> u64 {
        if date <= self.first {
            return 0;
        }
        let periods = match self.pattern {
            Pattern::Daily => days_between(self.first, date),
            Pattern::Weekly(_) => days_between(monday(self.first), date).div_euclid(7),
            Pattern::Monthly(_) => month_index(date) - month_index(self.first),
        };
        let (visited, within) = if periods % self.every == 0 {
            (periods / self.every, self.slots_within(date))
        } else {
            (periods / self.every + 1, 0)
        };
        let whole = match self.pattern {
            Pattern::Daily => visited,
            Pattern::Weekly(days) => visited * i64::from(days.0.count_ones()),
            Pattern::Monthly(days) => self.slots_in_months(days, visited),
        };
        u64::try_from(whole + within - self.skipped).unwrap_or(0)
    }

    /// How many slots of its own period lie before a date.
    fn slots_within(&self, date: Date) -> i64 {
        let (slots, day) = match self.pattern {
            Pattern::Daily => return 0,
            Pattern::Weekly(days) => (days.0.into(), date.weekday().to_monday_zero_offset()),
            Pattern::Monthly(days) => (days.within(date.days_in_month()), date.day()),
        };
        (slots & ((1 << day) - 1)).count_ones().into()
    }

    /// How many visited months are over before the one this slot lies in.
    fn months_before(&self, days: MonthDays, slot: i64) -> i64 {
        // A month has at least as many slots as February and at most as many as a month of 31 days.
        let (mut low, mut high) = (slot / days.count(31), slot / days.count(28));
        // Between them lies the last number of months whose slots do not exceed the slot.
        while low < high {
            let middle = low + (high - low + 1) / 2;
            if self.slots_in_months(days, middle) <= slot { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// How many slots the first so many visited months have. Months of unlike lengths may have unlike numbers of them.
    fn slots_in_months(&self, days: MonthDays, months: i64) -> i64 {
        if days.count(28) == days.count(31) {
            return months * days.count(31);
        }
        // After so many visits the place in the year comes again: each place is counted at once.
        let round = 12 / gcd(self.every, 12);
        let first = month_index(self.first);
        let slots = (0..round.min(months)).map(|visit| {
            let index = first + visit * self.every;
            let times = (months - visit + round - 1) / round;
            match index % 12 + 1 {
                2 => {
                    let leap = leap_years(index / 12, round * self.every / 12, times);
                    leap * days.count(29) + (times - leap) * days.count(28)
                }
                4 | 6 | 9 | 11 => times * days.count(30),
                _ => times * days.count(31),
            }
        });
        slots.sum()
    }
}

/// How many of `times` years are leap years, the first one and every `step`-th after it.
fn leap_years(first: i64, step: i64, times: i64) -> i64 {
    let multiples = |of: i64| {
        let round = of / gcd(step, of);
        let met = (0..round).find(|time| (first + time * step) % of == 0);
        met.map_or(0, |met| (times - met + round - 1).max(0) / round)
    };
    multiples(4) - multiples(100) + multiples(400)
}

const fn gcd(one: i64, other: i64) -> i64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

fn plus_days(date: Date, days: i64) -> Option<Date> {
    let days = i32::try_from(days).ok()?;
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_secs() / 86_400
}

fn monday(date: Date) -> Date {
    let behind = date.weekday().to_monday_zero_offset();
    // The calendar's very first days have none; schedules begin later.
    plus_days(date, -i64::from(behind)).unwrap_or(date)
}

fn month_index(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

/// The first day of a month.
fn month_at(index: i64) -> Option<Date> {
    let year = i16::try_from(index.div_euclid(12)).ok()?;
    let month = i8::try_from(index.rem_euclid(12) + 1).ok()?;
    Date::new(year, month, 1).ok()
}

/// The n-th of these days, from 0 on, in the month of this date.
fn nth_day(month: Date, days: MonthDays, n: i64) -> Option<Date> {
    let day = nth_bit(days.within(month.days_in_month()), n);
    Date::new(month.year(), month.month(), i8::try_from(day).ok()?).ok()
}

/// The place of the n-th set bit, from 0 on.
fn nth_bit(bits: u32, n: i64) -> u32 {
    let without = (0..n).fold(bits, |bits, _| bits & bits.wrapping_sub(1));
    without.trailing_zeros()
}
