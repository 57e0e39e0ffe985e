use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn limit(channels: &[Channel], since_ms: i64, most: usize) -> Limit {
    Limit {
        channels: Channels(channels.iter().fold(0, |bits, channel| bits | 1 << byte(*channel))),
        since_ms,
        most,
    }
}

fn entry(message: u64, claim: u16, at_ms: i64) -> Entry {
    Entry { message: MessageTag(message), claim: ClaimTag(claim), channel: Channel::Email, at_ms }
}

fn granted(lately: &mut Lately, new: Entry, limits: &[Limit]) -> bool {
    match lately.reserve(new, limits) {
        Reserved::Already => true,
        Reserved::With(next) => {
            *lately = next;
            true
        }
        Reserved::Capped => false,
    }
}

#[test]
fn a_period_begins_by_the_recipient_s_calendar_on_days_of_clock_changes_too() {
    for (now, name, day, week, month) in [
        // 25 hours long, and 23.
        (
            "2027-10-31T22:59:00Z",
            "Europe/Paris",
            "2027-10-30T22:00:00Z",
            "2027-10-24T22:00:00Z",
            "2027-09-30T22:00:00Z",
        ),
        (
            "2027-03-14T23:00:00Z",
            "America/New_York",
            "2027-03-14T05:00:00Z",
            "2027-03-08T05:00:00Z",
            "2027-03-01T05:00:00Z",
        ),
        // The day begins at one, since midnight is skipped.
        (
            "2018-11-04T12:00:00Z",
            "America/Sao_Paulo",
            "2018-11-04T03:00:00Z",
            "2018-10-29T03:00:00Z",
            "2018-11-01T03:00:00Z",
        ),
        // Midnight comes twice.
        (
            "2027-11-07T04:30:00Z",
            "America/Havana",
            "2027-11-07T04:00:00Z",
            "2027-11-01T04:00:00Z",
            "2027-11-01T04:00:00Z",
        ),
        (
            "2027-11-07T05:30:00Z",
            "America/Havana",
            "2027-11-07T04:00:00Z",
            "2027-11-01T04:00:00Z",
            "2027-11-01T04:00:00Z",
        ),
    ] {
        let began = |period: Period| period.began(utc(now), &zone(name));
        assert_eq!(began(Period::Day), utc(day), "{now} {name}");
        assert_eq!(began(Period::Week), utc(week), "{now} {name}");
        assert_eq!(began(Period::Month), utc(month), "{now} {name}");
    }
}

#[test]
fn a_cap_grants_so_many_and_a_repeat_is_none_more() {
    let limits = [limit(&[Channel::Email], NOW - HOUR, 2)];
    let mut lately = Lately::default();
    assert!(granted(&mut lately, entry(1, 1, NOW), &limits));
    assert_eq!(lately.reserve(entry(1, 1, NOW + 1), &limits), Reserved::Already);
    // Another claim of the same message takes its place over.
    assert!(granted(&mut lately, entry(1, 2, NOW + 2), &limits));
    assert_eq!(lately.claim_of(MessageTag(1)), Some(ClaimTag(2)));
    assert!(granted(&mut lately, entry(2, 1, NOW + 3), &limits));
    assert!(!granted(&mut lately, entry(3, 1, NOW + 4), &limits));
    assert!(granted(&mut lately, entry(1, 3, NOW + 5), &limits));
    assert_eq!(lately.0.len(), 2);
}

#[test]
fn only_who_reserved_it_gives_it_back() {
    let limits = [limit(&[Channel::Email], NOW, 1)];
    let mut lately = Lately::default();
    assert!(granted(&mut lately, entry(1, 1, NOW), &limits));
    assert!(granted(&mut lately, entry(1, 2, NOW), &limits));
    assert_eq!(lately.without(MessageTag(1), &[ClaimTag(1)]), None);
    assert_eq!(lately.without(MessageTag(2), &[ClaimTag(2)]), None);
    assert_eq!(lately.without(MessageTag(1), &[ClaimTag(1), ClaimTag(2)]), Some(Lately::default()));
}

#[test]
fn what_was_counted_in_a_period_before_takes_a_place_in_the_next() {
    let (yesterday, today) =
        ([limit(&[Channel::Email], NOW, 1)], [limit(&[Channel::Email], NOW + 24 * HOUR, 1)]);
    let mut lately = Lately::default();
    assert!(granted(&mut lately, entry(1, 1, NOW), &yesterday));
    let mut other = lately.clone();
    assert!(granted(&mut lately, entry(1, 2, NOW + 25 * HOUR), &today));
    assert!(!granted(&mut lately, entry(2, 1, NOW + 26 * HOUR), &today));
    // Where another was first, it has no place left.
    assert!(granted(&mut other, entry(2, 1, NOW + 25 * HOUR), &today));
    assert!(!granted(&mut other, entry(1, 2, NOW + 26 * HOUR), &today));
}

#[test]
fn each_cap_has_to_allow_it_and_counts_its_own_channels() {
    let both = limit(&[Channel::Email, Channel::Sms], NOW - HOUR, 3);
    let email = limit(&[Channel::Email], NOW - HOUR, 1);
    let limits = [both, email];
    let sms = |message| Entry { channel: Channel::Sms, ..entry(message, 1, NOW) };
    let mut lately = Lately::default();
    assert!(granted(&mut lately, entry(1, 1, NOW), &limits));
    assert!(!granted(&mut lately, entry(2, 1, NOW), &limits));
    assert!(granted(&mut lately, sms(3), &limits));
    assert!(granted(&mut lately, sms(4), &limits));
    assert!(!granted(&mut lately, sms(5), &limits));
}

#[test]
fn other_bytes_are_refused() {
    assert_eq!(Lately::unpack(&[0; 18]), Err(MalformedLately));
    assert_eq!(Lately::unpack(&[9; 17]), Err(MalformedLately));
}

fn any_channel() -> impl Strategy<Value = Channel> {
    proptest::sample::select(vec![Channel::Email, Channel::Sms, Channel::Push, Channel::Webhook])
}

fn any_cap() -> impl Strategy<Value = FrequencyCap> {
    let period = proptest::sample::select(vec![Period::Day, Period::Week, Period::Month]);
    (1u32..5, period, proptest::collection::hash_set(any_channel(), 1..4)).prop_map(
        |(max_messages, period, channels)| FrequencyCap {
            name: String::new(),
            max_messages,
            period,
            channels: channels.into_iter().collect(),
        },
    )
}

proptest! {
    #[test]
    fn packing_round_trips(
        rows in proptest::collection::vec((any::<u64>(), any::<u16>(), any_channel(), 0i64..1 << 47), 0..40),
    ) {
        let lately = Lately(rows.into_iter().map(|(message, claim, channel, at_ms)| {
            Entry { message: MessageTag(message), claim: ClaimTag(claim), channel, at_ms }
        }).collect());
        prop_assert_eq!(Lately::unpack(&lately.pack()), Ok(lately));
    }

    /// Held against a recount of the whole history by what the recipient's calendar shows: nothing is granted beyond a
    /// cap, and nothing is refused below all of them.
    #[test]
    fn grants_are_what_a_recount_by_the_calendar_allows(
        caps in proptest::collection::vec(any_cap(), 1..4),
        name in proptest::sample::select(vec!["Europe/Paris", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"]),
        start in 1_262_304_000i64..1_893_456_000,
        steps in proptest::collection::vec((0i64..40 * 3600, any_channel()), 1..60),
    ) {
        let zone = zone(name);
        let same = |period: Period, one: Timestamp, other: Timestamp| {
            let (one, other) = (zone.local(one).date(), zone.local(other).date());
            match period {
                Period::Day => one == other,
                Period::Week => one.iso_week_date().year() == other.iso_week_date().year()
                    && one.iso_week_date().week() == other.iso_week_date().week(),
                Period::Month => (one.year(), one.month()) == (other.year(), other.month()),
            }
        };
        let mut history: Vec<(Timestamp, Channel)> = Vec::new();
        let mut lately = Lately::default();
        let mut now = Timestamp::from_second(start).unwrap();
        for (message, (later, channel)) in steps.into_iter().enumerate() {
            now += jiff::SignedDuration::from_secs(later);
            let binding = caps.iter().filter(|cap| cap.channels.contains(&channel));
            let allowed = binding.clone().all(|cap| {
                let counted = history.iter().filter(|(at, channel)| {
                    cap.channels.contains(channel) && same(cap.period, *at, now)
                });
                counted.count() < usize::try_from(cap.max_messages).unwrap()
            });
            let limits: Vec<_> = caps.iter().map(|cap| cap.limit(now, &zone)).collect();
            let new = Entry { channel, ..entry(message as u64, 1, now.as_millisecond()) };
            prop_assert_eq!(granted(&mut lately, new, &limits), allowed);
            if allowed && binding.count() > 0 {
                history.push((now, channel));
            }
            let most: usize = caps.iter().map(|cap| usize::try_from(cap.max_messages).unwrap()).sum();
            prop_assert!(lately.0.len() <= most + 1);
        }
    }
}
