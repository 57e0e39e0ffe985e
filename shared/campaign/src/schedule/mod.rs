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
pub use self::recipients::{PassedHour, RecipientStart, RecipientTime, Wave, ZoneSource};
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
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn first(
        &self,
        activated: Timestamp,
        closes: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, ScheduleError> {
        let first = match self {
            Self::AtActivation => activated,
            Self::At { date_time, time_zone } => instant(*date_time, time_zone)?,
            Self::Recurring(recurrence) => {
                return Ok(recurrence.after(before(activated), closes).map(|first| first.instant));
            }
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
            Self::At { date_time, time_zone } => {
                let zone = Zone::parse(time_zone)?;
                let instant = zone.instant(*date_time)?;
                let (planned, offset) = (*date_time, zone.offset(instant));
                let only = Occurrence { number: 1, planned, local: zone.local(instant), offset, instant };
                let comes = instant >= from && is_open(instant, closes);
                Ok(Some(only).filter(|_| comes).into_iter().take(most).collect())
            }
            Self::Recurring(recurrence) => Ok(recurrence.coming(before(from), closes, most).collect()),
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
