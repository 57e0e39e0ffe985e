//! What a provider takes in a second and in a day: who is over waits, and loses nothing by it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lambda_events::sqs::SqsEvent;
use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::{Code, rate};
use delivery::{Answer, Delivery, Sender, Settings};
use envoi_tests::clock::TestClock;
use envoi_tests::sim::{Fate, Faults, Options, Person, Trouble, Verdict, World, edit_configuration, furnish};
use jiff::{SignedDuration, Timestamp};
use platform::embedded::Embedded;
use platform::{Clock, Deadline, QueueName, Source, batch};
use store::ledger::{Tenancy, Worker};
use store::messages::ChunkMessage;
use store::{HashKey, Store, tables};

use super::leases::Told;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

#[tokio::test]
async fn who_waits_for_the_rate_longer_than_the_retry_period_is_sent_to_all_the_same() {
    // Corpus I7: 250 people at one a second, where what is not taken is tried again for a minute.
    let mut people = people(250);
    people[30].fate = Fate::Greylisted;
    let options = Options { rate_per_second: Some(1), ..Options::default() };
    let world = World::new(people, options, Faults::new(None)).await;
    edit_configuration(&world.store, |configuration| configuration.retry_period_seconds = 60).await;
    let begins = world.clock().now();
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "slower than the retry period").await;
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Expired)), (250, 0));
    let took = world.clock().now().duration_since(begins);
    assert!(took >= SignedDuration::from_secs(249), "{took:?}");
}

#[tokio::test]
async fn a_quota_for_the_day_spreads_a_campaign_over_days_and_fails_nobody() {
    // Corpus I8, I4. The retry period is half a day: had the waits used it up, three of the four days would be lost.
    let trouble = Trouble::QuotaOf { most: 30, every: DAY };
    let world = World::new(people(100), Options { trouble, ..Options::default() }, Faults::new(None)).await;
    let begins = world.clock().now();
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "a quota").await;
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Expired)), (100, 0));
    let mut by_day = [0; 4];
    for at in world.people.iter().flat_map(|person| world.provider.taken_at(person.id)) {
        by_day[usize::try_from(at.duration_since(begins).as_hours() / 24).unwrap()] += 1;
    }
    assert_eq!(by_day, [30, 30, 30, 10]);
    // One window each quarter of an hour, whatever number of chunks waits.
    let looks = 3 * 24 * 4 * Options::default().window;
    assert!(world.provider.refusals() <= looks, "{} refusals", world.provider.refusals());
}

/// A clock of several who work at the same time: it moves on when all of them wait, to the first instant for which one
/// does. So nobody is late but by what they wait for.
#[derive(Debug, Default)]
struct CommonClock {
    clock: TestClock,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    at_work: usize,
    until: Vec<Timestamp>,
}

impl CommonClock {
    /// So many are at work from now on.
    fn begin(&self, workers: usize) {
        *self.waits.lock().unwrap() = Waits { at_work: workers, until: Vec::new() };
    }

    /// One of them stops working, until an instant or for good.
    fn stop(&self, until: Option<Timestamp>) {
        let mut waits = self.waits.lock().unwrap();
        waits.at_work = waits.at_work.saturating_sub(1);
        waits.until.extend(until);
        if let (0, Some(first)) = (waits.at_work, waits.until.iter().min().copied()) {
            self.clock.set(first);
            let waited = waits.until.len();
            waits.until.retain(|until| *until > first);
            waits.at_work = waited - waits.until.len();
        }
    }
}

#[async_trait]
impl Clock for CommonClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        self.stop(Some(until));
        self.clock.sleep(Duration::try_from(until.duration_since(self.now())).unwrap_or_default()).await;
    }
}

/// Delivers a chunk to its end, as often as its rate has it put back.
async fn to_its_end<S: Sender>(
    delivery: &Delivery<S>,
    store: &Store,
    message: ChunkMessage,
    clock: &CommonClock,
) {
    while !store.ledger.chunk(message.key).await.unwrap().unwrap().closed {
        delivery.deliver(message.key, Deadline::after(clock, Duration::from_secs(60))).await.unwrap();
        clock.sleep(Duration::from_millis(300)).await;
    }
    clock.stop(None);
}

async fn receive(engine: &Embedded, queue: QueueName) -> SqsEvent {
    batch::event(engine.receive(queue, 10, Duration::from_secs(360), 20).await.unwrap())
}

#[tokio::test]
async fn five_workers_with_a_chunk_each_keep_to_one_rate() {
    // Corpus I2.
    const RATE: u32 = 14;
    let clock = Arc::new(CommonClock::default());
    let engine = Embedded::in_memory(clock.clone());
    let store = Store::new(engine.platform(), HashKey([7; 32]));
    let campaign = furnish(&store, 250).await;
    edit_configuration(&store, |configuration| configuration.rate_per_second = Some(RATE)).await;
    validation::ask_activation(&store, campaign, &Actor::envoi(), |_| Ok(())).await.unwrap();
    let worker = Worker::new(Tenancy::Shared);
    let deadline = Deadline::after(&*clock, Duration::from_secs(60));
    let activate = activate::Context { store: store.clone(), sweep_every: Duration::from_secs(60) };
    // Its activation, and its start.
    for _ in 0..2 {
        activate::handle(&activate, receive(&engine, tables::WAKE_UP).await, deadline).await;
    }
    let fanout = fanout::Context { store: store.clone(), worker };
    fanout::handle(&fanout, receive(&engine, tables::FAN_OUT).await, deadline).await;
    let chunks = receive(&engine, tables::DELIVER_EMAIL).await.records;
    assert_eq!(chunks.len(), 5);

    let taken = Arc::new(Mutex::new(Vec::new()));
    clock.begin(chunks.len());
    let workers = chunks.iter().map(|message| {
        let (taken, at) = (taken.clone(), clock.clone());
        // At such a rate a window is one message.
        let sender = Told::new(move |_| {
            taken.lock().unwrap().push(at.now());
            std::future::ready(Answer::Accepted)
        });
        let delivery =
            Delivery::new(store.clone(), Worker::new(Tenancy::Shared), sender, Settings::default());
        let (store, clock) = (&store, &clock);
        async move {
            let message = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
            to_its_end(&delivery, store, message, clock).await;
            delivery.sender().handed_over()
        }
    });
    let handed_over: usize = futures::future::join_all(workers).await.into_iter().sum();
    let taken = taken.lock().unwrap();
    assert_eq!((handed_over, taken.len()), (250, 250));
    let most = usize::try_from(RATE).unwrap() + rate::burst(RATE, Settings::default().window);
    for (first, from) in taken.iter().enumerate() {
        let second = *from + SignedDuration::from_secs(1);
        let within = taken[first..].iter().filter(|at| **at < second).count();
        assert!(within <= most, "{within} messages in the second from {from} on");
    }
    let took = taken[249].duration_since(taken[0]);
    assert!(took <= SignedDuration::from_secs(2 * 250 / i64::from(RATE)), "the rate is used: {took:?}");
}
