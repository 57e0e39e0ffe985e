//! When a campaign starts and ends, as it comes in.
//!
//! Out it goes as the model stores it, which is of the same form.

use campaign::schedule::{
    CampaignEnd, Moment, OwnTime, Recurrence, Schedule, Zone, earliest, instant, latest,
};
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Problem, Result};

/// When a campaign starts: as soon as it is activated, once at a local time in a zone, or again and again at one.
///
/// A local time that a clock change skips moves forward by the gap; one that comes twice counts once, the first time.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    kind: ScheduleKind,
    /// `at`: the local time, without an offset.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2027-03-14T09:00:00")]
    date_time: Option<Value>,
    /// `at` and `recurring`: an IANA zone. An alias is taken and shown as its canonical name.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Europe/Paris")]
    time_zone: Option<Value>,
    /// `recurring`: what it repeats by.
    #[serde(default)]
    #[schema(value_type = Option<Frequency>)]
    frequency: Option<Value>,
    /// `recurring`: every how many days (at most 366), weeks (104) or months (120); 1 where absent.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 366)]
    every: Option<Value>,
    /// Weekly: on which days; the start's where absent. A week begins on Monday.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Weekday>>, min_items = 1)]
    weekdays: Option<Value>,
    /// Monthly: on which days; the start's where absent. Where a month is shorter, its last day is meant.
    #[serde(default)]
    #[schema(value_type = Option<Vec<MonthDay>>, min_items = 1)]
    days: Option<Value>,
    /// `recurring`: at which local time; the start's where that has one.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "09:00:00")]
    time: Option<Value>,
    /// `recurring`: a date or a local time before which nothing starts. One that has passed at the activation rolls to
    /// the next occurrence.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2027-03-01")]
    start: Option<Value>,
    /// `recurring`: the last day, local time or instant that it starts on or at.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2027-12-31")]
    end: Option<Value>,
    /// `recurring`, instead of `end`: after how many it ends, counted from the start.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    occurrences: Option<Value>,
    /// `at` and `recurring`: the time is meant in every recipient's own time zone, that of their profile. The schedule's
    /// zone is for those who have none.
    #[serde(default)]
    #[schema(value_type = Option<RecipientTimeBody>)]
    recipient_time: Option<Value>,
}

/// A time in every recipient's own zone. One occurrence is one execution: it starts when it is the time in the earliest
/// zone, and is over when it is in the latest, 26 hours later.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct RecipientTimeBody {
    /// What is done where the time has passed when the campaign is activated; `next_day` where absent.
    #[schema(required = false)]
    passed: PassedHour,
}

/// `now`: they get it at once. `next_day`: at that time on the next day, or, where the schedule comes again by then, with
/// its next occurrence. `exclude`: they don't get it. Whoever does not is `excluded`, by the reason `hour_passed`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum PassedHour {
    Now,
    NextDay,
    Exclude,
}

/// `at_activation`; `at`, which needs `date_time` and `time_zone`; `recurring`, which needs `frequency`, `start`,
/// `time_zone` and, where `start` is a date, `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScheduleKind {
    AtActivation,
    At,
    Recurring,
}

/// What a schedule repeats by.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum Frequency {
    Daily,
    Weekly,
    Monthly,
}

/// A day of the week.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A day of the month: 1 to 31, or `last`.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum MonthDay {
    Number(DayNumber),
    Last(LastDay),
}

/// A day of the month by its number.
#[derive(serde::Serialize, ToSchema)]
#[schema(minimum = 1, maximum = 31)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct DayNumber(u8);

/// The last day of the month.
#[derive(serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum LastDay {
    Last,
}

/// When a campaign ends: nothing of it starts at that time or after it, or after that day. What runs by then goes on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndBody {
    /// A date, a local time or an instant.
    #[schema(example = "2027-12-31")]
    at: String,
    /// An IANA zone; the schedule's where absent.
    #[serde(default)]
    #[schema(example = "Europe/Paris")]
    time_zone: Option<String>,
}

/// When a campaign ends.
#[derive(ToSchema)]
#[schema(as = CampaignEnd)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct EndOut {
    /// A date, a local time or an instant.
    #[schema(example = "2027-12-31")]
    at: String,
    /// An IANA zone.
    #[schema(example = "Europe/Paris")]
    time_zone: String,
}

impl ScheduleBody {
    pub(super) fn parse(self) -> Result<Schedule> {
        let kind = self.kind;
        let fields = self.fields();
        match kind {
            ScheduleKind::AtActivation => match fields.keys().next() {
                None => Ok(Schedule::AtActivation),
                Some(name) => Err(wrong(name, "at_activation has none")),
            },
            ScheduleKind::At => at(&fields),
            ScheduleKind::Recurring => Recurrence::from_json(&fields)
                .map(Schedule::Recurring)
                .map_err(|error| wrong(&error.field, error.message)),
        }
    }

    /// What is given beside the kind.
    fn fields(self) -> Map<String, Value> {
        let fields = [
            ("date_time", self.date_time),
            ("time_zone", self.time_zone),
            ("frequency", self.frequency),
            ("every", self.every),
            ("weekdays", self.weekdays),
            ("days", self.days),
            ("time", self.time),
            ("start", self.start),
            ("end", self.end),
            ("occurrences", self.occurrences),
            ("recipient_time", self.recipient_time),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn at(fields: &Map<String, Value>) -> Result<Schedule> {
    let is_known = |name: &&String| matches!(name.as_str(), "date_time" | "time_zone" | "recipient_time");
    if let Some(other) = fields.keys().find(|name| !is_known(name)) {
        return Err(wrong(other, "only a recurring schedule has this"));
    }
    let text = |name| fields.get(name).ok_or_else(|| wrong(name, "is missing")).map(Value::as_str);
    let (date_time, zone) = (text("date_time")?, text("time_zone")?);
    let date_time = date_time.and_then(local).ok_or_else(|| {
        wrong("date_time", "must be a local time without an offset, such as 2027-03-14T09:00:00")
    })?;
    let zone = zone.ok_or_else(|| wrong("time_zone", "must be an IANA zone, such as Europe/Paris"))?;
    let zone = Zone::parse(zone).map_err(|error| wrong("time_zone", error.to_string()))?;
    instant(date_time, zone.name()).map_err(|error| wrong("date_time", error.to_string()))?;
    let recipient_time = fields.get("recipient_time").map(OwnTime::from_json).transpose();
    let recipient_time = recipient_time.map_err(|error| wrong(&error.field, error.message))?.flatten();
    if recipient_time.is_some() {
        earliest(date_time).map_err(|error| wrong("date_time", error.to_string()))?;
        latest(date_time).map_err(|error| wrong("date_time", error.to_string()))?;
    }
    Ok(Schedule::At { date_time, time_zone: zone.name().to_owned(), recipient_time })
}

/// An offset would be ignored, and the campaign start at another hour than was meant: it is refused.
fn local(text: &str) -> Option<DateTime> {
    let is_local = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:T.".contains(&byte))
        && text.split_once('T').is_some_and(|(_, time)| !time.contains('-'));
    text.parse().ok().filter(|_| is_local)
}

fn wrong(field: &str, message: impl Into<String>) -> Problem {
    Problem::field(format!("schedule.{field}"), message)
}

impl EndBody {
    /// Reads it beside the schedule whose zone is meant where it names none. An instant needs none.
    pub(super) fn parse(self, schedule: &Schedule) -> Result<CampaignEnd> {
        let at = Moment::parse(&self.at).map_err(|error| Problem::field("ends.at", error.to_string()))?;
        let zone = match self.time_zone {
            Some(name) => Zone::parse(&name).map(Some),
            None => schedule.zone(),
        };
        let zone = zone.map_err(|error| Problem::field("ends.time_zone", error.to_string()))?;
        let zone = match (zone, at) {
            (Some(zone), _) => zone,
            (None, Moment::Instant(_)) => Zone::UTC,
            (None, _) => {
                return Err(Problem::field("ends.time_zone", "is missing, and the schedule has none"));
            }
        };
        let ends = CampaignEnd { at, time_zone: zone };
        ends.closes().map_err(|error| Problem::field("ends.at", error.to_string()))?;
        Ok(ends)
    }
}
