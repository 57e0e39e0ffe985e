use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::ProfileId;

fn rules(value: Value) -> DeliveryRules {
    serde_json::from_value(value).unwrap()
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn refused(value: Value) -> Vec<String> {
    rules(value).check().iter().map(ToString::to_string).collect()
}

fn profile(zone: Option<&str>) -> Profile {
    let mut document = Map::new();
    document.extend(zone.map(|zone| ("time_zone".to_owned(), zone.into())));
    Profile::from_stored(ProfileId::from_bytes([1; 16]), document)
}

#[test]
fn rules_read_back_as_they_are_written() {
    let whole = json!({
        "time_zone": "Europe/Paris",
        "frequency_caps": [{ "name": "A week", "max_messages": 3, "period": "week", "channels": ["email", "push"] }],
        "quiet_hours": [{
            "name": "Nights", "start": "21:00", "end": "08:00", "weekdays": ["friday"], "channels": ["sms"],
            "on_quiet": "exclude",
        }],
    });
    assert_eq!(serde_json::to_value(rules(whole.clone())).unwrap(), whole);
    let none = serde_json::to_value(DeliveryRules::default()).unwrap();
    assert_eq!(rules(none), DeliveryRules::default());
    assert!(DeliveryRules::default().is_empty() && rules(json!({})).is_empty());
}

#[test]
fn a_profile_s_own_zone_counts_and_else_that_of_the_rules() {
    let rules = rules(json!({ "time_zone": "Europe/Paris" }));
    for (zone, name) in [
        (Some("Asia/Calcutta"), "Asia/Kolkata"),
        (Some("Mars/Olympus"), "Europe/Paris"),
        (Some(" "), "Europe/Paris"),
        (None, "Europe/Paris"),
    ] {
        assert_eq!(rules.zone_of(&profile(zone)).name(), name);
    }
}

#[test]
fn windows_that_follow_one_another_are_one_and_excluding_goes_before_waiting() {
    let rules = rules(json!({ "quiet_hours": [
        { "name": "Evening", "start": "20:00", "end": "00:00", "channels": ["email"] },
        { "name": "Night", "start": "00:00", "end": "07:30", "channels": ["email"] },
        { "name": "Siesta", "start": "12:00", "end": "14:00", "channels": ["email", "sms"] },
        { "name": "Lunch", "start": "13:00", "end": "13:30", "channels": ["sms"], "on_quiet": "exclude" },
    ] }));
    let quiet = |channel, now: &str| rules.quiet(channel, utc(now), &Zone::UTC);
    assert_eq!(quiet(Channel::Email, "2027-07-14T21:00:00Z"), Quiet::Until(utc("2027-07-15T07:30:00Z")));
    assert_eq!(quiet(Channel::Email, "2027-07-14T07:30:00Z"), Quiet::No);
    assert_eq!(quiet(Channel::Email, "2027-07-14T13:10:00Z"), Quiet::Until(utc("2027-07-14T14:00:00Z")));
    assert_eq!(quiet(Channel::Sms, "2027-07-14T13:10:00Z"), Quiet::Exclude);
    assert_eq!(quiet(Channel::Sms, "2027-07-14T12:10:00Z"), Quiet::Until(utc("2027-07-14T14:00:00Z")));
    assert_eq!(quiet(Channel::Sms, "2027-07-14T21:00:00Z"), Quiet::No);
    assert_eq!(quiet(Channel::Push, "2027-07-14T13:10:00Z"), Quiet::No);
    assert!(rules.quiets(Channel::Sms) && !rules.quiets(Channel::Push) && !rules.caps(Channel::Sms));
}

#[test]
fn what_is_wrong_with_a_rule_is_named() {
    let cap = |name: &str, most: u32, channels: Value| json!({ "name": name, "max_messages": most, "period": "day", "channels": channels });
    let found = refused(json!({
        "frequency_caps": [cap("a", 0, json!(["email"])), cap(" ", 1, json!([])), cap("a", 101, json!(["sms", "sms"]))],
        "quiet_hours": [{ "name": "b", "start": "21:00", "end": "08:00", "weekdays": [], "channels": ["email"] }],
    }));
    assert_eq!(
        found,
        [
            "frequency_caps[1].name: has 1 to 200 characters",
            "frequency_caps[1].channels: names at least one channel",
            "frequency_caps[2].name: is another's already",
            "frequency_caps[2].channels[1]: is there already",
            "frequency_caps[0].max_messages: must be between 1 and 100",
            "frequency_caps[2].max_messages: must be between 1 and 100",
            "quiet_hours[0].weekdays: names at least one day",
        ]
    );
    let many: Vec<_> = (0..11).map(|number| cap(&number.to_string(), 1, json!(["email"]))).collect();
    assert_eq!(refused(json!({ "frequency_caps": many })), ["frequency_caps: has at most 10"]);
}

#[test]
fn quiet_hours_leave_some_time() {
    let quiet = |start: &str, end: &str, days: Value| json!({ "name": start, "start": start, "end": end, "weekdays": days, "channels": ["sms"] });
    let always = refused(json!({ "quiet_hours": [quiet("00:00", "00:00", Value::Null)] }));
    assert_eq!(always, ["quiet_hours: leave no time at all for sms"]);
    let together = [quiet("21:00", "09:00", Value::Null), quiet("09:00", "21:00", Value::Null)];
    assert_eq!(refused(json!({ "quiet_hours": together })).len(), 1);
    let with_a_minute = [quiet("21:00", "09:00", Value::Null), quiet("09:01", "21:00", Value::Null)];
    assert_eq!(refused(json!({ "quiet_hours": with_a_minute })), [] as [String; 0]);
    assert_eq!(
        refused(json!({ "quiet_hours": [quiet("00:00", "00:00", json!(["sunday"]))] })),
        [] as [String; 0]
    );
}

proptest! {
    /// Whoever comes back when they are told to is not told to wait again.
    #[test]
    fn after_the_end_it_is_not_quiet(
        windows in proptest::collection::vec((0u8..24, 0u8..60, 1u16..700), 1..6),
        name in proptest::sample::select(vec!["Europe/Paris", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"]),
        seconds in 1_262_304_000i64..1_893_456_000,
    ) {
        let hours: Vec<_> = windows.iter().enumerate().map(|(number, (hour, minute, length))| {
            let end = (u16::from(*hour) * 60 + u16::from(*minute) + length) % 1440;
            json!({
                "name": number.to_string(), "start": format!("{hour:02}:{minute:02}"),
                "end": format!("{:02}:{:02}", end / 60, end % 60), "channels": ["email"],
            })
        }).collect();
        let rules = rules(json!({ "quiet_hours": hours }));
        prop_assume!(rules.check().is_empty());
        let (zone, now) = (Zone::parse(name).unwrap(), Timestamp::from_second(seconds).unwrap());
        if let Quiet::Until(until) = rules.quiet(Channel::Email, now, &zone) {
            prop_assert!(until > now);
            prop_assert_eq!(rules.quiet(Channel::Email, until, &zone), Quiet::No);
        }
    }
}
