//! The loop: one chunk from its message to its outcomes.

mod barred;
mod pace;
mod people;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use campaign::chunk::Members;
use campaign::configuration::default_retry_period;
use campaign::id::random_bytes;
use campaign::link::Recipient;
use campaign::outcome::OnUnknown;
use campaign::profile::Consent;
use campaign::rate;
use campaign::segment::Rule;
use campaign::{CampaignId, Category, Code, Configuration, ConfigurationId, DeliveryRules, Profile, TopicId};
use jiff::Timestamp;
use links::LinkKeys;
use platform::batch::Arrival;
use platform::{Deadline, batch};
use serde_json::Value;
use store::frequency::Asked;
use store::ledger::{Books, Claim, ClaimedChunk, Head, Lost, Next, SKEW, State, Waits, Worker};
use store::messages::{ChunkKey, Deliver};
use store::rates::Standing;
use store::{Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};
use tracing::{debug, info, warn};

use self::pace::Slots;
use self::rules::{Ruled, Unprepared};
use crate::feedback::Listeners;
use crate::metrics::{Decided, Meter};
use crate::outcome::{Ended, Plan, Situation, Tally, UNKNOWN_WAIT, plan};
use crate::remembered::Remembered;
use crate::report;
use crate::templates::Templates;
use crate::{Cause, Job, JobLinks, MemberId, MessageId, Metrics, Sender, proof};

/// After so many claims in which nothing was handed over, members are prepared one by one: one of them kills us.
const STUCK: u32 = 3;
/// A message that is earlier than this is not the one that was meant to bring the chunk back.
const EARLY: Duration = Duration::from_secs(60);
/// A lease outlives the function: it can be killed up to a second after its own deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// What a window may take beside its hand-over: waiting for its slot, recording it, and settling what came of it.
const BESIDE_HAND_OVER: Duration = Duration::from_secs(5);
/// How long before the function's deadline a hand-over ends, so that its answers are settled.
const FOR_SETTLING: Duration = Duration::from_secs(2);

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many members are handed over at once, and so how many can be in doubt when the process dies.
    pub window: usize,
    /// How long one hand-over of a window may take.
    pub send_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 10, send_timeout: Duration::from_secs(20) }
    }
}

/// Everything a channel's delivery needs.
pub struct Delivery<S: Sender> {
    store: Store,
    worker: Worker,
    sender: S,
    settings: Settings,
    templates: Templates<S::Template>,
    /// Whether campaigns that people call are stopped.
    over: Remembered<CampaignId, bool>,
    /// The configurations that calls use; `None` for one that is gone.
    configurations: Remembered<ConfigurationId, Option<Arc<Configuration>>>,
    /// Until when their providers asked everybody to wait, in microseconds since the Unix epoch.
    standings: Remembered<ConfigurationId, Standing>,
    /// What is decided about marketing as a whole.
    rules: Remembered<(), Arc<DeliveryRules>>,
    listeners: Listeners,
    /// Slots that calls may use, by configuration.
    call_slots: Mutex<HashMap<ConfigurationId, Slots>>,
    /// Held while one member is prepared alone, so that a death of the process can be laid to nobody else.
    alone: Mutex<()>,
}

/// One claim under way.
struct Run<'a, S: Sender> {
    delivery: &'a Delivery<S>,
    head: &'a Head,
    configuration: &'a Configuration,
    template: &'a S::Template,
    /// Whom the action reaches; everybody where it is `None`.
    condition: Option<&'a Rule>,
    /// What it is about, for those who have said no to that.
    topic: Option<&'a TopicId>,
    chunk: &'a mut ClaimedChunk,
    tally: Tally,
    deadline: Deadline,
    /// Whether the provider could not be reached the last time, or asked to wait, as far as is known.
    is_strained: bool,
    /// Whether anything was handed over in this claim.
    has_sent: bool,
    slots: Slots,
    /// What links are signed with, where the channel has any.
    keys: Option<Arc<LinkKeys>>,
    /// The hashes under which the members' addresses would be suppressed, where links need them.
    addresses: Vec<Option<[u8; 16]>>,
    /// What is decided about marketing as a whole, where that is anything.
    rules: Option<Ruled>,
}

/// A window whose messages are ready.
struct Window<M> {
    range: Range<usize>,
    members: Vec<usize>,
    messages: Vec<M>,
    /// The places under frequency caps that are to be taken first, by member.
    places: Vec<(usize, Asked)>,
}

impl<S: Sender> Delivery<S> {
    /// A delivery over this store, by this sender.
    pub fn new(store: Store, worker: Worker, sender: S, settings: Settings) -> Self {
        Self {
            store,
            worker,
            sender,
            settings,
            templates: Templates::default(),
            over: Remembered::default(),
            configurations: Remembered::default(),
            standings: Remembered::default(),
            rules: Remembered::default(),
            listeners: Listeners::default(),
            call_slots: Mutex::default(),
            alone: Mutex::default(),
        }
    }

    /// The sender.
    pub const fn sender(&self) -> &S {
        &self.sender
    }

    /// Delivers the chunks that a batch of messages names, and the proofs that it holds, in turn, and says what that came to.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> (SqsBatchResponse, Metrics) {
        let meter = Meter::new(S::CHANNEL);
        let response =
            batch::each_arrival(event, |asked, arrival| self.answer(asked, arrival, deadline, &meter)).await;
        (response, meter.read())
    }

    /// Delivers what is still to be delivered of one chunk, as far as the time goes. Being asked twice does no harm.
    ///
    /// # Errors
    /// Only where the ledger is out of reach: the message is to come back.
    pub async fn deliver(&self, chunk: ChunkKey, deadline: Deadline) -> Result<(), StoreError> {
        self.deliver_metered(chunk, Arrival::Again, deadline, &Meter::new(S::CHANNEL)).await
    }

    async fn answer(
        &self,
        asked: Deliver,
        arrival: Arrival,
        deadline: Deadline,
        meter: &Meter,
    ) -> Result<(), StoreError> {
        match asked {
            Deliver::Chunk(chunk) => {
                // A later message finds the chunk claimed before, however new it is itself.
                let arrival = if chunk.first { arrival } else { Arrival::Again };
                self.deliver_metered(chunk.key, arrival, deadline, meter).await
            }
            Deliver::Proof(proof) => proof::send(&self.store, &self.sender, &proof, deadline).await,
        }
    }

    async fn deliver_metered(
        &self,
        chunk: ChunkKey,
        arrival: Arrival,
        deadline: Deadline,
        meter: &Meter,
    ) -> Result<(), StoreError> {
        let lease = deadline.remaining(&*self.store.platform.clock) + LEASE_MARGIN;
        let ledger = &self.store.ledger;
        let (claim, head) = if chunk.is_call() {
            let Some(head) = ledger.head(chunk.execution).await? else { return Ok(()) };
            // Nobody has died of it yet, so nobody needs to know of the claim before there is something to hand over.
            if arrival == Arrival::First
                && let Some(presumed) = ledger.presume_call(&head, chunk, &self.worker, lease)
            {
                let presumed = Claim::Claimed(Box::new(presumed));
                match self.deliver_claimed(chunk, presumed, Some(&head), deadline, meter).await? {
                    Ok(()) => return Ok(()),
                    Err(Lost) => debug!(execution = %chunk.execution, "somebody else was quicker"),
                }
            }
            let mut claim = ledger.claim_call(&head, chunk, &self.worker, lease).await?;
            if matches!(claim, Claim::NotYet(_)) && self.is_over(head.campaign).await? {
                claim = ledger.claim(chunk, &self.worker, lease, Waits::CutShort).await?;
            }
            (claim, Some(head))
        } else {
            let mut claim = ledger.claim(chunk, &self.worker, lease, Waits::Honoured).await?;
            if matches!(claim, Claim::NotYet(_))
                && ledger.state(chunk.execution).await? == Some(State::Stopping)
            {
                claim = ledger.claim(chunk, &self.worker, lease, Waits::CutShort).await?;
            }
            (claim, None)
        };
        // This claim is written: if it is lost, whoever has the chunk goes on.
        self.deliver_claimed(chunk, claim, head.as_ref(), deadline, meter).await.map(|_| ())
    }

    /// Goes on with what claiming a chunk gave. `head` is its execution, where that was read before. [`Lost`] says that a
    /// claim was only presumed, and somebody else had the chunk.
    async fn deliver_claimed(
        &self,
        chunk: ChunkKey,
        claim: Claim,
        head: Option<&Head>,
        deadline: Deadline,
        meter: &Meter,
    ) -> Result<Result<(), Lost>, StoreError> {
        let clock = &*self.store.platform.clock;
        let mut claimed = match claim {
            Claim::Claimed(claimed) => *claimed,
            Claim::Closed | Claim::Missing => return Ok(Ok(())),
            // A little early, by another machine's clock or a rounded delay. What waits longer has been seen to.
            Claim::NotYet(at_ms) => return self.come_back(chunk, at_ms, Duration::ZERO).await.map(Ok),
            Claim::Leased(until_ms) => return self.come_back(chunk, until_ms, SKEW).await.map(Ok),
        };
        let read = if head.is_none() { self.store.ledger.head(chunk.execution).await? } else { None };
        let Some(head) = head.or(read.as_ref()) else { return Ok(Ok(())) };
        claimed.books = head.books().kept_by(&self.worker);
        // Known before anything is handed over: trouble with it costs nobody's outcome.
        self.listeners.of(&self.store, head).await?;
        let age = clock.now().duration_since(head.due_at(&chunk));
        let age = Duration::try_from(age).unwrap_or_default();
        let is_stopped = matches!(head.state, State::Stopping | State::Stopped)
            || (chunk.is_call() && self.is_over(head.campaign).await?);
        if is_stopped {
            meter.claimed(&claimed.members, age);
            claimed.members.close_pending(Code::Stopped);
            return self.settle_stopped(claimed, head, meter).await;
        }
        self.take_up(&mut claimed, head);
        if head.state == State::Paused {
            let tally = Tally { untried: Some(claimed.book.go_on), ..Tally::default() };
            return self.settle(claimed, head, tally, Ended::Paused, None, meter).await;
        }
        meter.claimed(&claimed.members, age);
        let name = (head.campaign, head.version, chunk.action);
        let compiled = self.templates.get(&self.store, &self.sender, name).await?;
        let configuration = match compiled.configuration {
            Some(id) => self.configuration(id, &chunk).await?,
            None => None,
        };
        let template = match (&compiled.template, &configuration) {
            (Ok(template), Some(configuration))
                if !configuration.disabled && configuration.sender.channel() == S::CHANNEL =>
            {
                Some((template, configuration))
            }
            (Err(why), _) => {
                warn!(campaign = %head.campaign, version = head.version, action = chunk.action, execution = %head.id, why, "action {} of version {} of campaign {} does not compile", chunk.action, head.version, head.campaign);
                claimed.members.close_pending(Code::RenderFailed);
                None
            }
            _ => None,
        };
        let (tally, ended) = match template {
            Some(((template, condition), configuration)) => {
                let mut run = Run {
                    delivery: self,
                    head,
                    configuration,
                    template,
                    condition: condition.as_ref(),
                    topic: compiled.topic.as_ref(),
                    chunk: &mut claimed,
                    tally: Tally::default(),
                    is_strained: false,
                    deadline,
                    has_sent: false,
                    slots: Slots::default(),
                    keys: if S::HAS_LINKS { Some(self.store.links.keys().await?) } else { None },
                    addresses: Vec::new(),
                    rules: None,
                };
                match run.deliver().await? {
                    Ok(ended) => (run.tally, ended),
                    Err(Lost) => {
                        let tally = std::mem::take(&mut run.tally);
                        return self.lost(&claimed, head, &tally, meter).await;
                    }
                }
            }
            None => (without_configuration(&claimed.members), Ended::Through),
        };
        self.settle(claimed, head, tally, ended, configuration.as_deref(), meter).await
    }

    /// Puts a claimed chunk where the last claim left it: a member that killed its process has failed, and doubt that
    /// has lasted long enough follows the rule, though not while nothing is handed over.
    fn take_up(&self, chunk: &mut ClaimedChunk, head: &Head) {
        if let Some(member) = chunk.killer.filter(|member| *member < chunk.members.len())
            && chunk.members.codes[member].is_pending()
        {
            chunk.members.close(member, Code::Crashed);
        }
        let now_ms = self.store.platform.clock.now().as_millisecond();
        let wait_ms = i64::try_from(UNKNOWN_WAIT.as_millis()).unwrap_or(i64::MAX);
        let waited = chunk.book.doubt_since_ms.is_some_and(|since| now_ms - since >= wait_ms);
        if waited && head.on_unknown == OnUnknown::Resend && head.state == State::Running {
            for code in chunk.members.codes.iter_mut().filter(|code| **code == Code::Unknown) {
                *code = code.again();
            }
            chunk.book.doubt_since_ms = None;
        }
    }

    /// The configuration as it is now; for calls, as it was a moment ago.
    async fn configuration(
        &self,
        id: ConfigurationId,
        chunk: &ChunkKey,
    ) -> Result<Option<Arc<Configuration>>, StoreError> {
        let read = async {
            match self.store.configurations.get(id).await {
                Ok(found) => Ok(Some(Arc::new(found.value))),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        if chunk.is_call() {
            return self.configurations.get(id, &*self.store.platform.clock, read).await;
        }
        read.await
    }

    /// Whether a campaign that people call was stopped, so that what is not sent yet is not sent any more. One that has
    /// completed goes on with what it was asked for before.
    async fn is_over(&self, id: CampaignId) -> Result<bool, StoreError> {
        let read = async {
            match self.store.campaigns.get(id).await {
                Ok(campaign) => Ok(campaign.is_stopped()),
                Err(StoreError::NotFound { .. }) => Ok(true),
                Err(error) => Err(error),
            }
        };
        self.over.get(id, &*self.store.platform.clock, read).await
    }

    /// Comes back to a chunk that waits, or that another worker holds: if that one lives, it will finish; if it is dead,
    /// its lease has to run out first.
    async fn come_back(&self, chunk: ChunkKey, until_ms: i64, margin: Duration) -> Result<(), StoreError> {
        let now_ms = self.store.platform.clock.now().as_millisecond();
        let wait = Duration::from_millis(u64::try_from(until_ms - now_ms).unwrap_or(0)) + margin;
        if margin.is_zero() && wait > EARLY {
            return Ok(());
        }
        let message = chunk.message(S::CHANNEL).after(wait + Duration::from_millis(1));
        Ok(self.store.platform.queue.send(vec![message]).await?)
    }

    async fn settle_stopped(
        &self,
        mut claimed: ClaimedChunk,
        head: &Head,
        meter: &Meter,
    ) -> Result<Result<(), Lost>, StoreError> {
        let (details, decided) = (BTreeMap::new(), Decided::of(&claimed.members));
        self.give_back_places(&claimed, head, &Tally::default(), rules::decided(&claimed.members)).await;
        let told = self.listeners.announce(&self.store, head, &claimed, Next::Close).await?;
        // Where the claim was lost, whoever took the chunk over stops it in turn.
        if self.store.ledger.settle(&mut claimed, Next::Close, &details, told).await?.is_err() {
            return self.lost(&claimed, head, &Tally::default(), meter).await;
        }
        meter.settled(&decided, 0);
        if claimed.key.is_call() {
            self.finish_call(&claimed, Next::Close).await?;
        }
        Ok(Ok(()))
    }

    /// Ends a call of several actions with the last of them; one of a single action has ended with it already.
    async fn finish_call(&self, chunk: &ClaimedChunk, next: Next) -> Result<(), StoreError> {
        match (next, chunk.books) {
            (Next::Close, Books::Calls { actions: 2.., .. }) => {
                self.store.ledger.finish_call(chunk.key.execution).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    async fn settle(
        &self,
        mut chunk: ClaimedChunk,
        head: &Head,
        tally: Tally,
        ended: Ended,
        configuration: Option<&Configuration>,
        meter: &Meter,
    ) -> Result<Result<(), Lost>, StoreError> {
        let now_ms = self.store.platform.clock.now().as_millisecond();
        let jitter = u64::from_be_bytes(random_bytes()[..8].try_into().unwrap_or_default());
        let retry_period =
            configuration.map_or_else(default_retry_period, |found| found.retry_period_seconds);
        let situation = Situation {
            ended,
            on_unknown: head.on_unknown,
            retry_period: Duration::from_secs(retry_period.into()),
            paused_for_ms: head.paused_for_ms,
            now_ms,
            jitter,
        };
        let Plan { next, message } = plan(&mut chunk.members, &mut chunk.book, &tally, situation);
        self.give_back_places(&chunk, head, &tally, rules::decided(&chunk.members)).await;
        let mut messages = self.listeners.announce(&self.store, head, &chunk, next).await?;
        messages.extend(message.map(|wait| head.message(&chunk.key).after(wait)));
        let decided = Decided::of(&chunk.members);
        if self.store.ledger.settle(&mut chunk, next, &tally.details, messages).await?.is_err() {
            return self.lost(&chunk, head, &tally, meter).await;
        }
        let retried = tally.deferred.iter().filter(|index| chunk.members.codes[**index].is_pending()).count();
        meter.settled(&decided, retried);
        report::put_back(&chunk.key, next, &tally, ended, chunk.members.pending().count(), now_ms);
        let shard = store::messages::FanOut { execution: chunk.key.execution, shard: chunk.key.shard };
        match next {
            // The sweep looks at calls as long as they are open.
            _ if chunk.key.is_call() => self.finish_call(&chunk, next).await?,
            Next::Park(at_ms) if message.is_none() => self.store.ledger.look_by(shard, at_ms).await?,
            Next::AwaitRate => self.store.ledger.look_by(shard, now_ms).await?,
            _ => {}
        }
        Ok(Ok(()))
    }

    /// The claim was lost, but what the provider said is known: it settles what the next worker had to doubt. [`Lost`]
    /// where it was only presumed.
    async fn lost(
        &self,
        chunk: &ClaimedChunk,
        head: &Head,
        tally: &Tally,
        meter: &Meter,
    ) -> Result<Result<(), Lost>, StoreError> {
        if chunk.is_presumed() {
            return Ok(Err(Lost));
        }
        // Whoever took over may have tried again whom a write of ours left pending, and be in doubt for good reason.
        let is_told = |(_, code): &&(usize, Code)| !code.is_pending() || !chunk.met_trouble();
        let known: Vec<(usize, Code)> = tally.known.iter().filter(is_told).copied().collect();
        let known = known.as_slice();
        let ChunkKey { execution, shard, action, number } = chunk.key;
        info!(%execution, shard, action, chunk = number, known = known.len(), "lost the lease on chunk {number} of shard {shard} of execution {execution}");
        if !known.is_empty() {
            // What is known is written even where nobody can be told.
            let announced = self.listeners.announce_known(&self.store, head, chunk.key, known).await;
            self.store.ledger.amend(chunk.key, chunk.books, known, head).await?;
            let decided = known.iter().map(|(_, code)| *code).filter(|code| !code.is_pending());
            meter.settled(&Decided::among(decided), 0);
            self.give_back_places(chunk, head, tally, known.iter().copied()).await;
            announced?;
        }
        Ok(Ok(()))
    }
}

/// What happens to the members of an action whose configuration is gone: they wait, as for a provider that is down.
fn without_configuration(members: &Members) -> Tally {
    let deferred: Vec<usize> = members.pending().collect();
    let cause = (!deferred.is_empty()).then_some(Cause::Misconfigured);
    Tally { deferred, cause, ..Tally::default() }
}

impl<S: Sender> Run<'_, S> {
    /// Delivers what can be now. What stands in the way, the store's troubles included, ends the loop and not the claim:
    /// what is known by then is settled.
    async fn deliver(&mut self) -> Result<Result<Ended, Lost>, StoreError> {
        if let Some(ended) = self.await_provider().await? {
            self.tally.untried = Some(self.chunk.book.go_on);
            return Ok(Ok(ended));
        }
        let mut profiles = self.profiles().await?;
        self.read_rules().await?;
        // Those before `go_on` had their turn last time: now they come last.
        let (go_on, end) = (self.chunk.book.go_on, self.chunk.members.len());
        for part in [go_on..end, 0..go_on] {
            match self.windows(part, &mut profiles).await? {
                Ok(Ended::Through) => {}
                ended => return Ok(ended),
            }
        }
        self.tally.untried = None;
        Ok(Ok(Ended::Through))
    }

    /// Window after window, until every member of the part was tried or something ends it.
    async fn windows(
        &mut self,
        part: Range<usize>,
        profiles: &mut [Option<Profile>],
    ) -> Result<Result<Ended, Lost>, StoreError> {
        let delivery = self.delivery;
        let ledger = &delivery.store.ledger;
        let clock = &*delivery.store.platform.clock;
        let is_alone = self.chunk.book.stuck > STUCK;
        let mut from = part.start;
        loop {
            let next = self.chunk.members.pending().find(|index| *index >= from && *index < part.end);
            let Some(first) = next else { return Ok(Ok(Ended::Through)) };
            self.tally.untried = Some(first);
            if self.tally.stops_the_rest() {
                self.defer_rest(profiles);
                return Ok(Ok(Ended::OutOfTime));
            }
            if from > part.start || self.has_sent {
                match self.delivery.store.ledger.state(self.head.id).await {
                    Ok(Some(State::Running)) => {}
                    Ok(Some(State::Paused)) => return Ok(Ok(Ended::Paused)),
                    Ok(_) => {
                        self.chunk.members.close_pending(Code::Stopped);
                        return Ok(Ok(Ended::Through));
                    }
                    Err(error) => return Ok(Ok(trouble(&self.chunk.key, &error))),
                }
            }
            if self.deadline.remaining(clock) < delivery.settings.send_timeout + BESIDE_HAND_OVER {
                return Ok(Ok(Ended::OutOfTime));
            }
            let mut alone: Option<MutexGuard<'_, ()>> = None;
            if is_alone {
                alone = Some(delivery.alone.lock().await);
                match ledger.prepare_alone(self.chunk, first).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Lost)) => return Ok(Err(Lost)),
                    Err(error) => return Ok(Ok(trouble(&self.chunk.key, &error))),
                }
            }
            let mut window = self.prepare(first..part.end, self.window_size(is_alone), profiles);
            if window.messages.is_empty() {
                from = window.range.end;
                continue;
            }
            match self.await_rate(window.messages.len(), profiles).await {
                Ok(None) => {}
                Ok(Some(_)) if !self.has_sent && !self.chunk.key.is_call() => {
                    return Ok(Ok(Ended::OutOfRate));
                }
                Ok(Some(wait)) => return Ok(Ok(Ended::Paced(wait))),
                Err(error) => return Ok(Ok(trouble(&self.chunk.key, &error))),
            }
            if let Err(error) = self.take_places(&mut window).await {
                return Ok(Ok(trouble(&self.chunk.key, &error)));
            }
            if window.messages.is_empty() {
                from = window.range.end;
                continue;
            }
            match ledger.open_window(self.chunk, window.range.clone()).await {
                Ok(Ok(())) => {}
                Ok(Err(Lost)) => return Ok(Err(Lost)),
                Err(error) => return Ok(Ok(trouble(&self.chunk.key, &error))),
            }
            drop(alone);
            // The windows before are in the ledger now; only this one's answers are known to nobody else.
            self.tally.known.clear();
            from = window.range.end;
            self.has_sent = true;
            self.hand_over(window).await;
        }
    }

    /// Nobody else is tried now: they wait with those who were, apart from who has quiet hours.
    fn defer_rest(&mut self, profiles: &[Option<Profile>]) {
        let tally = &self.tally;
        let is_untried = |index: &usize| !tally.deferred.contains(index) && !tally.quiet.contains(index);
        let rest: Vec<_> = self.chunk.members.pending().filter(is_untried).collect();
        for index in rest {
            let checked = profiles[index].as_ref().map(|profile| self.check_rules(index, profile));
            match checked {
                Some(Err(Unprepared::Quiet(until))) => self.tally.quiet(index, until),
                _ => self.tally.deferred.push(index),
            }
        }
    }

    fn window_size(&self, alone: bool) -> usize {
        let window = self.delivery.settings.window;
        if alone {
            return 1;
        }
        self.configuration.rate_per_second.map_or(window, |rate| rate::burst(rate, window))
    }

    /// Renders up to `size` messages of the members of `part`. Whoever must not or can't get one gets the outcome here.
    fn prepare(
        &mut self,
        part: Range<usize>,
        size: usize,
        profiles: &mut [Option<Profile>],
    ) -> Window<S::Message> {
        let mut window = Window {
            range: part.start..part.start,
            members: Vec::new(),
            messages: Vec::new(),
            places: Vec::new(),
        };
        let now_seconds = self.delivery.store.platform.clock.now().as_second();
        for (index, profile) in profiles.iter_mut().enumerate().take(part.end).skip(part.start) {
            if window.messages.len() >= size {
                break;
            }
            window.range.end = index + 1;
            if !self.chunk.members.codes[index].is_pending() {
                continue;
            }
            match self.prepare_member(index, profile.take(), now_seconds) {
                Ok((message, place)) => {
                    window.members.push(index);
                    window.messages.push(message);
                    window.places.extend(place.map(|place| (index, place)));
                }
                Err(Unprepared::Closed(code, detail)) => {
                    self.chunk.members.close(index, code);
                    self.tally.detail(index, detail);
                }
                Err(Unprepared::Quiet(until)) => {
                    self.tally.quiet(index, until);
                    self.chunk.rest(index);
                }
            }
            if size == 1 {
                break;
            }
        }
        window
    }

    fn prepare_member(
        &self,
        index: usize,
        profile: Option<Profile>,
        now_seconds: i64,
    ) -> Result<(S::Message, Option<Asked>), Unprepared> {
        let sender = &self.delivery.sender;
        let profile = profile.ok_or((Code::ProfileGone, String::new()))?;
        if self.has_opted_out(&profile) {
            return Err((Code::NoConsent, String::new()).into());
        }
        sender.address(self.configuration, &profile).map_err(|code| (code, String::new()))?;
        let place = self.check_rules(index, &profile)?;
        let links = self.keys.as_deref().map(|keys| JobLinks {
            keys,
            public_url: self.delivery.store.links.public_url(),
            recipient: self.recipient(index),
        });
        let job = Job {
            template: self.template,
            configuration: self.configuration,
            category: self.head.category,
            context: self.context(index),
            on_missing: self.head.on_missing,
            id: MessageId::Member(MemberId { chunk: self.chunk.key, index }),
            to: None,
            links,
            now_seconds,
        };
        // One bad recipient must not stop the other 49, whatever a template's engine does on its data.
        let message = catch_unwind(AssertUnwindSafe(|| sender.prepare(&job, profile)))
            .unwrap_or_else(|_| Err((Code::RenderFailed, "rendering panicked".to_owned())))?;
        Ok((message, place))
    }

    /// Who gets it, as links name them.
    fn recipient(&self, index: usize) -> Option<Recipient> {
        let profile = if self.chunk.key.is_call() {
            self.head.call.as_ref()?.recipients.get(index)?.profile
        } else {
            Some(self.chunk.members.profiles[index])
        };
        match (profile, self.addresses.get(index).copied().flatten()) {
            (Some(profile), Some(address)) => Some(Recipient::Person { profile, address }),
            (Some(profile), None) => Some(Recipient::Profile(profile)),
            (None, address) => address.map(Recipient::Address),
        }
    }

    /// What templates see as `context`: what the call says, for this recipient or for all.
    fn context(&self, index: usize) -> &Value {
        let Some(call) = &self.head.call else { return &Value::Null };
        if self.chunk.key.is_call() {
            return call.recipients.get(index).map_or(&Value::Null, |recipient| &recipient.context);
        }
        &call.context
    }

    fn has_opted_out(&self, profile: &Profile) -> bool {
        self.head.category == Category::Marketing
            && (matches!(profile.consent(S::CHANNEL), Some(Consent::Out | Consent::Pending))
                || self.topic.is_some_and(|topic| profile.is_out_of(topic)))
    }

    /// Hands a recorded window over and books the answers. If the lease would not outlive the hand-over, or its answers could
    /// not be settled in time, nothing is handed over and the members stay pending.
    async fn hand_over(&mut self, window: Window<S::Message>) {
        let settings = &self.delivery.settings;
        let clock = &*self.delivery.store.platform.clock;
        let lease_end = Timestamp::from_millisecond(self.chunk.lease_until_ms).unwrap_or(Timestamp::MIN);
        let left = Duration::try_from(lease_end.duration_since(clock.now())).unwrap_or_default();
        let settled = self.deadline.remaining(clock).saturating_sub(FOR_SETTLING);
        let time = settings.send_timeout.min(left.saturating_sub(SKEW)).min(settled);
        if time.is_zero() {
            self.tally.deferred.extend(window.members);
            self.tally.cause = self.tally.cause.max(Some(Cause::Transient));
            return;
        }
        let expected = window.members.len();
        let answers = self.delivery.sender.send(self.configuration, window.messages, time).await;
        debug_assert_eq!(answers.len(), expected, "a sender answers for each message");
        let unanswered = std::iter::repeat_with(|| crate::Answer::Ambiguous { detail: String::new() });
        let answers = window.members.into_iter().zip(answers.into_iter().chain(unanswered));
        let is_one = self.delivery.sender.is_one_provider(self.configuration);
        self.tally.window(&mut self.chunk.members, answers, is_one);
        self.hold().await;
    }
}

/// The store is in trouble in the middle of a chunk: what is known is settled, and the rest comes back.
fn trouble(chunk: &ChunkKey, error: &StoreError) -> Ended {
    let ChunkKey { execution, shard, action, number } = chunk;
    warn!(%execution, shard, action, chunk = number, error = %batch::chain(error), "the store is in trouble, at chunk {number} of shard {shard} of execution {execution}");
    Ended::Trouble
}
