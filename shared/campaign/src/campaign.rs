//! A campaign: the thing with a life.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CampaignId, Status};

/// What starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignType {
    /// Its schedule.
    Scheduled,
}

/// Why people get it; it decides whether consent is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Promotion: only to who has not opted out.
    Marketing,
    /// Something the recipient did or needs: a receipt, a password reset. Opt-outs do not apply.
    Transactional,
}

/// A campaign without its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id; later campaigns have greater ids.
    pub id: CampaignId,
    /// Its name, for people.
    pub name: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Labels to filter by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What starts it.
    #[serde(rename = "type")]
    pub kind: CampaignType,
    /// Why people get it.
    pub category: Category,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Why the last activation failed; empty where none has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activation_errors: Vec<Finding>,

    // What conditions are made on is kept as attributes of its own, not inside the stored document.
    /// Where it stands.
    #[serde(skip, default = "draft")]
    pub status: Status,
    /// Counts its changes; the ETag.
    #[serde(skip)]
    pub revision: i64,
    /// The version that runs or will run.
    #[serde(skip)]
    pub live_version: Option<u32>,
    /// The version being edited.
    #[serde(skip)]
    pub draft_version: Option<u32>,
    /// When it next starts.
    #[serde(skip)]
    pub next_occurrence: Option<Timestamp>,
    /// How many of its executions have not ended.
    #[serde(skip)]
    pub open_executions: i64,
}

impl Campaign {
    /// From when on its schedule counts, were it activated at `now`: from when that was asked for, where it was.
    pub fn asked_at(&self, now: Timestamp) -> Timestamp {
        if self.status == Status::Activating { self.modified_at.min(now) } else { now }
    }
}

const fn draft() -> Status {
    Status::Draft
}

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;
/// The most tags.
pub const MAX_TAGS: usize = 50;

/// Something that validation has to say of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable code, such as `empty_segment`.
    pub code: String,
    /// Whether it stops an activation.
    pub severity: Severity,
    /// The field it is about, such as `actions[0].content.subject`.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
}

impl Finding {
    /// A finding that stops an activation.
    pub fn error(code: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            field: field.into(),
            message: message.into(),
        }
    }

    /// A finding that stops nothing.
    pub fn warning(code: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, field, message) }
    }
}

/// Whether a finding stops an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}
