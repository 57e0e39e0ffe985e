//! A moment as people give one for an end: a day, a local time, or an instant.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{ScheduleError, Zone};

/// A moment, in the precision it was given in: `2027-12-31`, `2027-12-31T18:00:00` or `2027-12-31T18:00:00Z`.
///
/// What was given as local time is kept as such, so that it is shown as it was typed and moves with its zone's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A local day, the whole of it.
    Day(Date),
    /// A local time.
    Local(DateTime),
    /// An instant.
    Instant(Timestamp),
}

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be a date, a local time or an instant, such as 2027-12-31, 2027-12-31T18:00:00 or 2027-12-31T18:00:00Z"
)]
pub struct MomentError;

impl Moment {
    /// Reads one: a date, a local time, or, with `Z` or an offset, an instant. Seconds may be left out, fractions not
    /// given.
    ///
    /// # Errors
    /// [`MomentError`], for anything else.
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        let offset = text.get(10..).and_then(|rest| rest.find(['Z', '+', '-'])).map(|index| 10 + index);
        let local = &text[..offset.unwrap_or(text.len())];
        match (local_date(local), local_date_time(local)) {
            (Some(day), None) if offset.is_none() => Ok(Self::Day(day)),
            (None, Some(local)) if offset.is_none() => Ok(Self::Local(local)),
            (None, Some(_)) if !text.contains('[') => {
                text.parse().map(Self::Instant).map_err(|_| MomentError)
            }
            _ => Err(MomentError),
        }
    }

    /// The instant at which it is over: the end of a day, and a time itself.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn over(self, zone: &Zone) -> Result<Timestamp, ScheduleError> {
        match self {
            Self::Day(day) => {
                let midnight = day.to_datetime(Time::midnight());
                zone.instant(day.tomorrow().map_err(|_| ScheduleError::OutOfRange(midnight))?.into())
            }
            Self::Local(local) => zone.instant(local),
            Self::Instant(instant) => Ok(instant),
        }
    }

    /// Whether an instant is not after it: within a day or before it; at a time or before it.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn includes(self, instant: Timestamp, zone: &Zone) -> Result<bool, ScheduleError> {
        let over = self.over(zone)?;
        Ok(if matches!(self, Self::Day(_)) { instant < over } else { instant <= over })
    }
}

/// When a campaign ends: nothing of it starts at that time or after it, or after that day. What runs by then goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignEnd {
    /// When.
    pub at: Moment,
    /// Where that is meant.
    pub time_zone: Zone,
}

impl CampaignEnd {
    /// The instant from which on nothing starts.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn closes(&self) -> Result<Timestamp, ScheduleError> {
        self.at.over(&self.time_zone)
    }
}

impl std::fmt::Display for CampaignEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Moment::Instant(instant) => instant.fmt(f),
            at => write!(f, "{at} ({})", self.time_zone),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Local(local) => local.fmt(f),
            Self::Instant(instant) => instant.fmt(f),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `2027-12-31` and nothing else: jiff would also take `20271231`, weeks, and a time or a zone behind it.
pub(super) fn local_date(text: &str) -> Option<Date> {
    has_form(text, "dddd-dd-dd").then(|| text.parse().ok())?
}

/// `2027-12-31T18:00` or `2027-12-31T18:00:00` and nothing else.
pub(super) fn local_date_time(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('T')?;
    Some(local_date(date)?.to_datetime(local_time(time)?))
}

/// `18:00` or `18:00:00` and nothing else. A leap second is none of civil time.
pub(super) fn local_time(text: &str) -> Option<Time> {
    let has_form = has_form(text, "dd:dd") || has_form(text, "dd:dd:dd") && !text.ends_with(":60");
    has_form.then(|| text.parse().ok())?
}

fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_the_precision_it_has_and_shown_in_it() {
        for text in ["2027-12-31", "2027-12-31T18:00:00", "2027-12-31T18:00:00Z"] {
            assert_eq!(Moment::parse(text).unwrap().to_string(), text);
            let json = format!("\"{text}\"");
            let moment: Moment = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&moment).unwrap(), json);
        }
        assert_eq!(Moment::parse("2027-12-31T18:00").unwrap().to_string(), "2027-12-31T18:00:00");
        assert_eq!(Moment::parse("2027-12-31T18:00:00+02:00").unwrap().to_string(), "2027-12-31T16:00:00Z");
        assert_eq!(Moment::parse("2027-12-31T18:00:00-05:00").unwrap().to_string(), "2027-12-31T23:00:00Z");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027-02-29",
            "2027-13-01",
            "20271231",
            "2027-W52-5",
            "2027-12-31Z",
            "2027-12-31 18:00:00",
            "2027-12-31T18",
            "2027-12-31T24:00:00",
            "2027-12-31T18:00:60",
            "2027-12-31T18:00:00.5",
            "2027-12-31T18:00:00[Europe/Paris]",
            "2027-12-31T18:00:00+01:00[Europe/Paris]",
            "2027-12-3\u{661}",
            "2027-12-31\u{661}",
        ] {
            assert_eq!(Moment::parse(text), Err(MomentError), "{text}");
        }
    }

    #[test]
    fn a_day_ends_with_the_day_and_a_time_is_included() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        let instant = |text: &str| -> Timestamp { text.parse().unwrap() };
        for (moment, last) in [
            ("2027-07-14", "2027-07-14T21:59:59.999999999Z"),
            ("2027-07-14T18:00", "2027-07-14T16:00:00Z"),
            ("2027-07-14T18:00:00Z", "2027-07-14T18:00:00Z"),
        ] {
            let moment = Moment::parse(moment).unwrap();
            assert_eq!(moment.includes(instant(last), &paris), Ok(true), "{moment}");
            let next = instant(last).checked_add(jiff::SignedDuration::from_nanos(1)).unwrap();
            assert_eq!(moment.includes(next, &paris), Ok(false), "{moment}");
        }
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_or_doubled_still_ends_once() {
        let cairo = Zone::parse("Africa/Cairo").unwrap();
        let over = |day: &str| Moment::parse(day).unwrap().over(&cairo).unwrap().to_string();
        // Clocks went from 00:00 to 01:00 on the 26th, and back from midnight to 23:00 on 31 October.
        assert_eq!(over("2024-04-25"), "2024-04-25T22:00:00Z");
        assert_eq!(over("2024-10-31"), "2024-10-31T22:00:00Z");
    }
}
