//! Quiet hours.

use std::io::Write;

use campaign::outcome::OnUnknown;
use campaign::quiet::QuietHours;
use campaign::schedule::Zone;
use campaign::{Category, Code, Status};
use envoi_tests::sim::{Delivered, Fate, Faults, Options, Person, Trouble, Verdict, World};
use jiff::{SignedDuration, Timestamp};
use platform::Clock;
use serde_json::{Value, json};
use store::ledger::State;

use super::{BEGINS, HOUR, MINUTE, live_in, mixed, people, set_rules, utc};

/// It is nine in the evening in Tokyo, and eight in the morning in New York; then six in the evening in Auckland on a
/// Tuesday of its own.
const ZONES: [&str; 5] =
    ["Asia/Tokyo", "America/New_York", "Europe/Paris", "Pacific/Auckland", "America/Los_Angeles"];
/// Whoever is delayed goes on with the sweep's next look.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(90);

fn nights(on_quiet: &str) -> Value {
    json!({ "name": "Nights", "start": "21:00", "end": "08:00", "channels": ["email"], "on_quiet": on_quiet })
}

fn zone_of(index: usize) -> &'static str {
    ZONES[index % ZONES.len()]
}

/// Long enough to be waited for in the ledger and not in a queue.
fn prayer() -> Value {
    json!({ "name": "Prayer", "start": "20:50", "end": "21:12", "channels": ["email"] })
}

/// When somebody's night ends, where it is night for them at an instant.
fn ends(index: usize, now: Timestamp) -> Option<Timestamp> {
    ends_of(nights("delay"), index, now)
}

fn ends_of(hours: Value, index: usize, now: Timestamp) -> Option<Timestamp> {
    let hours: QuietHours = serde_json::from_value(hours).unwrap();
    hours.ends(now, &Zone::parse(zone_of(index)).unwrap())
}

async fn world(people: Vec<Person>, options: Options, faults: Faults, on_quiet: &str) -> World {
    let world = World::at(utc(BEGINS), people, options, faults).await;
    live_in(&world, zone_of).await;
    set_rules(&world, json!({ "quiet_hours": [nights(on_quiet)] })).await;
    world
}

#[tokio::test]
async fn everybody_gets_it_when_their_own_night_is_over() {
    let world = world(people(60), Options::default(), Faults::new(None), "delay").await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "quiet").await;
    assert_eq!(verdict.count(Code::Sent), 60);
    let mut waited = 0;
    for (index, person) in world.people.iter().enumerate() {
        let [taken] = world.provider.taken_at(person.id)[..] else { panic!("one message each") };
        let due = ends(index, utc(BEGINS)).unwrap_or(utc(BEGINS));
        assert!(due <= taken && taken.duration_since(due) <= PUNCTUAL, "{} at {taken}", zone_of(index));
        waited += usize::from(due > utc(BEGINS));
    }
    assert_eq!(waited, 36, "Tokyo, Auckland and Los Angeles, where it is five");
    assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn a_night_that_excludes_leaves_out_whom_it_is_night_for() {
    let world = world(people(60), Options::default(), Faults::new(None), "exclude").await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "quiet").await;
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::QuietHours)), (24, 36));
    for (index, person) in world.people.iter().enumerate() {
        let is_quiet = ends(index, utc(BEGINS)).is_some();
        assert_eq!(verdict.codes[&person.id] == Code::QuietHours, is_quiet, "{}", zone_of(index));
    }
}

#[tokio::test]
async fn a_transactional_message_knows_no_night() {
    let options = Options { category: Category::Transactional, ..Options::default() };
    let world = world(people(20), options, Faults::new(None), "delay").await;
    world.activate().await;
    world.run_for(MINUTE).await;
    assert_eq!(world.provider.total(), 20);
}

async fn every_fault(options: Options) {
    let Options { delivered, on_unknown, .. } = options;
    let run = |plan| async move {
        let world = World::at(utc(BEGINS), mixed(10), options, Faults::new(plan)).await;
        live_in(&world, zone_of).await;
        set_rules(&world, json!({ "quiet_hours": [prayer()] })).await;
        world.activate().await;
        world.run().await;
        world
    };
    let points = run(None).await.fault_points();
    let mut met = 0;
    for &(call, fault) in &points {
        let story = format!("{delivered:?}, {on_unknown:?}: {fault:?} at call {call}");
        let world = run(Some((call, fault))).await;
        let verdict = Verdict::of(&world, on_unknown, &story).await;
        assert_eq!(verdict.state, State::Completed, "{story}");
        assert!(verdict.unknown() <= options.window, "{story}");
        for (index, person) in world.people.iter().enumerate() {
            let code = verdict.codes[&person.id];
            let in_doubt = matches!(code, Code::Unknown | Code::SentAgain | Code::UnknownOnce);
            assert!(code == person.fate.code() || in_doubt, "{story}: {:?} is {code:?}", person.fate);
            // Those in Tokyo wait for twelve minutes.
            for taken in world.provider.taken_at(person.id) {
                assert_eq!(ends_of(prayer(), index, taken), None, "{story}: {} at {taken}", zone_of(index));
            }
        }
        met += usize::from(world.calls() > call);
    }
    assert_eq!(met, points.len());
    let report = format!("quiet hours: {met} fault points tried\n");
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}

#[tokio::test]
async fn any_fault_keeps_the_promises_and_the_quiet_hours() {
    every_fault(Options::default()).await;
}

#[tokio::test]
async fn any_fault_with_every_message_doubled_and_doubt_resent_keeps_the_quiet_hours() {
    let (delivered, on_unknown) = (Delivered::Twice, OnUnknown::Resend);
    every_fault(Options { delivered, on_unknown, ..Options::default() }).await;
}

#[tokio::test]
async fn who_waits_for_the_morning_when_the_campaign_is_stopped_gets_nothing() {
    let world = world(people(60), Options::default(), Faults::new(None), "delay").await;
    world.activate().await;
    world.run_for(HOUR).await;
    assert_eq!(world.provider.total(), 24);
    world.stop().await;
    let execution = world.execution().await;
    world.store.ledger.turn(execution, &[State::Running], State::Stopping).await.unwrap();
    let stopped_at = world.clock().now();
    world.run().await;
    assert!(world.clock().now().duration_since(stopped_at) < SignedDuration::from_mins(5));
    let verdict = Verdict::of(&world, OnUnknown::Hold, "stopped").await;
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Stopped)), (24, 36));
    assert_eq!(verdict.state, State::Stopped);
}

#[tokio::test]
async fn a_pause_over_the_morning_ends_with_the_resume() {
    let world = world(people(60), Options::default(), Faults::new(None), "delay").await;
    world.activate().await;
    world.run_for(HOUR).await;
    let execution = world.execution().await;
    world.store.ledger.pause(execution, Vec::new()).await.unwrap();
    world.run_for(20 * HOUR).await;
    assert_eq!(world.provider.total(), 24);
    world.store.ledger.resume(execution, Vec::new()).await.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "resumed").await;
    assert_eq!(verdict.count(Code::Sent), 60);
    for (index, person) in world.people.iter().enumerate() {
        for taken in world.provider.taken_at(person.id) {
            assert_eq!(ends(index, taken), None, "{} at {taken}", zone_of(index));
        }
    }
}

#[tokio::test]
async fn a_night_uses_up_nothing_of_the_retry_period() {
    // The provider is down from six in the evening in Tokyo until half past eight in the morning: more than the twelve
    // hours for which a message is tried, of which the night is no part.
    let (begins, up_again) = (utc("2026-06-01T09:00:00Z"), utc("2026-06-01T23:30:00Z"));
    let options = Options { trouble: Trouble::DownUntil(up_again), ..Options::default() };
    let world = World::at(begins, people(12), options, Faults::new(None)).await;
    live_in(&world, |_| "Asia/Tokyo").await;
    set_rules(&world, json!({ "quiet_hours": [nights("delay")] })).await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "a night").await;
    assert_eq!(verdict.count(Code::Sent), 12);
    assert!(world.provider.refusals() > 5);
}

#[tokio::test]
async fn whom_it_is_night_for_waits_beside_those_who_are_refused() {
    // Those in Paris are greylisted or expire, those in Tokyo sleep.
    let mut people = people(20);
    for person in people.iter_mut().step_by(2) {
        person.fate = Fate::Greylisted;
    }
    let world = World::at(utc(BEGINS), people, Options::default(), Faults::new(None)).await;
    live_in(&world, |index| if index % 2 == 0 { "Europe/Paris" } else { "Asia/Tokyo" }).await;
    set_rules(&world, json!({ "quiet_hours": [nights("delay")] })).await;
    world.activate().await;
    world.run_for(HOUR).await;
    assert_eq!(world.provider.total(), 10);
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "greylisted").await;
    assert_eq!(verdict.count(Code::Sent), 20);
}
