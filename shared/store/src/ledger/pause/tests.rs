use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use campaign::content::OnMissing;
use campaign::model::{Actor, CampaignType};
use campaign::outcome::OnUnknown;
use campaign::{Campaign, Category, Channel, SegmentId, Version};
use platform::embedded::Embedded;
use platform::{Clock, Consistency, Item, Key};

use super::*;
use crate::ledger::{Audience, Overdue, Seen, execution_id};
use crate::messages::FanOut;
use crate::tables::{self, CONTROL};
use crate::{HashKey, Store};

const MINUTE: Duration = Duration::from_secs(60);

struct TestClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
}

/// A store with one execution of two shards, just started.
struct World {
    clock: Arc<TestClock>,
    engine: Embedded,
    store: Store,
    id: ExecutionId,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(TestClock(Mutex::new("2026-11-26T09:00:00Z".parse().unwrap())));
        let engine = Embedded::in_memory(clock.clone());
        let store = Store::new(engine.platform(), HashKey([1; 32]));
        let now = clock.now();
        let campaign = Campaign::new("c", CampaignType::Scheduled, Category::Marketing, Actor::envoi(), now);
        store.campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        let campaign = store.campaigns.get(campaign.id).await.unwrap();
        let head = Head {
            id: execution_id(campaign.id, now.as_millisecond()),
            campaign: campaign.id,
            version: 1,
            occurrence: now,
            category: Category::Marketing,
            shards: 2,
            actions: vec![Channel::Email],
            audience: Audience::List { segment: SegmentId::random(), generation: 1, partitions: 16 },
            on_unknown: OnUnknown::Hold,
            on_missing: OnMissing::Blank,
            started_at: now,
            plan: None,
            state: State::Running,
            paused_at: None,
            paused_for_ms: 0,
            ended_at: None,
            request: None,
            call: None,
            revision: 1,
        };
        assert!(store.ledger.start(&campaign, &head, Vec::new()).await.unwrap());
        Self { clock, engine, store, id: head.id }
    }

    async fn head(&self) -> Head {
        self.store.ledger.head(self.id).await.unwrap().unwrap()
    }

    async fn pause(&self) -> Turned {
        self.store.ledger.pause(self.id, Vec::new()).await.unwrap()
    }

    async fn resume(&self) -> Turned {
        self.store.ledger.resume(self.id, Vec::new()).await.unwrap()
    }

    /// What lies in the wake-up queue, now or soon.
    async fn wake_ups(&self) -> u64 {
        let counts = self.engine.counts(tables::WAKE_UP).await.unwrap();
        counts.visible + counts.delayed
    }
}

fn note(name: &str) -> Write {
    Write::put(CONTROL, Item::new(Key::new("notes", name)))
}

#[tokio::test]
async fn a_pause_and_its_resume_are_kept_and_repeated_at_no_cost() {
    let world = World::new().await;
    let before = world.head().await;
    let Turned::Done(paused) = world.pause().await else { panic!("it runs") };
    assert_eq!((paused.state, paused.paused_at), (State::Paused, Some(world.clock.now())));
    assert_eq!(world.head().await, paused, "what is told is what is stored");
    assert_eq!(world.store.ledger.state(world.id).await.unwrap(), Some(State::Paused));
    let summary = world.store.ledger.summary(&paused).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.paused_at), (State::Paused, paused.paused_at));

    world.clock.sleep(MINUTE).await;
    assert_eq!(world.pause().await, Turned::Already(paused), "the first pause counts");
    assert_eq!(world.wake_ups().await, 0);
    let Turned::Done(running) = world.resume().await else { panic!("it is paused") };
    assert_eq!((running.state, running.paused_at, running.paused_for_ms), (State::Running, None, 60_000));
    assert_eq!(world.head().await, running);
    assert_eq!(world.wake_ups().await, 1, "the sweep is asked for");
    let summary = world.store.ledger.summary(&running).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.paused_at), (State::Running, None));
    assert_eq!(world.resume().await, Turned::Already(running.clone()));
    assert_eq!(world.wake_ups().await, 1);

    // Pauses add up, and nothing else of it has changed.
    assert!(matches!(world.pause().await, Turned::Done(_)));
    world.clock.sleep(MINUTE).await;
    let now_ms = world.clock.now().as_millisecond();
    assert_eq!(world.head().await.paused_ms(now_ms), 120_000);
    assert!(matches!(world.resume().await, Turned::Done(_)));
    let after = world.head().await;
    assert_eq!((after.paused_for_ms, after.paused_ms(now_ms)), (120_000, 120_000));
    assert_eq!(Head { paused_for_ms: 0, revision: before.revision, ..after }, before);
}

#[tokio::test]
async fn what_is_written_with_it_is_written_once_or_not_at_all() {
    let world = World::new().await;
    let ledger = &world.store.ledger;
    let is_there = async |name: &str| {
        let key = Key::new("notes", name);
        world.engine.platform().table.get(CONTROL, &key, Consistency::Strong).await.unwrap().is_some()
    };
    assert!(matches!(ledger.pause(world.id, vec![note("1")]).await.unwrap(), Turned::Done(_)));
    assert!(matches!(ledger.pause(world.id, vec![note("2")]).await.unwrap(), Turned::Already(_)));
    assert!(matches!(ledger.resume(world.id, vec![note("3")]).await.unwrap(), Turned::Done(_)));
    assert!(matches!(ledger.resume(world.id, vec![note("4")]).await.unwrap(), Turned::Already(_)));
    ledger.turn(world.id, &State::OPEN, State::Stopping).await.unwrap().unwrap();
    for refused in [
        ledger.pause(world.id, vec![note("5")]).await.unwrap(),
        ledger.resume(world.id, vec![note("6")]).await.unwrap(),
    ] {
        assert!(matches!(refused, Turned::Refused(head) if head.state == State::Stopping));
    }
    let mut there = Vec::new();
    for name in ["1", "2", "3", "4", "5", "6"] {
        there.push(is_there(name).await);
    }
    assert_eq!(there, [true, false, true, false, false, false]);
}

#[tokio::test]
async fn a_paused_execution_can_be_stopped_and_then_not_be_resumed() {
    let world = World::new().await;
    world.pause().await;
    let stopping = world.store.ledger.turn(world.id, &State::OPEN, State::Stopping).await.unwrap().unwrap();
    assert_eq!((stopping.state, stopping.paused_at), (State::Stopping, None));
    let summary = world.store.ledger.summary(&stopping).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.paused_at), (State::Stopping, None));
    assert_eq!(world.store.ledger.turn(world.id, &State::OPEN, State::Stopping).await.unwrap(), None);
    assert!(matches!(world.resume().await, Turned::Refused(head) if head.state == State::Stopping));
    let unknown = world.store.ledger.pause(ExecutionId::random(), Vec::new()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { what: "execution", .. })));
}

/// Every chunk that is opened again changes the execution: a resend must keep nobody from pausing it, or letting it go on.
#[tokio::test]
async fn chunks_that_are_opened_meanwhile_keep_no_turn_from_happening() {
    let world = World::new().await;
    let (ledger, table) = (&world.store.ledger, &world.store.platform.table);
    let running = world.head().await;
    table.transact(vec![Ledger::touch_open(world.id)]).await.unwrap();
    let paused = Head { state: State::Paused, paused_at: Some(world.clock.now()), ..running.clone() };
    let since = vec![Change::set(PAUSED, world.clock.now().as_millisecond())];
    let turned = ledger.commit_turn(&running, paused.clone(), since.clone(), &[], Vec::new()).await.unwrap();
    assert!(matches!(turned, Some(Turned::Done(_))));
    assert_eq!(world.head().await.state, State::Paused);
    let again = ledger.commit_turn(&running, paused, since, &[], Vec::new()).await.unwrap();
    assert_eq!(again, None, "it runs no more");
    // Another pause than the one that was read is not ended in its stead.
    let first = world.head().await;
    world.resume().await;
    world.clock.sleep(MINUTE).await;
    world.pause().await;
    let gone_on = Head { state: State::Running, paused_at: None, ..first.clone() };
    assert_eq!(ledger.commit_turn(&first, gone_on, Vec::new(), &[], Vec::new()).await.unwrap(), None);
}

#[tokio::test]
async fn a_resume_has_every_shard_looked_at_with_fresh_eyes() {
    let world = World::new().await;
    let shard = FanOut { execution: world.id, shard: 1 };
    let now_ms = world.clock.now().as_millisecond();
    let ledger = &world.store.ledger;
    for shard in world.head().await.shards() {
        ledger.begin_look(shard, now_ms + 300_000).await.unwrap();
    }
    let cursor = ledger.cursor(shard).await.unwrap().unwrap();
    ledger.end_look(&cursor, Seen { mark: 7, at_ms: now_ms, helped: 2 }, &[]).await.unwrap();
    world.pause().await;
    world.clock.sleep(MINUTE).await;
    let due = async || {
        let until_ms = world.clock.now().as_millisecond();
        let due = ledger.overdue(until_ms, 10).await.unwrap();
        due.into_iter().filter(|due| matches!(due, Ok(Overdue::Shard(_)))).count()
    };
    assert_eq!(due().await, 0, "nobody looks at the shards of what is paused");
    // A look that began before the resume and sees the end of the execution only now must not take its look away.
    world.resume().await;
    ledger.look_never(shard, now_ms + 300_000).await.unwrap();
    assert_eq!(due().await, 2);
    assert_eq!(ledger.cursor(shard).await.unwrap().unwrap().seen, None);
}

/// A pause that another change overtakes is decided anew on what is there then.
#[tokio::test]
async fn pauses_resumes_and_a_stop_at_once_leave_one_state() {
    let world = World::new().await;
    let ledger = &world.store.ledger;
    let (pause, resume, stop, again) = tokio::join!(
        ledger.pause(world.id, Vec::new()),
        ledger.resume(world.id, Vec::new()),
        ledger.turn(world.id, &State::OPEN, State::Stopping),
        ledger.pause(world.id, Vec::new()),
    );
    assert!(pause.is_ok() && resume.is_ok() && again.is_ok());
    assert_eq!(stop.unwrap().unwrap().state, State::Stopping);
    assert_eq!(world.head().await.state, State::Stopping);
}
