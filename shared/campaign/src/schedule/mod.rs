//! When a campaign starts. Local times are kept as the user chose them, with their zone; instants are computed from
//! them, in UTC, by the rules of the design: a local time that a clock change skips moves forward by the gap, one that
//! comes twice counts once, the first time.
//!
//! | part | what it is |
//! |---|---|
//! | [`zone`] | time zones, under their canonical names |
//! | [`moment`] | a date, a local time or an instant, as an end is given |
//! | [`pattern`] | daily, weekly, monthly: the arithmetic of dates |
//! | [`recurrence`] | a recurring schedule: patterns at a local time in a zone, from a start to an end |
//! | [`fields`] | its JSON form, and what is wrong with one |
//! | [`recipients`] | the same local time in every recipient's own zone |

mod aliases;
pub mod fields;
pub mod moment;
pub mod pattern;
pub mod recipients;
pub mod recurrence;
pub mod zone;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod oracle;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::fields::RecurrenceError;
pub use self::moment::{CampaignEnd, Moment};
pub use self::pattern::{LastDay, MonthDays, Pattern, Weekdays};
pub use self::recipients::{
    OwnTime, PassedHour, PinnedTime, RecipientStart, RecipientTime, Wave, ZoneSource, earliest, latest,
};
pub use self::recurrence::{Ends, Occurrence, Recurrence};
pub use self::zone::Zone;

/// When a scheduled campaign starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// As soon as it is activated.
    #[default]
    AtActivation,
    /// Once, at a local time in a zone.
    At {
        /// The local time, such as `2027-03-14T09:00:00`.
        date_time: DateTime,
        /// An IANA zone, such as `Europe/Paris`. An alias is accepted and stored as its canonical name.
        time_zone: String,
        /// Where the time is meant in every recipient's own zone: the campaign's zone is for those who have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipient_time: Option<OwnTime>,
    },
    /// Again and again, at a local time in a zone.
    Recurring(Recurrence),
}

/// A schedule that names no instant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// No such zone in the IANA database.
    #[error("{0:?} is no IANA time zone")]
    UnknownZone(String),
    /// The time lies outside the years this calendar has.
    #[error("{0} is out of range")]
    OutOfRange(DateTime),
}

impl Schedule {
    /// The first start, for an activation at `activated` of a campaign that closes at an instant, or never. A recurring
    /// schedule that began before rolls to its next occurrence; one at `activated` itself is not past. `None` where no
    /// occurrence is left.
    ///
    /// In recipients' own time an occurrence starts with the earliest zone's hour. Where that has passed and the latest
    /// zone's has not, the occurrence is not past either: it starts at the activation.
    ///
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn first(
        &self,
        activated: Timestamp,
        closes: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, ScheduleError> {
        let first = match self {
            Self::AtActivation => activated,
            Self::At { date_time, time_zone, recipient_time } => match recipient_time {
                None => instant(*date_time, time_zone)?,
                // The activation decides whose hour has passed, so it is kept as the start.
                Some(_) => earliest(*date_time)?.max(activated),
            },
            Self::Recurring(recurrence) => match recurrence.under_way(activated) {
                Some(_) => activated,
                None => return Ok(self.following(before(activated), closes)),
            },
        };
        Ok(Some(first).filter(|first| is_open(*first, closes)))
    }

    /// The start after the one at `occurrence`; `None` where that was the last before the campaign closes.
    pub fn following(&self, occurrence: Timestamp, closes: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::AtActivation | Self::At { .. } => None,
            Self::Recurring(recurrence) => recurrence.after(occurrence, closes).map(|next| next.instant),
        }
    }

    /// The occurrences at `from` or after it, at most `most` of them. An activation that nobody has asked for yet is
    /// none.
    ///
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn coming(
        &self,
        from: Timestamp,
        closes: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Occurrence>, ScheduleError> {
        match self {
            Self::AtActivation => Ok(Vec::new()),
            Self::At { date_time, time_zone, recipient_time } => {
                let zone = Zone::parse(time_zone)?;
                let planned = *date_time;
                let (instant, last) = match recipient_time {
                    None => (zone.instant(planned)?, None),
                    Some(_) => (earliest(planned)?.max(from), Some(latest(planned)?)),
                };
                let offset = zone.offset(instant);
                let only =
                    Occurrence { number: 1, planned, local: zone.local(instant), offset, instant, last };
                let comes = last.unwrap_or(instant) >= from && is_open(instant, closes);
                Ok(Some(only).filter(|_| comes).into_iter().take(most).collect())
            }
            Self::Recurring(recurrence) => {
                let begun = recurrence.under_way(from).filter(|_| is_open(from, closes));
                let begun = begun.map(|occurrence| recurrence.from(occurrence, from));
                let after = if begun.is_some() { from } else { before(from) };
                Ok(begun.into_iter().chain(recurrence.coming(after, closes, most)).take(most).collect())
            }
        }
    }

    /// What an execution pins of a schedule in recipients' own time, of the occurrence at `occurrence`, where a zone
    /// whose hour was before `activated` is one in which it has passed; `None` where the time is not theirs.
    ///
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn pin(
        &self,
        occurrence: Timestamp,
        activated: Timestamp,
        closes: Option<Timestamp>,
    ) -> Result<Option<PinnedTime>, ScheduleError> {
        let Some(OwnTime { passed }) = self.recipient_time() else { return Ok(None) };
        let (local, time_zone, following) = match self {
            Self::AtActivation => return Ok(None),
            Self::At { date_time, time_zone, .. } => (*date_time, Zone::parse(time_zone)?, None),
            Self::Recurring(recurrence) => {
                let Some(at) = recurrence.at_or_before(occurrence) else { return Ok(None) };
                let following = recurrence.after(occurrence, closes).map(|next| next.planned);
                (at.planned, recurrence.zone().clone(), following)
            }
        };
        Ok(Some(PinnedTime { local, time_zone, passed, activated, following }))
    }

    /// Where its times are meant in every recipient's own zone, what is done for those whose hour has passed.
    pub const fn recipient_time(&self) -> Option<OwnTime> {
        match self {
            Self::AtActivation => None,
            Self::At { recipient_time, .. } => *recipient_time,
            Self::Recurring(recurrence) => recurrence.recipient_time(),
        }
    }

    /// The zone its local times are meant in; `None` where it has none.
    ///
    /// # Errors
    /// [`ScheduleError::UnknownZone`].
    pub fn zone(&self) -> Result<Option<Zone>, ScheduleError> {
        match self {
            Self::AtActivation => Ok(None),
            Self::At { time_zone, .. } => Zone::parse(time_zone).map(Some),
            Self::Recurring(recurrence) => Ok(Some(recurrence.zone().clone())),
        }
    }
}

/// The last instant before this one.
fn before(instant: Timestamp) -> Timestamp {
    instant.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(instant)
}

fn is_open(instant: Timestamp, closes: Option<Timestamp>) -> bool {
    closes.is_none_or(|closes| instant < closes)
}

/// The instant of a local time in a zone: moved forward by the gap where a clock change skips it, the first where it
/// comes twice.
///
/// # Errors
/// [`ScheduleError`], where the zone is unknown or the time out of range.
pub fn instant(local: DateTime, zone: &str) -> Result<Timestamp, ScheduleError> {
    Zone::parse(zone)?.instant(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(local: &str, zone: &str) -> String {
        instant(local.parse().unwrap(), zone).unwrap().to_string()
    }

    #[test]
    fn local_times_become_the_instants_people_mean() {
        // Corpus B3, B4, B16: zones with and without summer time, as they are today.
        assert_eq!(at("2021-01-25T10:00:00", "America/Sao_Paulo"), "2021-01-25T13:00:00Z");
        assert_eq!(at("2026-07-10T09:00:00", "Europe/Amsterdam"), "2026-07-10T07:00:00Z");
        assert_eq!(at("2026-08-01T09:00:00", "Europe/London"), "2026-08-01T08:00:00Z");
    }

    #[test]
    fn a_skipped_time_moves_forward_and_a_doubled_one_is_the_first() {
        // Corpus B9.
        assert_eq!(at("2027-03-14T02:30:00", "America/New_York"), "2027-03-14T07:30:00Z");
        assert_eq!(at("2027-11-07T01:30:00", "America/New_York"), "2027-11-07T05:30:00Z");
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let error = instant("2027-01-01T00:00:00".parse().unwrap(), "Mars/Olympus").unwrap_err();
        assert_eq!(error.to_string(), "\"Mars/Olympus\" is no IANA time zone");
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(schedule: serde_json::Value) -> Schedule {
        serde_json::from_value(schedule).unwrap()
    }

    fn daily() -> Schedule {
        read(serde_json::json!({
            "kind": "recurring", "frequency": "daily", "time": "09:00", "start": "2027-03-01",
            "time_zone": "Asia/Calcutta", "occurrences": 3,
        }))
    }

    #[test]
    fn a_recurring_schedule_is_stored_as_it_stands_among_the_kinds() {
        let stored = serde_json::to_value(daily()).unwrap();
        assert_eq!((&stored["kind"], &stored["time_zone"]), (&"recurring".into(), &"Asia/Kolkata".into()));
        assert_eq!(read(stored), daily());
        let unknown = serde_json::json!({ "kind": "recurring", "frequency": "daily", "date_time": "x" });
        assert!(serde_json::from_value::<Schedule>(unknown).is_err());
    }

    fn daily_in_own_time() -> Schedule {
        let mut daily = serde_json::to_value(daily()).unwrap();
        daily["recipient_time"] = serde_json::json!({ "passed": "exclude" });
        read(daily)
    }

    #[test]
    fn an_occurrence_in_recipients_time_starts_with_the_earliest_zone_and_does_not_drift() {
        let schedule = daily_in_own_time();
        assert_eq!(read(serde_json::to_value(&schedule).unwrap()), schedule);
        let coming = schedule.coming(utc("2027-01-01T00:00:00Z"), None, 5).unwrap();
        let starts: Vec<_> = coming.iter().map(|next| next.instant).collect();
        let kiritimati = Zone::parse("Pacific/Kiritimati").unwrap();
        let nine: Vec<_> = (1..=3)
            .map(|day| kiritimati.instant(format!("2027-03-0{day}T09:00").parse().unwrap()).unwrap())
            .collect();
        assert_eq!(starts, nine);
        assert_eq!(coming[0].planned.to_string(), "2027-03-01T09:00:00");
        // In Kolkata, the campaign's zone, it is half past midnight then.
        assert_eq!(coming[0].local.to_string(), "2027-03-01T00:30:00");
        assert_eq!(coming[0].last, Some(utc("2027-03-01T21:00:00Z")));
        assert_eq!(schedule.first(utc("2027-01-01T00:00:00Z"), None), Ok(Some(nine[0])));
        assert_eq!(schedule.following(nine[0], None), Some(nine[1]));
        assert_eq!(schedule.following(nine[2], None), None);
    }

    #[test]
    fn an_occurrence_that_is_under_way_round_the_world_is_not_past() {
        let schedule = daily_in_own_time();
        // It is nine in Berlin and still to be in New York; tomorrow has not begun anywhere.
        let activated = utc("2027-03-01T08:00:00Z");
        assert_eq!(schedule.first(activated, None), Ok(Some(activated)));
        let pinned = schedule.pin(activated, activated, None).unwrap().unwrap();
        assert_eq!(pinned.local.to_string(), "2027-03-01T09:00:00");
        assert_eq!(pinned.following.unwrap().to_string(), "2027-03-02T09:00:00");
        assert_eq!((pinned.passed, pinned.activated), (PassedHour::Exclude, activated));
        assert_eq!(schedule.following(activated, None), Some(utc("2027-03-01T19:00:00Z")));
        // Where two are under way, it is the later one.
        let both = utc("2027-03-01T20:00:00Z");
        assert_eq!(schedule.first(both, None), Ok(Some(both)));
        let pinned = schedule.pin(both, both, None).unwrap().unwrap();
        assert_eq!(pinned.local.to_string(), "2027-03-02T09:00:00");
        // The last one is over when it is past in every zone.
        let (last, over) = (utc("2027-03-03T21:00:00Z"), utc("2027-03-03T21:00:00.001Z"));
        assert_eq!(schedule.first(last, None), Ok(Some(last)));
        assert_eq!(schedule.first(over, None), Ok(None));
        let coming = schedule.coming(activated, None, 2).unwrap();
        let numbers: Vec<_> = coming.iter().map(|next| (next.number, next.instant)).collect();
        assert_eq!(numbers, [(1, activated), (2, utc("2027-03-01T19:00:00Z"))]);
    }

    #[test]
    fn once_in_recipients_time_is_the_activation_where_the_hour_has_passed_somewhere() {
        let once = read(serde_json::json!({
            "kind": "at", "date_time": "2027-07-14T09:00:00", "time_zone": "Europe/Paris", "recipient_time": {},
        }));
        assert_eq!(once.recipient_time(), Some(OwnTime { passed: PassedHour::NextDay }));
        let first = utc("2027-07-13T19:00:00Z");
        assert_eq!(once.first(utc("2027-07-01T00:00:00Z"), None), Ok(Some(first)));
        let activated = utc("2027-07-14T09:00:00Z");
        assert_eq!(once.first(activated, None), Ok(Some(activated)));
        let pinned = once.pin(activated, activated, None).unwrap().unwrap();
        assert_eq!((pinned.local.to_string(), pinned.following), ("2027-07-14T09:00:00".to_owned(), None));
        let coming = once.coming(activated, None, 5).unwrap();
        assert_eq!((coming.len(), coming[0].instant), (1, activated));
        assert!(once.coming(utc("2027-07-14T21:00:01Z"), None, 5).unwrap().is_empty());
        let plain = read(serde_json::json!({
            "kind": "at", "date_time": "2027-07-14T09:00:00", "time_zone": "Europe/Paris",
        }));
        assert_eq!(plain.pin(activated, activated, None), Ok(None));
    }

    #[test]
    fn a_day_that_ends_a_schedule_in_recipients_time_is_a_day_of_theirs() {
        let mut daily = serde_json::to_value(daily_in_own_time()).unwrap();
        daily.as_object_mut().unwrap().remove("occurrences");
        daily["end"] = serde_json::json!("2027-03-02");
        let daily = read(daily);
        let coming = daily.coming(utc("2027-01-01T00:00:00Z"), None, 9).unwrap();
        assert_eq!(coming.iter().map(|next| next.number).collect::<Vec<_>>(), [1, 2]);
        // The third of March has begun somewhere, the second, the last, is not over everywhere.
        let activated = utc("2027-03-02T20:00:00Z");
        assert_eq!(daily.first(activated, None), Ok(Some(activated)));
        let pinned = daily.pin(activated, activated, None).unwrap().unwrap();
        assert_eq!((pinned.local.to_string(), pinned.following), ("2027-03-02T09:00:00".to_owned(), None));
    }

    #[test]
    fn a_start_in_the_past_rolls_to_the_next_slot_and_one_right_now_is_taken() {
        let first = |activated: &str| daily().first(utc(activated), None).unwrap();
        assert_eq!(first("2027-01-01T00:00:00Z"), Some(utc("2027-03-01T03:30:00Z")));
        assert_eq!(first("2027-03-01T03:30:00Z"), Some(utc("2027-03-01T03:30:00Z")));
        assert_eq!(first("2027-03-01T03:30:00.001Z"), Some(utc("2027-03-02T03:30:00Z")));
        assert_eq!(first("2027-03-03T03:30:00.001Z"), None);
    }

    #[test]
    fn one_follows_the_other_until_none_is_left_or_the_campaign_closes() {
        let (first, last) = (utc("2027-03-01T03:30:00Z"), utc("2027-03-03T03:30:00Z"));
        let second = utc("2027-03-02T03:30:00Z");
        assert_eq!(daily().following(first, None), Some(second));
        assert_eq!(daily().following(last, None), None);
        assert_eq!(daily().following(first, Some(second)), None);
        let end = |at: &str| CampaignEnd { at: Moment::parse(at).unwrap(), time_zone: Zone::UTC };
        let closes = |at: &str| Some(end(at).closes().unwrap());
        assert_eq!(daily().following(first, closes("2027-03-02")), Some(second));
        assert_eq!(daily().following(second, closes("2027-03-02")), None);
        assert_eq!(daily().first(first, closes("2027-03-01T03:30")), Ok(None));
        assert_eq!(end("2027-03-02").to_string(), "2027-03-02 (UTC)");
    }

    #[test]
    fn a_campaign_s_end_holds_for_every_kind_of_schedule() {
        let once = read(serde_json::json!({
            "kind": "at", "date_time": "2027-03-14T02:30:00", "time_zone": "America/New_York",
        }));
        let start = utc("2027-03-14T07:30:00Z");
        let now = utc("2027-03-01T00:00:00Z");
        for (schedule, first) in [(once.clone(), start), (Schedule::AtActivation, now)] {
            assert_eq!(schedule.first(now, None), Ok(Some(first)));
            assert_eq!(schedule.first(now, Some(first)), Ok(None));
            assert_eq!(
                schedule.first(now, first.checked_add(jiff::SignedDuration::from_millis(1)).ok()),
                Ok(Some(first))
            );
            assert_eq!(schedule.following(first, None), None);
        }
        let coming = once.coming(now, None, 5).unwrap();
        assert_eq!(coming[0].last, None);
        let only: Vec<_> =
            coming.iter().map(|next| (next.number, next.local.to_string(), next.instant)).collect();
        assert_eq!(only, [(1, "2027-03-14T03:30:00".to_owned(), start)]);
        assert!(once.coming(now, Some(start), 5).unwrap().is_empty());
        assert!(once.coming(start + jiff::SignedDuration::from_secs(1), None, 5).unwrap().is_empty());
        assert!(Schedule::AtActivation.coming(now, None, 5).unwrap().is_empty());
        let third = daily().coming(utc("2027-03-03T03:30:00Z"), None, 5).unwrap();
        assert_eq!(third.iter().map(|next| next.number).collect::<Vec<_>>(), [3]);
    }
}
