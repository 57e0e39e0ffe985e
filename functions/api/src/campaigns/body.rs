//! A campaign's fields as they come in.

use campaign::content::{Content, OnMissing};
use campaign::model::{Campaign, MAX_NAME, MAX_TAGS};
use campaign::outcome::OnUnknown;
use campaign::version::{MAX_ACTIONS, default_misfire_grace};
use campaign::{SegmentId, TopicId, Version};

use super::action::{self, ActionBody};
use super::schedule::{EndBody, ScheduleBody};
use super::waves::WavesBody;
use crate::error::{FieldError, Kind, Problem, Result};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2000;
/// The longest tag, in characters.
const MAX_TAG: usize = 100;
/// The longest a start may be late: a week.
const MAX_GRACE_SECONDS: u32 = 7 * 24 * 3600;

/// What is to change of a version; `Some(None)` sets a field back.
#[derive(Debug, Clone, Default)]
pub(super) struct VersionPatch {
    pub(super) segment_id: Option<Option<SegmentId>>,
    pub(super) actions: Option<Vec<ActionBody>>,
    pub(super) schedule: Option<Option<ScheduleBody>>,
    pub(super) waves: Option<Option<WavesBody>>,
    pub(super) ends: Option<Option<EndBody>>,
    pub(super) on_unknown: Option<Option<OnUnknown>>,
    pub(super) on_missing: Option<Option<OnMissing>>,
    pub(super) misfire_grace_seconds: Option<Option<u32>>,
    pub(super) create_profiles: Option<Option<bool>>,
    pub(super) topic: Option<Option<TopicId>>,
}

impl VersionPatch {
    pub(super) const fn is_empty(&self) -> bool {
        self.segment_id.is_none()
            && self.actions.is_none()
            && self.schedule.is_none()
            && self.waves.is_none()
            && self.ends.is_none()
            && self.on_unknown.is_none()
            && self.on_missing.is_none()
            && self.misfire_grace_seconds.is_none()
            && self.create_profiles.is_none()
            && self.topic.is_none()
    }

    /// Changes the version, and its contents where the actions change.
    pub(super) fn apply(self, version: &mut Version, contents: &mut Vec<Content>) -> Result<()> {
        if let Some(segment) = self.segment_id {
            version.segment = segment;
        }
        if let Some(actions) = self.actions {
            if actions.len() > MAX_ACTIONS {
                return Err(Problem::field("actions", format!("has at most {MAX_ACTIONS}")));
            }
            (version.actions, *contents) = action::split(actions)?;
        }
        if let Some(schedule) = self.schedule {
            version.schedule = schedule.map(ScheduleBody::parse).transpose()?.unwrap_or_default();
        }
        if let Some(waves) = self.waves {
            version.waves = waves.map(|waves| waves.parse(&version.schedule)).transpose()?;
        }
        if version.waves.is_some() && version.schedule.recipient_time().is_some() {
            let error = Version::both();
            return Err(Problem::field(error.field, error.message));
        }
        if let Some(ends) = self.ends {
            version.ends = ends.map(|ends| ends.parse(&version.schedule)).transpose()?;
        }
        if let Some(on_unknown) = self.on_unknown {
            version.on_unknown = on_unknown;
        }
        if let Some(on_missing) = self.on_missing {
            version.on_missing = on_missing.unwrap_or_default();
        }
        if let Some(topic) = self.topic {
            version.topic = topic;
        }
        if let Some(create) = self.create_profiles {
            version.create_profiles = create.unwrap_or_default();
        }
        if let Some(grace) = self.misfire_grace_seconds {
            let grace = grace.unwrap_or_else(default_misfire_grace);
            if grace > MAX_GRACE_SECONDS {
                return Err(Problem::field(
                    "misfire_grace_seconds",
                    format!("must be at most {MAX_GRACE_SECONDS}"),
                ));
            }
            version.misfire_grace_seconds = grace;
        }
        Ok(())
    }
}

/// Checks what is for people.
pub(super) fn check(campaign: &Campaign) -> Result<()> {
    let mut errors = Vec::new();
    if campaign.name.trim().is_empty() || campaign.name.chars().count() > MAX_NAME {
        errors.push(FieldError::new("name", format!("has 1 to {MAX_NAME} characters")));
    }
    if campaign.description.chars().count() > MAX_DESCRIPTION {
        errors.push(FieldError::new("description", format!("has at most {MAX_DESCRIPTION} characters")));
    }
    if campaign.tags.len() > MAX_TAGS {
        errors.push(FieldError::new("tags", format!("has at most {MAX_TAGS}")));
    }
    for (index, tag) in campaign.tags.iter().enumerate() {
        if tag.trim().is_empty() || tag.chars().count() > MAX_TAG {
            errors.push(FieldError::new(format!("tags[{index}]"), format!("has 1 to {MAX_TAG} characters")));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}
