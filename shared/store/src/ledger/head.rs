//! Executions: one run of one version.

use campaign::content::OnMissing;
use campaign::outcome::OnUnknown;
use campaign::report::Counts;
use campaign::{Campaign, CampaignId, Category, Channel, ExecutionId, SegmentId};
use jiff::Timestamp;
use platform::{Change, Condition, Consistency, Due, Item, Key, Message, Query, Range, Updated, Write};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::cursor::Cursor;
use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::messages::{ChunkKey, FanOut};
use crate::tables::{self, CONTROL, LEDGER, LEDGER_TTL_SECONDS};
use crate::{StoreError, campaigns};

const WHAT: &str = "execution";
const STATE: &str = "state";

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way.
    Running,
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
    /// Its name in the API and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Missed => "missed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Stopping, Self::Completed, Self::Stopped, Self::Missed]
            .into_iter()
            .find(|state| state.name() == name)
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
    /// Where it stands.
    #[serde(skip, default = "running")]
    pub state: State,
    /// Counts its changes.
    #[serde(skip)]
    pub revision: i64,
}

const fn running() -> State {
    State::Running
}

impl Head {
    /// The message that has a chunk of it delivered.
    pub fn message(&self, chunk: &ChunkKey) -> Message {
        let channel = self.actions.get(usize::from(chunk.action)).copied().unwrap_or(Channel::Email);
        let mut message = chunk.message(channel);
        message.group = Some(self.campaign.to_string());
        message
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
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The counts of each action, once it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Counts>,
}

impl ExecutionSummary {
    fn of(head: &Head, state: State, ended_at: Option<Timestamp>, counts: Vec<Counts>) -> Self {
        Self {
            id: head.id,
            campaign: head.campaign,
            version: head.version,
            occurrence: head.occurrence,
            state,
            started_at: Some(head.started_at),
            ended_at,
            counts,
        }
    }

    fn write(&self) -> Result<Write, StoreError> {
        let key = tables::summary(self.campaign, self.occurrence.as_millisecond(), self.id);
        Ok(Write::put(CONTROL, Item::new(key).with(DOCUMENT, document::encode(WHAT, self)?)))
    }
}

impl Ledger {
    /// Starts an execution: the campaign (advanced past the occurrence), the execution, its cursors and its summary are
    /// written in one transaction with the messages that begin the fan-out. False where the campaign has changed since
    /// it was read; then nothing has happened.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn start(&self, campaign: &Campaign, head: &Head) -> Result<bool, StoreError> {
        let expires = head.started_at.as_second() + LEDGER_TTL_SECONDS;
        let mut item = Item::new(tables::head(head.id))
            .with(DOCUMENT, document::encode(WHAT, head)?)
            .with(STATE, State::Running.name())
            .with(REVISION, 1);
        // Due from the start to the end: every sweep looks whether it is complete.
        item.due =
            Some(Due { bucket: tables::bucket(head.id.as_bytes()), at_ms: head.started_at.as_millisecond() });
        item.expires = Some(expires);
        let mut writes = vec![
            campaigns::write(campaign)?,
            Write::put(LEDGER, item).when(Condition::NotExists),
            ExecutionSummary::of(head, State::Running, None, Vec::new()).write()?,
        ];
        for shard in head.shards() {
            writes.push(Cursor::first(shard, head.actions.len()).write_first(head.started_at, expires)?);
        }
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
        by_id.expires = Some(campaign.modified_at.as_second() + LEDGER_TTL_SECONDS);
        let writes = vec![campaigns::write(campaign)?, summary.write()?, Write::put(LEDGER, by_id)];
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
        item.as_ref().map(read).transpose()
    }

    /// Where the execution stands, strongly read.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn state(&self, id: ExecutionId) -> Result<Option<State>, StoreError> {
        let item = self.platform.table.get(LEDGER, &tables::head(id), Consistency::Strong).await?;
        item.as_ref().map(state_of).transpose()
    }

    /// Moves an execution from one of `from` to `to` and returns it as it is then; `None` where it is in none of them.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn turn(&self, id: ExecutionId, from: &[State], to: State) -> Result<Option<Head>, StoreError> {
        let allowed = from.iter().map(|state| Condition::equals(STATE, state.name())).collect();
        let at_ms = self.platform.clock.now().as_millisecond();
        let changes = vec![
            Change::set(STATE, to.name()),
            Change::add(REVISION, 1),
            Change::Due(Some(Due { bucket: tables::bucket(id.as_bytes()), at_ms })),
        ];
        match self
            .platform
            .table
            .update(LEDGER, &tables::head(id), Some(Condition::Any(allowed)), changes)
            .await?
        {
            Updated::New(item) => Ok(Some(read(&item)?)),
            Updated::Refused(_) => Ok(None),
        }
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
            Change::set("ended", now.as_millisecond()),
            Change::add(REVISION, 1),
            Change::Due(None),
        ];
        let mut writes = vec![
            Write::update(LEDGER, tables::head(head.id), changes).when(unchanged),
            ExecutionSummary::of(head, state, Some(now), counts).write()?,
        ];
        if let Some(campaign) = campaign {
            writes.push(campaigns::write(campaign)?);
        }
        for shard in head.shards() {
            writes.push(Cursor::rest(shard));
        }
        Ok(refused(self.platform.table.transact(writes).await)?.is_none())
    }

    /// Takes up a completed execution again, with the campaign as it is to be then, so that chunks of it can be opened.
    /// False where either has changed since it was read.
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
        let mut writes = vec![
            Write::update(LEDGER, tables::head(head.id), changes).when(unchanged),
            campaigns::write(campaign)?,
            ExecutionSummary::of(head, State::Running, None, Vec::new()).write()?,
        ];
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
    pub(super) fn touch_running(id: ExecutionId) -> Write {
        Write::update(LEDGER, tables::head(id), vec![Change::add(REVISION, 1)])
            .when(Condition::equals(STATE, State::Running.name()))
    }
}

fn missed(id: ExecutionId) -> Key {
    Key { sk: "MISSED".to_owned(), ..tables::head(id) }
}

fn read(item: &Item) -> Result<Head, StoreError> {
    let mut head: Head = document::decode(WHAT, item)?;
    head.state = state_of(item)?;
    head.revision = item.number(REVISION).unwrap_or(0);
    Ok(head)
}

fn state_of(item: &Item) -> Result<State, StoreError> {
    item.text(STATE).and_then(State::from_name).ok_or(StoreError::Corrupt { what: WHAT, source: None })
}
