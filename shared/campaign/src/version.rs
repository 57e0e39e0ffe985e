//! Versions: what would be sent, to whom, when. An activated one never changes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::content::OnMissing;
use crate::outcome::OnUnknown;
use crate::plan::{By, Plan};
use crate::schedule::{self, CampaignEnd, Schedule, ScheduleError};
use crate::waves::{Waves, WavesError};
use crate::{Campaign, Category, Channel, ConfigurationId, SegmentId, TopicId};

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
    /// In which parts its audience gets it; all at once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Waves>,
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
    /// Whether a profile is made of a recipient whom a call names and nobody knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_profiles: bool,
    /// What its marketing is about: who said no to it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicId>,
}

/// One channel of a version. Its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The channel.
    pub channel: Channel,
    /// How to send. A draft may have none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationId>,
    /// Whom of the audience it reaches, as a rule over `profile`; everybody where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// Why a version's recipients can't be told when they get it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Its waves make no sense.
    #[error(transparent)]
    Waves(#[from] WavesError),
    /// Its schedule names no instant.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl Version {
    /// An empty first draft.
    pub fn draft(number: u32) -> Self {
        Self {
            number,
            segment: None,
            actions: Vec::new(),
            schedule: Schedule::default(),
            waves: None,
            ends: None,
            on_unknown: None,
            on_missing: OnMissing::default(),
            misfire_grace_seconds: default_misfire_grace(),
            create_profiles: false,
            topic: None,
        }
    }

    /// The channels of its actions, each once.
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels = Vec::new();
        for action in &self.actions {
            if !channels.contains(&action.channel) {
                channels.push(action.channel);
            }
        }
        channels
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

    /// From when on calls start it; `None`: from its activation on. The start of its schedule, where calls are what starts
    /// it.
    ///
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn opens(&self) -> Result<Option<Timestamp>, ScheduleError> {
        match &self.schedule {
            Schedule::At { date_time, time_zone, .. } => schedule::instant(*date_time, time_zone).map(Some),
            Schedule::AtActivation | Schedule::Recurring(_) => Ok(None),
        }
    }

    /// The first start for an activation that was asked for at `asked` and is through at `now`: a slot that came in
    /// between is not passed over. `None` where no occurrence is left.
    ///
    /// # Errors
    /// [`ScheduleError`], where a zone is unknown or a time out of range.
    pub fn first(&self, asked: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        let activated = if self.schedule == Schedule::AtActivation { now.max(asked) } else { asked };
        self.schedule.first(activated, self.closes()?)
    }

    /// As [`first`](Self::first), for a campaign. What it has begun round the world, in its recipients' own time, is not
    /// begun again by another version.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn first_of(&self, campaign: &Campaign, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        let asked = campaign.asked_at(now);
        if let (Schedule::Recurring(recurrence), Some(last)) = (&self.schedule, campaign.last_occurrence)
            && recurrence.under_way(asked).is_some_and(|begun| last >= begun.instant)
        {
            return Ok(self.schedule.following(asked, self.closes()?));
        }
        // One that is past and still within the grace may have been begun or missed by the version before.
        let first = self.first(asked, now)?;
        Ok(first.filter(|first| campaign.last_occurrence.is_none_or(|last| *first > last)))
    }

    /// When the recipients of a run get it that was to start at `occurrence` and does at `started`; `None` where that is
    /// at once for all.
    ///
    /// # Errors
    /// [`PlanError`], where its waves or its schedule make no sense.
    pub fn plan(&self, occurrence: Timestamp, started: Timestamp) -> Result<Option<Plan>, PlanError> {
        let late = started.duration_since(occurrence);
        // A recipient's hour that passed while nobody came to start it has not passed before the activation.
        let activated =
            started.checked_sub(SignedDuration::try_from(self.misfire_grace()).unwrap_or_default());
        let activated = activated.map_or(occurrence, |activated| activated.max(occurrence));
        match (&self.waves, self.schedule.pin(occurrence, activated, self.closes()?)?) {
            (None, None) => Ok(None),
            (None, Some(time)) => {
                Ok(Some(Plan { releases_ms: time.releases_ms(), by: By::RecipientTime(time) }))
            }
            (Some(waves), None) => {
                // A start that is late would bring the second wave closer to the first than was asked for.
                let start = if late.unsigned_abs() > PUNCTUAL { started } else { occurrence };
                let releases = waves.releases(start)?.into_iter().map(Timestamp::as_millisecond);
                Ok(Some(Plan { releases_ms: releases.collect(), by: By::Waves(waves.sizes()?) }))
            }
            (Some(_), Some(_)) => Err(PlanError::Waves(Self::both())),
        }
    }

    /// What is wrong where there are waves and recipients' own time.
    pub fn both() -> WavesError {
        let message =
            "recipients get it at an hour of their own: leave waves out, or schedule.recipient_time";
        WavesError::new("waves_recipient_time", "waves", message)
    }

    /// The instant from which on an occurrence that has not been started is missed, where its schedule is in recipients'
    /// own time: the grace after the latest zone's hour. Until then there are recipients whose hour is still to come.
    ///
    /// # Errors
    /// [`ScheduleError`], where a zone is unknown or a time out of range.
    pub fn last_hour(&self, occurrence: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        let pinned = self.schedule.pin(occurrence, occurrence, None)?;
        // One that is past everywhere at its activation starts then.
        pinned.map(|pinned| schedule::latest(pinned.local).map(|last| last.max(occurrence))).transpose()
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Actor;
    use crate::{CampaignType, Status};

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn version(change: &Value) -> Version {
        let mut version = serde_json::to_value(Version::draft(1)).unwrap();
        version.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(version).unwrap()
    }

    fn daily() -> Version {
        version(&json!({ "schedule": {
            "kind": "recurring", "frequency": "daily", "time": "09:00", "start": "2027-07-01",
            "time_zone": "Europe/Paris", "recipient_time": { "passed": "exclude" },
        } }))
    }

    fn live(last: Option<&str>, asked: &str) -> Campaign {
        let mut campaign = Campaign::new(
            "c",
            CampaignType::Scheduled,
            Category::Marketing,
            Actor::envoi(),
            utc("2027-06-01T00:00:00Z"),
        );
        campaign.status = Status::Live;
        campaign.last_occurrence = last.map(utc);
        campaign.activating_since = Some(utc(asked));
        campaign
    }

    #[test]
    fn what_has_begun_round_the_world_is_not_begun_again_by_another_version() {
        let asked = "2027-07-14T09:00:00Z";
        let now = utc(asked);
        // The old version began today's when it was nine in Kiritimati.
        let begun = live(Some("2027-07-13T19:00:00Z"), asked);
        assert_eq!(daily().first_of(&begun, now), Ok(Some(utc("2027-07-14T19:00:00Z"))));
        // Yesterday's is another one.
        let before = live(Some("2027-07-12T19:00:00Z"), asked);
        assert_eq!(daily().first_of(&before, now), Ok(Some(now)));
        assert_eq!(daily().first_of(&live(None, asked), now), Ok(Some(now)));
    }

    #[test]
    fn a_run_in_recipients_time_is_missed_only_when_it_is_over_everywhere() {
        let occurrence = utc("2027-07-13T19:00:00Z");
        assert_eq!(daily().last_hour(occurrence), Ok(Some(utc("2027-07-14T21:00:00Z"))));
        assert_eq!(Version::draft(1).last_hour(occurrence), Ok(None));
    }

    #[test]
    fn a_plan_is_of_the_occurrence_and_what_passed_within_the_grace_has_not() {
        let occurrence = utc("2027-07-13T19:00:00Z");
        let planned = |started: &str| {
            let plan = daily().plan(occurrence, utc(started)).unwrap().unwrap();
            let By::RecipientTime(time) = plan.by else { panic!("it is the recipients' time") };
            (time.local.to_string(), time.activated.to_string(), plan.releases_ms.len())
        };
        let (local, activated, releases) = planned("2027-07-13T19:00:03Z");
        assert_eq!((local.as_str(), activated.as_str()), ("2027-07-14T09:00:00", "2027-07-13T19:00:00Z"));
        assert!((30..45).contains(&releases));
        assert_eq!(planned("2027-07-14T03:00:00Z").1, "2027-07-14T02:00:00Z");
    }

    #[test]
    fn waves_keep_their_distance_from_a_start_that_is_late() {
        let waves = json!({ "interval_seconds": 600, "list": [{ "percent": 1 }, { "percent": 99 }] });
        let version = version(&json!({ "waves": waves }));
        let occurrence = utc("2027-07-14T09:00:00Z");
        let second = |started: &str| {
            let plan = version.plan(occurrence, utc(started)).unwrap().unwrap();
            Timestamp::from_millisecond(plan.releases_ms[1]).unwrap().to_string()
        };
        assert_eq!(second("2027-07-14T09:01:00Z"), "2027-07-14T09:10:00Z");
        assert_eq!(second("2027-07-14T09:30:00Z"), "2027-07-14T09:40:00Z");
        assert_eq!(Version::draft(1).plan(occurrence, occurrence), Ok(None));
    }

    #[test]
    fn waves_and_recipients_time_are_not_planned_together() {
        let mut both = daily();
        both.waves = version(&json!({ "waves": { "list": [] } })).waves;
        let error = both.plan(utc("2027-07-13T19:00:00Z"), utc("2027-07-13T19:00:00Z")).unwrap_err();
        assert_eq!(error, PlanError::Waves(Version::both()));
    }
}
