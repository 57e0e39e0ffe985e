//! Campaigns, their versions and contents.
//!
//! The campaign's item is the guard of everything that happens to it: each change is a put on condition of the revision
//! that was read, so two changes at once are decided by one conditional write.

mod history;
mod lowered;
mod rows;

use campaign::content::Content;
use campaign::model::Actor;
use campaign::status::Command;
use campaign::{Campaign, CampaignId, Status, Version};
use jiff::{SignedDuration, Timestamp};
use platform::{Change, Condition, Consistency, Due, Item, Platform, Updated, Write};

use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::tables::{self, CONTROL};
use crate::{StoreError, messages};

pub use history::HistoryEntry;
pub use lowered::Lowering;
pub use rows::{Direction, MOST_ROWS_READ, Place, RowPage, RowQuery, Sort, Span};

const WHAT: &str = "campaign";
/// The attribute that counts the checks of an activation that have begun and not ended. No revision counts it: it changes
/// nothing for anybody, and whoever checks decides on what they read.
const CHECKS: &str = "checks";
/// How long an activation may take before the sweep asks for it again.
const ACTIVATION_PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How often a change is tried anew when others change the campaign at the same time.
const TRIES: usize = 10;

/// The repository of campaigns.
#[derive(Debug, Clone)]
pub struct Campaigns {
    platform: Platform,
}

impl Campaigns {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Stores a new campaign with its first draft, and what its history begins with. A duplicate's original gets an entry
    /// of its own.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where the id is taken.
    pub async fn create(
        &self,
        campaign: &Campaign,
        version: &Version,
        contents: &[Content],
        original: Option<CampaignId>,
    ) -> Result<(), StoreError> {
        let by = &campaign.created_by;
        let mut entry = HistoryEntry::of(campaign, "create", by).with_version(Some(version.number));
        entry.campaign = original;
        let mut writes = writes(campaign)?;
        writes.push(entry.write(campaign.id)?);
        writes.extend(version_writes(campaign.id, version, contents)?);
        if let Some(original) = original {
            let mut entry = HistoryEntry::new(Command::Duplicate.name(), by, campaign.created_at);
            entry.campaign = Some(campaign.id);
            writes.push(entry.write(original)?);
        }
        self.transact(writes, Vec::new()).await
    }

    /// The campaign, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        let item = self.platform.table.get(CONTROL, &tables::campaign(id), Consistency::Strong).await?;
        item.map_or_else(|| Err(StoreError::not_found(WHAT, id)), |item| read(&item))
    }

    /// One version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn version(&self, id: CampaignId, number: u32) -> Result<Version, StoreError> {
        let item =
            self.platform.table.get(CONTROL, &tables::version(id, number), Consistency::Strong).await?;
        let item =
            item.ok_or_else(|| StoreError::not_found("version", format_args!("{number} of campaign {id}")))?;
        document::decode("version", &item)
    }

    /// The content of one action of a version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn content(&self, id: CampaignId, version: u32, action: u8) -> Result<Content, StoreError> {
        let key = tables::content(id, version, action);
        let item = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
        let item = item.ok_or_else(|| {
            StoreError::not_found("content", format_args!("{action} of version {version} of campaign {id}"))
        })?;
        document::decode("content", &item)
    }

    /// The contents of a version, in the order of its actions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn contents(&self, id: CampaignId, version: &Version) -> Result<Vec<Content>, StoreError> {
        let mut contents = Vec::with_capacity(version.actions.len());
        for action in 0..u8::try_from(version.actions.len()).unwrap_or(u8::MAX) {
            contents.push(self.content(id, version.number, action).await?);
        }
        Ok(contents)
    }

    /// Stores an edited campaign (whose `revision` is the one that was read) and, where given, its draft version. What
    /// `before` had more actions than now loses their contents. `changed` names the fields for the history.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where the campaign has changed meanwhile.
    pub async fn save_draft(
        &self,
        campaign: &Campaign,
        draft: Option<(&Version, &[Content])>,
        before: usize,
        by: &Actor,
        changed: Vec<String>,
    ) -> Result<(), StoreError> {
        let command = if draft.is_some() { Command::Edit } else { Command::Rename };
        let mut entry = HistoryEntry::of(campaign, command.name(), by);
        entry = entry.with_version(draft.map(|(version, _)| version.number));
        entry.changed = changed;
        let mut writes = writes(campaign)?;
        writes.push(entry.write(campaign.id)?);
        if let Some((version, contents)) = draft {
            writes.extend(version_writes(campaign.id, version, contents)?);
            for action in contents.len()..before {
                let action = u8::try_from(action).unwrap_or(u8::MAX);
                writes.push(Write::delete(CONTROL, tables::content(campaign.id, version.number, action)));
                writes.push(Write::delete(CONTROL, tables::lowered(campaign.id, version.number, action)));
            }
        }
        self.transact(writes, Vec::new()).await
    }

    /// Changes a campaign by a command, where it allows it: reads, applies it, lets `change` do the rest, writes on
    /// condition of what was read together with the history's entry, and tries anew where somebody else was faster.
    /// Returns the campaign as it is afterwards. A command that repeats what already holds writes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`], [`StoreError::NotFound`], or whatever `change` returns.
    pub async fn command(
        &self,
        id: CampaignId,
        command: Command,
        by: &Actor,
        change: impl FnMut(&mut Campaign) -> Result<(), StoreError>,
    ) -> Result<Campaign, StoreError> {
        self.command_with(id, command, by, Vec::new(), change).await
    }

    /// As [`command`](Self::command), with further writes in the same transaction.
    ///
    /// # Errors
    /// As [`command`](Self::command)'s.
    pub async fn command_with(
        &self,
        id: CampaignId,
        command: Command,
        by: &Actor,
        further: Vec<Write>,
        mut change: impl FnMut(&mut Campaign) -> Result<(), StoreError>,
    ) -> Result<Campaign, StoreError> {
        for _ in 0..TRIES {
            let mut campaign = self.get(id).await?;
            let before = campaign.clone();
            let now = self.platform.clock.now();
            campaign.apply(command, now)?;
            change(&mut campaign)?;
            if campaign == before {
                return Ok(campaign);
            }
            campaign.touch(now);
            let entry = HistoryEntry::of(&campaign, command.name(), by);
            let mut writes = writes(&campaign)?;
            let version = match command {
                // It is the campaign that ends, whatever is being edited beside what runs.
                Command::Stop | Command::Archive => before.live_version.or(before.draft_version),
                _ => before.draft_version.or(before.live_version),
            };
            writes.push(entry.with_version(version).write(id)?);
            writes.extend(further.iter().cloned());
            let messages = if command == Command::Activate {
                vec![messages::WakeUp::Activate { campaign: id }.message()]
            } else {
                Vec::new()
            };
            match self.transact(writes, messages).await {
                Ok(()) => {
                    campaign.revision += 1;
                    campaign.stored = Some(Box::new(campaign.row()));
                    return Ok(campaign);
                }
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Removes a draft that was never activated. Its history stays.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] where it was ever activated, [`StoreError::Stale`] where it has changed since it was
    /// read at `revision`.
    pub async fn delete(&self, id: CampaignId, revision: i64, by: &Actor) -> Result<(), StoreError> {
        let mut campaign = self.get(id).await?;
        campaign.after(Command::Delete)?;
        campaign.touch(self.platform.clock.now());
        let entry = HistoryEntry::of(&campaign, Command::Delete.name(), by);
        let mut writes = vec![
            Write::delete(CONTROL, tables::campaign(id)).when(document::at_revision(revision)),
            entry.with_version(campaign.draft_version).write(id)?,
        ];
        writes.extend(rows::writes(campaign.stored.as_deref(), None)?);
        if let Some(number) = campaign.draft_version {
            writes.extend(self.version_deletes(id, number).await?);
        }
        self.transact(writes, Vec::new()).await
    }

    /// Drops the draft beside the live version. Returns the campaign as it is afterwards.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] where there is none or it is the only version, [`StoreError::Stale`] where the campaign
    /// has changed since it was read at `revision`.
    pub async fn discard(&self, id: CampaignId, revision: i64, by: &Actor) -> Result<Campaign, StoreError> {
        let campaign = self.get(id).await?;
        campaign.after(Command::Discard)?;
        let further = match campaign.draft_version {
            Some(number) => self.version_deletes(id, number).await?,
            None => Vec::new(),
        };
        self.command_with(id, Command::Discard, by, further, |campaign| {
            if campaign.revision == revision { Ok(()) } else { Err(StoreError::Stale { what: WHAT }) }
        })
        .await
    }

    async fn version_deletes(&self, id: CampaignId, number: u32) -> Result<Vec<Write>, StoreError> {
        let version = self.version(id, number).await?;
        let mut writes = vec![Write::delete(CONTROL, tables::version(id, number))];
        for action in 0..version.actions.len() {
            let action = u8::try_from(action).unwrap_or(u8::MAX);
            writes.push(Write::delete(CONTROL, tables::content(id, number, action)));
            // An activation may have been asked for, and have failed.
            writes.push(Write::delete(CONTROL, tables::lowered(id, number, action)));
        }
        Ok(writes)
    }

    /// Campaigns that want to be looked at by now: activations that hang, and starts that are due. One that can't be read
    /// is an error in its place.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn due(&self, until: Timestamp) -> Result<Vec<Result<Campaign, StoreError>>, StoreError> {
        let mut campaigns = Vec::new();
        for bucket in 0..platform::table::DUE_BUCKETS {
            let items = self.platform.table.query_due(CONTROL, bucket, until.as_millisecond(), 100).await?;
            for item in items.iter().filter(|item| item.key.pk == tables::CAMPAIGNS) {
                campaigns.push(read(item));
            }
        }
        Ok(campaigns)
    }

    /// Notes that a check of a campaign's draft begins; how many have begun, this one included, since the activation was asked
    /// for, and have not ended. What kills the process is known by that.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where the campaign has changed since it was read.
    pub async fn begin_check(&self, campaign: &Campaign) -> Result<i64, StoreError> {
        let (table, key) = (&self.platform.table, tables::campaign(campaign.id));
        let condition = document::at_revision(campaign.revision);
        match table.update(CONTROL, &key, Some(condition), vec![Change::add(CHECKS, 1)]).await? {
            Updated::New(item) => Ok(item.number(CHECKS).unwrap_or(1)),
            Updated::Refused(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }

    /// Notes that a check has ended, if without a decision. A decision needs no such note.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn end_check(&self, id: CampaignId) -> Result<(), StoreError> {
        let (table, key) = (&self.platform.table, tables::campaign(id));
        let condition = Condition::Above(CHECKS.to_owned(), 0);
        match table.update(CONTROL, &key, Some(condition), vec![Change::add(CHECKS, -1)]).await? {
            Updated::New(_) | Updated::Refused(_) => Ok(()),
        }
    }

    /// Looks at a campaign again later, where it has not changed meanwhile.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn postpone(&self, campaign: &Campaign) -> Result<(), StoreError> {
        let mut at = self.platform.clock.now() + ACTIVATION_PATIENCE;
        if let Some(next) = campaign.next_occurrence.filter(|next| *next > self.platform.clock.now()) {
            at = at.min(next);
        }
        let changes = vec![Change::Due(Some(due(campaign.id, at)))];
        let condition = document::at_revision(campaign.revision);
        match self
            .platform
            .table
            .update(CONTROL, &tables::campaign(campaign.id), Some(condition), changes)
            .await?
        {
            Updated::New(_) | Updated::Refused(_) => Ok(()),
        }
    }

    async fn transact(&self, writes: Vec<Write>, messages: Vec<platform::Message>) -> Result<(), StoreError> {
        match refused(self.platform.commit(writes, messages).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }
}

fn due(id: CampaignId, at: Timestamp) -> Due {
    Due { bucket: tables::bucket(id.as_bytes()), at_ms: at.as_millisecond() }
}

/// A put of the campaign under its next revision, on condition of the one it has, and what its rows in the list change by.
pub(crate) fn writes(campaign: &Campaign) -> Result<Vec<Write>, StoreError> {
    let mut item = Item::new(tables::campaign(campaign.id))
        .with(DOCUMENT, document::encode(WHAT, campaign)?)
        .with(REVISION, campaign.revision + 1)
        .with("status", campaign.status.name())
        .with("open", campaign.open_executions);
    for (name, version) in [("live", campaign.live_version), ("draft", campaign.draft_version)] {
        if let Some(version) = version {
            item = item.with(name, i64::from(version));
        }
    }
    for (name, instant) in [
        ("activating", campaign.activating_since),
        ("next", campaign.next_occurrence),
        ("last", campaign.last_occurrence),
        ("closes", campaign.closes),
    ] {
        if let Some(instant) = instant {
            item = item.with(name, instant.as_millisecond());
        }
    }
    if campaign.activating_since.is_some() && campaign.checks_begun > 0 {
        item = item.with(CHECKS, campaign.checks_begun);
    }
    let check = campaign.activating_since.map(|asked| asked + ACTIVATION_PATIENCE);
    let start =
        campaign.next_occurrence.filter(|_| matches!(campaign.status, Status::Scheduled | Status::Live));
    let close = campaign.closes.filter(|_| campaign.status == Status::Live);
    item.due = check.into_iter().chain(start).chain(close).min().map(|at| due(campaign.id, at));
    debug_assert_eq!(campaign.revision == 0, campaign.stored.is_none(), "its rows are not known");
    let mut writes = vec![Write::put(CONTROL, item).when(document::at_revision(campaign.revision))];
    writes.extend(rows::writes(campaign.stored.as_deref(), Some(&campaign.row()))?);
    Ok(writes)
}

/// The writes of a campaign that Envoi itself changes, with an entry in its history where its status changes.
pub(crate) fn writes_by_envoi(campaign: &Campaign, command: &str) -> Result<Vec<Write>, StoreError> {
    let mut writes = writes(campaign)?;
    if campaign.stored.as_ref().is_none_or(|stored| stored.status != campaign.status) {
        let entry = HistoryEntry::of(campaign, command, &Actor::envoi());
        writes.push(entry.with_version(campaign.live_version).write(campaign.id)?);
    }
    Ok(writes)
}

fn read(item: &Item) -> Result<Campaign, StoreError> {
    let mut campaign: Campaign = document::decode(WHAT, item)?;
    let corrupt = || StoreError::Corrupt { what: WHAT, source: None };
    let number = |name| item.number(name).map(u32::try_from).transpose().map_err(|_| corrupt());
    campaign.status = item.text("status").and_then(Status::from_name).ok_or_else(corrupt)?;
    campaign.revision = item.number(REVISION).ok_or_else(corrupt)?;
    campaign.open_executions = item.number("open").unwrap_or(0);
    campaign.live_version = number("live")?;
    campaign.draft_version = number("draft")?;
    let instant =
        |name| item.number(name).map(Timestamp::from_millisecond).transpose().map_err(|_| corrupt());
    campaign.activating_since = instant("activating")?;
    campaign.checks_begun = item.number(CHECKS).unwrap_or(0);
    campaign.next_occurrence = instant("next")?;
    campaign.last_occurrence = instant("last")?;
    campaign.closes = instant("closes")?;
    campaign.stored = Some(Box::new(campaign.row()));
    Ok(campaign)
}

fn version_writes(id: CampaignId, version: &Version, contents: &[Content]) -> Result<Vec<Write>, StoreError> {
    let put = |key, bytes: Vec<u8>| Write::put(CONTROL, Item::new(key).with(DOCUMENT, bytes));
    let mut writes = vec![put(tables::version(id, version.number), document::encode("version", version)?)];
    for (action, content) in contents.iter().enumerate() {
        let key = tables::content(id, version.number, u8::try_from(action).unwrap_or(u8::MAX));
        writes.push(put(key, document::encode("content", content)?));
    }
    Ok(writes)
}
