//! Recurring schedules in the days that go wrong elsewhere.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

fn schedule(fields: &Value) -> Recurrence {
    Recurrence::from_json(fields.as_object().unwrap()).unwrap()
}

fn daily(time: &str, start: &str, zone: &str) -> Recurrence {
    schedule(&json!({ "frequency": "daily", "time": time, "start": start, "time_zone": zone }))
}

fn monthly(days: &Value, every: u8, start: &str) -> Recurrence {
    schedule(&json!({
        "frequency": "monthly", "every": every, "days": days, "time": "09:00", "start": start, "time_zone": "UTC",
    }))
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first instants from the beginning.
fn instants(recurrence: &Recurrence, most: usize) -> Vec<String> {
    recurrence.coming(Timestamp::MIN, None, most).map(|occurrence| occurrence.instant.to_string()).collect()
}

/// The first dates from the beginning.
fn days(recurrence: &Recurrence, most: usize) -> Vec<String> {
    let coming = recurrence.coming(Timestamp::MIN, None, most);
    coming.map(|occurrence| occurrence.planned.date().to_string()).collect()
}

#[test]
fn an_autumn_change_on_the_way_does_not_start_over_each_hour() {
    // Corpus B1: computed on 24 October, due on 8 November at 14:00 in New York.
    let fortnightly = schedule(&json!({
        "frequency": "weekly", "every": 2, "weekdays": ["monday"], "time": "14:00", "start": "2021-10-24",
        "time_zone": "America/New_York",
    }));
    assert_eq!(instants(&fortnightly, 2), ["2021-10-25T18:00:00Z", "2021-11-08T19:00:00Z"]);
    let (mut now, due) = (utc("2021-10-25T18:00:00Z"), utc("2021-11-08T19:00:00Z"));
    while now < due {
        assert_eq!(fortnightly.after(now, None).map(|next| next.instant), Some(due), "{now}");
        now += jiff::SignedDuration::from_hours(1);
    }
}

#[test]
fn a_local_time_stays_the_same_over_a_clock_change() {
    // Corpus B2.
    let paris = daily("07:30", "2021-10-30", "Europe/Paris");
    assert_eq!(instants(&paris, 3), ["2021-10-30T05:30:00Z", "2021-10-31T06:30:00Z", "2021-11-01T06:30:00Z"]);
    // Corpus B4.
    let amsterdam = daily("09:00", "2026-01-01", "Europe/Amsterdam");
    let on = |recurrence: &Recurrence, day: &str| {
        let next = recurrence.after(utc(&format!("{day}T00:00:00Z")), None).unwrap();
        next.instant.to_string()
    };
    assert_eq!(on(&amsterdam, "2026-07-10"), "2026-07-10T07:00:00Z");
    assert_eq!(on(&amsterdam, "2026-12-10"), "2026-12-10T08:00:00Z");
    // Corpus B16.
    let london = daily("09:00", "2026-01-01", "Europe/London");
    assert_eq!(on(&london, "2026-08-01"), "2026-08-01T08:00:00Z");
    assert_eq!(on(&london, "2026-02-01"), "2026-02-01T09:00:00Z");
}

#[test]
fn a_zone_that_gave_up_summer_time_has_none() {
    // Corpus B3.
    let sao_paulo = daily("10:00", "2021-01-25", "America/Sao_Paulo");
    assert_eq!(instants(&sao_paulo, 1), ["2021-01-25T13:00:00Z"]);
}

#[test]
fn instants_do_not_depend_on_how_far_a_zone_is_from_utc() {
    // Corpus B7: the zones of hosts whose local times were taken for UTC.
    assert_eq!(instants(&daily("09:00", "2027-01-15", "Asia/Kolkata"), 1), ["2027-01-15T03:30:00Z"]);
    assert_eq!(instants(&daily("09:00", "2027-01-15", "Pacific/Auckland"), 1), ["2027-01-14T20:00:00Z"]);
}

#[test]
fn a_skipped_time_moves_forward_and_a_doubled_one_runs_once() {
    // Corpus B9.
    let spring = daily("02:30", "2027-03-13", "America/New_York");
    assert_eq!(
        instants(&spring, 3),
        ["2027-03-13T07:30:00Z", "2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z"]
    );
    let skipped = spring.nth(2).unwrap();
    assert_eq!(skipped.planned.to_string(), "2027-03-14T02:30:00");
    assert_eq!(skipped.local.to_string(), "2027-03-14T03:30:00");
    assert_eq!(skipped.offset.to_string(), "-04");
    let autumn = daily("02:30", "2027-11-06", "America/New_York");
    assert_eq!(
        instants(&autumn, 3),
        ["2027-11-06T06:30:00Z", "2027-11-07T07:30:00Z", "2027-11-08T07:30:00Z"]
    );
    let doubled = daily("01:30", "2027-11-06", "America/New_York");
    assert_eq!(
        instants(&doubled, 3),
        ["2027-11-06T05:30:00Z", "2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"]
    );
}

#[test]
fn lord_howe_changes_its_clocks_by_half_an_hour() {
    let doubled = daily("01:45", "2025-04-05", "Australia/Lord_Howe");
    assert_eq!(
        instants(&doubled, 3),
        ["2025-04-04T14:45:00Z", "2025-04-05T14:45:00Z", "2025-04-06T15:15:00Z"]
    );
    let skipped = daily("02:15", "2025-10-04", "Australia/LHI");
    assert_eq!(
        instants(&skipped, 3),
        ["2025-10-03T15:45:00Z", "2025-10-04T15:45:00Z", "2025-10-05T15:15:00Z"]
    );
    assert_eq!(skipped.nth(2).unwrap().local.to_string(), "2025-10-05T02:45:00");
}

#[test]
fn a_day_that_apia_never_had_runs_with_the_next_one() {
    let apia = daily("09:00", "2011-12-28", "Pacific/Apia");
    let coming: Vec<_> = apia
        .coming(Timestamp::MIN, None, 4)
        .map(|next| (next.number, next.local.to_string(), next.instant.to_string()))
        .collect();
    let expected = [
        (1, "2011-12-28T09:00:00", "2011-12-28T19:00:00Z"),
        (2, "2011-12-29T09:00:00", "2011-12-29T19:00:00Z"),
        (3, "2011-12-31T09:00:00", "2011-12-30T19:00:00Z"),
        (5, "2012-01-01T09:00:00", "2011-12-31T19:00:00Z"),
    ];
    assert_eq!(
        coming,
        expected.map(|(number, local, instant)| (number, local.to_owned(), instant.to_owned()))
    );
    assert_eq!(apia.nth(4).unwrap().instant, apia.nth(3).unwrap().instant);
}

#[test]
fn casablanca_leaves_its_time_for_a_month_each_year() {
    let casablanca = daily("02:30", "2025-02-22", "Africa/Casablanca");
    assert_eq!(
        instants(&casablanca, 3),
        ["2025-02-22T01:30:00Z", "2025-02-23T01:30:00Z", "2025-02-24T02:30:00Z"]
    );
    let back = casablanca.coming(utc("2025-04-05T00:00:00Z"), None, 3);
    let back: Vec<_> = back.map(|next| next.instant.to_string()).collect();
    assert_eq!(back, ["2025-04-05T02:30:00Z", "2025-04-06T02:30:00Z", "2025-04-07T01:30:00Z"]);
}

#[test]
fn cairo_changes_its_clocks_at_midnight() {
    let skipped = daily("00:30", "2024-04-25", "Africa/Cairo");
    assert_eq!(
        instants(&skipped, 3),
        ["2024-04-24T22:30:00Z", "2024-04-25T22:30:00Z", "2024-04-26T21:30:00Z"]
    );
    let doubled = daily("23:30", "2024-10-30", "Egypt");
    assert_eq!(
        instants(&doubled, 3),
        ["2024-10-30T20:30:00Z", "2024-10-31T20:30:00Z", "2024-11-01T21:30:00Z"]
    );
}

#[test]
fn the_31st_is_the_last_day_of_a_shorter_month() {
    let last = ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"];
    assert_eq!(days(&monthly(&json!([31]), 1, "2027-01-31"), 5), last);
    assert_eq!(days(&monthly(&json!(["last"]), 1, "2027-01-31"), 5), last);
    assert_eq!(days(&monthly(&json!([31, "last"]), 1, "2027-01-01"), 5), last);
    let leap = monthly(&json!([31]), 1, "2028-02-01");
    assert_eq!(days(&leap, 2), ["2028-02-29", "2028-03-31"]);
}

#[test]
fn days_that_fall_together_run_once() {
    assert_eq!(
        days(&monthly(&json!([30, 31]), 1, "2027-01-01"), 6),
        ["2027-01-30", "2027-01-31", "2027-02-28", "2027-03-30", "2027-03-31", "2027-04-30"]
    );
    assert_eq!(
        days(&monthly(&json!([28, 29, "last"]), 1, "2027-02-01"), 4),
        ["2027-02-28", "2027-03-28", "2027-03-29", "2027-03-31"]
    );
    let ten = schedule(&json!({
        "frequency": "monthly", "days": [30, 31], "time": "09:00", "start": "2027-01-31", "time_zone": "UTC",
        "occurrences": 10,
    }));
    assert_eq!(days(&ten, 99).len(), 10);
    assert_eq!(days(&ten, 99).last().unwrap(), "2027-07-31");
}

#[test]
fn a_leap_day_is_kept_through_the_years_without_one() {
    assert_eq!(
        days(&monthly(&json!([29]), 12, "2028-02-29"), 5),
        ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]
    );
    let every_day = daily("09:00", "2028-02-28", "UTC");
    assert_eq!(days(&every_day, 3), ["2028-02-28", "2028-02-29", "2028-03-01"]);
}

#[test]
fn the_year_s_end_is_no_end() {
    let new_york = daily("23:30", "2027-12-31", "America/New_York");
    assert_eq!(instants(&new_york, 2), ["2028-01-01T04:30:00Z", "2028-01-02T04:30:00Z"]);
    let weekly = schedule(&json!({
        "frequency": "weekly", "every": 2, "weekdays": ["friday", "saturday"], "time": "09:00",
        "start": "2027-12-31", "time_zone": "UTC",
    }));
    assert_eq!(days(&weekly, 4), ["2027-12-31", "2028-01-01", "2028-01-14", "2028-01-15"]);
    assert_eq!(
        days(&monthly(&json!(["last"]), 1, "2027-11-30"), 3),
        ["2027-11-30", "2027-12-31", "2028-01-31"]
    );
}

#[test]
fn intervals_count_from_the_first_occurrence() {
    // The start is later than nine o'clock: the next day is the first.
    let after_nine = schedule(&json!({
        "frequency": "daily", "every": 3, "time": "09:00", "start": "2027-03-01T09:00:01", "time_zone": "UTC",
    }));
    assert_eq!(days(&after_nine, 3), ["2027-03-02", "2027-03-05", "2027-03-08"]);
    let at_nine = schedule(&json!({
        "frequency": "daily", "every": 3, "start": "2027-03-01T09:00", "time_zone": "UTC",
    }));
    assert_eq!(days(&at_nine, 2), ["2027-03-01", "2027-03-04"]);
    // From a Wednesday on: the first Monday comes within the week, not after two.
    let mondays = schedule(&json!({
        "frequency": "weekly", "every": 2, "weekdays": ["monday"], "time": "09:00", "start": "2027-03-03",
        "time_zone": "UTC",
    }));
    assert_eq!(days(&mondays, 3), ["2027-03-08", "2027-03-22", "2027-04-05"]);
    assert_eq!(days(&monthly(&json!([5]), 3, "2027-01-10"), 3), ["2027-02-05", "2027-05-05", "2027-08-05"]);
}

#[test]
fn a_start_in_the_past_rolls_to_the_next_slot_and_keeps_its_numbers() {
    // Corpus A19, B13: four hours late, five minutes late.
    let morning = daily("08:00", "2027-03-01", "Europe/Paris");
    for now in ["2027-03-01T11:00:00Z", "2027-03-01T07:05:00Z"] {
        let next = morning.after(utc(now), None).unwrap();
        assert_eq!((next.number, next.instant), (2, utc("2027-03-02T07:00:00Z")));
    }
    let ten = schedule(&json!({
        "frequency": "daily", "time": "08:00", "start": "2027-03-01", "time_zone": "Europe/Paris",
        "occurrences": 10,
    }));
    // Rescheduled from eight to nine on the eighth day: two of the ten are left, as there were before.
    let later = schedule(&json!({
        "frequency": "daily", "time": "09:00", "start": "2027-03-01", "time_zone": "Europe/Paris",
        "occurrences": 10,
    }));
    let now = utc("2027-03-08T12:00:00Z");
    let numbers = |recurrence: &Recurrence| {
        recurrence.coming(now, None, 20).map(|next| next.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&ten), [9, 10]);
    assert_eq!(numbers(&later), [9, 10]);
    assert_eq!(ten.nth(11), None);
    assert_eq!(ten.nth(0), None);
}

#[test]
fn an_end_includes_its_day_or_time_and_the_campaign_s_end_excludes_it() {
    let with_end = |end: &str| {
        schedule(&json!({
            "frequency": "daily", "time": "18:00", "start": "2027-07-13", "time_zone": "Europe/Paris", "end": end,
        }))
    };
    for (end, runs) in [
        ("2027-07-14", 2),
        ("2027-07-14T18:00", 2),
        ("2027-07-14T17:59:59", 1),
        ("2027-07-14T16:00:00Z", 2),
        ("2027-07-14T15:59:59Z", 1),
    ] {
        assert_eq!(days(&with_end(end), 9).len(), runs, "{end}");
        assert_eq!(with_end(end).nth(runs as u64 + 1), None, "{end}");
    }
    let forever = daily("18:00", "2027-07-13", "Europe/Paris");
    let closes = |moment: &str| {
        let closes = Moment::parse(moment).unwrap().over(forever.zone()).unwrap();
        forever.coming(Timestamp::MIN, Some(closes), 9).count()
    };
    assert_eq!(closes("2027-07-14"), 2);
    assert_eq!(closes("2027-07-14T18:00"), 1);
    assert_eq!(closes("2027-07-14T18:00:01"), 2);
}

#[test]
fn a_preview_shows_local_time_offset_and_utc() {
    let paris = daily("09:00", "2027-03-27", "Europe/Paris");
    let shown: Vec<_> = paris
        .coming(utc("2027-03-20T00:00:00Z"), None, 2)
        .map(|next| format!("{} {} {} {}", next.number, next.local, next.offset, next.instant))
        .collect();
    assert_eq!(
        shown,
        ["1 2027-03-27T09:00:00 +01 2027-03-27T08:00:00Z", "2 2027-03-28T09:00:00 +02 2027-03-28T07:00:00Z"]
    );
}

#[test]
fn the_calendar_s_end_is_the_end() {
    let forever = daily("09:00", "9000-01-01", "UTC");
    assert_eq!(forever.after(utc("9999-12-30T09:00:00Z"), None), None);
    assert_eq!(forever.nth(u64::MAX), None);
    assert_eq!(forever.nth(1_000_000), None);
    for days in [json!([31]), json!([29, 30, 31])] {
        assert_eq!(monthly(&days, 120, "1970-01-01").nth(u64::MAX), None);
        assert_eq!(monthly(&days, 120, "1970-01-01").nth(i64::MAX as u64), None);
    }
    let ancient = daily("09:00", "1970-01-01", "Europe/Paris");
    assert_eq!(ancient.after(utc("2027-01-15T08:00:00Z"), None).unwrap().number, 20_835);
}
