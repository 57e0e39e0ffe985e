//! Versions: what would be sent, to whom, when. An activated one never changes.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::content::OnMissing;
use crate::outcome::OnUnknown;
use crate::schedule::{CampaignEnd, Schedule, ScheduleError};
use crate::{Category, Channel, ConfigurationId, SegmentId};

/// The most actions of a version: each has counters and a queue of its own.
pub const MAX_ACTIONS: usize = 10;

/// What is on time: wake-ups keep to the minute, and where one is lost the sweep comes within another. A grace below it
/// would have every occurrence missed.
const PUNCTUAL: Duration = Duration::from_secs(120);

/// A version of a campaign, without its contents, which are items of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// 1, 2, 3, ...
    pub number: u32,
    /// Who gets it. A draft may have none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentId>,
    /// What is sent, in the order of their numbers.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// When.
    #[serde(default)]
    pub schedule: Schedule,
    /// Until when it starts at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<CampaignEnd>,
    /// What to do with a recipient nobody can say was reached; the category decides where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// What to do where a value is missing.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// How late a start may be and still happen, in seconds, as it was given.
    #[serde(default = "default_misfire_grace")]
    pub misfire_grace_seconds: u32,
}

/// One channel of a version. Its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The channel.
    pub channel: Channel,
    /// How to send. A draft may have none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationId>,
}

impl Version {
    /// An empty first draft.
    pub fn draft(number: u32) -> Self {
        Self {
            number,
            segment: None,
            actions: Vec::new(),
            schedule: Schedule::default(),
            ends: None,
            on_unknown: None,
            on_missing: OnMissing::default(),
            misfire_grace_seconds: default_misfire_grace(),
        }
    }

    /// What to do in doubt: as the version says, else hold marketing and resend transactional.
    pub fn on_unknown(&self, category: Category) -> OnUnknown {
        self.on_unknown.unwrap_or(match category {
            Category::Marketing => OnUnknown::Hold,
            Category::Transactional => OnUnknown::Resend,
        })
    }

    /// The instant from which on nothing of it starts; `None`: it never ends.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn closes(&self) -> Result<Option<Timestamp>, ScheduleError> {
        self.ends.as_ref().map(CampaignEnd::closes).transpose()
    }

    /// The first start for an activation that was asked for at `asked` and is through at `now`: a slot that came in
    /// between is not passed over. `None` where no occurrence is left.
    ///
    /// # Errors
    /// [`ScheduleError`], where a zone is unknown or a time out of range.
    pub fn first(&self, asked: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        let activated = if self.schedule == Schedule::AtActivation { now } else { asked };
        self.schedule.first(activated, self.closes()?)
    }

    /// How late a start may be and still happen: as the version says, but never less than what is punctual.
    pub fn misfire_grace(&self) -> Duration {
        Duration::from_secs(self.misfire_grace_seconds.into()).max(PUNCTUAL)
    }
}

/// One hour.
pub const fn default_misfire_grace() -> u32 {
    3600
}
