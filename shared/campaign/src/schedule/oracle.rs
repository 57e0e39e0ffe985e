//! Recurring schedules against a slow walker that knows nothing of their arithmetic: it goes through the days one by
//! one, and finds the instant of a local time by trying every offset its zone has around then.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::pattern::Dates;
use super::*;

const ALL_WEEKDAYS: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// A pattern as a person would say it.
#[derive(Debug, Clone)]
enum Rule {
    Days,
    Weeks(Vec<Weekday>),
    Months { days: Vec<u8>, last: Option<LastDay> },
}

impl Rule {
    fn pattern(&self) -> Pattern {
        match self {
            Self::Days => Pattern::Daily,
            Self::Weeks(days) => Pattern::Weekly(Weekdays::new(days.iter().copied()).unwrap()),
            Self::Months { days, last } => {
                Pattern::Monthly(MonthDays::new(days.iter().copied(), *last).unwrap())
            }
        }
    }

    fn is_on(&self, date: Date) -> bool {
        match self {
            Self::Days => true,
            Self::Weeks(days) => days.contains(&date.weekday()),
            Self::Months { days, last } => {
                let today = date.day() as u8;
                let month_is_over = date.tomorrow().unwrap().day() == 1;
                days.contains(&today)
                    || month_is_over && (last.is_some() || days.iter().any(|day| *day > today))
            }
        }
    }

    /// All its dates from one day to another, in every n-th period from that of the first.
    fn walk(&self, every: u16, from: Date, until: Date) -> Vec<Date> {
        let mut found = Vec::new();
        let mut periods = 0;
        let mut date = from;
        while date <= until {
            let new_period = match self {
                Self::Days => true,
                Self::Weeks(_) => date.weekday() == Weekday::Monday,
                Self::Months { .. } => date.day() == 1,
            };
            if new_period && !found.is_empty() {
                periods += 1;
            }
            if self.is_on(date) && periods % every == 0 {
                found.push(date);
            }
            date = date.tomorrow().unwrap();
        }
        found
    }
}

/// The instant of a local time: the first at which clocks show it; where none ever do, as far after the change as it
/// lies in the gap.
fn instant_of(local: DateTime, zone: &TimeZone) -> Timestamp {
    let as_utc = Offset::UTC.to_timestamp(local).unwrap();
    let earlier = |offset: &Offset| as_utc - SignedDuration::from_secs(offset.seconds().into());
    let offset_at = |instant: Timestamp| zone.to_offset(instant);
    let around = (-12..=12).map(|step| offset_at(as_utc + SignedDuration::from_hours(3 * step)));
    let mut offsets: Vec<_> = around.collect();
    offsets.sort_unstable();
    offsets.dedup();
    let shown = offsets.iter().filter(|offset| offset_at(earlier(offset)) == **offset).map(earlier).min();
    shown.unwrap_or_else(|| {
        let mut changes = offsets.iter().flat_map(|before| offsets.iter().map(move |after| (before, after)));
        let skips = |(before, after): &(&Offset, &Offset)| {
            before < after && offset_at(earlier(after)) == **before && offset_at(earlier(before)) == **after
        };
        earlier(changes.find(skips).expect("a change that skips it").0)
    })
}

fn rules() -> impl Strategy<Value = (Rule, u16)> {
    let weeks = subsequence(ALL_WEEKDAYS.to_vec(), 1..=7).prop_map(Rule::Weeks);
    let last = prop_oneof![Just(None), Just(Some(LastDay))];
    let months = (
        prop_oneof![
            subsequence((1..=31).collect::<Vec<u8>>(), 0..=4),
            subsequence((26..=31).collect::<Vec<u8>>(), 0..=6)
        ],
        last,
    )
        .prop_filter("has a day", |(days, last)| !days.is_empty() || last.is_some())
        .prop_map(|(days, last)| Rule::Months { days, last });
    prop_oneof![
        (Just(Rule::Days), prop_oneof![1..=10_u16, 1..=366_u16]),
        (weeks, prop_oneof![1..=5_u16, 1..=104_u16]),
        (months, prop_oneof![1..=13_u16, 1..=120_u16]),
    ]
}

fn dates() -> impl Strategy<Value = Date> {
    (2024..=2040_i16, 1..=12_i8, 1..=31_i8).prop_map(|(year, month, day)| {
        let month = Date::new(year, month, 1).unwrap();
        month.with().day(day.min(month.days_in_month())).build().unwrap()
    })
}

/// Any second, and more often the hours in which clocks are changed.
fn times() -> impl Strategy<Value = Time> {
    prop_oneof![
        (0..24_i8, 0..60_i8, 0..60_i8)
            .prop_map(|(hour, minute, second)| Time::constant(hour, minute, second, 0)),
        (0..4_i8, 0..4_i8).prop_map(|(hour, quarter)| Time::constant(hour, quarter * 15, 0, 0)),
        Just(Time::constant(23, 30, 0, 0)),
    ]
}

fn until() -> Date {
    Date::constant(2041, 12, 31)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn numbers_and_dates_are_those_of_a_walk_through_all_days(
        (rule, every) in rules(),
        from in dates(),
        probes in proptest::collection::vec(dates(), 20),
    ) {
        let walked = rule.walk(every, from, until());
        let dates = Dates::new(rule.pattern(), every, from).unwrap();
        let sparse = (0..walked.len()).step_by(walked.len() / 60 + 1);
        for index in (0..walked.len().min(30)).chain(sparse) {
            prop_assert_eq!(dates.date(index as u64 + 1), Some(walked[index]));
            prop_assert_eq!(dates.before(walked[index]), index as u64);
        }
        if let Some(next) = dates.date(walked.len() as u64 + 1) {
            prop_assert!(next > until());
        }
        for probe in probes {
            let before = walked.iter().filter(|date| **date < probe).count();
            prop_assert_eq!(dates.before(probe), before as u64, "{}", probe);
        }
    }

    #[test]
    fn the_next_occurrence_is_the_one_a_walker_meets_in_any_zone(
        (rule, every) in rules(),
        from in dates(),
        from_time in times(),
        time in times(),
        zone in any::<Index>(),
        ends_after in prop_oneof![Just(None), (1..=40_u32).prop_map(Some)],
        probes in proptest::collection::vec((dates(), times(), -1..=1_i64), 6),
    ) {
        let zones = Zone::all();
        let zone = zone.get(&zones);
        let tz = TimeZone::get(zone.name()).unwrap();
        let mut walked = rule.walk(every, from, until());
        if time < from_time {
            // What is before the start on its day is none of the schedule's, and no period counts from it.
            walked = rule.walk(every, from.tomorrow().unwrap(), until());
        }
        let ends = ends_after.map_or(Ends::Never, Ends::After);
        let start = from.to_datetime(from_time);
        let recurrence = Recurrence::new(rule.pattern(), every, start, time, zone.clone(), ends).unwrap();
        for (date, probe_time, nudge) in probes {
            // Now and then at, or a nanosecond beside, an occurrence.
            let near = walked.iter().rev().find(|walked| **walked <= date).unwrap_or(&date);
            let local = if nudge == 0 { date.to_datetime(probe_time) } else { near.to_datetime(time) };
            let probe = instant_of(local, &tz) + SignedDuration::from_nanos(nudge.min(0));
            let recent = tz.to_datetime(probe).date().checked_sub(jiff::Span::new().days(3)).unwrap();
            let expected = walked
                .iter()
                .enumerate()
                .filter(|(_, date)| **date >= recent)
                .map(|(index, date)| (index as u64 + 1, instant_of(date.to_datetime(time), &tz)))
                .find(|(_, instant)| *instant > probe)
                .filter(|(number, _)| ends_after.is_none_or(|most| *number <= most.into()));
            let Some((number, instant)) = expected else {
                let next = recurrence.after(probe, None);
                prop_assert!(next.is_none_or(|next| next.planned.date() > until()), "{:?}", next);
                continue;
            };
            let next = recurrence.after(probe, None).expect("the walker met one");
            prop_assert_eq!((next.number, next.instant), (number, instant));
            prop_assert_eq!(next.local, tz.to_datetime(instant));
            prop_assert_eq!(next.offset, tz.to_offset(instant));
            prop_assert_eq!(next.planned, walked[number as usize - 1].to_datetime(time));
            prop_assert_eq!(recurrence.nth(number), Some(next));
            prop_assert_eq!(recurrence.after(probe, Some(instant)), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn a_recipient_s_wave_is_the_local_time_in_their_zone(date in dates(), time in times()) {
        let local = date.to_datetime(time);
        let mut zones = 0;
        for wave in RecipientTime::new(local, Zone::UTC).unwrap().waves() {
            for zone in &wave.zones {
                let tz = TimeZone::get(zone.name()).unwrap();
                prop_assert_eq!(wave.instant, instant_of(local, &tz), "{}", zone);
            }
            zones += wave.zones.len();
            let as_utc = Offset::UTC.to_timestamp(local).unwrap();
            prop_assert_eq!(wave.offset.seconds(), as_utc.duration_since(wave.instant).as_secs() as i32);
        }
        prop_assert_eq!(zones, Zone::all().len());
    }
}

#[test]
fn every_clock_change_of_every_zone_moves_skips_and_doubles_nothing() {
    let from: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2041-01-01T00:00:00Z".parse().unwrap();
    let mut changes = 0;
    for zone in Zone::all() {
        let tz = TimeZone::get(zone.name()).unwrap();
        for change in tz.following(from).take_while(|change| change.timestamp() < until) {
            let at = change.timestamp();
            let before = tz.to_offset(at - SignedDuration::from_nanos(1)).to_datetime(at);
            let after = tz.to_datetime(at);
            if before == after {
                continue;
            }
            changes += 1;
            let (low, high) = (before.min(after), before.max(after));
            let middle = low + high.duration_since(low) / 2;
            for local in [low, middle, high] {
                let start = local.date().checked_sub(jiff::Span::new().days(2)).unwrap();
                let planned = Recurrence::new(
                    Pattern::Daily,
                    1,
                    start.into(),
                    local.time(),
                    zone.clone(),
                    Ends::After(4),
                );
                let coming: Vec<_> = planned.unwrap().coming(Timestamp::MIN, None, 10).collect();
                assert_eq!(coming.len(), 4, "{zone} {local}");
                for (days, occurrence) in coming.iter().enumerate() {
                    let date = start.checked_add(jiff::Span::new().days(days as i64)).unwrap();
                    let expected = instant_of(date.to_datetime(local.time()), &tz);
                    assert_eq!(occurrence.instant, expected, "{zone} {local}");
                }
            }
        }
    }
    assert!(changes > 3000, "{changes}");
}

#[test]
fn months_of_unlike_lengths_are_counted_right_over_centuries() {
    let rule = |days: &[u8], last| Rule::Months { days: days.to_vec(), last };
    for (rule, every) in [
        (rule(&[28, 29, 30, 31], None), 1),
        (rule(&[29, 30], Some(LastDay)), 5),
        (rule(&[29, 31], None), 12),
        (rule(&[1, 28, 29], None), 48),
        (rule(&[30, 31], Some(LastDay)), 120),
        (rule(&[28], Some(LastDay)), 36),
    ] {
        let dates = Dates::new(rule.pattern(), every, Date::constant(1970, 2, 1)).unwrap();
        // The same months by themselves, without the arithmetic.
        let Rule::Months { days, last } = &rule else { unreachable!("all are months") };
        let mut number = 0;
        let (mut year, mut month) = (1970, 2);
        while year < 2450 {
            let length = Date::constant(year, month, 1).days_in_month() as u8;
            let mut found: Vec<_> = days.iter().map(|day| *day.min(&length)).collect();
            found.extend(last.map(|LastDay| length));
            found.sort_unstable();
            found.dedup();
            for day in found {
                number += 1;
                if number < 50 || number % 7 == 0 {
                    let date = Date::constant(year, month, day as i8);
                    assert_eq!(dates.date(number), Some(date), "{rule:?} {every}");
                    assert_eq!(dates.before(date), number - 1, "{rule:?} {every}");
                }
            }
            let next = i32::from(month) - 1 + i32::from(every);
            year += (next / 12) as i16;
            month = (next % 12 + 1) as i8;
        }
    }
}
