//! What a provider that takes messages and says nothing, or asks everybody to wait, does to those who come after.

use std::sync::Arc;
use std::time::Duration;

use campaign::outcome::OnUnknown;
use campaign::rate::outage_us;
use campaign::{Code, ConfigurationId, Outcome};
use delivery::{Answer, Cause};
use envoi_tests::sim::{Fate, Faults, Options, Person, Trouble, Verdict, World};
use platform::Clock;
use store::ledger::{State, Tenancy, Waits, Worker};
use store::rates::Standing;
use store::{HashKey, Store};

use super::leases::{fanned_out, minute, worker, worker_with};

const SEND_TIMEOUT: Duration = Duration::from_secs(20);

fn silence() -> Answer {
    Answer::Ambiguous { detail: "no answer in time".to_owned() }
}

fn not_accepted(cause: Cause) -> Answer {
    Answer::NotAccepted { cause, retry_after: None, detail: "later".to_owned() }
}

async fn configuration(world: &World) -> ConfigurationId {
    let (found, _) = world.store.configurations.list(None, 10).await.unwrap();
    found[0].value.id
}

async fn standing(world: &World) -> Standing {
    world.store.rates.standing(configuration(world).await).await.unwrap()
}

/// How often a provider can be tried while it is silent for so long: each try takes its time, and is followed by a hold.
fn tries_in(silent: Duration) -> usize {
    let cycle = |tries| SEND_TIMEOUT + Duration::from_micros(outage_us(tries).unsigned_abs());
    let ends = (1..).scan(Duration::ZERO, |end, tries| {
        *end += cycle(tries);
        Some(*end)
    });
    1 + ends.take_while(|end| *end < silent).count()
}

#[tokio::test]
async fn a_provider_that_falls_silent_leaves_few_in_doubt_and_nobody_is_lost() {
    let people: Vec<_> = (1..=2000).map(|number| Person::of_many(number, Fate::Taken)).collect();
    let lasting = Duration::from_secs(600);
    let trouble = Trouble::FallsSilent { after: 600, lasting };
    let world =
        World::new(people, Options { trouble, window: 10, ..Options::default() }, Faults::new(None)).await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "silent").await;
    assert_eq!((verdict.state, verdict.codes.len()), (State::Completed, 2000));
    let tried = world.provider.refusals();
    assert!((2..=tries_in(lasting)).contains(&tried), "tried {tried} times, of {}", tries_in(lasting));
    assert_eq!(verdict.unknown(), tried * 10);
    assert_eq!(verdict.count(Code::Sent), 2000 - verdict.unknown());
    for person in &world.people {
        assert_eq!(world.provider.taken(person.id), 1, "{person:?}");
    }
}

#[tokio::test]
async fn silence_after_an_outage_does_not_end_it() {
    let (world, chunks) = fanned_out(40).await;
    let answers = [not_accepted(Cause::Unreachable), silence(), Answer::Accepted];
    for (answer, outages) in answers.into_iter().zip([1, 2, 0]) {
        let worker = worker(&world, move |_| std::future::ready(answer.clone()));
        worker.deliver(chunks[0], minute(&world)).await.unwrap();
        assert_eq!(standing(&world).await.outages, outages);
        world.clock().advance(Duration::from_secs(60));
    }
    let stored = world.store.ledger.chunk(chunks[0]).await.unwrap().unwrap();
    assert_eq!((stored.members.count(Outcome::Sent), stored.members.count(Outcome::Unknown)), (36, 4));
}

#[tokio::test]
async fn a_throttle_that_names_no_time_has_everybody_wait_longer_each_time() {
    let (world, chunks) = fanned_out(250).await;
    let throttled = |chunk| {
        let worker = worker(&world, async |_| not_accepted(Cause::Throttled));
        let world = &world;
        async move {
            worker.deliver(chunk, minute(world)).await.unwrap();
            worker.sender().handed_over()
        }
    };
    let held_us = |standing: Standing| standing.held_until_us - world.clock().now().as_microsecond();
    for (throttles, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        assert_eq!(throttled(chunks[0]).await, 4, "the first window, and no more");
        let standing = standing(&world).await;
        assert_eq!((standing.throttles, held_us(standing)), (throttles, seconds * 1_000_000));
        assert_eq!(throttled(chunks[1]).await, 0, "nobody else is tried");
        world.clock().advance(Duration::from_secs(60));
    }
    // The end of a hold is slept out, and who is taken then ends the row.
    assert_eq!(throttled(chunks[0]).await, 4);
    world.clock().advance(Duration::from_millis(15_600));
    let taken = worker(&world, async |_| Answer::Accepted);
    taken.deliver(chunks[2], minute(&world)).await.unwrap();
    let standing = standing(&world).await;
    assert_eq!((taken.sender().handed_over(), held_us(standing), standing.throttles), (50, 0, 0));
}

#[tokio::test]
async fn the_last_window_s_answers_outlive_trouble_with_recording_the_next() {
    // Prepared by windows, and one by one after claims that came to nothing.
    for (claims, window) in [(0, 4), (4, 1)] {
        let (world, chunks) = fanned_out(40).await;
        for _ in 0..claims {
            let dead = Worker::new(Tenancy::Shared);
            world.store.ledger.claim(chunks[0], &dead, Duration::ZERO, Waits::Honoured).await.unwrap();
            world.clock().advance(Duration::from_secs(60));
        }
        let world = Arc::new(world);
        let faulty = Store::new(world.platform(), HashKey([7; 32]));
        let outer = Arc::clone(&world);
        let worker = worker_with(faulty, 4, move |_| {
            // The execution's state is read, and then nothing is written any more, however often it is tried.
            outer.fail_calls(1, 4);
            std::future::ready(Answer::Accepted)
        });
        worker.deliver(chunks[0], minute(&world)).await.unwrap();
        let stored = world.store.ledger.chunk(chunks[0]).await.unwrap().unwrap();
        assert_eq!(stored.leased_until_ms, None);
        assert_eq!(stored.members.count(Outcome::Sent), window);
        assert_eq!(stored.members.count(Outcome::Pending), 40 - window);
    }
}
