//! An operator at the buttons of an execution, and what is held of one that is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use campaign::model::Actor;
use campaign::status::Command;
use campaign::{CampaignId, Code, ExecutionId, Outcome};
use envoi_tests::sim::{Fate, Faults, Options, Person, Provider, Verdict, World};
use store::ledger::{Cursor, Head, Part, State, StoredChunk, Turned};
use store::{Store, StoreError, tables};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Longer than a message is hidden, and than a shard is left without a look.
pub(super) const REST: Duration = Duration::from_secs(12 * 60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

/// Two chunks, with one of each kind whom a pause might treat in a way of their own.
pub(super) fn mixed() -> Vec<Person> {
    let mut people = people(56);
    for (who, fate) in [
        (2, Fate::Refused),
        (7, Fate::OptedOut),
        (12, Fate::Greylisted),
        (33, Fate::Unrenderable),
        (51, Fate::Greylisted),
    ] {
        people[who].fate = fate;
    }
    people
}

/// What an operator may do to an execution, whatever stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Button {
    Pause,
    Resume,
    Stop,
    Resend,
}

/// An operator, whose own calls never fail.
#[derive(Clone)]
pub(super) struct Operator {
    pub(super) store: Store,
    pub(super) provider: Arc<Provider>,
    pub(super) campaign: CampaignId,
}

impl Operator {
    pub(super) fn of(world: &World) -> Self {
        Self { store: world.store.clone(), provider: world.provider.clone(), campaign: world.campaign }
    }

    /// The first execution, if it has started.
    pub(super) async fn execution(&self) -> Option<ExecutionId> {
        let (executions, _) = self.store.ledger.executions(self.campaign, None, 10).await.unwrap();
        executions.last().map(|execution| execution.id)
    }

    /// Presses a button, which does nothing where the execution does not allow it. Whether it did something.
    pub(super) async fn press(&self, button: Button) -> bool {
        let Some(id) = self.execution().await else { return false };
        let ledger = &self.store.ledger;
        match button {
            Button::Pause => matches!(ledger.pause(id, Vec::new()).await.unwrap(), Turned::Done(_)),
            Button::Resume => matches!(ledger.resume(id, Vec::new()).await.unwrap(), Turned::Done(_)),
            Button::Stop => {
                stop(&self.store, self.campaign).await;
                ledger.turn(id, &State::OPEN, State::Stopping).await.unwrap().is_some()
            }
            Button::Resend => {
                let head = ledger.head(id).await.unwrap().unwrap();
                let mut reopened = 0;
                for chunk in chunks(&self.store, &head).await {
                    reopened += ledger.reopen(&chunk, &[Outcome::Failed], &head).await.unwrap().unwrap_or(0);
                }
                reopened > 0
            }
        }
    }
}

/// The first half of a stop, which only what is live or lies ahead allows.
pub(super) async fn stop(store: &Store, campaign: CampaignId) {
    let stopped = store.campaigns.command(campaign, Command::Stop, &Actor::envoi(), |_| Ok(())).await;
    assert!(matches!(stopped, Ok(_) | Err(StoreError::NotAllowed(_))));
}

pub(super) async fn head(world: &World) -> Head {
    let id = Operator::of(world).execution().await.unwrap();
    world.store.ledger.head(id).await.unwrap().unwrap()
}

pub(super) async fn chunks(store: &Store, head: &Head) -> Vec<StoredChunk> {
    let mut all = Vec::new();
    for shard in head.shards() {
        let (chunks, next) = store.ledger.chunks(shard, Part::Whole, None, 1000).await.unwrap();
        assert!(next.is_none());
        all.extend(chunks);
    }
    all
}

pub(super) async fn cursors(world: &World) -> Vec<Cursor> {
    let mut all = Vec::new();
    for shard in head(world).await.shards() {
        all.push(world.store.ledger.cursor(shard).await.unwrap().unwrap());
    }
    all
}

/// How many messages there are, in whatever state.
pub(super) async fn messages(world: &World) -> u64 {
    let mut all = 0;
    for queue in [tables::WAKE_UP, tables::FAN_OUT, tables::DELIVER_EMAIL] {
        let counts = world.engine.counts(queue).await.unwrap();
        all += counts.visible + counts.in_flight + counts.delayed;
    }
    all
}

pub(super) async fn activated(people: Vec<Person>, options: Options, faults: Faults) -> World {
    let world = World::new(people, options, faults).await;
    world.activate().await;
    world
}

/// Has each button pressed before the call of its number; how many of them did something so far.
pub(super) fn press_at(world: &World, presses: Vec<(usize, Button)>) -> Arc<AtomicUsize> {
    let operator = Operator::of(world);
    let effective = Arc::new(AtomicUsize::new(0));
    let counted = effective.clone();
    let presses = Arc::new(presses);
    world.interrupt(move |call| {
        let (operator, presses, counted) = (operator.clone(), presses.clone(), counted.clone());
        Box::pin(async move {
            for (_, button) in presses.iter().filter(|(at, _)| *at == call) {
                counted.fetch_add(usize::from(operator.press(*button).await), Ordering::Relaxed);
            }
        })
    });
    effective
}

/// Has the execution paused as soon as the provider has taken so many messages.
pub(super) fn pause_after(world: &World, taken: usize) {
    let operator = Operator::of(world);
    let pressed = Arc::new(AtomicBool::new(false));
    world.interrupt(move |_| {
        let (operator, pressed) = (operator.clone(), pressed.clone());
        Box::pin(async move {
            if operator.provider.total() >= taken && !pressed.swap(true, Ordering::Relaxed) {
                assert!(operator.press(Button::Pause).await);
            }
        })
    });
}

/// Lets time pass until every message has come back and every look is over, and holds that nothing at all happens in as
/// much again: no message, no claim, no hand-over.
pub(super) async fn assert_rests(world: &World, story: &str) {
    world.run_for(REST).await;
    let before = head(world).await;
    assert_eq!(before.state, State::Paused, "{story}");
    assert_eq!(messages(world).await, 0, "{story}: messages go round");
    let (total, calls) = (world.provider.total(), world.calls());
    let chunks_before = chunks(&world.store, &before).await;
    assert!(chunks_before.iter().all(|chunk| chunk.leased_until_ms.is_none()), "{story}");
    world.run_for(REST).await;
    assert_eq!(world.provider.total(), total, "{story}: somebody is handed over");
    assert_eq!(messages(world).await, 0, "{story}: messages go round");
    assert_eq!(chunks(&world.store, &before).await, chunks_before, "{story}");
    // Twelve sweeps, each of which reads the execution once, and a shard now and then.
    assert!(world.calls() - calls < 12 * 12, "{story}: {} calls", world.calls() - calls);
    let helped = cursors(world).await.iter().any(|cursor| cursor.seen.is_some_and(|seen| seen.helped > 0));
    assert!(!helped, "{story}: it is taken to stand still");
}

pub(super) async fn resume(world: &World) {
    let id = Operator::of(world).execution().await.unwrap();
    assert!(matches!(world.store.ledger.resume(id, Vec::new()).await.unwrap(), Turned::Done(_)));
}

/// Holds that everybody has the outcome that is due, but for `doubt` members at most whom a fault left in doubt.
pub(super) fn assert_due(world: &World, verdict: &Verdict, doubt: usize, story: &str) {
    assert_eq!(verdict.state, State::Completed, "{story}");
    assert_eq!(verdict.codes.len(), world.people.len(), "{story}: nobody is lost");
    assert!(verdict.unknown() <= doubt, "{story}: {} in doubt", verdict.unknown());
    for person in &world.people {
        let code = verdict.codes[&person.id];
        let in_doubt = doubt > 0 && matches!(code, Code::Unknown | Code::SentAgain | Code::UnknownOnce);
        assert!(code == person.fate.code() || in_doubt, "{story}: {:?} is {}", person.fate, code.reason());
    }
}
