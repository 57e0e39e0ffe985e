//! Executions: one run of one version.

use std::sync::Arc;

use campaign::call::Call;
use campaign::content::OnMissing;
use campaign::outcome::OnUnknown;
use campaign::plan::{Lane, Plan};
use campaign::report::Counts;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Category, Channel, ExecutionId, SegmentId, Version};
use jiff::Timestamp;
use platform::{Change, Condition, Consistency, Due, Item, Key, Message, Query, Range, Updated, Write};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::call::{CALL, CallRequest, call_of, is_free_for, is_planned};
use super::counters::{Books, CALL_PARTS};
use super::cursor::Cursor;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::messages::{ChunkKey, FanOut};
use crate::tables::{self, CONTROL, LEDGER, LEDGER_TTL_SECONDS};
use crate::{StoreError, campaigns};

const WHAT: &str = "execution";
/// How many profiles a shard has, about.
const SHARD: u64 = 50_000;
/// The most shards of an execution.
const MOST_SHARDS: u64 = 16;
/// How often a turn is tried anew when others turn the execution at the same time.
pub(super) const TRIES: usize = 10;
pub(super) const STATE: &str = "state";
/// Since when it is paused, where it is; in milliseconds since the Unix epoch.
pub(super) const PAUSED: &str = "paused";
/// How long it was paused before, in milliseconds.
pub(super) const PAUSED_FOR: &str = "paused_for";
/// When it ended, in milliseconds since the Unix epoch; also where it was taken up again since.
pub(super) const ENDED: &str = "ended";

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way.
    Running,
    /// Held: nobody is handed over until it is resumed.
    Paused,
    /// Being stopped: what is not sent yet is being excluded.
    Stopping,
    /// Ended by itself, and it balances.
    Completed,
    /// Ended by hand, and it balances.
    Stopped,
    /// Never started: it was found too late.
    Missed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Stopping, Self::Completed, Self::Stopped, Self::Missed];
    /// Those in which it has not ended and is not about to.
    pub const OPEN: [Self; 2] = [Self::Running, Self::Paused];

    /// Its name in the API and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Missed => "missed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Who an execution is for, pinned at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Audience {
    /// Whoever the rule is true of when their page is read.
    Rule {
        /// Which segment it was.
        segment: SegmentId,
        /// Its rule at the start.
        expression: String,
    },
    /// Whoever is on the list when its page is read.
    List {
        /// Which segment it was.
        segment: SegmentId,
        /// Its generation at the start.
        generation: u32,
        /// Over how many partitions the members are spread.
        partitions: u32,
    },
    /// Whoever the call names that it is the execution of.
    Call {
        /// How many they are.
        recipients: u32,
    },
}

/// An execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its id.
    pub id: ExecutionId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Of which version.
    pub version: u32,
    /// For which occurrence.
    pub occurrence: Timestamp,
    /// The campaign's category.
    pub category: Category,
    /// Into how many shards its audience is cut.
    pub shards: u16,
    /// The channels of its actions, in their order.
    pub actions: Vec<Channel>,
    /// Who it is for.
    pub audience: Audience,
    /// What to do in doubt.
    pub on_unknown: OnUnknown,
    /// What to do where a value is missing.
    pub on_missing: OnMissing,
    /// When it started.
    pub started_at: Timestamp,
    /// When its recipients get it, where that is not at its start for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What was asked for, where a call started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<CallRequest>,
    /// What the call brought along, while that is needed.
    #[serde(skip)]
    pub call: Option<Arc<Call>>,
    /// Where it stands.
    #[serde(skip, default = "running")]
    pub state: State,
    /// Since when it is paused, where it is.
    #[serde(skip)]
    pub paused_at: Option<Timestamp>,
    /// How long it was paused before, in milliseconds: its retry periods stand still meanwhile.
    #[serde(skip)]
    pub paused_for_ms: i64,
    /// When it ended, where it has.
    #[serde(skip)]
    pub ended_at: Option<Timestamp>,
    /// Counts its changes.
    #[serde(skip)]
    pub revision: i64,
}

const fn running() -> State {
    State::Running
}

impl Head {
    /// An execution of a campaign's version for about `size` people, to begin at `now`.
    pub fn new(
        id: ExecutionId,
        campaign: &Campaign,
        version: &Version,
        audience: Audience,
        size: u64,
        now: Timestamp,
    ) -> Self {
        let shards = match audience {
            Audience::Call { .. } => 0,
            Audience::Rule { .. } | Audience::List { .. } => size.div_ceil(SHARD).clamp(1, MOST_SHARDS),
        };
        Self {
            id,
            campaign: campaign.id,
            version: version.number,
            occurrence: now,
            category: campaign.category,
            shards: u16::try_from(shards).unwrap_or(1),
            actions: version.actions.iter().map(|action| action.channel).collect(),
            audience,
            on_unknown: version.on_unknown(campaign.category),
            on_missing: version.on_missing,
            started_at: now,
            plan: None,
            request: None,
            call: None,
            state: State::Running,
            paused_at: None,
            paused_for_ms: 0,
            ended_at: None,
            revision: 1,
        }
    }

    /// The message that has a chunk of it delivered.
    pub fn message(&self, chunk: &ChunkKey) -> Message {
        self.grouped(chunk.message(self.channel(chunk)))
    }

    /// The same, as the first message there is of the chunk.
    pub fn first_message(&self, chunk: &ChunkKey) -> Message {
        self.grouped(chunk.first_message(self.channel(chunk)))
    }

    fn channel(&self, chunk: &ChunkKey) -> Channel {
        self.actions.get(usize::from(chunk.action)).copied().unwrap_or(Channel::Email)
    }

    fn grouped(&self, message: Message) -> Message {
        Message { group: Some(self.campaign.to_string()), ..message }
    }

    /// When its ledger begins to vanish: some time after its start or, where that is later, its last release. Nothing
    /// prolongs that.
    pub fn expires_at(&self) -> Timestamp {
        let last = self.plan.as_ref().and_then(Plan::last_ms).map_or(0, |last_ms| last_ms / 1000);
        let seconds = self.started_at.as_second().max(last) + LEDGER_TTL_SECONDS;
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    /// For how long it was paused in all, in milliseconds.
    pub fn paused_ms(&self, now_ms: i64) -> i64 {
        let since = self.paused_at.map_or(0, |at| now_ms - at.as_millisecond());
        self.paused_for_ms + since.max(0)
    }

    /// When a chunk of it was to be delivered: at its occurrence, or where that is later, with its wave or at its
    /// recipients' hour.
    pub fn due_at(&self, chunk: &ChunkKey) -> Timestamp {
        let release_ms = self.plan.as_ref().and_then(|plan| plan.release_ms(Lane::of(chunk.number)));
        let release = release_ms.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
        release.map_or(self.occurrence, |release| release.max(self.occurrence))
    }

    /// Where its chunks are counted.
    pub fn books(&self) -> Books {
        match self.audience {
            Audience::Call { .. } => Books::Calls {
                campaign: self.campaign,
                version: self.version,
                actions: u8::try_from(self.actions.len()).unwrap_or(u8::MAX),
                part: self.id.as_bytes()[0] % CALL_PARTS,
            },
            Audience::Rule { .. } | Audience::List { .. } => Books::Execution,
        }
    }

    /// Whether its recipients were named by the call that started it: it has no shards, and its one chunk an action is
    /// delivered at once.
    pub const fn is_call(&self) -> bool {
        matches!(self.audience, Audience::Call { .. })
    }

    /// The names of its shards.
    pub fn shards(&self) -> impl Iterator<Item = FanOut> + use<> {
        let execution = self.id;
        (0..self.shards).map(move |shard| FanOut { execution, shard })
    }
}

/// What stays of an execution for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSummary {
    /// Its id.
    pub id: ExecutionId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Of which version.
    pub version: u32,
    /// For which occurrence.
    pub occurrence: Timestamp,
    /// Where it stood when this was written.
    pub state: State,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when it is paused, where it was when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The counts of each action, once it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Counts>,
    /// Over how many shards its counters are spread; none where it was missed.
    #[serde(default = "most_shards")]
    pub shards: u16,
}

/// Those written before this was kept.
const fn most_shards() -> u16 {
    MOST_SHARDS as u16
}

impl ExecutionSummary {
    pub(super) fn of(head: &Head, state: State, ended_at: Option<Timestamp>, counts: Vec<Counts>) -> Self {
        Self {
            id: head.id,
            campaign: head.campaign,
            version: head.version,
            occurrence: head.occurrence,
            state,
            started_at: Some(head.started_at),
            paused_at: head.paused_at.filter(|_| state == State::Paused),
            ended_at,
            counts,
            shards: head.shards,
        }
    }

    pub(super) fn write(&self) -> Result<Write, StoreError> {
        let key = tables::summary(self.campaign, self.occurrence.as_millisecond(), self.id);
        Ok(Write::put(CONTROL, Item::new(key).with(DOCUMENT, document::encode(WHAT, self)?)))
    }
}

impl Ledger {
    /// Starts an execution: the campaign (advanced past the occurrence), the execution, its cursors and its summary are
    /// written in one transaction with the messages that begin the fan-out, and with `further` writes. False where the
    /// campaign has changed since it was read, the execution is there already, or a further write is refused; then nothing
    /// has happened.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn start(
        &self,
        campaign: &Campaign,
        head: &Head,
        further: Vec<Write>,
    ) -> Result<bool, StoreError> {
        let expires = head.expires_at().as_second();
        let mut item = Item::new(tables::head(head.id))
            .with(DOCUMENT, document::encode(WHAT, head)?)
            .with(STATE, State::Running.name())
            .with(REVISION, 1);
        if let Some(call) = &head.call {
            item = item.with(CALL, document::encode(WHAT, &**call)?);
        }
        // Due from the start to the end: every sweep looks whether it is complete.
        item.due =
            Some(Due { bucket: tables::bucket(head.id.as_bytes()), at_ms: head.started_at.as_millisecond() });
        item.expires = Some(expires);
        let mut writes = campaigns::writes_by_envoi(campaign, "start")?;
        writes.push(Write::put(LEDGER, item).when(is_free_for(head.request.as_ref())));
        writes.push(ExecutionSummary::of(head, State::Running, None, Vec::new()).write()?);
        for shard in head.shards() {
            writes.push(Cursor::first(shard, head).write_first(head.started_at, expires)?);
        }
        writes.extend(further);
        let messages = head.shards().map(|shard| shard.message()).collect();
        Ok(refused(self.platform.commit(writes, messages).await)?.is_none())
    }

    /// Records that an occurrence was found too late to start. False where the campaign has changed since it was read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn miss(&self, campaign: &Campaign, summary: &ExecutionSummary) -> Result<bool, StoreError> {
        // Whoever asks for it by its id does not know the campaign, under which summaries stand.
        let mut by_id = Item::new(missed(summary.id)).with(DOCUMENT, document::encode(WHAT, summary)?);
        by_id.expires = Some(self.platform.clock.now().as_second() + LEDGER_TTL_SECONDS);
        let mut writes = campaigns::writes_by_envoi(campaign, Command::Complete.name())?;
        writes.extend([summary.write()?, Write::put(LEDGER, by_id)]);
        Ok(refused(self.platform.table.transact(writes).await)?.is_none())
    }

    /// The summary of an execution that was missed; `None` where it was not, or was long ago.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn missed(&self, id: ExecutionId) -> Result<Option<ExecutionSummary>, StoreError> {
        let item = self.platform.table.get(LEDGER, &missed(id), Consistency::Strong).await?;
        item.map(|item| document::decode(WHAT, &item)).transpose()
    }

    /// The execution, strongly read; `None` where it was never started or its ledger is gone.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn head(&self, id: ExecutionId) -> Result<Option<Head>, StoreError> {
        let item = self.platform.table.get(LEDGER, &tables::head(id), Consistency::Strong).await?;
        item.filter(|item| !is_planned(item)).as_ref().map(read).transpose()
    }

    /// Where the execution stands, strongly read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn state(&self, id: ExecutionId) -> Result<Option<State>, StoreError> {
        let item = self.platform.table.get(LEDGER, &tables::head(id), Consistency::Strong).await?;
        item.filter(|item| !is_planned(item)).as_ref().map(state_of).transpose()
    }

    /// Moves an execution from one of `from` to `to`, with its summary, and returns it as it is then; `None` where it is in
    /// none of them.
    ///
    /// # Errors
    /// [`StoreError::Contended`]; the engine's.
    pub async fn turn(&self, id: ExecutionId, from: &[State], to: State) -> Result<Option<Head>, StoreError> {
        for _ in 0..TRIES {
            let Some(head) = self.head(id).await?.filter(|head| from.contains(&head.state)) else {
                return Ok(None);
            };
            let turned = Head { state: to, ..head.clone() };
            let writes = self.turn_writes(&head, &turned, Vec::new())?;
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return self.head(id).await;
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// The writes by which an execution becomes what it is to be, with its summary: on condition of where it stood when it
    /// was read, and of nothing else. A resend changes it with every chunk and must not keep it from being turned.
    pub(super) fn turn_writes(
        &self,
        from: &Head,
        to: &Head,
        mut changes: Vec<Change>,
    ) -> Result<Vec<Write>, StoreError> {
        let at_ms = self.platform.clock.now().as_millisecond();
        changes.extend([
            Change::set(STATE, to.state.name()),
            Change::add(REVISION, 1),
            Change::Due(Some(Due { bucket: tables::bucket(to.id.as_bytes()), at_ms })),
        ]);
        let mut writes = vec![Write::update(LEDGER, tables::head(to.id), changes).when(stands_as(from))];
        // A call is in no list of executions.
        if !to.is_call() {
            writes.push(ExecutionSummary::of(to, to.state, None, Vec::new()).write()?);
        }
        Ok(writes)
    }

    /// Looks at the execution again at `at_ms` (milliseconds since the Unix epoch), so that others are looked at before.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn look_at_execution(&self, head: &Head, at_ms: i64) -> Result<(), StoreError> {
        let open = Condition::All(vec![
            Condition::equals(REVISION, head.revision),
            Condition::equals(STATE, head.state.name()),
        ]);
        let changes = vec![Change::Due(Some(Due { bucket: tables::bucket(head.id.as_bytes()), at_ms }))];
        // Where it has changed, it is due as that change says.
        self.platform.table.update(LEDGER, &tables::head(head.id), Some(open), changes).await?;
        Ok(())
    }

    /// Remembers on the execution that its open chunks were handed to their queues again at `at_ms`, unless that
    /// happened after `before_ms`. False where it did.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn nudge(&self, id: ExecutionId, at_ms: i64, before_ms: i64) -> Result<bool, StoreError> {
        let condition = Condition::All(vec![
            Condition::Exists,
            Condition::Any(vec![
                Condition::Lacks("nudged".to_owned()),
                Condition::Below("nudged".to_owned(), before_ms),
            ]),
        ]);
        let changes = vec![Change::set("nudged", at_ms)];
        let updated = self.platform.table.update(LEDGER, &tables::head(id), Some(condition), changes).await?;
        Ok(matches!(updated, Updated::New(_)))
    }

    /// Ends an execution whose chunks are all closed, with the campaign as it is to be afterwards. False where either
    /// has changed since it was read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn end(
        &self,
        head: &Head,
        state: State,
        counts: Vec<Counts>,
        campaign: Option<&Campaign>,
    ) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        let unchanged = Condition::All(vec![
            Condition::equals(REVISION, head.revision),
            Condition::equals(STATE, head.state.name()),
        ]);
        let changes = vec![
            Change::set(STATE, state.name()),
            Change::set(ENDED, now.as_millisecond()),
            Change::add(REVISION, 1),
            Change::Remove(CALL.to_owned()),
            Change::Due(None),
        ];
        let mut writes = vec![
            Write::update(LEDGER, tables::head(head.id), changes).when(unchanged),
            ExecutionSummary::of(head, state, Some(now), counts).write()?,
        ];
        if let Some(campaign) = campaign {
            writes.extend(campaigns::writes_by_envoi(campaign, Command::Complete.name())?);
        }
        for shard in head.shards() {
            writes.push(Cursor::rest(shard));
        }
        Ok(refused(self.platform.table.transact(writes).await)?.is_none())
    }

    /// Takes up a completed execution again, with the campaign as it is to be then, so that chunks of it can be opened.
    /// False where either has changed since it was read. The campaign's history is the caller's affair.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn take_up(&self, head: &Head, campaign: &Campaign) -> Result<bool, StoreError> {
        let now_ms = self.platform.clock.now().as_millisecond();
        let unchanged = Condition::All(vec![
            Condition::equals(REVISION, head.revision),
            Condition::equals(STATE, State::Completed.name()),
        ]);
        let changes = vec![
            Change::set(STATE, State::Running.name()),
            Change::add(REVISION, 1),
            Change::Due(Some(Due { bucket: tables::bucket(head.id.as_bytes()), at_ms: now_ms })),
        ];
        let mut writes = campaigns::writes(campaign)?;
        writes.extend([
            Write::update(LEDGER, tables::head(head.id), changes).when(unchanged),
            ExecutionSummary::of(head, State::Running, None, Vec::new()).write()?,
        ]);
        writes.extend(head.shards().map(|shard| Cursor::wake(shard, now_ms, head.actions.len())));
        Ok(refused(self.platform.table.transact(writes).await)?.is_none())
    }

    /// What stays of an execution for good; `None` where its campaign is gone.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn summary(&self, head: &Head) -> Result<Option<ExecutionSummary>, StoreError> {
        let key = tables::summary(head.campaign, head.occurrence.as_millisecond(), head.id);
        let item = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
        item.map(|item| document::decode(WHAT, &item)).transpose()
    }

    /// A page of the executions of a campaign, the latest occurrence first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn executions(
        &self,
        campaign: CampaignId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<ExecutionSummary>, Option<String>), StoreError> {
        let query = Query {
            range: Range::Prefix("X#".to_owned()),
            descending: true,
            ..Query::of(tables::campaign_partition(campaign), limit).after(after)
        };
        let page = self.platform.table.query(CONTROL, query).await?;
        let summaries =
            page.items.iter().map(|item| document::decode(WHAT, item)).collect::<Result<_, _>>()?;
        Ok((summaries, page.next))
    }

    /// The condition and change by which a chunk that is reopened keeps its execution from being taken for complete.
    pub(super) fn touch_open(id: ExecutionId) -> Write {
        Write::update(LEDGER, tables::head(id), vec![Change::add(REVISION, 1)]).when(is_open())
    }
}

/// It is in the state in which it was read, and where it was paused, by the same pause.
fn stands_as(head: &Head) -> Condition {
    let mut stands = vec![Condition::equals(STATE, head.state.name())];
    if let Some(paused_at) = head.paused_at {
        stands.push(Condition::equals(PAUSED, paused_at.as_millisecond()));
    }
    Condition::All(stands)
}

/// It has not ended and is not about to.
fn is_open() -> Condition {
    Condition::Any(State::OPEN.into_iter().map(|state| Condition::equals(STATE, state.name())).collect())
}

fn missed(id: ExecutionId) -> Key {
    Key { sk: "MISSED".to_owned(), ..tables::head(id) }
}

pub(super) fn read(item: &Item) -> Result<Head, StoreError> {
    let mut head: Head = document::decode(WHAT, item)?;
    head.state = state_of(item)?;
    let since = item.number(PAUSED).and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
    head.paused_at = since.filter(|_| head.state == State::Paused);
    head.paused_for_ms = item.number(PAUSED_FOR).unwrap_or(0);
    let ended = item.number(ENDED).and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
    head.ended_at = ended.filter(|_| matches!(head.state, State::Completed | State::Stopped));
    head.revision = item.number(REVISION).unwrap_or(0);
    head.call = call_of(item)?;
    Ok(head)
}

fn state_of(item: &Item) -> Result<State, StoreError> {
    item.text(STATE).and_then(State::from_name).ok_or(StoreError::Corrupt { what: WHAT, source: None })
}
