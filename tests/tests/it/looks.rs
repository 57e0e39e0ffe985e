//! What the sweep's looks at executions and shards leave behind: nothing that others do meanwhile is lost, and the next
//! sweep finds whatever moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campaign::model::Actor;
use campaign::plan::Lane;
use campaign::status::Command;
use campaign::{Campaign, CampaignType, Code, ExecutionId, Outcome, Status};
use envoi_tests::sim::{Fate, Faults, JumpClock, Options, Person, World};
use futures::FutureExt;
use jiff::Timestamp;
use platform::{Clock, Deadline, Source};
use store::calls::{AudienceCall, Started, unnamed};
use store::ledger::{
    Claim, Cursor, Head, Lanes, Next, Overdue, Part, Seen, State, StoredChunk, Tenancy, Waits, Worker,
};
use store::messages::FanOut;
use store::{HashKey, Store, tables};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

async fn campaign(world: &World) -> Campaign {
    world.store.campaigns.get(world.campaign).await.unwrap()
}

async fn head(world: &World) -> Head {
    world.store.ledger.head(world.execution().await).await.unwrap().unwrap()
}

async fn chunks(world: &World, shard: FanOut) -> Vec<StoredChunk> {
    world.store.ledger.chunks(shard, Part::Whole, None, 100).await.unwrap().0
}

async fn cursor(world: &World, shard: FanOut) -> Cursor {
    world.store.ledger.cursor(shard).await.unwrap().unwrap()
}

/// Handles messages until the fan-out is done and nothing is delivered yet.
async fn fan_out(world: &World) {
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
}

/// A resend reopens a chunk and its one message is lost, while a look that read it closed is about to end.
#[tokio::test]
async fn a_look_that_a_resend_overtakes_hides_no_chunk_from_the_next() {
    let mut people = people(120);
    people[3].fate = Fate::Refused;
    let world = World::new(people, Options::default(), Faults::new(None)).await;
    world.activate().await;
    world.run().await;
    let (ledger, before) = (&world.store.ledger, head(&world).await);
    let mut live = campaign(&world).await;
    live.status = Status::Live;
    live.open_executions += 1;
    assert!(ledger.take_up(&before, &live).await.unwrap());
    let head = head(&world).await;
    let shard = head.shards().next().unwrap();

    let (seen_cursor, seen) = (cursor(&world, shard).await, chunks(&world, shard).await);
    assert!(seen.len() > 1 && seen.iter().all(|chunk| chunk.closed));
    let failed = seen.iter().find(|chunk| chunk.members.count(Outcome::Failed) > 0).unwrap();
    assert_eq!(ledger.reopen(failed, &[Outcome::Failed], &head).await.unwrap(), Some(1));
    let lost = world.engine.receive(tables::DELIVER_EMAIL, 10, HOUR, 10).await.unwrap();
    let receipts: Vec<_> = lost.into_iter().map(|message| message.receipt).collect();
    assert_eq!(receipts.len(), 1);
    world.engine.delete(tables::DELIVER_EMAIL, receipts).await.unwrap();

    let all: Lanes<u32> = [(Lane::AT_ONCE, u32::try_from(seen.len()).unwrap())].into();
    let at_ms = world.clock().now().as_millisecond();
    ledger
        .end_look(&seen_cursor, Seen { mark: 1, at_ms, helped: 0 }, std::slice::from_ref(&all))
        .await
        .unwrap();
    let after = cursor(&world, shard).await;
    assert_eq!(after.closed, [Lanes::new()], "the next look reads from the first chunk on");
    assert_eq!(after.seen.map(|seen| seen.mark), Some(1));
    world.run().await;
    assert!(chunks(&world, shard).await.iter().all(|chunk| chunk.closed));
    // A look that nobody overtakes says how far it came.
    let undisturbed = cursor(&world, shard).await;
    ledger
        .end_look(&undisturbed, Seen { mark: 2, at_ms, helped: 0 }, std::slice::from_ref(&all))
        .await
        .unwrap();
    assert_eq!(cursor(&world, shard).await.closed, [all]);
}

/// A clock that runs while it is read.
#[derive(Debug)]
struct Running(Arc<JumpClock>);

#[async_trait]
impl Clock for Running {
    fn now(&self) -> Timestamp {
        self.0.advance(Duration::from_millis(20));
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// The sweep as it comes each minute, in which time goes by.
async fn sweep(world: &World) {
    let mut platform = world.engine.platform();
    platform.clock = Arc::new(Running(world.shared_clock()));
    let deadline = Deadline::after(&*platform.clock, MINUTE);
    let context = activate::Context { store: Store::new(platform, HashKey([7; 32])), sweep_every: MINUTE };
    activate::sweep(&context, deadline).await.unwrap();
}

/// What the sweep at that instant finds of an execution: itself, and its shards.
async fn found_at(world: &World, at: Timestamp, id: ExecutionId) -> (bool, bool) {
    let overdue = world.store.ledger.overdue(at.as_millisecond(), 100).await.unwrap();
    let has = |is: &dyn Fn(&Overdue) -> bool| overdue.iter().flatten().any(is);
    (
        has(&|due| matches!(due, Overdue::Execution(execution) if *execution == id)),
        has(&|due| matches!(due, Overdue::Shard(shard) if shard.execution == id)),
    )
}

#[tokio::test]
async fn each_sweep_finds_what_waits_for_its_rate_however_long_the_one_before_took() {
    let options = Options { rate_per_second: Some(1), ..Options::default() };
    let world = World::new(people(160), options, Faults::new(None)).await;
    fan_out(&world).await;
    let (ledger, head) = (&world.store.ledger, head(&world).await);
    let worker = Worker::new(Tenancy::Shared);
    for shard in head.shards() {
        for chunk in chunks(&world, shard).await {
            let claim = ledger.claim(chunk.key, &worker, MINUTE, Waits::Honoured).await.unwrap();
            let Claim::Claimed(mut claimed) = claim else { panic!("nobody holds it") };
            let none = BTreeMap::new();
            let settled = ledger.settle(&mut claimed, Next::AwaitRate, &none, Vec::new());
            assert!(settled.await.unwrap().is_ok());
        }
    }
    world.clock().advance(MINUTE);
    for _ in 0..3 {
        let began = world.clock().now();
        assert_eq!(found_at(&world, began, head.id).await, (true, true));
        sweep(&world).await;
        let took = world.clock().now().duration_since(began).unsigned_abs();
        assert!(Duration::ZERO < took && took < MINUTE);
        world.clock().advance(MINUTE - took);
    }
}

#[tokio::test]
async fn a_campaign_that_is_put_away_goes_on_with_what_was_asked_of_it() {
    let options = Options { kind: CampaignType::ApiTriggered, ends_after: Some(HOUR), ..Options::default() };
    for (ends, state, sent) in [(Command::Complete, State::Completed, 60), (Command::Stop, State::Stopped, 0)]
    {
        let world = World::new(people(60), options, Faults::new(None)).await;
        world.activate().await;
        world.run().await;
        let call = AudienceCall {
            campaign: world.campaign,
            segment: None,
            request: unnamed(Actor::envoi(), "hash".to_owned()),
            call: Default::default(),
        };
        let started = world.store.start_call(ExecutionId::random(), &call, &[]).await.unwrap();
        let Started::New(head) = started else { panic!("it is live: {started:?}") };
        for command in [ends, Command::Archive] {
            let by = Actor::envoi();
            world.store.campaigns.command(world.campaign, command, &by, |_| Ok(())).await.unwrap();
        }
        // Whoever stopped it died before it came to the execution: the sweep sees what is to become of that.
        sweep(&world).await;
        world.run().await;
        let ended = world.store.ledger.head(head.id).await.unwrap().unwrap();
        assert_eq!((ended.state, world.provider.total()), (state, sent));
        let stored = campaign(&world).await;
        assert_eq!((stored.status, stored.is_stopped()), (Status::Archived, ends == Command::Stop));
    }
}

/// An end that is moved while the sweep is about to complete the campaign holds.
#[tokio::test]
async fn a_campaign_whose_end_is_moved_meanwhile_is_not_completed_by_the_one_before() {
    let options = Options { kind: CampaignType::ApiTriggered, ends_after: Some(HOUR), ..Options::default() };
    let mut moved = 0;
    for nth in 0..12 {
        let world = World::new(Vec::new(), options, Faults::new(None)).await;
        world.activate().await;
        world.run().await;
        let later = campaign(&world).await.closes.unwrap() + HOUR;
        world.clock().advance(HOUR);
        let (store, id, first) = (world.store.clone(), world.campaign, world.calls());
        world.interrupt(move |call| {
            let store = store.clone();
            async move {
                if call == first + nth {
                    let move_end = |campaign: &mut Campaign| {
                        if campaign.status == Status::Live {
                            campaign.closes = Some(later);
                        }
                        Ok(())
                    };
                    store.campaigns.command(id, Command::Rename, &Actor::envoi(), move_end).await.unwrap();
                }
            }
            .boxed()
        });
        for _ in 0..2 {
            let wake_up = store::messages::WakeUp::Sweep.message();
            world.engine.platform().queue.send(vec![wake_up]).await.unwrap();
            world.run_for(Duration::from_millis(1)).await;
        }
        let stored = campaign(&world).await;
        match stored.status {
            Status::Live => assert_eq!(stored.closes, Some(later), "moved at call {nth}"),
            status => assert_eq!(status, Status::Completed),
        }
        moved += usize::from(stored.status == Status::Live);
    }
    assert!(moved > 0);
}

#[tokio::test]
async fn a_look_that_has_no_time_left_is_taken_up_by_the_next_sweep() {
    let world = World::new(people(60), Options::default(), Faults::new(None)).await;
    fan_out(&world).await;
    world.clock().advance(MINUTE);
    let context = activate::Context { store: world.store.clone(), sweep_every: MINUTE };
    let short = Deadline::after(world.clock(), Duration::from_secs(4));
    assert_eq!(activate::sweep(&context, short).await.unwrap(), 0);
    world.run().await;
    let sent = chunks(&world, head(&world).await.shards().next().unwrap()).await;
    assert!(sent.iter().flat_map(|chunk| &chunk.members.codes).all(|code| *code == Code::Sent));
}
