//! What was done to a campaign, by whom and when. An entry is written with the change it tells of, and never again.

use campaign::id::random_bytes;
use campaign::model::Actor;
use campaign::{Campaign, CampaignId, ExecutionId, Status};
use jiff::Timestamp;
use platform::{Condition, Item, Query, Range, Write};
use serde::{Deserialize, Serialize};

use super::Campaigns;
use crate::StoreError;
use crate::document::{self, DOCUMENT};
use crate::tables::{self, CONTROL};

const WHAT: &str = "history entry";

/// One thing that was done to a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Actor,
    /// What was done: a command's name, or `create`, `start`, `pause`, `resume`.
    pub command: String,
    /// The status before; `None` where there was none, or it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_before: Option<Status>,
    /// The status after; `None` where it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The version it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The execution it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionId>,
    /// The other campaign, where one was made from the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The names of the fields that were given other values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The campaign's revision before: keeps entries of one millisecond in order.
    #[serde(skip)]
    revision: i64,
}

/// The place in its millisecond of what changes nothing in the campaign itself: behind all that does.
const BEHIND: i64 = 9_999_999_999;

impl HistoryEntry {
    /// What made a campaign as it is now of what was stored, at its `modified_at`.
    pub fn of(campaign: &Campaign, command: &str, by: &Actor) -> Self {
        Self {
            status_before: campaign.stored.as_ref().map(|stored| stored.status),
            status: Some(campaign.status),
            revision: campaign.revision,
            ..Self::new(command, by, campaign.modified_at)
        }
    }

    /// What leaves the campaign itself as it is.
    pub fn new(command: &str, by: &Actor, at: Timestamp) -> Self {
        Self {
            at,
            by: by.clone(),
            command: command.to_owned(),
            status_before: None,
            status: None,
            version: None,
            execution: None,
            campaign: None,
            changed: Vec::new(),
            revision: BEHIND,
        }
    }

    /// The same, done to this version.
    #[must_use]
    pub fn with_version(self, version: Option<u32>) -> Self {
        Self { version, ..self }
    }

    /// The same, done to this execution.
    #[must_use]
    pub fn with_execution(self, execution: ExecutionId) -> Self {
        Self { execution: Some(execution), ..self }
    }

    /// Its only write, for the transaction of what it tells of.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it can't be encoded.
    pub fn write(&self, of: CampaignId) -> Result<Write, StoreError> {
        let [a, b, c, d, ..] = random_bytes();
        let unique = u32::from_be_bytes([a, b, c, d]);
        let key = tables::history(of, self.at.as_millisecond(), self.revision, unique);
        let item = Item::new(key).with(DOCUMENT, document::encode(WHAT, self)?);
        Ok(Write::put(CONTROL, item).when(Condition::NotExists))
    }
}

impl Campaigns {
    /// Writes an entry that goes with no other change.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn record(&self, id: CampaignId, entry: &HistoryEntry) -> Result<(), StoreError> {
        self.transact(vec![entry.write(id)?], Vec::new()).await
    }

    /// A page of a campaign's history, the latest first. It outlives a deleted campaign.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn history(
        &self,
        id: CampaignId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<HistoryEntry>, Option<String>), StoreError> {
        let query = Query {
            range: Range::Prefix(tables::HISTORY.to_owned()),
            descending: true,
            ..Query::of(tables::campaign_partition(id), limit).after(after)
        };
        let page = self.platform.table.query(CONTROL, query).await?;
        let entries = page.items.iter().map(|item| document::decode(WHAT, item)).collect::<Result<_, _>>()?;
        Ok((entries, page.next))
    }
}
