//! Campaigns, their versions and contents.
//!
//! The campaign's item is the guard of everything that happens to it: each change is a put on condition of the revision
//! that was read, so two changes at once are decided by one conditional write.

use campaign::content::Content;
use campaign::status::{self, Command};
use campaign::{Campaign, CampaignId, Status, Version};
use jiff::{SignedDuration, Timestamp};
use platform::{Change, Consistency, Due, Item, Platform, Query, Updated, Write};

use crate::document::{self, DOCUMENT, REVISION};
use crate::error::refused;
use crate::tables::{self, CONTROL};
use crate::{StoreError, messages};

const WHAT: &str = "campaign";
/// How long an activation may take before the sweep asks for it again.
const ACTIVATION_PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How often a change is tried anew when others change the campaign at the same time.
const TRIES: usize = 10;

/// A page of campaigns, the newest first.
#[derive(Debug, Clone, Default)]
pub struct CampaignPage {
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
    /// Where to go on.
    pub next: Option<String>,
}

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

    /// Stores a new campaign with its first draft.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where the id is taken.
    pub async fn create(
        &self,
        campaign: &Campaign,
        version: &Version,
        contents: &[Content],
    ) -> Result<(), StoreError> {
        let mut writes = vec![write(campaign)?];
        writes.extend(version_writes(campaign.id, version, contents)?);
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

    /// A page of all campaigns, the newest first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(&self, after: Option<String>, limit: usize) -> Result<CampaignPage, StoreError> {
        let query = Query { descending: true, ..Query::of(tables::CAMPAIGNS, limit).after(after) };
        let page = self.platform.table.query(CONTROL, query).await?;
        let campaigns = page.items.iter().map(read).collect::<Result<_, _>>()?;
        Ok(CampaignPage { campaigns, next: page.next })
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

    /// Stores an edited draft: the campaign (whose `revision` is the one that was read) and, where given, its draft
    /// version. What `before` had more actions than now loses their contents.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where the campaign has changed meanwhile.
    pub async fn save_draft(
        &self,
        campaign: &Campaign,
        draft: Option<(&Version, &[Content])>,
        before: usize,
    ) -> Result<(), StoreError> {
        let mut writes = vec![write(campaign)?];
        if let Some((version, contents)) = draft {
            writes.extend(version_writes(campaign.id, version, contents)?);
            for action in contents.len()..before {
                let action = u8::try_from(action).unwrap_or(u8::MAX);
                writes.push(Write::delete(CONTROL, tables::content(campaign.id, version.number, action)));
            }
        }
        self.transact(writes, Vec::new()).await
    }

    /// Changes a campaign by a command, as its status allows: reads, lets `change` edit, writes on condition of what was
    /// read, and tries anew where somebody else was faster. Returns the campaign as it is afterwards. A command that
    /// repeats what already holds writes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`], [`StoreError::NotFound`], or whatever `change` returns.
    pub async fn command(
        &self,
        id: CampaignId,
        command: Command,
        mut change: impl FnMut(&mut Campaign) -> Result<(), StoreError>,
    ) -> Result<Campaign, StoreError> {
        for _ in 0..TRIES {
            let mut campaign = self.get(id).await?;
            let before = campaign.clone();
            campaign.status = status::after(campaign.status, command)?;
            change(&mut campaign)?;
            if campaign == before {
                return Ok(campaign);
            }
            campaign.modified_at = self.platform.clock.now();
            let messages = if campaign.status == Status::Activating {
                vec![messages::WakeUp::Activate { campaign: id }.message()]
            } else {
                Vec::new()
            };
            match self.transact(vec![write(&campaign)?], messages).await {
                Ok(()) => {
                    campaign.revision += 1;
                    return Ok(campaign);
                }
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Removes a draft for good.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] where it was ever activated, [`StoreError::Stale`] where it has changed since it was
    /// read at `revision`.
    pub async fn delete(&self, id: CampaignId, revision: i64) -> Result<(), StoreError> {
        let campaign = self.get(id).await?;
        status::after(campaign.status, Command::Delete)?;
        let mut writes =
            vec![Write::delete(CONTROL, tables::campaign(id)).when(document::at_revision(revision))];
        if let Some(number) = campaign.draft_version {
            let version = self.version(id, number).await?;
            writes.push(Write::delete(CONTROL, tables::version(id, number)));
            for action in 0..version.actions.len() {
                let action = u8::try_from(action).unwrap_or(u8::MAX);
                writes.push(Write::delete(CONTROL, tables::content(id, number, action)));
            }
        }
        self.transact(writes, Vec::new()).await
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

    /// Looks at a campaign again later, where it has not changed meanwhile.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn postpone(&self, campaign: &Campaign) -> Result<(), StoreError> {
        let at = self.platform.clock.now() + ACTIVATION_PATIENCE;
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

/// A put of the campaign under its next revision, on condition of the one it has.
pub(crate) fn write(campaign: &Campaign) -> Result<Write, StoreError> {
    let mut item = Item::new(tables::campaign(campaign.id))
        .with(DOCUMENT, document::encode(WHAT, campaign)?)
        .with(REVISION, campaign.revision + 1)
        .with("status", campaign.status.name())
        .with("open", campaign.open_executions);
    if let Some(version) = campaign.live_version {
        item = item.with("live", i64::from(version));
    }
    if let Some(version) = campaign.draft_version {
        item = item.with("draft", i64::from(version));
    }
    if let Some(next) = campaign.next_occurrence {
        item = item.with("next", next.as_millisecond());
    }
    item.due = match campaign.status {
        Status::Activating => Some(due(campaign.id, campaign.modified_at + ACTIVATION_PATIENCE)),
        Status::Scheduled | Status::Live => campaign.next_occurrence.map(|next| due(campaign.id, next)),
        _ => None,
    };
    Ok(Write::put(CONTROL, item).when(document::at_revision(campaign.revision)))
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
    campaign.next_occurrence =
        item.number("next").map(Timestamp::from_millisecond).transpose().map_err(|_| corrupt())?;
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
