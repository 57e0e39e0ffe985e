//! Audiences that get it part by part: in waves, or at an hour of their own time zones (the letters are the corpus's
//! rows).

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::plan::Lane;
use campaign::schedule::{CampaignEnd, Moment, Zone};
use campaign::{Code, Outcome, Profile, ProfileId, Status, Version};
use envoi_tests::sim::{Delivered, Fate, Fault, Faults, Options, Person, Post, Told, Verdict, World};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use platform::{Clock, Deadline};
use serde_json::{Value, json};
use store::ledger::{Head, Part, State, Tally, Tenancy, Worker};
use store::messages::WakeUp;
use store::{HashKey, Store, tables};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// What begins at an instant is sent within so much of it, the windows of a chunk one after the other.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(5);

/// Zones all round the world, and what profiles have that is none.
const ZONES: [&str; 38] = [
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "Pacific/Auckland",
    "Pacific/Norfolk",
    "Pacific/Guadalcanal",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Darwin",
    "Asia/Tokyo",
    "Australia/Eucla",
    "Asia/Shanghai",
    "Asia/Bangkok",
    "Asia/Yangon",
    "Asia/Dhaka",
    "Asia/Calcutta",
    "Asia/Kathmandu",
    "Asia/Karachi",
    "Asia/Kabul",
    "Asia/Dubai",
    "Asia/Tehran",
    "Europe/Istanbul",
    "Europe/Helsinki",
    "Africa/Cairo",
    "Europe/Paris",
    "Europe/London",
    "UTC",
    "Atlantic/Azores",
    "America/Noronha",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/New_York",
    "America/Chicago",
    "US/Mountain",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Marquesas",
    "Etc/GMT+12",
];
const NO_ZONES: [&str; 2] = ["Mars/Olympus", "+02:00"];

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

async fn edit(world: &World, change: impl FnOnce(&mut Version)) {
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    let mut version = world.store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    change(&mut version);
    let draft = Some((&version, contents.as_slice()));
    world.store.campaigns.save_draft(&campaign, draft, 1, &Actor::envoi(), Vec::new()).await.unwrap();
}

/// A world that begins at an instant, whose campaign is as `change` makes it.
async fn world_with(
    begins: &str,
    number: u8,
    options: Options,
    faults: Faults,
    change: impl FnOnce(&mut Version),
) -> World {
    let world = World::at(utc(begins), people(number), options, faults).await;
    edit(&world, change).await;
    world
}

async fn in_waves(begins: &str, number: u8, waves: Value) -> World {
    let faults = Faults::new(None);
    world_with(begins, number, Options::default(), faults, |version| version.waves = read(waves)).await
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn nine_in_their_own_time(passed: &str) -> Value {
    json!({
        "kind": "at", "date_time": "2027-07-14T09:00:00", "time_zone": "Europe/Paris",
        "recipient_time": { "passed": passed },
    })
}

/// The time zone of the n-th person: each of the zones, then none, then what is no zone, and so on anew.
fn zone_of(index: usize) -> Option<&'static str> {
    match index % (ZONES.len() + 1 + NO_ZONES.len()) {
        zone if zone < ZONES.len() => Some(ZONES[zone]),
        none if none == ZONES.len() => None,
        other => Some(NO_ZONES[other - ZONES.len() - 1]),
    }
}

/// Spreads the people over the world.
async fn give_zones(world: &World) {
    for (index, person) in world.people.iter().enumerate() {
        let Some(zone) = zone_of(index) else { continue };
        let before = world.store.profiles.get(person.id).await.unwrap();
        let mut document = before.value.document().clone();
        document.insert("time_zone".to_owned(), zone.into());
        let profile = Profile::new(person.id, document).unwrap();
        world.store.profiles.put(&profile, Some(&before)).await.unwrap();
    }
}

/// When the n-th person's clock shows a local time, or the campaign's, where that is not known.
fn when(index: usize, local: &str) -> Timestamp {
    let zone = zone_of(index).and_then(|name| Zone::parse(name).ok());
    let zone = zone.unwrap_or_else(|| Zone::parse("Europe/Paris").unwrap());
    zone.instant(local.parse::<DateTime>().unwrap()).unwrap()
}

async fn in_their_own_time(
    begins: &str,
    number: u8,
    schedule: Value,
    options: Options,
    faults: Faults,
) -> World {
    let world =
        world_with(begins, number, options, faults, |version| version.schedule = read(schedule)).await;
    give_zones(&world).await;
    world
}

async fn run(world: &World) {
    world.activate().await;
    world.run().await;
}

/// Lets time pass for days, without the limit that a single run has.
async fn run_days(world: &World) {
    world.activate().await;
    world.days(Timestamp::MAX, || Post::Once).await;
}

async fn head(world: &World) -> Head {
    world.store.ledger.head(world.execution().await).await.unwrap().unwrap()
}

async fn tally(world: &World) -> Tally {
    world.store.ledger.tally(&head(world).await).await.unwrap()
}

fn assert_at(world: &World, person: ProfileId, at: Timestamp, story: &str) {
    let taken = world.provider.taken_at(person);
    assert_eq!(taken.len(), 1, "{story}: sent at {taken:?}");
    let late = taken[0].duration_since(at);
    assert!(!late.is_negative() && late <= PUNCTUAL, "{story}: sent at {}, due at {at}", taken[0]);
}

/// How many were sent at each wave's instant, or shortly after.
fn sent_at(world: &World, waves: &[Timestamp]) -> Vec<usize> {
    let mut found = vec![0; waves.len()];
    for person in &world.people {
        for taken in world.provider.taken_at(person.id) {
            let wave = waves.iter().rposition(|wave| *wave <= taken).expect("nobody is sent to before");
            assert!(taken.duration_since(waves[wave]) <= PUNCTUAL, "{taken} is long after {}", waves[wave]);
            found[wave] += 1;
        }
    }
    found
}

async fn assert_completed(world: &World, story: &str) -> Verdict {
    let verdict = Verdict::of(world, OnUnknown::Hold, story).await;
    assert_eq!(verdict.state, State::Completed, "{story}");
    assert_eq!(verdict.codes.len(), world.people.len(), "{story}: nobody is lost");
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    assert_eq!(campaign.status, Status::Completed, "{story}");
    verdict
}

#[tokio::test]
async fn waves_by_percent_are_exact_and_start_an_interval_apart() {
    let waves = json!({
        "interval_seconds": 3600, "list": [{ "percent": 5 }, { "percent": 20 }, { "percent": 75 }],
    });
    let world = in_waves("2027-03-01T09:00:00Z", 200, waves).await;
    run(&world).await;
    assert_completed(&world, "by percent").await;
    let instants = ["2027-03-01T09:00:00Z", "2027-03-01T10:00:00Z", "2027-03-01T11:00:00Z"].map(utc);
    assert_eq!(sent_at(&world, &instants), [10, 40, 150]);
    let releases: Vec<_> =
        tally(&world).await.releases.iter().map(|wave| (wave.at_ms, wave.recipients)).collect();
    let expected: Vec<_> = instants.iter().map(|at| at.as_millisecond()).zip([10, 40, 150]).collect();
    assert_eq!(releases, expected);
    // The campaign is over when the last wave is.
    assert!(world.clock().now() >= instants[2]);
}

#[tokio::test]
async fn waves_by_number_leave_the_rest_to_the_last() {
    let waves = json!({ "interval_seconds": 60, "list": [{ "number": 7 }, { "number": 60 }, {}] });
    let world = in_waves("2027-03-01T09:00:00Z", 130, waves).await;
    run(&world).await;
    assert_completed(&world, "by number").await;
    let instants = ["2027-03-01T09:00:00Z", "2027-03-01T09:01:00Z", "2027-03-01T09:02:00Z"].map(utc);
    assert_eq!(sent_at(&world, &instants), [7, 60, 63]);
}

#[tokio::test]
async fn waves_with_dates_start_at_them() {
    let waves = json!({
        "time_zone": "America/New_York",
        "list": [{ "percent": 10 }, { "percent": 10, "at": "2027-03-02T09:00:00" }, { "percent": 80, "at": "2027-03-05T06:00:00Z" }],
    });
    let world = in_waves("2027-03-01T09:00:00Z", 100, waves).await;
    run_days(&world).await;
    assert_completed(&world, "by date").await;
    let instants = ["2027-03-01T09:00:00Z", "2027-03-02T14:00:00Z", "2027-03-05T06:00:00Z"].map(utc);
    assert_eq!(sent_at(&world, &instants), [10, 10, 80]);
}

#[tokio::test]
async fn a_wave_nobody_is_left_for_is_empty_and_holds_nothing_up() {
    let waves = json!({ "interval_seconds": 3600, "list": [{ "number": 20 }, { "number": 20 }, {}] });
    let world = in_waves("2027-03-01T09:00:00Z", 30, waves).await;
    run(&world).await;
    assert_completed(&world, "few").await;
    let sizes: Vec<_> = tally(&world).await.releases.iter().map(|wave| wave.recipients).collect();
    assert_eq!(sizes, [20, 10, 0]);
    assert!(world.clock().now() < utc("2027-03-01T10:10:00Z"));
}

#[tokio::test]
async fn a21_waves_of_an_empty_audience_complete_at_once() {
    let waves = json!({ "interval_seconds": 3600, "list": [{ "percent": 50 }, { "percent": 50 }] });
    let world = in_waves("2027-03-01T09:00:00Z", 0, waves).await;
    run(&world).await;
    assert_completed(&world, "empty").await;
    assert!(world.clock().now() < utc("2027-03-01T09:10:00Z"));
}

#[tokio::test]
async fn what_waits_is_not_read_before_its_time_and_is_not_taken_to_stand_still() {
    let waves = json!({ "interval_seconds": 86_400, "list": [{ "number": 10 }, {}] });
    let world = in_waves("2027-03-01T09:00:00Z", 110, waves).await;
    world.activate().await;
    world.days(utc("2027-03-01T10:00:00Z"), || Post::Once).await;
    assert_eq!(world.provider.total(), 10);
    let head = head(&world).await;
    let shard = head.shards().next().unwrap();
    let cursor = world.store.ledger.cursor(shard).await.unwrap().unwrap();
    let (first, second) = (Lane::release(0), Lane::release(1));
    assert_eq!((cursor.lanes[&first].written, cursor.lanes[&second].written), (1, 2));
    // The sweep has nothing to read: the first wave's chunk is closed, and the second's wait.
    assert_eq!(cursor.closed[0].get(&first), Some(&1));
    assert_eq!((cursor.enqueued(first), cursor.enqueued(second)), (1, 0));
    assert_eq!(cursor.seen.unwrap().helped, 0);
    let part = Part::Lane { action: 0, lane: second, from: 0, until: 2 };
    let (chunks, next) = world.store.ledger.chunks(shard, part, None, 10).await.unwrap();
    let second_ms = utc("2027-03-02T09:00:00Z").as_millisecond();
    assert_eq!((chunks.len(), next), (2, None));
    assert!(chunks.iter().all(|chunk| chunk.not_before_ms == Some(second_ms) && chunk.revision == 0));
    let quiet = world.calls();
    world.days(utc("2027-03-01T11:00:00Z"), || Post::Once).await;
    let calls = world.calls() - quiet;
    // An hour of sweeps: each looks for what is due and at the execution, a few also at the shard.
    assert!(calls < 60 * 40, "{calls} calls in an hour");
    world.days(Timestamp::MAX, || Post::Once).await;
    assert_completed(&world, "waits").await;
    let instants = ["2027-03-01T09:00:00Z", "2027-03-02T09:00:00Z"].map(utc);
    assert_eq!(sent_at(&world, &instants), [10, 100]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_waves() {
    let waves = json!({ "interval_seconds": 86_400, "list": [{ "percent": 10 }, { "percent": 40 }, { "percent": 50 }] });
    let world = in_waves("2027-03-01T09:00:00Z", 200, waves).await;
    world.activate().await;
    world.days(utc("2027-03-01T10:00:00Z"), || Post::Once).await;
    world.stop().await;
    world.store.ledger.turn(world.execution().await, &State::OPEN, State::Stopping).await.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "stopped").await;
    assert_eq!(verdict.state, State::Stopped);
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Stopped)), (20, 180));
    assert!(world.clock().now() < utc("2027-03-01T10:10:00Z"), "{}", world.clock().now());
}

#[tokio::test]
async fn waves_that_come_due_while_paused_go_out_after_the_resume() {
    let waves = json!({ "interval_seconds": 3600, "list": [{ "percent": 50 }, { "percent": 30 }, { "percent": 20 }] });
    let world = in_waves("2027-03-01T09:00:00Z", 100, waves).await;
    world.activate().await;
    world.days(utc("2027-03-01T09:30:00Z"), || Post::Once).await;
    let execution = world.execution().await;
    world.store.ledger.pause(execution, Vec::new()).await.unwrap();
    world.days(utc("2027-03-01T10:30:00Z"), || Post::Once).await;
    assert_eq!(world.provider.total(), 50);
    world.store.ledger.resume(execution, Vec::new()).await.unwrap();
    world.days(Timestamp::MAX, || Post::Once).await;
    assert_completed(&world, "paused").await;
    let late = |person: &&Person| {
        let taken = world.provider.taken_at(person.id)[0];
        (utc("2027-03-01T10:30:00Z")..utc("2027-03-01T10:35:00Z")).contains(&taken)
    };
    assert_eq!(world.people.iter().filter(late).count(), 30);
    let last = |person: &&Person| world.provider.taken_at(person.id)[0] >= utc("2027-03-01T11:00:00Z");
    assert_eq!(world.people.iter().filter(last).count(), 20);
}

#[tokio::test]
async fn a_rate_so_slow_that_waves_run_into_each_other_drops_nobody() {
    // A hundred messages a wave, one a second, a minute apart.
    let waves = json!({ "interval_seconds": 60, "list": vec![json!({ "percent": 50 }); 2] });
    let options = Options { rate_per_second: Some(1), ..Options::default() };
    let begins = "2027-03-01T09:00:00Z";
    let world =
        world_with(begins, 200, options, Faults::new(None), |version| version.waves = read(waves)).await;
    run(&world).await;
    let verdict = assert_completed(&world, "slow").await;
    assert_eq!(verdict.count(Code::Sent), 200);
    let second = utc("2027-03-01T09:01:00Z");
    let before = world.people.iter().filter(|person| world.provider.taken_at(person.id)[0] < second).count();
    assert!(before < 100, "the first wave is through in time: {before}");
    let last = world.people.iter().map(|person| world.provider.taken_at(person.id)[0]).max().unwrap();
    assert!(last >= utc("2027-03-01T09:03:15Z"), "{last}");
}

#[tokio::test]
async fn two_waves_are_sent_once_each_whatever_call_fails_or_is_the_last() {
    // Long enough that the sweep releases the second.
    let waves = || json!({ "interval_seconds": 240, "list": [{ "percent": 40 }, { "percent": 60 }] });
    let build = |faults| {
        world_with("2027-03-01T09:00:00Z", 10, Options::default(), faults, |version| {
            version.waves = read(waves());
        })
    };
    let whole = build(Faults::new(None)).await;
    run(&whole).await;
    let calls = whole.calls();
    assert!(calls > 40, "{calls}");
    for fault in Fault::ALL {
        for call in 0..calls {
            let story = format!("{fault:?} at call {call}");
            let world = build(Faults::new(Some((call, fault)))).await;
            run(&world).await;
            let verdict = assert_completed(&world, &story).await;
            assert!(verdict.unknown() <= Options::default().window, "{story}");
            let sizes: Vec<_> = tally(&world).await.releases.iter().map(|wave| wave.recipients).collect();
            assert_eq!(sizes, [4, 6], "{story}");
            let second = head(&world).await.plan.unwrap().last_ms().unwrap();
            let late = world.people.iter().flat_map(|person| world.provider.taken_at(person.id));
            let late = late.filter(|taken| taken.as_millisecond() >= second).count();
            assert!(late >= 6 - Options::default().window, "{story}: {late} in the second wave");
        }
    }
}

#[tokio::test]
async fn waves_survive_doubled_lost_and_reordered_messages() {
    let waves = json!({ "interval_seconds": 1800, "list": [{ "percent": 30 }, { "percent": 30 }, { "percent": 40 }] });
    let mut deliveries: Vec<_> = (0..12).map(Delivered::Astray).collect();
    deliveries.push(Delivered::Twice);
    for delivered in deliveries {
        for told in [Told::ByList, Told::ByRule] {
            let options = Options { delivered, told, ..Options::default() };
            let begins = "2027-03-01T09:00:00Z";
            let faults = Faults::new(None);
            let waves = waves.clone();
            let world = world_with(begins, 60, options, faults, |version| version.waves = read(waves)).await;
            run(&world).await;
            let story = format!("{delivered:?}, {told:?}");
            let verdict = assert_completed(&world, &story).await;
            assert_eq!((verdict.count(Code::Sent), world.provider.total()), (60, 60), "{story}");
            // Its activation was checked then, be it late.
            let start = head(&world).await.occurrence;
            for (wave, at) in tally(&world).await.releases.iter().zip([0, 1800, 3600]) {
                assert_eq!(wave.at_ms, (start + Duration::from_secs(at)).as_millisecond(), "{story}");
            }
            let before = |minutes: u32| {
                let all = world.people.iter().flat_map(|person| world.provider.taken_at(person.id));
                all.filter(|taken| *taken < start + minutes * MINUTE).count()
            };
            let early = (before(30), before(60));
            assert!(early.0 <= 18 && early.1 <= 36, "{story}: {early:?}");
        }
    }
}

#[tokio::test]
async fn everybody_gets_it_at_nine_by_their_own_clock() {
    // Corpus B3, B4, B16: the hour that is told is the hour that it is, in each zone as it is today.
    for told in [Told::ByList, Told::ByRule] {
        let options = Options { told, ..Options::default() };
        let schedule = nine_in_their_own_time("next_day");
        let world =
            in_their_own_time("2027-07-01T00:00:00Z", 123, schedule, options, Faults::new(None)).await;
        run_days(&world).await;
        assert_completed(&world, "round the world").await;
        for (index, person) in world.people.iter().enumerate() {
            let story = format!("{:?}", zone_of(index));
            assert_at(&world, person.id, when(index, "2027-07-14T09:00"), &story);
        }
        let first = world.people.iter().flat_map(|person| world.provider.taken_at(person.id)).min().unwrap();
        assert!(first.duration_since(utc("2027-07-13T19:00:00Z")) <= PUNCTUAL);
        let tally = tally(&world).await;
        let zones = tally.zones.unwrap();
        assert_eq!((zones.profile, zones.missing, zones.invalid), (114, 3, 6));
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for index in 0..world.people.len() {
            *expected.entry(when(index, "2027-07-14T09:00").as_millisecond()).or_default() += 1;
        }
        assert!(expected.len() >= 30);
        let found: BTreeMap<_, _> = tally.releases.iter().map(|wave| (wave.at_ms, wave.recipients)).collect();
        assert_eq!(found, expected);
        // It completes after the latest zone, 26 hours after the earliest.
        let head = head(&world).await;
        assert_eq!((head.occurrence, head.started_at), (first_instant(), first_instant()));
        assert!(world.clock().now() >= utc("2027-07-14T21:00:00Z"));
    }
}

fn first_instant() -> Timestamp {
    utc("2027-07-13T19:00:00Z")
}

#[tokio::test]
async fn an_hour_that_has_passed_is_now_the_next_day_or_never_as_the_campaign_says() {
    let activated = utc("2027-07-14T09:00:00Z");
    for passed in ["now", "next_day", "exclude"] {
        let schedule = nine_in_their_own_time(passed);
        let options = Options::default();
        let world = in_their_own_time("2027-07-14T09:00:00Z", 82, schedule, options, Faults::new(None)).await;
        run_days(&world).await;
        let verdict = assert_completed(&world, passed).await;
        let mut excluded = 0;
        for (index, person) in world.people.iter().enumerate() {
            let story = format!("{passed}: {:?}", zone_of(index));
            let on_time = when(index, "2027-07-14T09:00");
            match passed {
                _ if on_time >= activated => assert_at(&world, person.id, on_time, &story),
                "now" => assert_at(&world, person.id, activated, &story),
                "next_day" => assert_at(&world, person.id, when(index, "2027-07-15T09:00"), &story),
                _ => {
                    excluded += 1;
                    assert_eq!(verdict.codes[&person.id], Code::HourPassed, "{story}");
                }
            }
        }
        assert_eq!(verdict.count(Code::HourPassed), excluded);
        assert_eq!(excluded > 40, passed == "exclude");
        let counts = &tally(&world).await.actions[0].counts;
        assert_eq!((counts.targeted, counts.outcome(Outcome::Excluded)), (82, excluded as u64));
    }
}

#[tokio::test]
async fn nobody_gets_a_recurring_campaign_twice_for_an_hour_that_has_passed() {
    let schedule = json!({
        "kind": "recurring", "frequency": "daily", "time": "09:00", "start": "2027-07-14",
        "time_zone": "Europe/Paris", "occurrences": 2, "recipient_time": { "passed": "next_day" },
    });
    let begins = "2027-07-14T09:00:00Z";
    let world = in_their_own_time(begins, 41, schedule, Options::default(), Faults::new(None)).await;
    run_days(&world).await;
    let (mut executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
    executions.reverse();
    let starts: Vec<_> = executions.iter().map(|execution| execution.occurrence).collect();
    assert_eq!(starts, [utc(begins), utc("2027-07-14T19:00:00Z")]);
    assert!(executions.iter().all(|execution| execution.state == State::Completed));
    assert!(executions.iter().all(|execution| execution.counts[0].balances()));
    for (index, person) in world.people.iter().enumerate() {
        let on_time = when(index, "2027-07-14T09:00");
        let mut expected = vec![when(index, "2027-07-15T09:00")];
        if on_time >= utc(begins) {
            expected.insert(0, on_time);
        }
        let taken = world.provider.taken_at(person.id);
        assert_eq!(taken.len(), expected.len(), "{:?}: {taken:?}", zone_of(index));
        for (taken, expected) in taken.iter().zip(expected) {
            assert!(*taken >= expected && taken.duration_since(expected) <= PUNCTUAL);
        }
    }
    assert!(executions[0].counts[0].code(Code::HourPassed) > 20);
    assert_eq!(executions[1].counts[0].code(Code::HourPassed), 0);
}

#[tokio::test]
async fn a_start_that_is_found_late_leaves_out_no_zone_whose_hour_is_still_to_come() {
    let schedule = nine_in_their_own_time("exclude");
    let world =
        in_their_own_time("2027-07-13T12:00:00Z", 41, schedule, Options::default(), Faults::new(None)).await;
    world.activate().await;
    world.days(utc("2027-07-13T18:00:00Z"), || Post::Once).await;
    // Down for ten hours, in which it was nine in Oceania and Japan. What it was within the grace is late, not past.
    world.clock().advance(10 * HOUR);
    let back = world.clock().now();
    world.days(Timestamp::MAX, || Post::Once).await;
    let verdict = assert_completed(&world, "down").await;
    for (index, person) in world.people.iter().enumerate() {
        let on_time = when(index, "2027-07-14T09:00");
        if on_time < back - HOUR {
            assert_eq!(verdict.codes[&person.id], Code::HourPassed, "{:?}", zone_of(index));
        } else {
            let at = on_time.max(back);
            let taken = world.provider.taken_at(person.id)[0];
            let late = taken.duration_since(at);
            assert!(!late.is_negative() && late <= SignedDuration::from_secs(90), "{:?}", zone_of(index));
        }
    }
    assert!(verdict.count(Code::HourPassed) >= 8);
}

#[tokio::test]
async fn zones_are_sent_once_each_whatever_becomes_of_messages() {
    for seed in 0..3 {
        let options = Options { delivered: Delivered::Astray(seed), ..Options::default() };
        let schedule = nine_in_their_own_time("exclude");
        let world = in_their_own_time("2027-07-13T18:00:00Z", 82, schedule, options, Faults::new(None)).await;
        run(&world).await;
        let story = format!("seed {seed}");
        let verdict = assert_completed(&world, &story).await;
        assert_eq!((verdict.count(Code::Sent), world.provider.total()), (82, 82), "{story}");
        for (index, person) in world.people.iter().enumerate() {
            let taken = world.provider.taken_at(person.id)[0];
            assert!(taken >= when(index, "2027-07-14T09:00"), "{story}: {:?} too early", zone_of(index));
        }
    }
}

#[tokio::test]
async fn zones_are_sent_once_each_whatever_call_of_the_start_and_the_fan_out_fails() {
    let build = |faults| {
        let schedule = nine_in_their_own_time("now");
        in_their_own_time("2027-07-14T04:55:00Z", 20, schedule, Options::default(), faults)
    };
    // Until the chunks of all zones are written and those whose hour has passed are sent. Dubai's is in five minutes.
    let whole = build(Faults::new(None)).await;
    whole.activate().await;
    whole.run_for(MINUTE / 2).await;
    let calls = whole.calls();
    assert!((20..200).contains(&calls), "{calls}");
    for fault in Fault::ALL {
        for call in 0..calls {
            let story = format!("{fault:?} at call {call}");
            let world = build(Faults::new(Some((call, fault)))).await;
            run(&world).await;
            let verdict = assert_completed(&world, &story).await;
            assert!(verdict.unknown() <= Options::default().window, "{story}");
            let zones = tally(&world).await.zones.unwrap();
            assert_eq!(zones.profile, 20, "{story}");
        }
    }
}

#[tokio::test]
async fn b17_who_opts_out_before_their_hour_is_left_out() {
    let schedule = nine_in_their_own_time("next_day");
    let begins = "2027-07-13T18:00:00Z";
    let world = in_their_own_time(begins, 41, schedule, Options::default(), Faults::new(None)).await;
    world.activate().await;
    world.days(utc("2027-07-14T06:00:00Z"), || Post::Once).await;
    // Everybody is in a chunk by now; Los Angeles is still asleep.
    let angeles = ZONES.iter().position(|zone| *zone == "America/Los_Angeles").unwrap();
    let person = world.people[angeles].id;
    let before = world.store.profiles.get(person).await.unwrap();
    let mut document = before.value.document().clone();
    document.insert("consent".to_owned(), json!({ "email": "out" }));
    let profile = Profile::new(person, document).unwrap();
    world.store.profiles.put(&profile, Some(&before)).await.unwrap();
    world.days(Timestamp::MAX, || Post::Once).await;
    let verdict = assert_completed(&world, "opted out").await;
    assert_eq!(verdict.codes[&person], Code::NoConsent);
    assert_eq!(verdict.count(Code::Sent), 40);
}

#[tokio::test]
async fn b13_the_audience_of_every_zone_is_that_of_the_start() {
    let schedule = nine_in_their_own_time("next_day");
    let begins = "2027-07-13T18:00:00Z";
    let world = in_their_own_time(begins, 20, schedule, Options::default(), Faults::new(None)).await;
    world.activate().await;
    world.days(utc("2027-07-13T20:00:00Z"), || Post::Once).await;
    let (segments, _) = world.store.segments.list(None, 10).await.unwrap();
    let late = Person::new(200, Fate::Taken);
    let Value::Object(document) = json!({ "email": "late@example.org", "time_zone": "America/New_York" })
    else {
        unreachable!("it is an object")
    };
    world.store.profiles.put(&Profile::new(late.id, document).unwrap(), None).await.unwrap();
    world.store.segments.add_members(segments[0].value.id, 1, &[late.id]).await.unwrap();
    world.days(Timestamp::MAX, || Post::Once).await;
    assert_completed(&world, "joined after the start").await;
    assert_eq!((world.provider.taken(late.id), world.provider.total()), (0, 20));
}

#[tokio::test]
async fn a_campaign_that_ends_before_the_latest_zones_finishes_what_it_has_begun() {
    let schedule = nine_in_their_own_time("next_day");
    let begins = "2027-07-13T18:00:00Z";
    let world = in_their_own_time(begins, 41, schedule, Options::default(), Faults::new(None)).await;
    let ends = CampaignEnd { at: Moment::parse("2027-07-14T12:00:00Z").unwrap(), time_zone: Zone::UTC };
    edit(&world, |version| version.ends = Some(ends)).await;
    run_days(&world).await;
    let verdict = assert_completed(&world, "ends").await;
    assert_eq!(verdict.count(Code::Sent), 41);
}

#[tokio::test]
async fn a_look_that_releases_is_repeated_where_the_one_before_died() {
    let waves = json!({ "interval_seconds": 600, "list": [{ "number": 1 }, {}] });
    let world = in_waves("2027-03-01T09:00:00Z", 60, waves).await;
    world.activate().await;
    world.days(utc("2027-03-01T09:05:00Z"), || Post::Once).await;
    // Nobody sweeps until a minute before the wave; then twice, as if the first had died before it was done.
    world.clock().advance(4 * MINUTE);
    let context = activate::Context { store: world.store.clone(), sweep_every: MINUTE };
    for _ in 0..2 {
        activate::sweep(&context, Deadline::after(world.clock(), MINUTE)).await.unwrap();
    }
    assert_eq!(world.provider.total(), 1);
    world.days(Timestamp::MAX, || Post::Once).await;
    assert_completed(&world, "twice").await;
    let instants = ["2027-03-01T09:00:00Z", "2027-03-01T09:10:00Z"].map(utc);
    assert_eq!(sent_at(&world, &instants), [1, 59]);
}

/// A world in which a campaign of ten actions in waves has just started, to so many on its list.
async fn started(members: u16, faults: Faults) -> (World, Vec<ProfileId>) {
    let waves = json!({
        "interval_seconds": 3600, "list": [{ "percent": 10 }, { "percent": 20 }, { "percent": 70 }],
    });
    let world = World::at(utc("2027-03-01T09:00:00Z"), Vec::new(), Options::default(), faults).await;
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    let mut version = world.store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    version.waves = read(waves);
    version.actions = vec![version.actions[0].clone(); 10];
    let contents = vec![contents[0].clone(); 10];
    let draft = Some((&version, contents.as_slice()));
    world.store.campaigns.save_draft(&campaign, draft, 1, &Actor::envoi(), Vec::new()).await.unwrap();
    let ids: Vec<_> = (0..members)
        .map(|n| {
            let mut bytes = [7; 16];
            // Over all partitions, which go by the first byte.
            bytes[..2].copy_from_slice(&n.rotate_right(8).to_be_bytes());
            ProfileId::from_bytes(bytes)
        })
        .collect();
    let (segments, _) = world.store.segments.list(None, 10).await.unwrap();
    world.store.segments.add_members(segments[0].value.id, 1, &ids).await.unwrap();
    world.activate().await;
    let context = activate::Context { store: world.store.clone(), sweep_every: MINUTE };
    let wake_up = WakeUp::Activate { campaign: world.campaign };
    activate::wake(&context, &wake_up, Deadline::after(world.clock(), MINUTE)).await.unwrap();
    (world, ids)
}

/// Fans out, one worker after the other where one fails, each going on once the lease of the one before is over.
async fn fan_out(world: &World) {
    let shard = head(world).await.shards().next().unwrap();
    for _ in 0..5 {
        let store = Store::new(world.platform(), HashKey([7; 32]));
        let context = fanout::Context { store, worker: Worker::new(Tenancy::Shared) };
        // One that fails stands for one that dies: it writes nothing more, and gives no lease back.
        drop(fanout::fan_out(&context, shard, Deadline::after(world.clock(), MINUTE)).await);
        if world.store.ledger.cursor(shard).await.unwrap().unwrap().done {
            return;
        }
        world.clock().advance(2 * MINUTE);
    }
    panic!("the fan-out does not come to an end");
}

#[tokio::test]
async fn a_fan_out_that_dies_within_or_between_rounds_puts_nobody_into_two_chunks() {
    // Ten actions are eight chunks of each a transaction: three rounds and what is left over.
    let members = 900;
    let (whole, _) = started(members, Faults::new(None)).await;
    fan_out(&whole).await;
    let calls = whole.calls();
    assert!((20..100).contains(&calls), "{calls}");
    let plans = (0..calls).flat_map(|call| [Fault::FailBefore, Fault::FailAfter].map(|fault| (call, fault)));
    for (call, fault) in plans {
        let story = format!("{fault:?} at call {call}");
        let (world, ids) = started(members, Faults::new(Some((call, fault)))).await;
        fan_out(&world).await;
        let shard = head(&world).await.shards().next().unwrap();
        let (chunks, next) = world.store.ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
        assert!(next.is_none());
        for action in 0..10 {
            let mut found: BTreeMap<ProfileId, usize> = BTreeMap::new();
            let mut sizes = [0; 3];
            for chunk in chunks.iter().filter(|chunk| chunk.key.action == action) {
                sizes[Lane::of(chunk.key.number).index().unwrap()] += chunk.members.len();
                for member in &chunk.members.profiles {
                    *found.entry(*member).or_default() += 1;
                }
            }
            assert_eq!(sizes, [90, 180, 630], "{story}");
            assert!(found.values().all(|count| *count == 1), "{story}: somebody is in two chunks");
            assert!(found.keys().eq(ids.iter().collect::<std::collections::BTreeSet<_>>()), "{story}");
        }
        let cursor = world.store.ledger.cursor(shard).await.unwrap().unwrap();
        assert_eq!((cursor.members, cursor.targeted()), (900, 900), "{story}");
        // What is due has its messages; what waits has none.
        let counts = world.engine.counts(tables::DELIVER_EMAIL).await.unwrap();
        assert!((20..=40).contains(&counts.visible), "{story}: {} messages", counts.visible);
        assert_eq!(counts.delayed, 0, "{story}");
    }
}
