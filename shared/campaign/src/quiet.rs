//! Quiet hours: a window of the recipient's wall clock in which no marketing goes out to them.
//!
//! A window begins at the first instant at which clocks in the recipient's zone show its beginning or, where a clock
//! change skips that, later; and ends at the last one at which they show its end or, where that is skipped, later. So no
//! clock change sends anything while a clock shows a time within the window, nor in the middle of a night.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Channel;
use crate::schedule::Zone;

/// How many days before today a window that is not over may have begun on. One would do where no zone left out a day, as
/// Samoa did when it went over the date line.
const DAYS_BACK: usize = 2;

/// A window in which nothing of marketing goes out over its channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Its name, for people; no two windows have the same.
    #[cfg_attr(
        feature = "schema",
        schema(min_length = 1, max_length = 200, pattern = r"\S", example = "Nights")
    )]
    pub name: String,
    /// When it begins, by the recipient's clock.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "21:00"))]
    pub start: TimeOfDay,
    /// When it ends: on the next day where that is not later than `start`.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "08:00"))]
    pub end: TimeOfDay,
    /// The days on which it begins; every day where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 7))]
    pub weekdays: Option<Vec<DayOfWeek>>,
    /// Over which channels; each once.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::delivery_rules::channels_schema))]
    pub channels: Vec<Channel>,
    /// What becomes of a message that is to go out within it; `delay` where absent.
    #[serde(default)]
    pub on_quiet: OnQuiet,
}

/// What becomes of a message within quiet hours: it waits until they end (`delay`), or is not sent (`exclude`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnQuiet {
    /// It waits until they end.
    #[default]
    Delay,
    /// It is not sent.
    Exclude,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum DayOfWeek {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A time of day to the minute, such as `21:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

/// A text that is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a time from 00:00 to 23:59")]
pub struct NotATimeOfDay;

impl QuietHours {
    /// When it ends, where `now` lies within it for somebody whose clocks are those of `zone`.
    pub fn ends(&self, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let mut day = zone.local(now).date();
        let mut latest = None;
        for _ in 0..=DAYS_BACK {
            if self.begins_on(day)
                && let Some((begins, ends)) = self.on(day, zone)
                && begins <= now
                && now < ends
            {
                latest = latest.max(Some(ends));
            }
            day = day.yesterday().ok()?;
        }
        latest
    }

    /// From when to when it lasts, where it begins on this day.
    fn on(&self, day: Date, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
        let last_day = if self.end > self.start { day } else { day.tomorrow().ok()? };
        let begins = zone.first(day.to_datetime(self.start.time()));
        Some((begins, zone.last(last_day.to_datetime(self.end.time()))))
    }

    fn begins_on(&self, day: Date) -> bool {
        self.weekdays.as_ref().is_none_or(|days| days.iter().any(|known| known.weekday() == day.weekday()))
    }

    /// The minutes of a week, counted from Monday's beginning on, that it covers.
    pub(crate) fn minutes(&self) -> impl Iterator<Item = usize> + '_ {
        let day = 24 * 60;
        let (start, end) = (self.start.minutes(), self.end.minutes());
        let length = if end > start { end - start } else { day + end - start };
        Weekday::Monday
            .cycle_forward()
            .take(7)
            .enumerate()
            .filter(|(_, weekday)| {
                self.weekdays.as_ref().is_none_or(|days| days.iter().any(|known| known.weekday() == *weekday))
            })
            .flat_map(move |(index, _)| {
                (0..length).map(move |minute| (index * day + start + minute) % (7 * day))
            })
    }
}

impl DayOfWeek {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        }
    }
}

impl TimeOfDay {
    fn time(self) -> Time {
        Time::constant(self.hour, self.minute, 0, 0)
    }

    fn minutes(self) -> usize {
        usize::from(self.hour.unsigned_abs()) * 60 + usize::from(self.minute.unsigned_abs())
    }
}

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, NotATimeOfDay> {
        let &[tens, ones, b':', sixths, rest] = text.as_bytes() else { return Err(NotATimeOfDay) };
        let digit =
            |byte: u8| i8::try_from(byte.wrapping_sub(b'0')).ok().filter(|digit| (0..10).contains(digit));
        let pair = |tens, ones| Some(digit(tens)? * 10 + digit(ones)?);
        match (pair(tens, ones), pair(sixths, rest)) {
            (Some(hour @ 0..24), Some(minute @ 0..60)) => Ok(Self { hour, minute }),
            _ => Err(NotATimeOfDay),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
