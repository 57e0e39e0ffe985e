//! Buckets: a period cut where hours, days, weeks or months begin on the clocks of a zone.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Timestamp, ToSpan};

use crate::fact::Minute;
use crate::schedule::Zone;

/// How long a bucket is, about: a day on which clocks change is shorter or longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A minute.
    Minute,
    /// An hour of the zone's clocks. One that a clock change cuts is two buckets, one that comes twice as well.
    Hour,
    /// A day of the zone.
    Day,
    /// A week of the zone, from Monday on.
    Week,
    /// A month of the zone.
    Month,
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// Buckets without gaps, each from its beginning up to but without the beginning of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// Where each begins, in order, and at last where the last one ends.
    borders: Vec<Minute>,
}

impl Buckets {
    /// Cuts the minutes from `from` up to but without `until`. The first and the last are cut short by these. `None` where
    /// that would be more than `most`, or the calendar's ends are met.
    pub fn cut(interval: Interval, zone: &Zone, from: Minute, until: Minute, most: usize) -> Option<Self> {
        let until = until.max(from + 1);
        let mut borders = vec![from];
        let mut at = from;
        loop {
            at = next(interval, zone, at)?.max(at + 1);
            if at >= until {
                borders.push(until);
                return Some(Self { borders });
            }
            borders.push(at);
            if borders.len() > most {
                return None;
            }
        }
    }

    /// In which bucket a minute is counted: what is before the first is counted in that, what is behind the last in that,
    /// so that they add up.
    pub fn place(&self, minute: Minute) -> usize {
        let begun = self.borders.partition_point(|border| *border <= minute);
        begun.saturating_sub(1).min(self.borders.len().saturating_sub(2))
    }

    /// Where each begins, and where it ends.
    pub fn iter(&self) -> impl Iterator<Item = (Minute, Minute)> + '_ {
        self.borders.windows(2).map(|pair| (pair[0], pair[1]))
    }
}

/// Where the first bucket begins that begins behind a minute.
fn next(interval: Interval, zone: &Zone, at: Minute) -> Option<Minute> {
    let instant = |minute: Minute| Timestamp::from_second(minute.checked_mul(60)?).ok();
    let now = instant(at)?;
    let local = zone.local(now);
    match interval {
        Interval::Minute => Some(at + 1),
        Interval::Hour => {
            let left = 60 - i64::from(local.minute());
            let offset = zone.offset(now);
            if zone.offset(instant(at + left - 1)?) == offset {
                return Some(at + left);
            }
            // Clocks change within the hour: it is cut there.
            (1..left)
                .map(|more| at + more)
                .find(|minute| instant(*minute).is_none_or(|instant| zone.offset(instant) != offset))
        }
        Interval::Day => first_minute(zone, local.date().tomorrow().ok()?, now),
        Interval::Week => {
            let monday = local.date().nth_weekday(1, Weekday::Monday).ok()?;
            first_minute(zone, monday, now)
        }
        Interval::Month => {
            let month = local.date().first_of_month().checked_add(1.month()).ok()?;
            first_minute(zone, month, now)
        }
    }
}

/// Where a day of a zone begins, which is behind an instant. A day that a zone has left out begins where the next one
/// does.
fn first_minute(zone: &Zone, day: Date, behind: Timestamp) -> Option<Minute> {
    let begins = zone.instant(DateTime::from(day)).ok()?;
    debug_assert!(begins > behind, "a day to come begins later");
    Some(begins.as_second().div_euclid(60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minute(instant: &str) -> Minute {
        instant.parse::<Timestamp>().unwrap().as_second() / 60
    }

    /// Where buckets begin on the clocks of a zone, and how many minutes they have.
    fn cut(interval: Interval, zone: &str, from: &str, until: &str) -> Vec<(String, i64)> {
        let zone = Zone::parse(zone).unwrap();
        let buckets = Buckets::cut(interval, &zone, minute(from), minute(until), 10_000).unwrap();
        let local = |minute: Minute| zone.local(Timestamp::from_second(minute * 60).unwrap()).to_string();
        buckets.iter().map(|(from, until)| (local(from), until - from)).collect()
    }

    #[track_caller]
    fn assert_cut(cut: &[(String, i64)], expected: &[(&str, i64)]) {
        let cut: Vec<_> = cut.iter().map(|(local, length)| (local.as_str(), *length)).collect();
        assert_eq!(cut, expected);
    }

    /// Row J4.
    #[test]
    fn an_open_at_half_past_eleven_utc_is_of_the_next_day_in_berlin() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let (from, until) = (minute("2026-06-01T22:00:00Z"), minute("2026-06-04T22:00:00Z"));
        let buckets = Buckets::cut(Interval::Day, &zone, from, until, 100).unwrap();
        assert_eq!(buckets.iter().count(), 3);
        assert_eq!(buckets.place(minute("2026-06-02T21:59:00Z")), 0);
        assert_eq!(buckets.place(minute("2026-06-02T23:30:00Z")), 1);
    }

    #[test]
    fn days_on_which_clocks_change_have_23_and_25_hours() {
        let days = cut(Interval::Day, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T22:00:00Z");
        assert_cut(
            &days,
            &[
                ("2026-03-28T13:00:00", 11 * 60),
                ("2026-03-29T00:00:00", 23 * 60),
                ("2026-03-30T00:00:00", 24 * 60),
            ],
        );
        let days = cut(Interval::Day, "America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
        assert_cut(&days, &[("2026-11-01T00:00:00", 25 * 60)]);
    }

    #[test]
    fn a_day_without_a_midnight_begins_later() {
        // Clocks in Beirut went from 00:00 to 01:00.
        let days = cut(Interval::Day, "Asia/Beirut", "2026-03-28T10:00:00Z", "2026-03-29T21:00:00Z");
        assert_cut(&days, &[("2026-03-28T12:00:00", 12 * 60), ("2026-03-29T01:00:00", 23 * 60)]);
    }

    #[test]
    fn a_day_that_was_left_out_is_no_bucket() {
        // Samoa had no 30th of December 2011.
        let days = cut(Interval::Day, "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z");
        assert_cut(&days, &[("2011-12-29T00:00:00", 24 * 60), ("2011-12-31T00:00:00", 24 * 60)]);
    }

    #[test]
    fn hours_begin_when_the_zones_clocks_say_so() {
        let hours = cut(Interval::Hour, "Asia/Kolkata", "2026-06-01T00:00:00Z", "2026-06-01T02:00:00Z");
        assert_cut(
            &hours,
            &[("2026-06-01T05:30:00", 30), ("2026-06-01T06:00:00", 60), ("2026-06-01T07:00:00", 30)],
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_buckets() {
        let hours = cut(Interval::Hour, "Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z");
        assert_cut(
            &hours,
            &[
                ("2026-10-25T01:00:00", 60),
                ("2026-10-25T02:00:00", 60),
                ("2026-10-25T02:00:00", 60),
                ("2026-10-25T03:00:00", 60),
            ],
        );
    }

    #[test]
    fn an_hour_that_a_change_by_half_an_hour_cuts_is_two_buckets() {
        // On Lord Howe Island clocks go from 02:00 back to 01:30, and from 02:00 on to 02:30.
        let hours =
            cut(Interval::Hour, "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z");
        assert_cut(
            &hours,
            &[("2026-04-05T01:00:00", 60), ("2026-04-05T01:30:00", 30), ("2026-04-05T02:00:00", 60)],
        );
        let hours =
            cut(Interval::Hour, "Australia/Lord_Howe", "2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z");
        assert_cut(
            &hours,
            &[("2026-10-04T01:00:00", 60), ("2026-10-04T02:30:00", 30), ("2026-10-04T03:00:00", 60)],
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = cut(Interval::Week, "UTC", "2026-06-03T00:00:00Z", "2026-06-16T00:00:00Z");
        let day = 24 * 60;
        assert_cut(
            &weeks,
            &[
                ("2026-06-03T00:00:00", 5 * day),
                ("2026-06-08T00:00:00", 7 * day),
                ("2026-06-15T00:00:00", day),
            ],
        );
        let months = cut(Interval::Month, "UTC", "2026-01-31T00:00:00Z", "2026-03-02T00:00:00Z");
        assert_cut(
            &months,
            &[("2026-01-31T00:00:00", day), ("2026-02-01T00:00:00", 28 * day), ("2026-03-01T00:00:00", day)],
        );
    }

    #[test]
    fn more_than_the_most_are_refused() {
        let cut = |most| Buckets::cut(Interval::Minute, &Zone::UTC, 0, 10, most).is_some();
        assert!(cut(10) && !cut(9));
    }

    proptest! {
        /// Every minute of a period is in one bucket, and all of a bucket are of the same hour or day on the zone's clocks.
        #[test]
        fn a_bucket_holds_what_its_name_says(
            zone in proptest::sample::select(vec![
                "UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu",
                "America/Havana", "Pacific/Apia", "Africa/Casablanca", "America/Scoresbysund",
            ]),
            from in 20_000_000..30_000_000_i64,
            length in 1..20_000_i64,
            interval in proptest::sample::select(Interval::ALL.to_vec()),
        ) {
            let zone = Zone::parse(zone).unwrap();
            let buckets = Buckets::cut(interval, &zone, from, from + length, 30_000).unwrap();
            let local = |minute: Minute| zone.local(Timestamp::from_second(minute * 60).unwrap());
            let name = |minute: Minute| {
                let local = local(minute);
                let date = local.date();
                match interval {
                    Interval::Minute => local.to_string(),
                    Interval::Hour => format!("{date} {}", local.hour()),
                    Interval::Day => date.to_string(),
                    Interval::Week => format!("{:?}", date.iso_week_date().first_of_week().unwrap().date()),
                    Interval::Month => format!("{} {}", date.year(), date.month()),
                }
            };
            let mut last = from;
            for (place, (begins, ends)) in buckets.iter().enumerate() {
                prop_assert_eq!(begins, last);
                prop_assert!(ends > begins);
                prop_assert_eq!(name(begins), name(ends - 1));
                prop_assert_eq!(buckets.place(begins), place);
                prop_assert_eq!(buckets.place(ends - 1), place);
                last = ends;
            }
            prop_assert_eq!(last, from + length);
        }
    }
}
