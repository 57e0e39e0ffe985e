//! A campaign: the thing with a life.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::standing::Standing;
use crate::status::{Command, NotAllowed};
use crate::{CampaignId, CampaignRow, Channel, Status};

/// What starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignType {
    /// Its schedule.
    Scheduled,
    /// Calls, from its activation to its end.
    ApiTriggered,
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

/// Who did something: the holder of an API key, or Envoi itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The beginning of the key's id, or `envoi`.
    pub id: String,
    /// The key's name when it was used.
    pub name: String,
}

impl Actor {
    /// How much of a key's id is kept: enough to tell keys apart, and not the hash that the key is checked by.
    const SHOWN: usize = 16;

    /// The holder of the API key with this id and name.
    pub fn key(id: &str, name: &str) -> Self {
        Self { id: id.chars().take(Self::SHOWN).collect(), name: name.to_owned() }
    }

    /// Envoi itself: what happens without anybody's asking.
    pub fn envoi() -> Self {
        Self { id: "envoi".to_owned(), name: "Envoi".to_owned() }
    }
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
    /// The channels of its live version or else, where it has none, of its draft; each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Why the last activation failed; empty where none has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activation_errors: Vec<Finding>,
    /// The greatest version number it ever had: none is given twice.
    pub last_version: u32,
    /// When it was ended by hand, where it was; also once it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,

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
    /// The version being edited, alone or beside the live one.
    #[serde(skip)]
    pub draft_version: Option<u32>,
    /// When the activation of its draft was asked for, while that is being checked.
    #[serde(skip)]
    pub activating_since: Option<Timestamp>,
    /// How many checks of its draft have begun since, of which nobody has seen the end.
    #[serde(skip)]
    pub checks_begun: i64,
    /// When it next starts.
    #[serde(skip)]
    pub next_occurrence: Option<Timestamp>,
    /// The last occurrence that was started or missed.
    #[serde(skip)]
    pub last_occurrence: Option<Timestamp>,
    /// When it ends by itself, where calls start it and it does.
    #[serde(skip)]
    pub closes: Option<Timestamp>,
    /// How many of its executions have not ended.
    #[serde(skip)]
    pub open_executions: i64,
    /// Its row as it stands in the store; `None` where it is new. By this the store knows what has changed.
    #[serde(skip)]
    pub stored: Option<Box<CampaignRow>>,
}

impl Campaign {
    /// A new campaign with an empty first draft.
    pub fn new(name: &str, kind: CampaignType, category: Category, by: Actor, now: Timestamp) -> Self {
        Self {
            id: CampaignId::ordered(now.as_millisecond()),
            name: name.to_owned(),
            description: String::new(),
            tags: Vec::new(),
            kind,
            category,
            channels: Vec::new(),
            created_by: by,
            created_at: now,
            modified_at: now,
            activation_errors: Vec::new(),
            last_version: 1,
            stopped_at: None,
            status: Status::Draft,
            revision: 0,
            live_version: None,
            draft_version: Some(1),
            activating_since: None,
            checks_begun: 0,
            next_occurrence: None,
            last_occurrence: None,
            closes: None,
            open_executions: 0,
            stored: None,
        }
    }

    /// Notes that it changes at `now`. Its times never go back, whatever different machines' clocks show: its history is
    /// in the order of its changes.
    pub fn touch(&mut self, now: Timestamp) {
        self.modified_at = self.modified_at.max(now);
    }

    /// Since when its schedule counts, were it activated at `now`: since that was asked for, where it was. What it has
    /// started or missed by then is not started again by another version.
    pub fn asked_at(&self, now: Timestamp) -> Timestamp {
        let asked = self.activating_since.unwrap_or(now).min(now);
        // Slots are whole seconds at the least: the next instant is beyond the last slot and before any other.
        let beyond = self.last_occurrence.map(|last| last + jiff::SignedDuration::from_millis(1));
        beyond.map_or(asked, |beyond| asked.max(beyond))
    }

    /// The status after a command, where the campaign as it stands allows it.
    ///
    /// # Errors
    /// [`NotAllowed`], with the reason.
    pub fn after(&self, command: Command) -> Result<Status, NotAllowed> {
        Standing::from(self).after(command)
    }

    /// Does to it what a command does, at `now`.
    ///
    /// # Errors
    /// [`NotAllowed`]: then nothing has changed.
    pub fn apply(&mut self, command: Command, now: Timestamp) -> Result<(), NotAllowed> {
        let (before, after) = (self.status, self.after(command)?);
        self.status = after;
        match command {
            Command::Activate => {
                if self.activating_since.is_none() {
                    self.activating_since = Some(now);
                    self.checks_begun = 0;
                    self.activation_errors.clear();
                }
            }
            Command::BecomeScheduled | Command::BecomeLive | Command::Replace => {
                if self.activating_since.take().is_some() {
                    self.live_version = self.draft_version.take();
                }
                self.activation_errors.clear();
            }
            Command::FailActivation => self.activating_since = None,
            Command::Stop => {
                self.activating_since = None;
                self.next_occurrence = None;
                self.closes = None;
                if before != Status::Stopped && after == Status::Stopped {
                    self.stopped_at = Some(now);
                }
            }
            Command::Complete => self.complete(),
            Command::Discard => self.draft_version = None,
            Command::Edit
            | Command::Rename
            | Command::Archive
            | Command::Delete
            | Command::Duplicate
            | Command::Resend => {}
        }
        Ok(())
    }

    /// Whether it was ended by hand: what is not sent by then is not sent any more. One that has completed goes on with what
    /// was asked of it before, and putting a campaign away changes neither.
    pub fn is_stopped(&self) -> bool {
        self.status == Status::Stopped || self.stopped_at.is_some()
    }

    /// What a user may do with it now.
    pub fn actions(&self) -> Vec<Command> {
        Standing::from(self).actions()
    }

    /// Whether nothing of it runs and nothing is to come. What calls start is over at its end and no sooner.
    pub fn is_through(&self) -> bool {
        let has_starts = self.kind == CampaignType::ApiTriggered || self.next_occurrence.is_some();
        self.status == Status::Live && self.open_executions == 0 && !has_starts
    }

    /// Ends it by itself. Whatever was asked of its draft is over; the draft stays, to be read and duplicated.
    pub fn complete(&mut self) {
        self.status = Status::Completed;
        self.activating_since = None;
        self.closes = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stop_stops_and_an_archive_keeps_it() {
        let now = Timestamp::UNIX_EPOCH;
        let ended = |commands: &[Command]| {
            let by = Actor::envoi();
            let mut campaign = Campaign::new("c", CampaignType::ApiTriggered, Category::Marketing, by, now);
            for command in commands {
                campaign.apply(*command, now).expect("it is allowed");
            }
            let stored = serde_json::to_string(&campaign).expect("it can be stored");
            let read: Campaign = serde_json::from_str(&stored).expect("it can be read");
            Campaign { status: campaign.status, ..read }.is_stopped()
        };
        let [activate, live] = [Command::Activate, Command::BecomeLive];
        assert!(!ended(&[activate, Command::Stop]), "an activation that is called off leaves a draft");
        assert!(ended(&[activate, live, Command::Stop]));
        assert!(ended(&[activate, live, Command::Stop, Command::Stop, Command::Archive]));
        assert!(!ended(&[activate, live, Command::Complete, Command::Archive]));
    }
}
