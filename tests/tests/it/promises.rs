//! What users of such systems reported as broken, one by one (the letters are the corpus's rows).

use std::time::Duration;

use campaign::outcome::OnUnknown;
use campaign::{Code, Profile, Status};
use envoi_tests::sim::{Fate, Faults, Options, Person, Trouble, Verdict, World};
use platform::{Clock, Deadline, Due, Item, Key, Source, Table};
use store::StoreError;
use store::ledger::{State, Tenancy, Worker};
use store::messages::WakeUp;
use store::tables;

const HOUR: Duration = Duration::from_secs(3600);

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

async fn world(number: u8, options: Options) -> World {
    World::new(people(number), options, Faults::new(None)).await
}

/// Runs the world until its fan-out is done and nothing is delivered yet.
async fn fan_out(world: &World) {
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
    assert_eq!(world.provider.total(), 0);
}

async fn status(world: &World) -> Status {
    world.store.campaigns.get(world.campaign).await.unwrap().status
}

fn activation(world: &World) -> activate::Context {
    activate::Context { store: world.store.clone(), sweep_every: Duration::from_secs(60) }
}

fn minute(world: &World) -> Deadline {
    Deadline::after(world.clock(), Duration::from_secs(60))
}

async fn wake(world: &World, wake_up: &WakeUp) -> Result<(), StoreError> {
    activate::wake(&activation(world), wake_up, minute(world)).await
}

#[tokio::test]
async fn a6_lost_messages_are_noticed_and_sent_again() {
    let world = world(80, Options::default()).await;
    fan_out(&world).await;
    let lost = world.engine.receive(tables::DELIVER_EMAIL, 10, HOUR, 10).await.unwrap();
    assert_eq!(lost.len(), 2);
    let receipts = lost.into_iter().map(|message| message.receipt).collect();
    world.engine.delete(tables::DELIVER_EMAIL, receipts).await.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "lost messages").await;
    assert_eq!(verdict.count(Code::Sent), 80);
}

#[tokio::test]
async fn a18_a_start_asked_for_from_two_sides_is_one_execution() {
    let world = world(30, Options { starts_after: Some(HOUR), ..Options::default() }).await;
    world.activate().await;
    let context = activation(&world);
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    assert_eq!(status(&world).await, Status::Scheduled);
    let next = world.store.campaigns.get(world.campaign).await.unwrap().next_occurrence.unwrap();
    world.clock().advance(HOUR);
    let start = WakeUp::Start { campaign: world.campaign, occurrence_ms: next.as_millisecond() };
    let (one, other, swept) =
        tokio::join!(wake(&world, &start), wake(&world, &start), activate::sweep(&context, minute(&world)),);
    one.unwrap();
    other.unwrap();
    swept.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "two sides").await;
    assert_eq!(verdict.count(Code::Sent), 30);
}

#[tokio::test]
async fn a18_an_early_wake_up_starts_nothing() {
    let world = world(3, Options { starts_after: Some(HOUR), ..Options::default() }).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    let next = world.store.campaigns.get(world.campaign).await.unwrap().next_occurrence.unwrap();
    let start = WakeUp::Start { campaign: world.campaign, occurrence_ms: next.as_millisecond() };
    wake(&world, &start).await.unwrap();
    assert_eq!(status(&world).await, Status::Scheduled);
    world.run().await;
    assert_eq!(world.provider.total(), 3);
}

#[tokio::test]
async fn a19_a_start_found_late_runs_within_the_grace_and_is_missed_beyond_it() {
    for (down, runs) in [(HOUR / 2, true), (4 * HOUR, false)] {
        let world = world(5, Options { starts_after: Some(HOUR), ..Options::default() }).await;
        world.activate().await;
        wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
        world.clock().advance(HOUR + down);
        world.run().await;
        assert_eq!(world.provider.total(), if runs { 5 } else { 0 });
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        let expected = if runs { State::Completed } else { State::Missed };
        assert_eq!(executions.iter().map(|execution| execution.state).collect::<Vec<_>>(), [expected]);
        assert_eq!(status(&world).await, Status::Completed);
    }
}

#[tokio::test]
async fn a24_a_function_that_runs_out_of_time_goes_on_in_the_next() {
    let trouble = Trouble::Slow(Duration::from_secs(12));
    let world = world(70, Options { trouble, ..Options::default() }).await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "slow provider").await;
    assert_eq!((verdict.count(Code::Sent), verdict.unknown()), (70, 0));
}

#[tokio::test]
async fn a24_a_fan_out_that_runs_out_of_time_goes_on_in_the_next() {
    let world = world(70, Options::default()).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
    let context = fanout::Context { store: world.store.clone(), worker: Worker::new(Tenancy::Shared) };
    let short = Deadline::after(world.clock(), Duration::from_secs(2));
    for shard in head.shards() {
        fanout::fan_out(&context, shard, short).await.unwrap();
        assert!(!world.store.ledger.cursor(shard).await.unwrap().unwrap().done);
    }
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "short fan-out").await;
    assert_eq!(verdict.count(Code::Sent), 70);
}

#[tokio::test]
async fn b13_the_audience_is_who_is_in_it_when_it_is_read() {
    let world = world(20, Options { starts_after: Some(HOUR), ..Options::default() }).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    // Somebody joins between activation and start.
    let (segments, _) = world.store.segments.list(None, 10).await.unwrap();
    let late = Person::new(200, Fate::Taken);
    let profile = serde_json::json!({ "email": "late@example.org" });
    let serde_json::Value::Object(profile) = profile else { unreachable!() };
    world.store.profiles.put(&Profile::new(late.id, profile).unwrap(), None).await.unwrap();
    world.store.segments.add_members(segments[0].value.id, 1, &[late.id]).await.unwrap();
    world.run().await;
    assert_eq!(world.provider.taken(late.id), 1);
    assert_eq!(world.provider.total(), 21);
}

#[tokio::test]
async fn b17_who_opts_out_before_the_message_goes_out_gets_none() {
    let world = world(20, Options::default()).await;
    fan_out(&world).await;
    for (person, change) in [
        (world.people[4], serde_json::json!({ "email": "five@example.org", "consent": { "email": "out" } })),
        (
            world.people[5],
            serde_json::json!({ "email": "six@example.org", "consent": { "email": "pending" } }),
        ),
    ] {
        let before = world.store.profiles.get(person.id).await.unwrap();
        let serde_json::Value::Object(document) = change else { unreachable!() };
        world.store.profiles.put(&Profile::new(person.id, document).unwrap(), Some(&before)).await.unwrap();
    }
    world.store.profiles.delete(world.people[6].id).await.unwrap();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "opted out").await;
    assert_eq!(verdict.count(Code::NoConsent), 2);
    assert_eq!(verdict.codes[&world.people[6].id], Code::ProfileGone);
    assert_eq!(verdict.count(Code::Sent), 17);
}

#[tokio::test]
async fn a20_activating_twice_is_one_execution() {
    let world = world(10, Options::default()).await;
    world.activate().await;
    world.activate().await;
    world.run().await;
    assert_eq!(world.provider.total(), 10);
    world.execution().await;
}

#[tokio::test]
async fn a22_an_activation_can_be_called_off() {
    let world = world(3, Options::default()).await;
    world.activate().await;
    world.stop().await;
    assert_eq!(status(&world).await, Status::Draft);
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    assert_eq!(status(&world).await, Status::Draft);
    assert_eq!(world.provider.total(), 0);
}

#[tokio::test]
async fn an_item_that_nobody_can_read_keeps_no_other_campaign_waiting() {
    let world = world(5, Options { starts_after: Some(HOUR), ..Options::default() }).await;
    world.activate().await;
    wake(&world, &WakeUp::Activate { campaign: world.campaign }).await.unwrap();
    world.clock().advance(HOUR);
    for table in [tables::CONTROL, tables::LEDGER] {
        for bucket in 0..16 {
            let partition = if table == tables::CONTROL { "campaigns" } else { "x#nonsense" };
            let mut item =
                Item::new(Key::new(partition, format!("nonsense-{bucket}"))).with("doc", "no JSON");
            item.due = Some(Due { bucket, at_ms: 0 });
            world.engine.batch_put(table, vec![item]).await.unwrap();
        }
    }
    activate::sweep(&activation(&world), minute(&world)).await.unwrap();
    assert_eq!(status(&world).await, Status::Live);
    world.run().await;
    assert_eq!(world.provider.total(), 5);
}

#[tokio::test]
async fn i9_somebody_greylisted_holds_up_nobody_at_a_low_rate() {
    let mut people = people(50);
    people[0].fate = Fate::Greylisted;
    let options = Options { rate_per_second: Some(1), ..Options::default() };
    let world = World::new(people, options, Faults::new(None)).await;
    world.activate().await;
    let begun = world.clock().monotonic();
    let mut others = None;
    world
        .run_until(|world| {
            if world.provider.total() >= 49 && others.is_none() {
                others = Some(world.clock().monotonic() - begun);
            }
            false
        })
        .await;
    assert_eq!(world.provider.total(), 50);
    // The clock is the simulation's: 49 seconds at one a second, and a few looks of a minute.
    assert!(others.unwrap() < Duration::from_secs(300), "{others:?}");
}
