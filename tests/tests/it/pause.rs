//! Pause and resume (the letters are the corpus's rows).

mod moments;
mod operator;

use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::{Code, Outcome, ProfileId, Status};
use envoi_tests::sim::{Fault, Faults, Options, Post, Trouble, Verdict, World};
use jiff::Timestamp;
use platform::{Clock, Source};
use serde_json::json;
use store::ledger::State;
use store::tables;

use self::operator::{
    Button, DAY, HOUR, MINUTE, Operator, activated, assert_due, assert_rests, head, pause_after, people,
    resume, stop,
};

#[tokio::test]
async fn a3_paused_at_40_percent_and_resumed_it_reaches_the_others_and_nobody_twice() {
    // Wherever the resume falls between two looks at the shard, it goes on by the next sweep.
    for minutes in 0..5 {
        let world = activated(people(225), Options::default(), Faults::new(None)).await;
        pause_after(&world, 90);
        assert_rests(&world, "paused at 40 %").await;
        let got: Vec<ProfileId> =
            world.people.iter().map(|person| person.id).filter(|id| world.provider.taken(*id) > 0).collect();
        // At most the window that was under way, in the middle of a chunk.
        assert!((90..90 + Options::default().window).contains(&got.len()), "{}", got.len());
        let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
        assert_eq!((campaign.status, campaign.open_executions), (Status::Live, 1));

        world.run_for(minutes * MINUTE).await;
        let resumed_at = world.clock().now();
        resume(&world).await;
        world.run_until(|world| world.provider.total() == 225).await;
        let took = world.clock().now().duration_since(resumed_at).unsigned_abs();
        assert!(took <= MINUTE, "{took:?}");
        world.run().await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "resumed").await;
        assert_due(&world, &verdict, 0, "resumed");
        let others = world.people.iter().filter(|person| !got.contains(&person.id));
        assert_eq!(others.filter(|person| world.provider.taken(person.id) == 1).count(), 225 - got.len());
        assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
    }
}

#[tokio::test]
async fn what_is_stopped_while_it_is_paused_sends_to_nobody_more_and_balances() {
    for whole in [true, false] {
        let world = activated(people(120), Options::default(), Faults::new(None)).await;
        pause_after(&world, 60);
        assert_rests(&world, "paused").await;
        let sent = world.provider.total();
        if whole {
            assert!(Operator::of(&world).press(Button::Stop).await);
        } else {
            // A stop that died before it came to the execution: the sweep finishes it.
            stop(&world.store, world.campaign).await;
        }
        let begun = world.clock().now();
        world.run().await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "stopped").await;
        assert_eq!((verdict.state, world.provider.total()), (State::Stopped, sent));
        assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Stopped)), (sent, 120 - sent));
        let took = world.clock().now().duration_since(begun).unsigned_abs();
        assert!(took < 4 * MINUTE, "{took:?}");
        let summary = world.store.ledger.summary(&head(&world).await).await.unwrap().unwrap();
        assert_eq!((summary.state, summary.paused_at), (State::Stopped, None));
    }
}

#[tokio::test]
async fn a17_what_an_outage_put_off_goes_on_after_a_pause_longer_than_its_retry_period() {
    // Down before the pause, all through it, and for a while after it.
    let options = Options { trouble: Trouble::DownFor(60), ..Options::default() };
    let world = activated(people(60), options, Faults::new(None)).await;
    world.run_for(2 * MINUTE).await;
    assert!(Operator::of(&world).press(Button::Pause).await);
    world.run_for(3 * DAY).await;
    assert_eq!(world.provider.total(), 0);
    resume(&world).await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "a long pause").await;
    assert_due(&world, &verdict, 0, "a long pause");
}

async fn unknown(world: &World) -> u64 {
    let tally = world.store.ledger.tally(&head(world).await).await.unwrap();
    tally.actions[0].counts.outcome(Outcome::Unknown)
}

#[tokio::test]
async fn doubt_that_is_to_be_resent_waits_for_the_resume() {
    // A hand-over whose answer is lost leaves one in doubt; five minutes later the rule would send again.
    let whole = activated(people(20), Options::default(), Faults::new(None)).await;
    let mut before = 0;
    whole
        .run_until(|world| {
            before = if world.provider.total() == 0 { world.calls() } else { before };
            false
        })
        .await;
    let options = Options { on_unknown: OnUnknown::Resend, ..Options::default() };
    let mut doubted = 0;
    for call in before..before + 24 {
        let story = format!("the answer of call {call} is lost");
        let world = activated(people(20), options, Faults::new(Some((call, Fault::FailAfter)))).await;
        world.run_until(|world| world.provider.total() >= 20).await;
        if world.provider.total() < 20 || !Operator::of(&world).press(Button::Pause).await {
            continue;
        }
        if unknown(&world).await == 0 {
            continue;
        }
        doubted += 1;
        assert_rests(&world, &story).await;
        // Whatever may still settle it has the time.
        assert_eq!((world.provider.total(), unknown(&world).await), (20, 1), "{story}");
        resume(&world).await;
        world.run().await;
        assert_eq!(world.provider.total(), 21, "{story}");
        let verdict = Verdict::of(&world, OnUnknown::Resend, &story).await;
        assert_eq!((verdict.count(Code::SentAgain), verdict.unknown()), (1, 0), "{story}");
    }
    assert!(doubted > 0);
}

#[tokio::test]
async fn a6_messages_lost_during_a_pause_are_noticed_after_it() {
    let world = activated(people(200), Options::default(), Faults::new(None)).await;
    let mut handled = 0;
    // Activated and fanned out; not a chunk delivered.
    world
        .run_until(|_| {
            handled += 1;
            handled == 2
        })
        .await;
    assert!(Operator::of(&world).press(Button::Pause).await);
    let lost = world.engine.receive(tables::DELIVER_EMAIL, 10, HOUR, 10).await.unwrap();
    assert_eq!(lost.len(), 4);
    let receipts = lost.into_iter().map(|message| message.receipt).collect();
    world.engine.delete(tables::DELIVER_EMAIL, receipts).await.unwrap();
    assert_rests(&world, "lost").await;
    resume(&world).await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "lost").await;
    assert_due(&world, &verdict, 0, "lost");
}

#[tokio::test]
async fn what_waited_goes_on_at_the_rate() {
    let options = Options { rate_per_second: Some(1), ..Options::default() };
    let world = activated(people(250), options, Faults::new(None)).await;
    pause_after(&world, 40);
    assert_rests(&world, "at a rate").await;
    let sent = world.provider.total();
    let resumed_at = world.clock().now();
    resume(&world).await;
    world.run_for(2 * MINUTE).await;
    // The clock is the simulation's: at one a second, after a sweep, with the burst that begins it.
    let took = world.clock().now().duration_since(resumed_at).unsigned_abs();
    let more = world.provider.total() - sent;
    let most = usize::try_from(took.as_secs()).unwrap() + 4;
    assert!((most / 3..=most).contains(&more), "{more} in {took:?}");
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "at a rate").await;
    assert_due(&world, &verdict, 0, "at a rate");
}

#[tokio::test]
async fn what_is_paused_longer_than_the_ledger_can_wait_is_stopped_and_balances() {
    let world = activated(people(120), Options::default(), Faults::new(None)).await;
    pause_after(&world, 60);
    assert_rests(&world, "paused").await;
    world.clock().advance(13 * DAY);
    assert_rests(&world, "after 13 days").await;
    world.clock().advance(DAY);
    let sent = world.provider.total();
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "after 14 days").await;
    assert_eq!(verdict.state, State::Stopped);
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Stopped)), (sent, 120 - sent));
    // The campaign was not stopped: it came to its end.
    assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn the_next_occurrence_starts_while_the_one_before_is_paused() {
    let begins: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let world = World::at(begins, people(60), Options::default(), Faults::new(None)).await;
    let schedule = json!({
        "kind": "recurring", "frequency": "daily", "time": "09:00", "start": "2026-06-02", "time_zone": "UTC",
        "occurrences": 2,
    });
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    let mut version = world.store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    version.schedule = serde_json::from_value(schedule).unwrap();
    let draft = Some((&version, &contents[..]));
    world.store.campaigns.save_draft(&campaign, draft, 1, &Actor::envoi(), Vec::new()).await.unwrap();
    world.activate().await;
    pause_after(&world, 30);
    world.days("2026-06-03T12:00:00Z".parse().unwrap(), || Post::Once).await;
    let states = async || {
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        executions.iter().map(|execution| execution.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [State::Completed, State::Paused]);
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    assert_eq!((campaign.status, campaign.open_executions), (Status::Live, 1));
    let (first, total) = (head(&world).await, world.provider.total());
    assert_eq!(first.state, State::Paused);
    assert!((90..=90 + Options::default().window).contains(&total), "{total}");
    resume(&world).await;
    world.days(Timestamp::MAX, || Post::Once).await;
    assert_eq!(states().await, [State::Completed; 2]);
    assert!(world.people.iter().all(|person| world.provider.taken(person.id) == 2));
    assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
}
