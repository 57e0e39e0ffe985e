//! A campaign's row in the list of campaigns.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Actor, CampaignType, Category};
use crate::standing::Standing;
use crate::{Campaign, CampaignId, Channel, Command, Status};

/// What the list of campaigns shows of one: small, and enough to say what may be done with it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignRow {
    /// Its id.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// What starts it.
    #[serde(rename = "type")]
    pub kind: CampaignType,
    /// Why people get it.
    pub category: Category,
    /// The channels of its live version, or else of its draft.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The version that runs or will run.
    #[serde(default, rename = "live", skip_serializing_if = "Option::is_none")]
    pub live_version: Option<u32>,
    /// The version being edited, alone or beside the live one.
    #[serde(default, rename = "draft", skip_serializing_if = "Option::is_none")]
    pub draft_version: Option<u32>,
    /// When the activation of its draft was asked for, while that is being checked.
    #[serde(default, rename = "activating", skip_serializing_if = "Option::is_none")]
    pub activating_since: Option<Timestamp>,
    /// When it next starts.
    #[serde(default, rename = "next", skip_serializing_if = "Option::is_none")]
    pub next_occurrence: Option<Timestamp>,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
}

impl CampaignRow {
    /// What a user may do with it now.
    pub fn actions(&self) -> Vec<Command> {
        Standing::from(self).actions()
    }
}

impl Campaign {
    /// Its row in the list.
    pub fn row(&self) -> CampaignRow {
        // As the campaign will be read again: these two are kept in milliseconds.
        let kept = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        CampaignRow {
            id: self.id,
            name: self.name.clone(),
            status: self.status,
            kind: self.kind,
            category: self.category,
            channels: self.channels.clone(),
            tags: self.tags.clone(),
            live_version: self.live_version,
            draft_version: self.draft_version,
            activating_since: self.activating_since.map(kept),
            next_occurrence: self.next_occurrence.map(kept),
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            modified_at: self.modified_at,
        }
    }
}
