//! What happens when two workers meet over one chunk: a worker that lost its lease can write nothing but what it knows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::lowered::LoweredContent;
use campaign::outcome::OnUnknown;
use campaign::{Channel, Code, Configuration, Outcome, Profile};
use delivery::{Answer, Cause, Delivery, Job, Sender, Settings};
use envoi_tests::sim::{Fate, Faults, Options, Person, Verdict, World};
use platform::{Clock, Deadline};
use store::ledger::{Part, Tenancy, Worker};
use store::messages::ChunkKey;
use store::{HashKey, Store};

/// A sender that does as told with each window, and counts what was handed over.
pub(super) struct Told<F> {
    handed_over: AtomicUsize,
    windows: AtomicUsize,
    /// How much time each hand-over was given.
    given: Mutex<Vec<Duration>>,
    answer: F,
}

impl<F> Told<F> {
    pub(super) const fn new(answer: F) -> Self {
        Self {
            handed_over: AtomicUsize::new(0),
            windows: AtomicUsize::new(0),
            given: Mutex::new(Vec::new()),
            answer,
        }
    }

    pub(super) fn handed_over(&self) -> usize {
        self.handed_over.load(Ordering::Relaxed)
    }

    pub(super) fn given(&self) -> Vec<Duration> {
        self.given.lock().unwrap().clone()
    }
}

#[async_trait]
impl<F, R> Sender for Told<F>
where
    F: Fn(usize) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    const CHANNEL: Channel = Channel::Email;
    type Template = ();
    type Message = ();

    fn compile(&self, _: &LoweredContent) -> Result<(), String> {
        Ok(())
    }

    fn address<'p>(&self, _: &Configuration, profile: &'p Profile) -> Result<Option<&'p str>, Code> {
        profile.text("email").map(Some).ok_or(Code::NoAddress)
    }

    fn prepare(&self, _: &Job<'_, ()>, _: Profile) -> Result<(), (Code, String)> {
        Ok(())
    }

    async fn send(&self, _: &Configuration, messages: Vec<()>, time: Duration) -> Vec<Answer> {
        self.given.lock().unwrap().push(time);
        self.handed_over.fetch_add(messages.len(), Ordering::Relaxed);
        let answer = (self.answer)(self.windows.fetch_add(1, Ordering::Relaxed)).await;
        vec![answer; messages.len()]
    }
}

/// A worker of its own over the world's ledger.
pub(super) fn worker<F, R>(world: &World, answer: F) -> Delivery<Told<F>>
where
    F: Fn(usize) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    worker_with(world.store.clone(), 4, answer)
}

/// The same over a store of its own, with this window.
pub(super) fn worker_with<F, R>(store: Store, window: usize, answer: F) -> Delivery<Told<F>>
where
    F: Fn(usize) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    let settings = Settings { window, ..Settings::default() };
    Delivery::new(store, Worker::new(Tenancy::Shared), Told::new(answer), settings)
}

pub(super) fn minute(world: &World) -> Deadline {
    Deadline::after(world.clock(), Duration::from_secs(60))
}

/// A world whose fan-out is done and whose chunks nobody has touched.
pub(super) async fn fanned_out(people: u8) -> (World, Vec<ChunkKey>) {
    let people = (1..=people).map(|number| Person::new(number, Fate::Taken)).collect();
    let world = World::new(people, Options::default(), Faults::new(None)).await;
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
    let head = world.store.ledger.head(world.execution().await).await.unwrap().unwrap();
    let mut chunks = Vec::new();
    for shard in head.shards() {
        let (page, _) = world.store.ledger.chunks(shard, Part::Whole, None, 100).await.unwrap();
        chunks.extend(page.into_iter().map(|chunk| chunk.key));
    }
    (world, chunks)
}

#[tokio::test]
async fn a_slow_worker_that_lost_its_lease_settles_the_doubt_and_nothing_is_sent_twice() {
    // Corpus A8, A11: a slice that outlives its lease is taken over; what the slow one knows is not lost.
    for slow_window in 0..5 {
        let (world, chunks) = fanned_out(56).await;
        let chunk = chunks.into_iter().find(|chunk| chunk.number == 0).unwrap();
        let world = Arc::new(world);
        let outer = Arc::clone(&world);
        let slow = worker(&world, move |window| {
            let world = Arc::clone(&outer);
            async move {
                if window == slow_window {
                    // The provider takes ten minutes, and another worker comes.
                    world.clock().advance(Duration::from_secs(600));
                    let quick = worker(&world, async |_| Answer::Accepted);
                    quick.deliver(chunk, minute(&world)).await.unwrap();
                    assert_eq!(quick.sender().handed_over(), 50 - 4 * (slow_window + 1));
                }
                Answer::Accepted
            }
        });
        slow.deliver(chunk, minute(&world)).await.unwrap();
        let stored = world.store.ledger.chunk(chunk).await.unwrap().unwrap();
        assert!(stored.closed);
        assert_eq!(stored.members.count(Outcome::Sent), 50, "the doubt of window {slow_window} is settled");
        assert_eq!(slow.sender().handed_over(), 4 * (slow_window + 1));
    }
}

#[tokio::test]
async fn a_slow_worker_that_lost_its_lease_says_that_nobody_took_the_message_and_it_is_sent() {
    for slow_window in 0..5 {
        let (world, chunks) = fanned_out(56).await;
        let chunk = chunks.into_iter().find(|chunk| chunk.number == 0).unwrap();
        let world = Arc::new(world);
        let outer = Arc::clone(&world);
        let slow = worker(&world, move |window| {
            let world = Arc::clone(&outer);
            async move {
                if window < slow_window {
                    return Answer::Accepted;
                }
                world.clock().advance(Duration::from_secs(600));
                worker(&world, async |_| Answer::Accepted).deliver(chunk, minute(&world)).await.unwrap();
                let closed = world.store.ledger.chunk(chunk).await.unwrap().unwrap();
                assert_eq!((closed.closed, closed.members.count(Outcome::Unknown)), (true, 4));
                Answer::NotAccepted { cause: Cause::Transient, retry_after: None, detail: String::new() }
            }
        });
        slow.deliver(chunk, minute(&world)).await.unwrap();
        let reopened = world.store.ledger.chunk(chunk).await.unwrap().unwrap();
        assert_eq!((reopened.closed, reopened.members.count(Outcome::Pending)), (false, 4));
        world.run().await;
        let sent = world.store.ledger.chunk(chunk).await.unwrap().unwrap();
        assert_eq!((sent.closed, sent.members.count(Outcome::Sent)), (true, 50), "window {slow_window}");
        // The four, and the six of the other chunk: nobody whom a worker of this test has sent to.
        assert_eq!(world.provider.total(), 10);
    }
}

#[tokio::test]
async fn a_window_is_handed_over_only_where_its_answers_can_be_settled() {
    // Each look at the tables takes six seconds, so windows begin with any time left.
    let mut shortest = Duration::MAX;
    for seconds in 40..100 {
        let (world, chunks) = fanned_out(20).await;
        let world = Arc::new(world);
        let outer = Arc::clone(&world);
        world.interrupt(move |_| {
            outer.clock().advance(Duration::from_secs(6));
            Box::pin(std::future::ready(()))
        });
        let began = Arc::new(Mutex::new(Vec::new()));
        let (outer, seen) = (Arc::clone(&world), Arc::clone(&began));
        let slow = worker_with(Store::new(world.platform(), HashKey([7; 32])), 4, move |_| {
            seen.lock().unwrap().push(outer.clock().now());
            std::future::ready(Answer::Accepted)
        });
        let end = world.clock().now() + Duration::from_secs(seconds);
        slow.deliver(chunks[0], Deadline::after(world.clock(), Duration::from_secs(seconds))).await.unwrap();
        for (began, given) in began.lock().unwrap().iter().zip(slow.sender().given()) {
            assert!(*began + given + Duration::from_secs(2) <= end, "{given:?} from {began} on, of {end}");
            shortest = shortest.min(given);
        }
    }
    assert!(shortest < Settings::default().send_timeout, "some had less than they might have had");
}

#[tokio::test]
async fn the_same_message_at_five_workers_is_one_delivery() {
    // Corpus A7, A10.
    let (world, chunks) = fanned_out(30).await;
    let workers: Vec<_> = (0..5).map(|_| worker(&world, async |_| Answer::Accepted)).collect();
    let all = workers.iter().map(|worker| worker.deliver(chunks[0], minute(&world)));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(workers.iter().map(|worker| worker.sender().handed_over()).sum::<usize>(), 30);
}

#[tokio::test]
async fn what_is_in_doubt_can_be_sent_again_and_the_report_says_so() {
    let (world, chunks) = fanned_out(20).await;
    let execution = chunks[0].execution;
    // A provider nobody hears from leaves a whole window in doubt.
    let silent =
        worker_with(world.store.clone(), 20, async |_| Answer::Ambiguous { detail: "no reply".to_owned() });
    silent.deliver(chunks[0], minute(&world)).await.unwrap();
    world.run().await;
    let head = world.store.ledger.head(execution).await.unwrap().unwrap();
    let tally = world.store.ledger.tally(&head).await.unwrap();
    assert_eq!(tally.actions[0].counts.outcome(Outcome::Unknown), 20);
    let mut campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    campaign.open_executions += 1;
    assert!(world.store.ledger.take_up(&head, &campaign).await.unwrap());
    let stored = world.store.ledger.chunk(chunks[0]).await.unwrap().unwrap();
    let reopened = world.store.ledger.reopen(&stored, &[Outcome::Unknown], &head).await.unwrap();
    assert_eq!(reopened, Some(20));
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Resend, "sent again").await;
    assert_eq!(verdict.count(Code::SentAgain), 20);
    let head = world.store.ledger.head(execution).await.unwrap().unwrap();
    let tally = world.store.ledger.tally(&head).await.unwrap();
    assert_eq!(tally.actions[0].counts.possible_duplicates(), 20);
}
