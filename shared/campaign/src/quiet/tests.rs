use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(start: &str, end: &str) -> QuietHours {
    QuietHours {
        name: "Quiet".to_owned(),
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        weekdays: None,
        channels: vec![Channel::Email],
        on_quiet: OnQuiet::Delay,
    }
}

#[test]
fn a_night_lasts_over_midnight_by_the_recipient_s_clock() {
    let night = hours("21:00", "08:00");
    for (now, name, ends) in [
        ("2027-07-14T18:59:59Z", "Europe/Paris", None),
        ("2027-07-14T19:00:00Z", "Europe/Paris", Some("2027-07-15T06:00:00Z")),
        ("2027-07-15T05:59:59Z", "Europe/Paris", Some("2027-07-15T06:00:00Z")),
        ("2027-07-15T06:00:00Z", "Europe/Paris", None),
        ("2027-07-14T19:00:00Z", "America/New_York", None),
        ("2027-07-15T01:00:00Z", "America/New_York", Some("2027-07-15T12:00:00Z")),
        // Corpus B2: after the clock change of 31 October, too.
        ("2021-11-01T06:59:00Z", "Europe/Paris", Some("2021-11-01T07:00:00Z")),
        ("2021-11-01T07:00:00Z", "Europe/Paris", None),
        ("2021-10-31T20:00:00Z", "Europe/Paris", Some("2021-11-01T07:00:00Z")),
        ("2021-10-31T19:30:00Z", "Europe/Paris", None),
    ] {
        assert_eq!(night.ends(utc(now), &zone(name)), ends.map(utc), "{now} {name}");
    }
}

#[test]
fn a_clock_change_neither_opens_a_night_nor_moves_it() {
    // Corpus B9's days in New York: 02:00 to 03:00 is skipped on 14 March, and comes twice on 7 November.
    let new_york = zone("America/New_York");
    let ends = |hours: &QuietHours, now: &str| hours.ends(utc(now), &new_york);
    let skipped_end = hours("21:00", "02:30");
    assert_eq!(ends(&skipped_end, "2027-03-14T06:30:00Z"), Some(utc("2027-03-14T07:00:00Z")));
    let skipped_start = hours("02:30", "08:00");
    assert_eq!(ends(&skipped_start, "2027-03-14T06:59:59Z"), None);
    assert_eq!(ends(&skipped_start, "2027-03-14T07:00:00Z"), Some(utc("2027-03-14T12:00:00Z")));
    assert_eq!(ends(&hours("02:10", "02:50"), "2027-03-14T07:00:00Z"), None);
    // The clock shows 01:30 for the first time, then 01:50; then 01:10 again.
    let doubled_end = hours("21:00", "01:45");
    for now in ["2027-11-07T05:30:00Z", "2027-11-07T05:50:00Z", "2027-11-07T06:10:00Z"] {
        assert_eq!(ends(&doubled_end, now), Some(utc("2027-11-07T06:45:00Z")), "{now}");
    }
    let doubled_start = hours("01:30", "08:00");
    for now in ["2027-11-07T05:30:00Z", "2027-11-07T06:10:00Z"] {
        assert_eq!(ends(&doubled_start, now), Some(utc("2027-11-07T13:00:00Z")), "{now}");
    }
    assert_eq!(ends(&doubled_start, "2027-11-07T05:29:59Z"), None);
}

#[test]
fn days_are_those_on_which_a_window_begins() {
    let weekend = QuietHours {
        weekdays: Some(vec![DayOfWeek::Saturday, DayOfWeek::Sunday]),
        ..hours("20:00", "09:00")
    };
    let paris = zone("Europe/Paris");
    let is_quiet = |now: &str| weekend.ends(utc(now), &paris).is_some();
    assert!(!is_quiet("2027-07-16T21:00:00Z"), "on Friday night");
    assert!(!is_quiet("2027-07-17T06:00:00Z"), "on Saturday morning");
    assert!(is_quiet("2027-07-17T19:00:00Z"), "on Saturday night");
    assert!(is_quiet("2027-07-19T06:00:00Z"), "on Monday morning, since Sunday night");
    assert!(!is_quiet("2027-07-19T07:00:00Z"), "after that");
}

#[test]
fn a_window_that_ends_when_it_begins_lasts_a_day() {
    let sunday = QuietHours { weekdays: Some(vec![DayOfWeek::Sunday]), ..hours("00:00", "00:00") };
    let ends = |now: &str| sunday.ends(utc(now), &Zone::UTC);
    assert_eq!(ends("2027-07-17T23:59:59Z"), None);
    assert_eq!(ends("2027-07-18T00:00:00Z"), Some(utc("2027-07-19T00:00:00Z")));
    assert_eq!(ends("2027-07-19T00:00:00Z"), None);
}

#[test]
fn a_time_of_day_has_one_form() {
    for text in ["00:00", "21:05", "23:59"] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
    }
    for text in
        ["", "8:00", "24:00", "12:60", "12:00:00", "1200", "ab:cd", "-1:00", "+1:00", "12.00", "１2:00"]
    {
        assert_eq!(text.parse::<TimeOfDay>(), Err(NotATimeOfDay), "{text}");
    }
}

const MINUTE: i64 = 60;

/// When windows last, by looking at the clock minute by minute: each from the first minute to the last at which the clock
/// shows a time of it, whatever it shows in between.
fn oracle(hours: &QuietHours, zone: &Zone, from: i64, until: i64) -> Vec<(i64, i64)> {
    let mut windows = std::collections::BTreeMap::<Date, (i64, i64)>::new();
    for second in (from..until).step_by(60) {
        let local = zone.local(Timestamp::from_second(second).unwrap());
        let time = (local.hour(), local.minute());
        let (start, end) = ((hours.start.hour, hours.start.minute), (hours.end.hour, hours.end.minute));
        let yesterday = local.date().yesterday().unwrap();
        let mut days = Vec::new();
        if start < end {
            days.extend((start <= time && time < end).then_some(local.date()));
        } else {
            days.extend((start <= time).then_some(local.date()));
            days.extend((time < end).then_some(yesterday));
        }
        for day in days.into_iter().filter(|day| hours.begins_on(*day)) {
            let window = windows.entry(day).or_insert((second, second));
            window.1 = second + MINUTE;
        }
    }
    windows.into_values().collect()
}

fn any_time() -> impl Strategy<Value = TimeOfDay> {
    let rough = (0i8..24, proptest::sample::select(vec![0i8, 15, 30, 45]));
    let fine = (0i8..24, 0i8..60);
    prop_oneof![rough, fine].prop_map(|(hour, minute)| TimeOfDay { hour, minute })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn windows_are_what_the_clock_shows(
        (name, around) in proptest::sample::select(vec![
            ("Europe/Paris", "2027-03-28T01:00:00Z"), ("Europe/Paris", "2027-10-31T01:00:00Z"),
            ("America/New_York", "2027-03-14T07:00:00Z"), ("America/New_York", "2027-11-07T06:00:00Z"),
            ("America/Havana", "2027-03-14T05:00:00Z"), ("America/Havana", "2027-11-07T05:00:00Z"),
            ("America/Sao_Paulo", "2018-11-04T03:00:00Z"), ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
            ("Australia/Lord_Howe", "2027-04-03T15:00:00Z"), ("Australia/Lord_Howe", "2027-10-02T15:30:00Z"),
            ("Pacific/Apia", "2011-12-30T10:00:00Z"), ("Pacific/Chatham", "2027-09-25T14:00:00Z"),
            ("Asia/Kolkata", "2027-01-01T00:00:00Z"), ("Africa/Casablanca", "2027-02-07T02:00:00Z"),
            ("Etc/UTC", "2027-01-01T00:00:00Z"),
        ]),
        start in any_time(),
        end in any_time(),
        days in proptest::option::of(proptest::sample::subsequence(vec![
            DayOfWeek::Monday, DayOfWeek::Tuesday, DayOfWeek::Wednesday, DayOfWeek::Thursday,
            DayOfWeek::Friday, DayOfWeek::Saturday, DayOfWeek::Sunday,
        ], 1..7)),
    ) {
        let (zone, around) = (zone(name), utc(around).as_second());
        let hours = QuietHours { start, end, weekdays: days, ..hours("00:00", "00:00") };
        let windows = oracle(&hours, &zone, around - 4 * 86_400, around + 4 * 86_400);
        for second in (around - 86_400..around + 86_400).step_by(300) {
            for second in [second, second + 59] {
                let now = Timestamp::from_second(second).unwrap();
                let found = hours.ends(now, &zone).map(Timestamp::as_second);
                let holding = windows.iter().filter(|(begins, ends)| (*begins..*ends).contains(&second));
                prop_assert_eq!(found, holding.map(|(_, ends)| *ends).max(), "{} in {}", now, name);
            }
        }
    }
}
