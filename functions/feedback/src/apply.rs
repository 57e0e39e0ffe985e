//! The events of one chunk, brought to the ledger.

use std::time::Duration;

use campaign::feedback::{EventType, EventTypes};
use campaign::{Category, Code, Fact, Outcome, ProfileId};
use platform::batch;
use store::StoreError;
use store::frequency::{self, Returned};
use store::ledger::{Lesson, SKEW, Told};
use store::messages::{ChunkKey, Feedback, Known, Notify, Settled};
use tracing::warn;

use crate::context::Execution;
use crate::event::ProviderEvent;
use crate::{Context, suppress};

/// The shortest and the longest that events wait for their message to be settled, before it is looked at again.
const SHORTEST_WAIT: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// For how long a chunk that is not there may still be written: a call's is made by whoever delivers it.
const PATIENCE: Duration = Duration::from_secs(900);
/// The most events put back on the queue in one message.
const MOST_IN_A_MESSAGE: usize = 500;

/// Events of the members of one chunk.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) chunk: ChunkKey,
    /// Each with its member's place.
    pub(crate) events: Vec<(u8, ProviderEvent)>,
    /// Whether any of them was received before, perhaps by who died before all was said that there is to say.
    pub(crate) again: bool,
}

/// Settles whoever is in doubt, joins what the events say to what is known, and tells whoever wants to know. Repeated, it
/// changes nothing more. Events of members that are in hand are put back on the queue.
pub(crate) async fn group(context: &Context, group: Group) -> Result<(), StoreError> {
    let Group { chunk, mut events, again } = group;
    let execution = settle(context, chunk, &mut events, again).await?;
    suppress::hold_against_profiles(context, chunk, &mut events).await?;
    if let Some(Execution { started_ms, .. }) = execution {
        // The clocks of those who tell may be wrong: nothing came about before the message was, nor after now.
        let now_ms = context.store.platform.clock.now().as_millisecond();
        events.iter_mut().for_each(|(_, event)| event.at_ms = event.at_ms.max(started_ms).min(now_ms));
    }
    // The trouble with one address keeps nothing from the others; the first is told of in the end.
    let mut done = Ok(());
    for (_, event) in &events {
        done = done.and(suppress::at_once(context, event).await);
    }
    // What the ledger has forgotten is counted nowhere.
    let Some(execution) = execution else { return done };
    let facts: Vec<_> =
        events.iter().filter_map(|(member, event)| Some((*member, event.report.fact()?, event))).collect();
    if facts.is_empty() {
        return done;
    }
    let told: Vec<_> = facts
        .iter()
        .map(|(member, fact, event)| Told {
            member: *member,
            fact: *fact,
            minute: event.at_ms.div_euclid(60_000),
        })
        .collect();
    let news = context.store.ledger.tell(chunk, &told).await?.facts;
    done = done.and(count(context, chunk, &facts, &news).await);
    done.and(announce(context, execution, chunk, &facts, news, again).await)
}

/// Counts soft bounces in a row, and deliveries that end the row. What is no news is counted, too, as long as it holds:
/// whoever brought it to the ledger may not have come to counting.
async fn count(
    context: &Context,
    chunk: ChunkKey,
    facts: &[(u8, Fact, &ProviderEvent)],
    news: &[(u8, Fact)],
) -> Result<(), StoreError> {
    let counts = |fact| matches!(fact, Fact::SoftBounced | Fact::Delivered);
    let facts: Vec<_> = facts.iter().filter(|(_, fact, _)| counts(*fact)).collect();
    let holds_by_news = |member, fact| {
        let mut fates = news.iter().filter(|(of, new)| *of == member && new.is_fate());
        fates.next() == Some(&(member, fact)) && fates.next().is_none()
    };
    let are_new = facts.iter().all(|(member, fact, _)| holds_by_news(*member, *fact));
    let known = if are_new { None } else { Some(context.store.ledger.facts(chunk).await?) };
    let mut done = Ok(());
    for (member, fact, event) in facts {
        let place = usize::from(*member);
        if known.as_ref().is_some_and(|known| !known.of(place).has(*fact)) {
            continue;
        }
        done = done.and(match fact {
            Fact::SoftBounced => {
                suppress::soft_bounced(context, frequency::message(&chunk, place), event).await
            }
            _ => suppress::delivered(context, event).await,
        });
    }
    done
}

/// Teaches the ledger what the events show of hand-overs. Takes those out that must come again, and puts them back on the
/// queue. `None` where the ledger knows no such chunk, and will not any more.
async fn settle(
    context: &Context,
    chunk: ChunkKey,
    events: &mut Vec<(u8, ProviderEvent)>,
    again: bool,
) -> Result<Option<Execution>, StoreError> {
    let Some(execution) = context.execution(chunk.execution).await? else { return Ok(None) };
    let lessons: Vec<_> = events
        .iter()
        .map(|(member, event)| {
            let not_sent = |code| Lesson::NotSent(code, event.at_ms);
            let lesson = event.report.failure().map_or(Lesson::Taken, not_sent);
            (usize::from(*member), lesson)
        })
        .collect();
    let are_taken = lessons.iter().all(|(_, lesson)| *lesson == Lesson::Taken);
    if !again && are_taken && context.are_sent(&chunk, lessons.iter().map(|(member, _)| *member)) {
        return Ok(Some(execution));
    }
    let now_ms = context.store.platform.clock.now().as_millisecond();
    let Some(learnt) = context.store.ledger.learn(chunk, execution.books, &lessons).await? else {
        let is_patient = |event: &ProviderEvent| now_ms - since(event, now_ms) < millis(PATIENCE);
        let waits = events.extract_if(.., |(_, event)| is_patient(event)).collect();
        come_back(context, waits, None, now_ms).await?;
        return Ok(None);
    };
    context.note_sent(chunk, &learnt.codes);
    events.retain(|(member, _)| usize::from(*member) < learnt.codes.len());
    let waits: Vec<_> =
        events.extract_if(.., |(member, _)| learnt.in_hand.contains(&usize::from(*member))).collect();
    come_back(context, waits, learnt.held_until_ms, now_ms).await?;
    let mut decided = learnt.changed;
    if again {
        // Whoever changed them may not have come to saying so.
        decided.extend(lessons.iter().map(|(member, _)| *member));
        decided.sort_unstable();
        decided.dedup();
    }
    let decided: Vec<_> =
        decided.into_iter().filter_map(|member| Some((member, *learnt.codes.get(member)?))).collect();
    give_back_places(context, execution, chunk, &decided).await;
    announce_settled(context, execution, chunk, decided).await?;
    Ok(Some(execution))
}

/// Gives back the places under frequency caps of those whose messages were not sent after all. Trouble with it costs
/// nobody's outcome.
async fn give_back_places(
    context: &Context,
    execution: Execution,
    chunk: ChunkKey,
    decided: &[(usize, Code)],
) {
    let failed = || decided.iter().filter(|(_, code)| code.outcome() == Outcome::Failed);
    if execution.category != Category::Marketing || failed().next().is_none() {
        return;
    }
    let given_back = async {
        let Some(stored) = context.store.ledger.chunk(chunk).await? else { return Ok(()) };
        let profiles = &stored.members.profiles;
        let people: Vec<_> =
            failed().filter_map(|(member, _)| Some((*member, *profiles.get(*member)?))).collect();
        let ids: Vec<_> = people.iter().map(|(_, profile)| *profile).collect();
        let counted = context.store.frequency.read(&ids).await?;
        let place = |(member, profile): &(usize, ProfileId)| {
            let message = frequency::message(&chunk, *member);
            let claim = counted.get(profile)?.claim_of(message)?;
            Some(Returned { profile: *profile, message, claims: vec![claim] })
        };
        context.store.frequency.give_back(people.iter().filter_map(place).collect()).await
    };
    if let Err(error) = given_back.await {
        let error = batch::chain(&error);
        warn!(execution = %chunk.execution, shard = chunk.shard, action = chunk.action, chunk = chunk.number, error, "places under a frequency cap stay taken");
    }
}

/// Puts events back on the queue, for when the chunk is no longer held.
async fn come_back(
    context: &Context,
    events: Vec<(u8, ProviderEvent)>,
    held_until_ms: Option<i64>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(first_ms) = events.iter().map(|(_, event)| since(event, now_ms)).min() else { return Ok(()) };
    // A lease that has run out is taken up by the sweep, sooner or later.
    let waited_ms = (now_ms - first_ms).max(0);
    let held_ms = held_until_ms.map_or(0, |until| until + millis(SKEW) - now_ms);
    let wait = Duration::from_millis(u64::try_from(held_ms.max(waited_ms / 4)).unwrap_or(0));
    let wait = wait.clamp(SHORTEST_WAIT, LONGEST_WAIT);
    let reported: Vec<_> = events
        .into_iter()
        .map(|(_, mut event)| {
            event.waits_since_ms = Some(since(&event, now_ms));
            event.reported()
        })
        .collect();
    let messages = reported
        .chunks(MOST_IN_A_MESSAGE)
        .map(|some| Feedback { feedback: some.to_vec() }.message().after(wait))
        .collect();
    Ok(context.store.platform.queue.send(messages).await?)
}

fn since(event: &ProviderEvent, now_ms: i64) -> i64 {
    event.waits_since_ms.unwrap_or(now_ms)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Which events of an execution somebody wants to be told of.
async fn wanted(context: &Context, execution: Execution) -> Result<EventTypes, StoreError> {
    match execution.category {
        Category::Transactional => context.listeners.wanted(&context.store).await,
        Category::Marketing => Ok(EventTypes::default()),
    }
}

/// Has it told that members were settled. Whoever tells looks whether they are.
async fn announce_settled(
    context: &Context,
    execution: Execution,
    chunk: ChunkKey,
    mut codes: Vec<(usize, Code)>,
) -> Result<(), StoreError> {
    if codes.is_empty() {
        return Ok(());
    }
    let wanted = wanted(context, execution).await?;
    codes.retain(|(_, code)| EventType::of(*code).is_some_and(|kind| wanted.has(kind)));
    let codes: Vec<_> = codes
        .into_iter()
        .filter_map(|(member, code)| Some((u8::try_from(member).ok()?, code as u8)))
        .collect();
    if codes.is_empty() {
        return Ok(());
    }
    let at_ms = context.store.platform.clock.now().as_millisecond();
    let message = Notify::Settled(Settled { chunk, codes, at_ms }).message();
    Ok(context.store.platform.queue.send(vec![message]).await?)
}

/// Has it told what has become known of members.
async fn announce(
    context: &Context,
    execution: Execution,
    chunk: ChunkKey,
    facts: &[(u8, Fact, &ProviderEvent)],
    mut news: Vec<(u8, Fact)>,
    again: bool,
) -> Result<(), StoreError> {
    if news.is_empty() && !again {
        return Ok(());
    }
    let wanted = wanted(context, execution).await?;
    if wanted.is_empty() {
        return Ok(());
    }
    if again {
        let known = context.store.ledger.facts(chunk).await?;
        let holds = |member: u8, fact| known.of(usize::from(member)).has(fact);
        news.extend(
            facts.iter().filter(|(member, fact, _)| holds(*member, *fact)).map(|(m, fact, _)| (*m, *fact)),
        );
        news.sort_unstable();
        news.dedup();
    }
    let is_wanted = |fact| EventType::of_fact(fact).is_some_and(|kind| wanted.has(kind));
    let known: Vec<_> = news
        .into_iter()
        .filter(|(_, fact)| is_wanted(*fact))
        .filter_map(|(member, fact)| {
            let of = facts.iter().filter(|(of, what, _)| (*of, *what) == (member, fact));
            Some((member, fact as u8, of.map(|(.., event)| event.at_ms).min()?))
        })
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let message = Notify::Known(Known { chunk, facts: known }).message();
    Ok(context.store.platform.queue.send(vec![message]).await?)
}
