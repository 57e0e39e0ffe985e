//! Drafts beside the live version, activated while it starts and runs (the letters are the corpus's rows).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::status::{Command, Why};

use campaign::{Campaign, Status, Version};
use envoi_tests::sim::{Fate, Fault, Faults, Options, Person, Post, Verdict, World};
use jiff::Timestamp;
use platform::{Clock, Deadline, Source};
use serde_json::{Value, json};
use store::ledger::State;
use store::messages::WakeUp;
use store::{HashKey, Store, StoreError, tables};

use crate::recurring::{
    DAY, HOUR, MINUTE, assert_ran, campaign, daily, executions, occurrences, run, utc, wake, world,
};

const BEGINS: &str = "2026-06-01T12:00:00Z";

fn at(time: &str) -> Value {
    json!({ "kind": "at", "date_time": time, "time_zone": "UTC" })
}

/// Opens a draft beside the live version, or edits the one there is.
async fn draft(world: &World, change: impl FnOnce(&mut Version)) {
    let mut campaign = campaign(world).await;
    let live = campaign.draft_version.or(campaign.live_version).unwrap();
    let mut version = world.store.campaigns.version(campaign.id, live).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    if campaign.draft_version.is_none() {
        campaign.last_version += 1;
        version.number = campaign.last_version;
        campaign.draft_version = Some(version.number);
    }
    change(&mut version);
    let draft = Some((&version, contents.as_slice()));
    world.store.campaigns.save_draft(&campaign, draft, 1, &Actor::envoi(), Vec::new()).await.unwrap();
}

async fn reschedule(world: &World, schedule: Value) {
    draft(world, |version| version.schedule = serde_json::from_value(schedule).unwrap()).await;
}

/// A campaign that is scheduled, its activation through and no wake-up of it lost.
async fn scheduled(begins: &str, number: u8, schedule: Value) -> World {
    let world = world(begins, number, schedule).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    empty(&world).await;
    world
}

/// Throws away what lies in the queue of wake-ups.
async fn empty(world: &World) {
    for received in world.engine.receive(tables::WAKE_UP, 10, HOUR, 10).await.unwrap() {
        world.engine.delete(tables::WAKE_UP, vec![received.receipt]).await.unwrap();
    }
}

fn to(world: &World, instant: &str) {
    let wait = utc(instant).duration_since(world.clock().now());
    assert!(!wait.is_negative(), "time goes on, not back to {instant}");
    world.clock().advance(wait.unsigned_abs());
}

fn start_of(world: &World, occurrence: &str) -> WakeUp {
    WakeUp::Start { campaign: world.campaign, occurrence_ms: utc(occurrence).as_millisecond() }
}

async fn story(world: &World) -> (Vec<(String, u32, State)>, Campaign) {
    let all = executions(world).await;
    let told = all.iter().map(|one| (one.occurrence.to_string(), one.version, one.state)).collect();
    (told, campaign(world).await)
}

async fn commands(world: &World) -> Vec<String> {
    let (entries, _) = world.store.campaigns.history(world.campaign, None, 100).await.unwrap();
    entries.iter().rev().map(|entry| entry.command.clone()).collect()
}

/// Does the one thing and, at its `at`-th call of a port, the whole of the other, as often as it is given. How many calls
/// the one makes.
async fn within(world: &World, one: WakeUp, at: usize, other: Vec<WakeUp>) -> usize {
    let (store, clock) = (world.store.clone(), world.shared_clock());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    world.interrupt(move |_| {
        let (store, clock, other) = (store.clone(), clock.clone(), other.clone());
        let call = count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if call == at {
                let context = activate::Context { store, sweep_every: MINUTE };
                for wake_up in other {
                    activate::wake(&context, &wake_up, Deadline::after(&*clock, MINUTE)).await.unwrap();
                }
            }
        })
    });
    let store = Store::new(world.platform(), HashKey([7; 32]));
    let context = activate::Context { store, sweep_every: MINUTE };
    // Who came too late says so and is asked again.
    drop(activate::wake(&context, &one, Deadline::after(world.clock(), MINUTE)).await);
    world.interrupt(|_| Box::pin(async {}));
    calls.load(Ordering::Relaxed)
}

/// One start at 13:00 and a draft whose activation was asked for a moment before, both handled in that second.
async fn in_the_second_of_the_start(
    schedule: Option<Value>,
    is_activation_outside: bool,
    call: usize,
    times: usize,
) -> (World, usize) {
    let world = scheduled(BEGINS, 3, at("2026-06-01T13:00:00")).await;
    draft(&world, |version| {
        version.misfire_grace_seconds = 7200;
        if let Some(schedule) = schedule {
            version.schedule = serde_json::from_value(schedule).unwrap();
        }
    })
    .await;
    to(&world, "2026-06-01T12:59:59.5Z");
    world.activate().await;
    to(&world, "2026-06-01T13:00:00Z");
    let activation = WakeUp::Activate { campaign: world.campaign };
    let start = start_of(&world, "2026-06-01T13:00:00Z");
    let calls = if is_activation_outside {
        within(&world, activation, call, vec![start; times]).await
    } else {
        within(&world, start, call, vec![activation; times]).await
    };
    run(&world).await;
    (world, calls)
}

#[tokio::test]
async fn a_draft_activated_while_the_start_fires_is_one_run_of_either_version() {
    let then = "2026-06-01T13:00:00Z";
    for (schedule, other) in [
        (None, then),
        (Some(at("2026-06-01T14:30:00")), "2026-06-01T14:30:00Z"),
        // Earlier than now, and still within the grace.
        (Some(at("2026-06-01T12:30:00")), "2026-06-01T12:30:00Z"),
        (Some(json!({ "kind": "at_activation" })), then),
    ] {
        for is_activation_outside in [true, false] {
            let mut seen = BTreeSet::new();
            let never = usize::MAX;
            let (_, calls) =
                in_the_second_of_the_start(schedule.clone(), is_activation_outside, never, 0).await;
            for times in [1, 2] {
                for call in 0..=calls {
                    let story = format!("{schedule:?}, {times} at call {call}, {is_activation_outside}");
                    let (world, _) =
                        in_the_second_of_the_start(schedule.clone(), is_activation_outside, call, times)
                            .await;
                    let (told, campaign) = self::story(&world).await;
                    assert_eq!(told.len(), 1, "{story}: {told:?}");
                    let (occurrence, version, state) = &told[0];
                    assert_eq!(*state, State::Completed, "{story}");
                    assert_eq!(occurrence, if *version == 1 { then } else { other }, "{story}");
                    let verdict = Verdict::of(&world, OnUnknown::Hold, &story).await;
                    assert_eq!((verdict.codes.len(), world.provider.total()), (3, 3), "{story}");
                    assert_eq!(campaign.status, Status::Completed, "{story}");
                    let commands = commands(&world).await;
                    let replaced = commands.iter().filter(|command| *command == "replace").count();
                    let failed = commands.iter().filter(|command| *command == "fail_activation").count();
                    if *version == 1 {
                        // It is there to be read and duplicated. Why it was not taken is said, unless all was over first.
                        assert_eq!(
                            (campaign.live_version, campaign.draft_version),
                            (Some(1), Some(2)),
                            "{story}"
                        );
                        assert_eq!((replaced, failed), (0, 1), "{story}: {commands:?}");
                        assert_eq!(campaign.activation_errors[0].code, "has_run", "{story}");
                    } else {
                        assert_eq!(
                            (campaign.live_version, campaign.draft_version),
                            (Some(2), None),
                            "{story}"
                        );
                        assert_eq!((replaced, failed), (1, 0), "{story}: {commands:?}");
                    }
                    seen.insert(*version);
                }
            }
            assert_eq!(
                seen,
                BTreeSet::from([1, 2]),
                "{schedule:?} {is_activation_outside}: decided by the write alone"
            );
        }
    }
}

#[tokio::test]
async fn a_start_moved_later_or_earlier_or_to_now_happens_once_and_then() {
    for (schedule, expected) in [
        (at("2026-06-01T18:00:00"), "2026-06-01T18:00:00Z"),
        (at("2026-06-02T18:00:00"), "2026-06-02T18:00:00Z"),
        (at("2026-06-01T13:30:00"), "2026-06-01T13:30:00Z"),
        // Just past.
        (at("2026-06-01T12:30:00"), "2026-06-01T12:30:00Z"),
        (json!({ "kind": "at_activation" }), "2026-06-01T13:00:00Z"),
    ] {
        let world = scheduled(BEGINS, 4, at("2026-06-01T15:00:00")).await;
        to(&world, "2026-06-01T13:00:00Z");
        reschedule(&world, schedule).await;
        world.activate().await;
        run(&world).await;
        assert_eq!(story(&world).await.0, [(expected.to_owned(), 2, State::Completed)]);
        // What the old version had asked for wakes nothing.
        wake(&world, &start_of(&world, "2026-06-01T15:00:00Z")).await;
        wake(&world, &WakeUp::Sweep).await;
        assert_ran(&world, &[utc(expected)]).await;
    }
}

#[tokio::test]
async fn a_start_moved_to_where_nothing_can_be_keeps_the_old_one() {
    let world = scheduled(BEGINS, 4, at("2026-06-01T15:00:00")).await;
    reschedule(&world, at("2026-06-01T08:00:00")).await;
    world.activate().await;
    world.days(utc("2026-06-01T12:30:00Z"), || Post::Once).await;
    let refused = campaign(&world).await;
    assert_eq!(
        (refused.status, refused.live_version, refused.draft_version),
        (Status::Scheduled, Some(1), Some(2))
    );
    assert_eq!(refused.activation_errors[0].code, "start_in_past");
    assert_eq!(refused.next_occurrence, Some(utc("2026-06-01T15:00:00Z")));
    run(&world).await;
    assert_ran(&world, &[utc("2026-06-01T15:00:00Z")]).await;
}

/// Corpus B11: what is under way goes on as it began; the new time is the next one's.
#[tokio::test]
async fn b11_a_moved_time_applies_to_what_has_not_started() {
    let world = scheduled("2026-06-01T12:00:00Z", 20, daily("07:00", "2026-06-02", "UTC", 3)).await;
    to(&world, "2026-06-02T07:00:00Z");
    wake(&world, &start_of(&world, "2026-06-02T07:00:00Z")).await;
    // All twenty wait.
    assert_eq!((executions(&world).await.len(), world.provider.total()), (1, 0));
    reschedule(&world, daily("05:00", "2026-06-02", "UTC", 4)).await;
    world.activate().await;
    run(&world).await;
    let expected =
        ["2026-06-02T07:00:00Z", "2026-06-03T05:00:00Z", "2026-06-04T05:00:00Z", "2026-06-05T05:00:00Z"];
    assert_ran(&world, &expected.map(utc)).await;
    let versions: Vec<_> = executions(&world).await.iter().map(|one| one.version).collect();
    assert_eq!(versions, [1, 2, 2, 2]);
}

/// Corpus B11, of one start.
#[tokio::test]
async fn b11_one_start_moved_to_an_earlier_hour_is_then_and_not_again() {
    let world = scheduled("2026-06-01T04:00:00Z", 20, at("2026-06-01T07:00:00")).await;
    reschedule(&world, at("2026-06-01T05:00:00")).await;
    world.activate().await;
    // The scheduler still has the old one.
    world.days(utc("2026-06-01T09:00:00Z"), || Post::Twice).await;
    assert_ran(&world, &[utc("2026-06-01T05:00:00Z")]).await;
}

/// Corpus B10.
#[tokio::test]
async fn b10_an_edit_a_minute_before_the_start_or_during_the_run_takes_nobody_away() {
    for edited in ["2026-06-01T12:59:00Z", "2026-06-01T13:00:00Z"] {
        for is_activated in [true, false] {
            let story = format!("edited at {edited}, {is_activated}");
            let world = scheduled(BEGINS, 120, at("2026-06-01T13:00:00")).await;
            to(&world, edited);
            let is_running = edited.contains("13:00");
            if is_running {
                draft(&world, |_| {}).await;
                wake(&world, &start_of(&world, "2026-06-01T13:00:00Z")).await;
                // Some have theirs, most do not.
                world.run_until(|world| world.provider.total() > 10).await;
                assert!((10..110).contains(&world.provider.total()), "{story}");
            }
            // Nobody is to get the draft: what runs is pinned to its own version.
            draft(&world, |version| version.segment = if is_running { None } else { version.segment }).await;
            if is_activated && is_running {
                let by = Actor::envoi();
                let refused =
                    world.store.campaigns.command(world.campaign, Command::Activate, &by, |_| Ok(())).await;
                assert!(
                    matches!(refused, Err(StoreError::NotAllowed(refusal)) if refusal.why == Why::HasRun),
                    "{story}"
                );
            } else if is_activated {
                world.activate().await;
            }
            if is_running {
                world.run().await;
            } else {
                run(&world).await;
            }
            let verdict = Verdict::of(&world, OnUnknown::Hold, &story).await;
            assert_eq!(verdict.codes.len(), 120, "{story}");
            assert_eq!((verdict.state, world.provider.total()), (State::Completed, 120), "{story}");
            let version = if is_activated && !is_running { 2 } else { 1 };
            assert_eq!(executions(&world).await[0].version, version, "{story}");
        }
    }
}

#[tokio::test]
async fn a_schedule_moved_during_a_run_is_the_next_one_s() {
    let world = scheduled(BEGINS, 120, daily("08:00", "2026-06-02", "UTC", 5)).await;
    to(&world, "2026-06-02T08:00:00Z");
    wake(&world, &start_of(&world, "2026-06-02T08:00:00Z")).await;
    world.run_until(|world| world.provider.total() > 10).await;
    // On the same day again, and then each day.
    reschedule(&world, daily("09:30", "2026-06-02", "UTC", 3)).await;
    world.activate().await;
    run(&world).await;
    let told = story(&world).await.0;
    let expected = [("02T08:00", 1), ("02T09:30", 2), ("03T09:30", 2), ("04T09:30", 2)];
    let expected = expected.map(|(day, version)| (format!("2026-06-{day}:00Z"), version, State::Completed));
    assert_eq!(told, expected);
    for person in &world.people {
        assert_eq!(world.provider.taken(person.id), 4);
    }
}

/// The old and the new version have a slot in common, and the activation is asked for and handled at every moment about
/// it.
#[tokio::test]
async fn a_slot_of_both_versions_is_neither_run_twice_nor_passed_over() {
    let slot = "2026-06-02T08:00:00Z";
    let around = ["07:59:58", "07:59:59.999", "08:00:00", "08:00:00.001", "08:00:02", "08:20:00"];
    for asked in around {
        for handled in around.into_iter().filter(|handled| *handled >= asked) {
            // The wake-up is on time, late by less than the activation, late by more, or lost.
            for woken in ["07:59:59.999", "08:00:00", "08:00:01", "08:20:01", "never"] {
                let story = format!("asked at {asked}, handled at {handled}, woken at {woken}");
                let world = scheduled(BEGINS, 2, daily("08:00", "2026-06-02", "UTC", 3)).await;
                draft(&world, |version| version.misfire_grace_seconds = 7200).await;
                let mut moments = vec![(asked, 0), (handled, 2)];
                if woken != "never" {
                    moments.push((woken, 1));
                }
                moments.sort_unstable();
                for (moment, what) in moments {
                    to(&world, &format!("2026-06-02T{moment}Z"));
                    match what {
                        0 => world.activate().await,
                        1 => wake(&world, &start_of(&world, slot)).await,
                        _ => wake(&world, &WakeUp::Activate { campaign: world.campaign }).await,
                    }
                }
                run(&world).await;
                let told = self::story(&world).await.0;
                let expected = ["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z", "2026-06-04T08:00:00Z"];
                let ran: Vec<_> = told.iter().map(|(occurrence, ..)| occurrence.as_str()).collect();
                assert_eq!(ran, expected, "{story}");
                assert_ran(&world, &expected.map(utc)).await;
                // The days after it are the new version's.
                assert_eq!((told[1].1, told[2].1), (2, 2), "{story}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_due_before_a_draft_was_activated_runs_on_the_version_it_was_planned_with() {
    let world = scheduled(BEGINS, 2, daily("08:00", "2026-06-02", "UTC", 3)).await;
    reschedule(&world, daily("20:00", "2026-06-03", "UTC", 2)).await;
    // The wake-up is late, and the activation is handled before it.
    to(&world, "2026-06-02T08:00:03Z");
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    run(&world).await;
    let expected = [("02T08:00", 1), ("03T20:00", 2), ("04T20:00", 2)];
    let expected = expected.map(|(day, version)| (format!("2026-06-{day}:00Z"), version, State::Completed));
    assert_eq!(story(&world).await.0, expected);
}

/// Corpus A19: what was missed is the live version's, one by one, and the draft's schedule goes on from there.
#[tokio::test]
async fn a19_what_was_missed_before_a_draft_was_activated_is_recorded() {
    let world = scheduled(BEGINS, 2, daily("08:00", "2026-06-02", "UTC", 9)).await;
    reschedule(&world, daily("20:00", "2026-06-02", "UTC", 5)).await;
    // Down for three days; the first thing that happens is the activation.
    to(&world, "2026-06-04T12:00:00Z");
    world.activate().await;
    run(&world).await;
    let (missed, ran) = (State::Missed, State::Completed);
    let expected = [
        ("02T08:00", 1, missed),
        ("03T08:00", 1, missed),
        ("04T08:00", 1, missed),
        ("04T20:00", 2, ran),
        ("05T20:00", 2, ran),
        ("06T20:00", 2, ran),
    ];
    let expected = expected.map(|(day, version, state)| (format!("2026-06-{day}:00Z"), version, state));
    assert_eq!(story(&world).await.0, expected);
}

/// Corpus A18, with a draft between.
#[tokio::test]
async fn a18_a_start_asked_for_from_all_sides_while_a_draft_takes_over_is_one_execution() {
    let world = scheduled(BEGINS, 5, daily("09:00", "2026-06-02", "UTC", 3)).await;
    for day in 2..=4 {
        let next = campaign(&world).await.next_occurrence.unwrap();
        assert_eq!(next, utc(&format!("2026-06-0{day}T09:00:00Z")));
        draft(&world, |version| version.misfire_grace_seconds += 60).await;
        to(&world, &next.to_string());
        world.activate().await;
        let (start, activate) =
            (start_of(&world, &next.to_string()), WakeUp::Activate { campaign: world.campaign });
        tokio::join!(
            wake(&world, &start),
            wake(&world, &activate),
            wake(&world, &start),
            wake(&world, &WakeUp::Sweep)
        );
        world.days(next + HOUR, || Post::Twice).await;
        assert_eq!(executions(&world).await.len(), day - 1);
    }
    run(&world).await;
    assert_ran(&world, &["2026-06-02T09:00:00Z", "2026-06-03T09:00:00Z", "2026-06-04T09:00:00Z"].map(utc))
        .await;
}

/// Corpus A20, of a draft.
#[tokio::test]
async fn a20_activating_a_draft_twice_replaces_once() {
    let world = scheduled(BEGINS, 3, daily("08:00", "2026-06-02", "UTC", 2)).await;
    reschedule(&world, daily("10:00", "2026-06-02", "UTC", 2)).await;
    world.activate().await;
    world.activate().await;
    world.days(Timestamp::MAX, || Post::Twice).await;
    assert_ran(&world, &["2026-06-02T10:00:00Z", "2026-06-03T10:00:00Z"].map(utc)).await;
    let replaced = commands(&world).await.iter().filter(|command| *command == "replace").count();
    assert_eq!(replaced, 1);
}

/// Corpus A21, of a draft.
#[tokio::test]
async fn a21_a_draft_to_nobody_that_takes_over_completes() {
    let world = scheduled(BEGINS, 0, daily("08:00", "2026-06-02", "UTC", 2)).await;
    reschedule(&world, at("2026-06-01T15:00:00")).await;
    world.activate().await;
    run(&world).await;
    assert_ran(&world, &[utc("2026-06-01T15:00:00Z")]).await;
}

#[tokio::test]
async fn a_draft_can_t_run_again_what_has_run() {
    let world = scheduled(BEGINS, 3, daily("08:00", "2026-06-02", "UTC", 3)).await;
    to(&world, "2026-06-02T08:00:00Z");
    world.days(utc("2026-06-02T08:10:00Z"), || Post::Once).await;
    let before = executions(&world).await;
    assert_eq!((before.len(), before[0].state), (1, State::Completed));
    // Its time is past, and still within the grace.
    reschedule(&world, at("2026-06-02T08:00:00")).await;
    world.activate().await;
    world.days(utc("2026-06-02T14:00:00Z"), || Post::Once).await;
    let refused = campaign(&world).await;
    assert_eq!((refused.live_version, refused.activation_errors.len()), (Some(1), 1), "{refused:?}");
    assert_eq!(executions(&world).await, before, "what is told of the run stays");
    run(&world).await;
    assert_ran(&world, &["2026-06-02T08:00:00Z", "2026-06-03T08:00:00Z", "2026-06-04T08:00:00Z"].map(utc))
        .await;
}

#[tokio::test]
async fn a_draft_to_be_started_now_in_the_very_instant_of_a_start_is_a_run_of_its_own() {
    let world = scheduled(BEGINS, 3, daily("08:00", "2026-06-02", "UTC", 3)).await;
    reschedule(&world, json!({ "kind": "at_activation" })).await;
    to(&world, "2026-06-02T08:00:00Z");
    wake(&world, &start_of(&world, "2026-06-02T08:00:00Z")).await;
    world.activate().await;
    run(&world).await;
    let told = occurrences(&world).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(world.provider.total(), 6);
    assert_eq!(campaign(&world).await.status, Status::Completed);
}

#[tokio::test]
async fn a_draft_under_check_is_over_with_the_stop() {
    let world = scheduled(BEGINS, 3, daily("08:00", "2026-06-02", "UTC", 3)).await;
    reschedule(&world, daily("10:00", "2026-06-02", "UTC", 2)).await;
    world.activate().await;
    world.stop().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
    world.clock().advance(2 * DAY);
    wake(&world, &start_of(&world, "2026-06-02T08:00:00Z")).await;
    wake(&world, &start_of(&world, "2026-06-02T10:00:00Z")).await;
    wake(&world, &WakeUp::Sweep).await;
    let (told, stopped) = story(&world).await;
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(
        (stopped.status, stopped.live_version, stopped.draft_version),
        (Status::Stopped, Some(1), Some(2))
    );
    assert_eq!((stopped.activating_since, stopped.next_occurrence), (None, None));
}

/// Each call of an activation fails, or is the process's last: the old version goes on until the new one is whole.
#[tokio::test]
async fn a_replacement_is_whole_or_not_at_all_whatever_call_fails_or_is_the_last() {
    let furnish = async |faults: Faults| {
        let people = (1..=3).map(|number| Person::new(number, Fate::Taken)).collect();
        let world = World::at(utc(BEGINS), people, Options::default(), faults).await;
        reschedule(&world, daily("08:00", "2026-06-02", "UTC", 1)).await;
        world.activate().await;
        // Without a fault: the ports are asked from here on.
        wake(&world, &WakeUp::Activate { campaign: world.campaign }).await;
        empty(&world).await;
        reschedule(&world, daily("10:00", "2026-06-02", "UTC", 1)).await;
        world.activate().await;
        world
    };
    let whole = furnish(Faults::new(None)).await;
    // The runs are others' tests.
    whole.days(utc("2026-06-01T13:00:00Z"), || Post::Once).await;
    assert_eq!(campaign(&whole).await.live_version, Some(2));
    let calls = whole.calls();
    assert!(calls > 10, "{calls}");
    for fault in Fault::ALL {
        for call in 0..calls {
            let world = furnish(Faults::new(Some((call, fault)))).await;
            run(&world).await;
            let (told, campaign) = story(&world).await;
            let expected = ("2026-06-02T10:00:00Z".to_owned(), 2, State::Completed);
            assert_eq!(told, [expected], "{fault:?} at call {call}");
            assert_eq!((campaign.status, campaign.live_version), (Status::Completed, Some(2)));
        }
    }
}
