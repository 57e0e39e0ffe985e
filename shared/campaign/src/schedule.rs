//! When a campaign starts. Local times are kept as the user chose them, with their zone; instants are computed from
//! them, in UTC, by the rules of the design: a local time that a clock change skips moves forward by the gap, one that
//! comes twice counts once, the first time.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use thiserror::Error;

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
    /// The first start, for an activation at `activated`.
    ///
    /// # Errors
    /// [`ScheduleError`], where the zone is unknown or the time out of range.
    pub fn first(&self, activated: Timestamp) -> Result<Timestamp, ScheduleError> {
        match self {
            Self::AtActivation => Ok(activated),
            Self::At { date_time, time_zone } => instant(*date_time, time_zone),
        }
    }

    /// The start after the one at `occurrence`; `None` where that was the last.
    pub const fn following(&self, _occurrence: Timestamp) -> Option<Timestamp> {
        match self {
            Self::AtActivation | Self::At { .. } => None,
        }
    }
}

/// The instant of a local time in a zone: moved forward by the gap where a clock change skips it, the first where it
/// comes twice.
///
/// # Errors
/// [`ScheduleError`], where the zone is unknown or the time out of range.
pub fn instant(local: DateTime, zone: &str) -> Result<Timestamp, ScheduleError> {
    let zone = TimeZone::get(zone).map_err(|_| ScheduleError::UnknownZone(zone.to_owned()))?;
    let zoned =
        zone.to_ambiguous_zoned_datetime(local).compatible().map_err(|_| ScheduleError::OutOfRange(local))?;
    Ok(zoned.timestamp())
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
}
