//! The sweep: what is due in the tables is the truth; queues and schedules only make it punctual. It starts what is
//! overdue, hands out again what stands still, releases what waits, and ends what is complete.

use std::time::Duration;

use campaign::model::Actor;
use campaign::plan::Lane;
use campaign::version::Action;
use campaign::{CallScheduleId, Campaign, Command, ExecutionId, Outcome, Status};
use jiff::Timestamp;
use platform::{Deadline, Message, batch};
use store::StoreError;
use store::ledger::{Audience, Cursor, Head, Lanes, Overdue, Part, SKEW, Seen, State, StoredChunk};
use store::messages::FanOut;
use store::rates::Standing;
use tracing::{error, info, warn};

use crate::meter::Meter;
use crate::{Context, check, release, start};

/// What looking at one thing can come to.
type Looked = Result<(), StoreError>;

/// How many items of each due bucket one sweep looks at.
const LIMIT: usize = 100;
/// How often a shard whose fan-out is under way is looked at.
const FAN_OUT_LOOK: Duration = Duration::from_secs(10);
/// Where chunks that nobody holds have not changed for so long, their messages are lost.
const STALLED: Duration = Duration::from_secs(300);
/// How soon a shard is looked at again where the look itself fails.
const FARTHEST_LOOK: Duration = STALLED;
/// How many chunks are read at once.
const PAGE: usize = 500;
/// Which part of the time between two sweeps turns are given for beyond it: a sweep may come a few seconds late.
const BEYOND: u32 = 8;
/// How soon a call is looked at again.
const CALL_LOOK: Duration = Duration::from_secs(15);
/// What must be left of the time to look at another thing.
const RESERVE: Duration = Duration::from_secs(5);
/// How long after its instant a waiting chunk is taken to have lost its message.
const LATE: Duration = Duration::from_secs(15);
/// How long an execution may be paused in all before it is stopped: its ledger must outlive its end by 90 days.
const LONGEST_PAUSE: Duration = Duration::from_secs(14 * 24 * 3600);
/// How often the chunks of an execution that is being stopped are handed out again.
const NUDGE: Duration = Duration::from_secs(60);

/// Looks at whatever is due, until `deadline`. What can't be looked at is logged and left for the next sweep, so that it
/// keeps nobody else from being looked at. Returns how many things were due.
///
/// # Errors
/// Where the tables can't be read at all.
pub async fn sweep(context: &Context, deadline: Deadline) -> Result<usize, StoreError> {
    sweep_counting(context, deadline, &Meter::default()).await
}

/// The same, counting what is missed.
pub(crate) async fn sweep_counting(
    context: &Context,
    deadline: Deadline,
    meter: &Meter,
) -> Result<usize, StoreError> {
    let store = &context.store;
    let mut round = Round::begin(context, deadline);
    let began = store.platform.clock.now();
    for found in store.campaigns.due(began).await? {
        match found {
            Ok(due) => {
                let what = || format!("campaign {}", due.id);
                round.look(what, || campaign(context, &due, meter)).await;
            }
            Err(error) => log_failure("a campaign", &error),
        }
    }
    for call in store.due_calls(began, LIMIT).await? {
        round.look(|| format!("call {call}"), || planned_call(context, call)).await;
    }
    for job in store.jobs.overdue(began.as_millisecond(), LIMIT).await? {
        round.look(|| format!("job {job}"), || store.jobs.enqueue_again(job)).await;
    }
    for endpoint in store.endpoints.due(began, LIMIT).await? {
        let what = || format!("webhook endpoint {endpoint}");
        round.look(what, || store.endpoints.hand_on(endpoint)).await;
    }
    let time = round.time;
    for overdue in store.ledger.overdue(began.as_millisecond(), LIMIT).await? {
        match overdue {
            Ok(Overdue::Execution(id)) => {
                round.look(|| format!("execution {id}"), || execution(context, time, id)).await;
            }
            Ok(Overdue::Shard(shard)) => {
                let what = || format!("shard {} of execution {}", shard.shard, shard.execution);
                round.look(what, || look(context, time, shard)).await;
            }
            Err(error) => log_failure("an item of the ledger", &error),
        }
    }
    Ok(round.looked_at)
}

/// One sweep under way.
struct Round<'a> {
    context: &'a Context,
    time: Time,
    /// How many things were looked at.
    looked_at: usize,
}

impl<'a> Round<'a> {
    fn begin(context: &'a Context, deadline: Deadline) -> Self {
        let began_ms = context.store.platform.clock.now().as_millisecond();
        let again_ms = began_ms + millis(context.sweep_every / 2);
        Self { context, time: Time { again_ms, deadline }, looked_at: 0 }
    }

    /// Looks at one thing, if there is time for it. One that fails or panics is told of and left for the next sweep.
    async fn look<F: Future<Output = Looked>>(
        &mut self,
        what: impl Fn() -> String,
        look: impl FnOnce() -> F,
    ) {
        if self.time.is_over(self.context) {
            return;
        }
        self.looked_at += 1;
        match batch::caught(look).await {
            Some(Ok(())) => {}
            Some(Err(failure)) => log_failure(&what(), &failure),
            None => {
                let what = what();
                error!(what, "looking at {what} panicked");
            }
        }
    }
}

/// What a look goes by: how long it may take, and when the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    /// When to look again at what moves: midway to the next sweep, reckoned from the beginning of this one. Reckoned from
    /// the look, or a whole period later, it would lie a moment behind the next sweep, and be found by the one after it.
    again_ms: i64,
    deadline: Deadline,
}

impl Time {
    /// Whether there is no time left for another thing, or for more of one that takes long.
    pub(crate) fn is_over(&self, context: &Context) -> bool {
        self.deadline.remaining(&*context.store.platform.clock) < RESERVE
    }
}

fn log_failure(what: &str, failure: &StoreError) {
    error!(what, error = %batch::chain(failure), "{what} can't be looked at");
}

/// Starts what is overdue, or goes on with an activation that hangs. The start comes first: its time was set before.
async fn campaign(context: &Context, campaign: &Campaign, meter: &Meter) -> Looked {
    let store = &context.store;
    let now = store.platform.clock.now();
    match campaign.next_occurrence.filter(|next| *next <= now) {
        Some(next) if matches!(campaign.status, Status::Scheduled | Status::Live) => {
            let started = start::start(context, campaign.id, next.as_millisecond(), meter).await;
            if started.is_err() {
                // Others are looked at before this one is again.
                store.campaigns.postpone(campaign).await?;
            }
            started
        }
        _ if campaign.closes.is_some_and(|closes| closes <= now) => close(context, campaign).await,
        _ if campaign.activating_since.is_some() => {
            store.campaigns.postpone(campaign).await?;
            check::activate(context, campaign.id, meter).await
        }
        _ => Ok(()),
    }
}

/// Completes a campaign that calls start and whose end has come. One that has changed since it was read may have another
/// end by now. If it has not, it is still due, and the next sweep sees it.
async fn close(context: &Context, campaign: &Campaign) -> Looked {
    let as_read = |now: &mut Campaign| check::unchanged(now, campaign.revision);
    let campaigns = &context.store.campaigns;
    match campaigns.command(campaign.id, Command::Complete, &Actor::envoi(), as_read).await {
        Err(StoreError::NotAllowed(_) | StoreError::Stale { .. }) => Ok(()),
        completed => completed.map(|_| ()),
    }
}

/// Makes a planned call whose time has come. Where that fails, others are looked at before it is again.
async fn planned_call(context: &Context, id: CallScheduleId) -> Looked {
    let made = context.store.make_call(id).await;
    if made.is_err() {
        context.store.postpone_call(id).await?;
    }
    made
}

/// Ends an execution that is complete, and moves on one that is being stopped.
async fn execution(context: &Context, time: Time, id: ExecutionId) -> Looked {
    let store = &context.store;
    let Some(mut head) = store.ledger.head(id).await? else { return Ok(()) };
    let now_ms = store.platform.clock.now().as_millisecond();
    if matches!(head.audience, Audience::Call { .. }) {
        return call(context, &head, now_ms).await;
    }
    if State::OPEN.contains(&head.state) && is_to_stop(context, &head, now_ms).await? {
        match store.ledger.turn(id, &State::OPEN, State::Stopping).await? {
            Some(turned) => head = turned,
            None => return Ok(()),
        }
    }
    if head.state == State::Stopping {
        for shard in head.shards() {
            store.ledger.close_cursor(shard).await?;
        }
        if store.ledger.nudge(id, now_ms, now_ms - millis(NUDGE)).await? {
            for shard in head.shards() {
                hand_out(context, time, &head, shard).await?;
            }
        }
    }
    let tally = store.ledger.tally(&head).await?;
    if !tally.is_complete() {
        return store.ledger.look_at_execution(&head, time.again_ms).await;
    }
    let ended = if head.state == State::Stopping { State::Stopped } else { State::Completed };
    let mut campaign = store.campaigns.get(head.campaign).await?;
    campaign.open_executions = (campaign.open_executions - 1).max(0);
    if campaign.is_through() {
        campaign.touch(store.platform.clock.now());
        campaign.complete();
    }
    // Where something changed meanwhile, the execution is still due and the next sweep sees it.
    let counts = tally.counts();
    let of = |outcome| counts.iter().map(|action| action.outcome(outcome)).sum::<u64>();
    let (sent, failed) = (of(Outcome::Sent), of(Outcome::Failed));
    let (excluded, unknown) = (of(Outcome::Excluded), of(Outcome::Unknown));
    if store.ledger.end(&head, ended, counts, Some(&campaign)).await? {
        let (campaign, state) = (head.campaign, ended.name());
        info!(execution = %id, %campaign, state, sent, failed, excluded, unknown, "execution {id} of campaign {campaign} is {state}");
    }
    Ok(())
}

/// Whether an execution that runs or is paused is to be stopped.
async fn is_to_stop(context: &Context, head: &Head, now_ms: i64) -> Result<bool, StoreError> {
    if head.state == State::Paused && head.paused_ms(now_ms) >= millis(LONGEST_PAUSE) {
        warn!(execution = %head.id, campaign = %head.campaign, "execution {} of campaign {} was paused for too long: it is stopped", head.id, head.campaign);
        return Ok(true);
    }
    // Whoever stopped the campaign may have died before it came to its executions.
    let campaign = context.store.campaigns.get(head.campaign).await?;
    Ok(campaign.is_stopped())
}

/// Sees to a call that is still open: whatever of it nobody holds and nothing is known to bring back gets its message
/// again.
async fn call(context: &Context, head: &Head, now_ms: i64) -> Looked {
    let ledger = &context.store.ledger;
    let age_ms = (now_ms - head.started_at.as_millisecond()).max(0);
    // Others may be ahead in the queue, or the provider down: the older, the less often.
    let mut next_ms = now_ms + age_ms.clamp(millis(CALL_LOOK), millis(FARTHEST_LOOK));
    let is_over = is_over(context, head).await?;
    let (mut messages, mut is_through) = (Vec::new(), true);
    for key in head.call_chunks() {
        let chunk = ledger.chunk(key).await?;
        if chunk.as_ref().is_some_and(|chunk| chunk.closed) {
            continue;
        }
        is_through = false;
        let leased = chunk.as_ref().and_then(|chunk| chunk.leased_until_ms);
        let waits = chunk.as_ref().and_then(|chunk| chunk.not_before_ms);
        match (leased.map(|until| until + millis(SKEW)), waits.map(|at| at + millis(LATE))) {
            (Some(until), _) if until >= now_ms => {}
            // Where there is nothing to wait for any more, nobody waits.
            (_, Some(late)) if late > now_ms && !is_over => next_ms = next_ms.min(late),
            _ => messages.push(head.message(&key)),
        }
    }
    if is_through && ledger.finish_call(head.id).await? {
        return Ok(());
    }
    if !messages.is_empty() {
        context.store.platform.queue.send(messages).await?;
    }
    ledger.look_at_execution(head, next_ms).await
}

/// Whether the campaign of a call was stopped, or is gone.
async fn is_over(context: &Context, head: &Head) -> Result<bool, StoreError> {
    match context.store.campaigns.get(head.campaign).await {
        Ok(campaign) => Ok(campaign.is_stopped()),
        Err(StoreError::NotFound { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Hands out the open chunks of a shard, as far as the time goes. By the next time those that were are closed.
async fn hand_out(context: &Context, time: Time, head: &Head, shard: FanOut) -> Looked {
    let mut after = None;
    loop {
        let (chunks, next) = context.store.ledger.chunks(shard, Part::Whole, after, PAGE).await?;
        let messages: Vec<Message> =
            chunks.iter().filter(|chunk| !chunk.closed).map(|chunk| head.message(&chunk.key)).collect();
        if !messages.is_empty() {
            context.store.platform.queue.send(messages).await?;
        }
        if next.is_none() || time.is_over(context) {
            return Ok(());
        }
        after = next;
    }
}

/// Looks at one shard: does its fan-out go on, do its chunks, and who of them is to be released.
async fn look(context: &Context, time: Time, shard: FanOut) -> Looked {
    let store = &context.store;
    let now_ms = store.platform.clock.now().as_millisecond();
    let asked_ms = now_ms + millis(FARTHEST_LOOK);
    store.ledger.begin_look(shard, asked_ms).await?;
    let head = match store.ledger.head(shard.execution).await? {
        Some(head) if matches!(head.state, State::Running | State::Stopping) => head,
        // Nothing is to move. The resume asks for a look.
        Some(head) if head.state == State::Paused => return Ok(()),
        _ => return store.ledger.look_never(shard, asked_ms).await,
    };
    let Some(mut cursor) = store.ledger.cursor(shard).await? else { return Ok(()) };
    if let Some(release_ms) = release::next_ms(context, &head, &cursor) {
        // Whatever becomes of this look: the next one is in time.
        store.ledger.look_by(shard, release_ms.max(time.again_ms)).await?;
        release::release(context, time, &head, &mut cursor, now_ms).await?;
    }
    let mut messages = Vec::new();
    if !cursor.done && cursor.leased_until_ms.is_none_or(|until| until + millis(SKEW) < now_ms) {
        messages.push(shard.message());
    }
    let mut view = View::read(&Look { context, time, head: &head, cursor: &cursor, now_ms }).await?;
    messages.append(&mut view.released);
    messages.extend(view.late.iter().map(|chunk| head.message(&chunk.key)));
    let mut seen = match cursor.seen {
        Some(seen) if seen.mark == view.mark => seen,
        _ => Seen { mark: view.mark, at_ms: now_ms, helped: 0 },
    };
    // Others may be ahead in the queue: each time it takes twice as long until messages are taken to be lost.
    let patience_ms = millis(STALLED).saturating_mul(1 << seen.helped.min(10));
    if !view.idle.is_empty() && now_ms - seen.at_ms >= patience_ms {
        warn!(execution = %shard.execution, shard = shard.shard, chunks = view.idle.len(), "shard {} of execution {} stands still: {} chunks are handed out again", shard.shard, shard.execution, view.idle.len());
        messages.extend(view.idle.iter().map(|chunk| head.message(&chunk.key)));
        seen = Seen { at_ms: now_ms, helped: seen.helped + 1, ..seen };
    }
    if !messages.is_empty() {
        store.platform.queue.send(messages).await?;
    }
    store.ledger.end_look(&cursor, seen, &view.closed).await?;
    let next_ms = if cursor.done { now_ms + millis(STALLED) } else { now_ms + millis(FAN_OUT_LOOK) };
    let sooner = [view.next_ms, release::next_ms(context, &head, &cursor)].into_iter().flatten().min();
    store.ledger.look_by(shard, sooner.unwrap_or(next_ms).clamp(now_ms + 1, next_ms)).await
}

/// What is looked at, and by what.
struct Look<'a> {
    context: &'a Context,
    time: Time,
    head: &'a Head,
    cursor: &'a Cursor,
    now_ms: i64,
}

/// The open chunks of a shard, by what they wait for.
#[derive(Default)]
struct View {
    /// The messages of those that waited for the configuration's rate and now have their turn.
    released: Vec<Message>,
    /// Those whose instant has passed: their message is lost, or they never had one.
    late: Vec<StoredChunk>,
    /// Those that wait for nothing but their message.
    idle: Vec<StoredChunk>,
    /// When to look next, where it is sooner than otherwise.
    next_ms: Option<i64>,
    /// Changes with every change of the idle ones.
    mark: i64,
    /// For each action how many of a lane's first chunks are closed.
    closed: Vec<Lanes<u32>>,
}

impl View {
    /// Reads them, as far as the time goes.
    async fn read(look: &Look<'_>) -> Result<Self, StoreError> {
        let Look { context, time, head, cursor, .. } = *look;
        let mut view = Self { closed: cursor.closed.clone(), ..Self::default() };
        let version = context.store.campaigns.version(head.campaign, head.version).await?;
        for (action, planned) in version.actions.iter().enumerate() {
            let mut turns = Turns::new(look, planned).await?;
            view.read_action(look, action, &mut turns).await?;
            if time.is_over(context) {
                view.next_by(time.again_ms);
                break;
            }
        }
        Ok(view)
    }

    async fn read_action(&mut self, look: &Look<'_>, action: usize, turns: &mut Turns) -> Looked {
        let Look { context, time, head, cursor, now_ms } = *look;
        for (lane, stands) in &cursor.lanes {
            let release_ms = head.plan.as_ref().and_then(|plan| plan.release_ms(*lane));
            // What waits for its instant need not be looked at, unless there is nothing to wait for any more.
            let is_ahead = release_ms.is_some_and(|at_ms| at_ms > now_ms) && head.state == State::Running;
            // Where more wait for the rate than have their turn, whoever is behind them has time, too.
            if *lane == Lane::EXCLUDED || is_ahead || turns.refused || time.is_over(context) {
                continue;
            }
            let from = cursor.closed.get(action).and_then(|closed| closed.get(lane)).copied().unwrap_or(0);
            let action_number = u8::try_from(action).unwrap_or(u8::MAX);
            let part = Part::Lane { action: action_number, lane: *lane, from, until: stands.written };
            let (mut after, mut all_closed) = (None, true);
            loop {
                let (chunks, next) = context.store.ledger.chunks(cursor.shard, part, after, PAGE).await?;
                for chunk in chunks {
                    all_closed &= chunk.closed;
                    if all_closed && let Some(closed) = self.closed.get_mut(action) {
                        closed.insert(*lane, chunk.key.number - lane.number(0) + 1);
                    }
                    let leased = chunk.leased_until_ms.is_some_and(|until| until + millis(SKEW) >= now_ms);
                    if !chunk.closed && !leased {
                        self.sort_in(chunk, look, turns, release_ms);
                    }
                }
                if next.is_none() || turns.refused || time.is_over(context) {
                    break;
                }
                after = next;
            }
        }
        if turns.refused {
            self.next_by(turns.again_ms);
        }
        Ok(())
    }

    fn sort_in(&mut self, chunk: StoredChunk, look: &Look<'_>, turns: &mut Turns, release_ms: Option<i64>) {
        let Look { head, now_ms, .. } = *look;
        if chunk.awaits_rate && head.state == State::Running {
            if let Some(wait) = turns.next() {
                self.released.push(head.message(&chunk.key).after(wait));
            }
            return;
        }
        // One that was released has its message, and may wait for its turn in the queue like any other.
        let waits = |at_ms: &i64| head.state == State::Running && Some(*at_ms) != release_ms;
        match chunk.not_before_ms.filter(waits) {
            Some(at_ms) if at_ms + millis(LATE) <= now_ms => self.late.push(chunk),
            Some(at_ms) => self.next_by(at_ms + millis(LATE)),
            None => {
                self.mark =
                    self.mark.wrapping_mul(31).wrapping_add(i64::from(chunk.key.number) + chunk.revision);
                self.idle.push(chunk);
            }
        }
    }

    fn next_by(&mut self, at_ms: i64) {
        self.next_ms = Some(self.next_ms.map_or(at_ms, |next| next.min(at_ms)));
    }
}

/// The turns that one look gives to the chunks of an action that wait for its rate: those of the time until the next
/// look and a little longer, spaced as the rate wants it, each shard having its share. A chunk whose turn the next look
/// gives again gets a second message, which does no harm; where the next look came later than the last turn, nobody would
/// be sent to meanwhile.
struct Turns {
    /// How far apart two turns are; `None` where there is no rate any more.
    apart: Option<Duration>,
    /// How long after now the next turn is.
    next: Duration,
    /// Until the next look.
    until: Duration,
    /// Whether somebody had no turn.
    refused: bool,
    /// When to look again for those.
    again_ms: i64,
}

impl Turns {
    async fn new(look: &Look<'_>, action: &Action) -> Result<Self, StoreError> {
        let Look { context, time, head, cursor, .. } = *look;
        let store = &context.store;
        let now = store.platform.clock.now();
        let mut rate = None;
        if let Some(id) = action.configuration {
            // Where nothing is sent by it any more, nobody finds out whether its provider can be reached.
            let found = match store.configurations.get(id).await {
                Ok(found) => Some(found.value).filter(|found| !found.disabled),
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            if let Some(found) = found {
                let standing = store.rates.standing(id).await?;
                if standing.outages > 0 {
                    return Ok(Self::of_outage(&standing, now));
                }
                rate = found.rate_per_second;
            }
        }
        let one = rate.map(|rate| Duration::from_secs(campaign::chunk::CHUNK as u64) / rate.max(1));
        Ok(Self {
            again_ms: time.again_ms,
            apart: one.map(|one| one * u32::from(head.shards)),
            next: one.unwrap_or_default() * u32::from(cursor.shard.shard),
            until: context.sweep_every + context.sweep_every / BEYOND,
            refused: false,
        })
    }

    /// Those of a provider that could not be reached: none while it is left alone, and then one, to see whether it can be.
    fn of_outage(standing: &Standing, now: Timestamp) -> Self {
        let is_held = standing.is_held(now.as_microsecond());
        let again_ms = if is_held {
            standing.held_until_us / 1000 + 1
        } else {
            // Whoever tries it has that time before another does.
            now.as_millisecond() + campaign::rate::outage_us(1) / 1000
        };
        let apart = Some(Duration::from_secs(1));
        Self { apart, next: Duration::ZERO, until: Duration::ZERO, refused: is_held, again_ms }
    }

    /// How long until the next turn; the first is always given, so that a low rate is used whole.
    fn next(&mut self) -> Option<Duration> {
        let Some(apart) = self.apart else { return Some(Duration::ZERO) };
        let (turn, is_first) = (self.next, self.next < apart);
        if turn >= self.until && !is_first {
            self.refused = true;
            return None;
        }
        self.next += apart;
        Some(turn.min(self.until))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(apart_ms: u64, first_ms: u64, until_ms: u64) -> (Vec<u128>, bool) {
        let mut turns = Turns {
            apart: Some(Duration::from_millis(apart_ms)),
            next: Duration::from_millis(first_ms),
            until: Duration::from_millis(until_ms),
            refused: false,
            again_ms: 0,
        };
        let given = std::iter::from_fn(|| turns.next()).take(1000).map(|wait| wait.as_millis()).collect();
        (given, turns.refused)
    }

    #[tokio::test]
    async fn a_look_that_panics_keeps_nothing_else_from_being_looked_at() {
        let clock = std::sync::Arc::new(platform::SystemClock);
        let platform = platform::embedded::Embedded::in_memory(clock.clone()).platform();
        let store = store::Store::new(platform, store::HashKey([1; 32]));
        let context = Context { store, sweep_every: Duration::from_secs(60) };
        let mut round = Round::begin(&context, Deadline::after(&*clock, Duration::from_secs(60)));
        round.look(|| "one thing".to_owned(), || async { panic!("as the test wants it") }).await;
        let mut looked = false;
        let other = || {
            looked = true;
            async { Ok(()) }
        };
        round.look(|| "another".to_owned(), other).await;
        assert_eq!((looked, round.looked_at), (true, 2));
        // Where there is no time left, what is due stays due.
        let mut round = Round::begin(&context, Deadline::after(&*clock, RESERVE / 2));
        round.look(|| "a third".to_owned(), || async { panic!("nobody looks") }).await;
        assert_eq!(round.looked_at, 0);
    }

    #[test]
    fn a_look_gives_the_turns_until_the_next_spaced_as_the_rate_wants_it() {
        // 200 a second are a chunk each 250 ms: 240 of them in a minute, never a minute's worth at once.
        let (given, refused) = turns(250, 0, 60_000);
        assert_eq!((given.len(), given[1], given[239], refused), (240, 250, 59_750, true));
        // Two shards take turns: the second has its first one between the first shard's.
        let (given, _) = turns(500, 250, 60_000);
        assert_eq!((given.len(), given[0], given[1]), (120, 250, 750));
    }

    #[test]
    fn a_low_rate_gives_one_turn_a_look_and_no_rate_gives_all() {
        assert_eq!(turns(50_000, 0, 1_000), (vec![0], true));
        let mut free =
            Turns { apart: None, next: Duration::ZERO, until: Duration::ZERO, refused: false, again_ms: 0 };
        assert!((0..1000).all(|_| free.next() == Some(Duration::ZERO)) && !free.refused);
    }

    #[test]
    fn an_outage_gives_no_turn_while_it_is_held_and_then_one() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let now_us = now.as_microsecond();
        let standing = |held_until_us| Standing { held_until_us, outages: 3, ..Standing::default() };
        let held = Turns::of_outage(&standing(now_us + 20_000_000), now);
        assert_eq!((held.refused, held.again_ms), (true, now.as_millisecond() + 20_001));
        let mut over = Turns::of_outage(&standing(now_us), now);
        assert_eq!((over.next(), over.refused), (Some(Duration::ZERO), false));
        assert_eq!((over.next(), over.refused), (None, true));
        assert_eq!(over.again_ms, now.as_millisecond() + 5_000);
    }
}
