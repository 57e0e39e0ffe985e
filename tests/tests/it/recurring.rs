//! Recurring campaigns: exactly one execution for each occurrence, whatever becomes of wake-ups (the letters are the
//! corpus's rows).

use std::time::Duration;

use campaign::model::Actor;
use campaign::schedule::{CampaignEnd, Moment, Schedule, Zone};
use campaign::{Campaign, Profile, Status, Version};
use envoi_tests::sim::{Fate, Fault, Faults, Options, Person, Post, World};
use jiff::Timestamp;
use jiff::civil::Date;
use platform::{Clock, Deadline};
use proptest::prelude::*;
use serde_json::{Value, json};
use store::ledger::{ExecutionSummary, State};
use store::messages::WakeUp;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

pub(super) fn daily(time: &str, start: &str, zone: &str, occurrences: u32) -> Value {
    json!({
        "kind": "recurring", "frequency": "daily", "time": time, "start": start, "time_zone": zone,
        "occurrences": occurrences,
    })
}

/// A world that begins at an instant, with a campaign to so many people on this schedule.
pub(super) async fn world(begins: &str, number: u8, schedule: Value) -> World {
    let world = World::at(utc(begins), people(number), Options::default(), Faults::new(None)).await;
    edit(&world, |version| version.schedule = serde_json::from_value(schedule).unwrap()).await;
    world
}

pub(super) async fn edit(world: &World, change: impl FnOnce(&mut Version)) {
    let campaign = campaign(world).await;
    let mut version = world.store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    change(&mut version);
    world
        .store
        .campaigns
        .save_draft(&campaign, Some((&version, &contents)), 1, &Actor::envoi(), Vec::new())
        .await
        .unwrap();
}

pub(super) async fn campaign(world: &World) -> Campaign {
    world.store.campaigns.get(world.campaign).await.unwrap()
}

/// Lets the campaign come to its end, every wake-up arriving in time.
pub(super) async fn run(world: &World) {
    world.days(Timestamp::MAX, || Post::Once).await;
}

pub(super) async fn wake(world: &World, wake_up: &WakeUp) {
    let deadline = Deadline::after(world.clock(), MINUTE);
    activate::wake(&context(world), wake_up, deadline).await.unwrap();
}

pub(super) fn context(world: &World) -> activate::Context {
    activate::Context { store: world.store.clone(), sweep_every: MINUTE }
}

/// All executions, the earliest occurrence first.
pub(super) async fn executions(world: &World) -> Vec<ExecutionSummary> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = world.store.ledger.executions(world.campaign, after, 100).await.unwrap();
        all.extend(page);
        if next.is_none() {
            all.reverse();
            return all;
        }
        after = next;
    }
}

pub(super) async fn occurrences(world: &World) -> Vec<(String, State)> {
    let all = executions(world).await;
    all.iter().map(|execution| (execution.occurrence.to_string(), execution.state)).collect()
}

/// Holds that these are the occurrences that ran, that each balances and that each sent to everybody once.
pub(super) async fn assert_ran(world: &World, expected: &[Timestamp]) {
    let people = world.people.len();
    let all = executions(world).await;
    let ran: Vec<_> = all.iter().map(|execution| execution.occurrence).collect();
    assert_eq!(ran, expected);
    for execution in &all {
        let story = execution.occurrence;
        assert_eq!(execution.state, State::Completed, "{story}");
        assert!(execution.counts[0].balances(), "{story}");
        assert_eq!(execution.counts[0].targeted, people as u64, "{story}");
        assert_eq!(execution.counts[0].outcome(campaign::Outcome::Sent), people as u64, "{story}");
    }
    for person in &world.people {
        assert_eq!(world.provider.taken(person.id), expected.len(), "{}", person.id);
    }
    let campaign = campaign(world).await;
    assert_eq!((campaign.status, campaign.next_occurrence), (Status::Completed, None));
}

#[tokio::test]
async fn a_year_of_a_daily_campaign_is_365_executions_on_time() {
    // Corpus B9: half past two, which New York skips on 14 March.
    let schedule = daily("02:30", "2026-06-02", "America/New_York", 365);
    let world = world("2026-06-01T12:00:00Z", 2, schedule).await;
    world.activate().await;
    run(&world).await;
    let first: Date = "2026-06-02".parse().unwrap();
    let winter: [Date; 2] = ["2026-11-01".parse().unwrap(), "2027-03-14".parse().unwrap()];
    let expected: Vec<_> = first
        .series(jiff::Span::new().days(1))
        .take(365)
        .map(|day| {
            let time = if (winter[0]..=winter[1]).contains(&day) { "07:30" } else { "06:30" };
            utc(&format!("{day}T{time}:00Z"))
        })
        .collect();
    assert_ran(&world, &expected).await;
    for execution in executions(&world).await {
        assert_eq!(execution.started_at, Some(execution.occurrence));
    }
}

#[tokio::test]
async fn b9_a_skipped_hour_runs_moved_and_a_doubled_one_once() {
    for (time, start, expected) in [
        ("02:30", "2027-03-13", ["2027-03-13T07:30:00Z", "2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z"]),
        ("01:30", "2027-11-06", ["2027-11-06T05:30:00Z", "2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"]),
    ] {
        let world = world("2027-03-01T00:00:00Z", 2, daily(time, start, "America/New_York", 3)).await;
        world.activate().await;
        run(&world).await;
        assert_ran(&world, &expected.map(utc)).await;
    }
}

#[tokio::test]
async fn b1_the_day_the_clocks_go_back_starts_nothing_and_moves_nothing() {
    let fortnightly = json!({
        "kind": "recurring", "frequency": "weekly", "every": 2, "weekdays": ["monday"], "time": "14:00",
        "start": "2021-10-24", "time_zone": "America/New_York", "occurrences": 2,
    });
    let world = world("2021-10-24T21:00:00Z", 3, fortnightly).await;
    world.activate().await;
    let due = utc("2021-11-08T19:00:00Z");
    world.days(utc("2021-10-26T00:00:00Z"), || Post::Once).await;
    assert_eq!(executions(&world).await.len(), 1);
    while world.clock().now() < due - HOUR {
        world.clock().advance(HOUR);
        wake(&world, &WakeUp::Sweep).await;
        assert_eq!(campaign(&world).await.next_occurrence, Some(due));
        assert_eq!(executions(&world).await.len(), 1);
    }
    run(&world).await;
    assert_ran(&world, &[utc("2021-10-25T18:00:00Z"), due]).await;
}

fn any_post() -> impl Strategy<Value = Post> {
    prop_oneof![
        3 => Just(Post::Once),
        2 => Just(Post::Twice),
        2 => Just(Post::Lost),
        // Within the grace, and days behind: a redrive.
        2 => (1..3000_u64).prop_map(|seconds| Post::After(Duration::from_secs(seconds))),
        1 => (1..100_u64).prop_map(|hours| Post::After(HOUR * u32::try_from(hours).unwrap())),
    ]
}

fn any_schedule() -> impl Strategy<Value = Value> {
    let zones = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland"];
    // Around the clock changes of October and November.
    let start = (10..=11_u8, 1..=30_u8).prop_map(|(month, day)| format!("2026-{month}-{day:02}"));
    let frequency = prop_oneof![
        Just(json!({ "frequency": "daily" })),
        Just(json!({ "frequency": "weekly", "weekdays": ["monday", "tuesday", "sunday"] })),
        Just(json!({ "frequency": "monthly", "days": [1, 15, 16, "last"] })),
    ];
    let time = (0..24_u8, 0..60_u8).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
    (frequency, start, time, prop::sample::select(zones.to_vec()), 1..=2_u8, 1..=6_u8).prop_map(
        |(mut schedule, start, time, zone, every, occurrences)| {
            let rest = json!({
                "kind": "recurring", "start": start, "time": time, "time_zone": zone, "every": every,
                "occurrences": occurrences,
            });
            schedule.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            schedule
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_occurrence_is_one_execution_whatever_becomes_of_wake_ups(
        schedule in any_schedule(),
        posts in prop::collection::vec(any_post(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world("2026-09-15T00:00:00Z", 2, schedule.clone()).await;
            world.activate().await;
            let mut posts = posts.into_iter().cycle();
            world.days(Timestamp::MAX, || posts.next().unwrap()).await;
            let Schedule::Recurring(recurrence) = serde_json::from_value(schedule).unwrap() else {
                unreachable!("it is a recurring one")
            };
            let expected: Vec<_> = (1..).map_while(|number| recurrence.nth(number)).collect();
            let expected: Vec<_> = expected.iter().map(|occurrence| occurrence.instant).collect();
            assert_ran(&world, &expected).await;
        });
    }
}

#[tokio::test]
async fn each_occurrence_is_one_execution_whatever_call_fails_or_is_the_last() {
    let schedule = || daily("09:00", "2026-06-02", "Europe/Paris", 2);
    let begins = "2026-06-01T12:00:00Z";
    let whole = world(begins, 3, schedule()).await;
    whole.activate().await;
    run(&whole).await;
    let calls = whole.calls();
    assert!(calls > 40, "{calls}");
    for fault in Fault::ALL {
        for call in 0..calls {
            let faults = Faults::new(Some((call, fault)));
            let world = World::at(utc(begins), people(3), Options::default(), faults).await;
            edit(&world, |version| version.schedule = serde_json::from_value(schedule()).unwrap()).await;
            world.activate().await;
            run(&world).await;
            let story = format!("{fault:?} at call {call}");
            let all = executions(&world).await;
            let ran: Vec<_> = all.iter().map(|execution| execution.occurrence.to_string()).collect();
            assert_eq!(ran, ["2026-06-02T07:00:00Z", "2026-06-03T07:00:00Z"], "{story}");
            for execution in all {
                assert_eq!(execution.state, State::Completed, "{story}");
                assert!(execution.counts[0].balances() && execution.counts[0].targeted == 3, "{story}");
            }
            assert!(world.people.iter().all(|person| world.provider.taken(person.id) <= 2), "{story}");
            assert_eq!(campaign(&world).await.status, Status::Completed, "{story}");
        }
    }
}

#[tokio::test]
async fn a18_an_occurrence_asked_for_from_three_sides_is_one_execution() {
    let world = world("2026-06-01T12:00:00Z", 5, daily("09:00", "2026-06-02", "UTC", 3)).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    let mut expected = Vec::new();
    while let Some(next) = campaign(&world).await.next_occurrence {
        expected.push(next);
        world.clock().advance(next.duration_since(world.clock().now()).unsigned_abs());
        let start = WakeUp::Start { campaign: world.campaign, occurrence_ms: next.as_millisecond() };
        tokio::join!(wake(&world, &start), wake(&world, &start), wake(&world, &WakeUp::Sweep));
        world.days(next + HOUR, || Post::Once).await;
        assert_eq!(executions(&world).await.len(), expected.len());
    }
    run(&world).await;
    assert_ran(&world, &expected).await;
}

#[tokio::test]
async fn a19_what_was_missed_is_recorded_one_by_one_and_the_next_runs_on_time() {
    let world = world("2026-06-01T12:00:00Z", 4, daily("08:00", "2026-06-02", "UTC", 6)).await;
    world.activate().await;
    world.days(utc("2026-06-02T12:00:00Z"), || Post::Once).await;
    // Down until four hours after the fourth one.
    world.clock().advance(3 * DAY);
    run(&world).await;
    let (ran, missed) = (State::Completed, State::Missed);
    let expected = [(2, ran), (3, missed), (4, missed), (5, missed), (6, ran), (7, ran)];
    let expected = expected.map(|(day, state)| (format!("2026-06-0{day}T08:00:00Z"), state));
    assert_eq!(occurrences(&world).await, expected);
    assert_eq!(world.provider.total(), 3 * 4);
    assert_eq!(campaign(&world).await.status, Status::Completed);
    let found = executions(&world).await;
    let by_id = world.store.ledger.missed(found[1].id).await.unwrap();
    assert_eq!(by_id.as_ref(), Some(&found[1]));
    assert_eq!((found[1].started_at, found[1].ended_at), (None, Some(utc("2026-06-05T12:00:00Z"))));
    assert_eq!(world.store.ledger.missed(found[0].id).await.unwrap(), None);
}

#[tokio::test]
async fn a19_one_found_within_the_grace_runs_late() {
    let world = world("2026-06-01T12:00:00Z", 4, daily("08:00", "2026-06-02", "UTC", 2)).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    world.clock().advance(utc("2026-06-02T08:50:00Z").duration_since(world.clock().now()).unsigned_abs());
    run(&world).await;
    assert_ran(&world, &["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z"].map(utc)).await;
}

#[tokio::test]
async fn without_any_grace_what_the_sweep_finds_is_still_on_time() {
    let schedule = daily("08:00", "2026-06-02", "UTC", 2);
    let world = world("2026-06-01T12:00:00Z", 3, schedule).await;
    edit(&world, |version| version.misfire_grace_seconds = 0).await;
    world.activate().await;
    world.days(Timestamp::MAX, || Post::Lost).await;
    assert_ran(&world, &["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z"].map(utc)).await;
}

#[tokio::test]
async fn years_that_were_missed_end_within_a_few_wake_ups() {
    let world = world("2026-06-01T12:00:00Z", 1, daily("08:00", "2026-06-02", "UTC", 200)).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    world.clock().advance(400 * DAY);
    run(&world).await;
    let all = executions(&world).await;
    assert_eq!(all.len(), 200);
    assert!(all.iter().all(|execution| execution.state == State::Missed));
    assert_eq!((world.provider.total(), campaign(&world).await.status), (0, Status::Completed));
    assert_eq!(world.clock().now().duration_since(utc("2027-07-06T12:00:00Z")).as_secs() / 60, 0);
}

#[tokio::test]
async fn a20_activating_twice_is_one_schedule() {
    let world = world("2026-06-01T12:00:00Z", 3, daily("08:00", "2026-06-02", "UTC", 2)).await;
    world.activate().await;
    world.activate().await;
    world.days(Timestamp::MAX, || Post::Twice).await;
    assert_ran(&world, &["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z"].map(utc)).await;
}

#[tokio::test]
async fn a21_nobody_in_the_segment_is_an_execution_that_completes() {
    let world = world("2026-06-01T12:00:00Z", 0, daily("08:00", "2026-06-02", "UTC", 2)).await;
    world.activate().await;
    run(&world).await;
    assert_ran(&world, &["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z"].map(utc)).await;
}

/// Somebody joins the campaign's list.
async fn join(world: &World) -> Person {
    let (segments, _) = world.store.segments.list(None, 10).await.unwrap();
    let late = Person::new(200, Fate::Taken);
    let Value::Object(profile) = json!({ "email": "late@example.org" }) else { unreachable!() };
    world.store.profiles.put(&Profile::new(late.id, profile).unwrap(), None).await.unwrap();
    world.store.segments.add_members(segments[0].value.id, 1, &[late.id]).await.unwrap();
    late
}

#[tokio::test]
async fn b13_a_start_just_past_still_reaches_who_joined_after_it() {
    let once = json!({ "kind": "at", "date_time": "2026-06-01T12:00:00", "time_zone": "UTC" });
    let world = world("2026-06-01T12:04:00Z", 3, once).await;
    let late = join(&world).await;
    world.clock().advance(MINUTE);
    world.activate().await;
    run(&world).await;
    assert_eq!((world.provider.taken(late.id), world.provider.total()), (1, 4));
}

#[tokio::test]
async fn b13_a_recurring_start_in_the_past_rolls_and_each_run_reads_its_audience_anew() {
    let world = world("2026-06-05T08:04:00Z", 3, daily("08:00", "2026-06-03", "UTC", 5)).await;
    world.activate().await;
    world.days(utc("2026-06-06T09:00:00Z"), || Post::Once).await;
    let ran = ("2026-06-06T08:00:00Z".to_owned(), State::Completed);
    assert_eq!((occurrences(&world).await, world.provider.total()), (vec![ran], 3));
    let late = join(&world).await;
    run(&world).await;
    assert_eq!(executions(&world).await.len(), 2);
    assert_eq!((world.provider.taken(late.id), world.provider.total()), (1, 7));
}

#[tokio::test]
async fn a_slot_that_comes_while_the_activation_is_checked_is_not_passed_over() {
    let world = world("2026-06-02T07:59:59Z", 3, daily("08:00", "2026-06-01", "UTC", 2)).await;
    world.activate().await;
    world.clock().advance(Duration::from_secs(5));
    run(&world).await;
    assert_ran(&world, &[utc("2026-06-02T08:00:00Z")]).await;
}

#[tokio::test]
async fn a_stopped_campaign_starts_nothing_any_more() {
    let world = world("2026-06-01T12:00:00Z", 3, daily("08:00", "2026-06-02", "UTC", 5)).await;
    world.activate().await;
    world.days(utc("2026-06-03T12:00:00Z"), || Post::Once).await;
    let next = campaign(&world).await.next_occurrence.unwrap();
    assert_eq!(next, utc("2026-06-04T08:00:00Z"));
    world.stop().await;
    world.clock().advance(DAY);
    let start = WakeUp::Start { campaign: world.campaign, occurrence_ms: next.as_millisecond() };
    wake(&world, &start).await;
    wake(&world, &WakeUp::Sweep).await;
    run(&world).await;
    assert_eq!((executions(&world).await.len(), world.provider.total()), (2, 6));
    let campaign = campaign(&world).await;
    assert_eq!((campaign.status, campaign.next_occurrence), (Status::Stopped, None));
}

fn end(at: &str) -> Option<CampaignEnd> {
    Some(CampaignEnd { at: Moment::parse(at).unwrap(), time_zone: Zone::parse("Europe/Paris").unwrap() })
}

#[tokio::test]
async fn a_campaign_completes_after_its_last_run_before_its_end() {
    for (at, days) in [("2026-06-04", [2, 3, 4].as_slice()), ("2026-06-04T09:00", &[2, 3])] {
        let world = world("2026-06-01T12:00:00Z", 3, daily("09:00", "2026-06-02", "Europe/Paris", 100)).await;
        edit(&world, |version| version.ends = end(at)).await;
        world.activate().await;
        run(&world).await;
        let expected: Vec<_> = days.iter().map(|day| utc(&format!("2026-06-0{day}T07:00:00Z"))).collect();
        assert_ran(&world, &expected).await;
        assert!(world.clock().now() < *expected.last().unwrap() + HOUR);
    }
}

#[tokio::test]
async fn one_found_after_the_campaign_s_end_is_missed_however_long_the_grace() {
    let world = world("2026-06-01T12:00:00Z", 3, daily("09:00", "2026-06-02", "Europe/Paris", 9)).await;
    edit(&world, |version| version.ends = end("2026-06-02T09:20")).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    world.clock().advance(19 * HOUR + HOUR / 2);
    run(&world).await;
    assert_eq!(occurrences(&world).await, [("2026-06-02T07:00:00Z".to_owned(), State::Missed)]);
    assert_eq!((world.provider.total(), campaign(&world).await.status), (0, Status::Completed));
}
