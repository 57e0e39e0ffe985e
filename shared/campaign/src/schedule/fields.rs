//! The JSON form of a recurring schedule, and what is wrong with one.
//!
//! ```json
//! {
//!   "frequency": "weekly",
//!   "every": 2,
//!   "weekdays": ["monday", "thursday"],
//!   "time": "09:00:00",
//!   "start": "2027-03-01",
//!   "time_zone": "Europe/Paris",
//!   "occurrences": 10
//! }
//! ```
//!
//! | field | |
//! |---|---|
//! | `frequency` | `daily`, `weekly`, `monthly` |
//! | `every` | every how many of these; 1 where absent |
//! | `weekdays` | weekly only: `monday` to `sunday`; the start's where absent |
//! | `days` | monthly only: 1 to 31 and `"last"`; the start's where absent |
//! | `time` | the local time, `09:00` or `09:00:00`; the start's where absent |
//! | `start` | a date or a local time; nothing happens before |
//! | `time_zone` | an IANA zone; an alias is stored as its canonical name |
//! | `end` | a date, a local time or an instant; what starts on that day or at that time still runs |
//! | `occurrences` | instead of `end`: after how many it ends |
//! | `recipient_time` | where it is meant in every recipient's own zone: `{"passed": "now", "next_day" or "exclude"}` |
//!
//! Within a [`Schedule`](super::Schedule) it stands beside `"kind": "recurring"`.

use jiff::civil::{Date, Time, Weekday};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use thiserror::Error;

use super::moment::{local_date, local_date_time, local_time};
use super::pattern::LastDay;
use super::recurrence::MAX_OCCURRENCES;
use super::{Ends, Moment, MonthDays, OwnTime, PassedHour, Pattern, Recurrence, Weekdays, Zone};

const FIELDS: [&str; 10] = [
    "frequency",
    "every",
    "weekdays",
    "days",
    "time",
    "start",
    "time_zone",
    "end",
    "occurrences",
    "recipient_time",
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// What is wrong with a recurring schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct RecurrenceError {
    /// The field, such as `every` or `days[1]`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

type Result<T, E = RecurrenceError> = std::result::Result<T, E>;

impl RecurrenceError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Recurrence {
    /// Reads one from its JSON object.
    ///
    /// # Errors
    /// [`RecurrenceError`] names the field.
    pub fn from_json(object: &Map<String, Value>) -> Result<Self> {
        if let Some(unknown) = object.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let message = format!("is no field of a recurring schedule: {}", FIELDS.join(", "));
            return Err(RecurrenceError::new(unknown, message));
        }
        let fields = Fields(object);
        let frequency = fields.text("frequency", "daily, weekly or monthly")?;
        let (start, start_time) = fields.start()?;
        let pattern = fields.pattern(frequency, start)?;
        let time = fields.time(start_time)?;
        let zone = Zone::parse(fields.text("time_zone", "an IANA zone, such as Europe/Paris")?)
            .map_err(|error| RecurrenceError::new("time_zone", error.to_string()))?;
        let every = fields.whole("every", pattern.most_every().into())?.unwrap_or(1);
        let every = u16::try_from(every).unwrap_or(u16::MAX);
        let start = start.to_datetime(start_time.unwrap_or(Time::midnight()));
        let recipient_time = object.get("recipient_time").map(OwnTime::from_json).transpose()?.flatten();
        let recurrence = Self::new(pattern, every, start, time, zone, fields.ends()?)?;
        Ok(recurrence.in_recipient_time(recipient_time))
    }
}

impl OwnTime {
    /// Reads the field `recipient_time` of a schedule; `None` for `null`.
    ///
    /// # Errors
    /// [`RecurrenceError`] names the field.
    pub fn from_json(value: &Value) -> Result<Option<Self>> {
        let wrong = || {
            let message = "must be an object, such as {\"passed\": \"next_day\"}";
            RecurrenceError::new("recipient_time", message)
        };
        if value.is_null() {
            return Ok(None);
        }
        let object = value.as_object().ok_or_else(wrong)?;
        if let Some(unknown) = object.keys().find(|name| *name != "passed") {
            return Err(RecurrenceError::new(format!("recipient_time.{unknown}"), "is no field: passed"));
        }
        let passed = match object.get("passed").map(Value::as_str) {
            None => PassedHour::default(),
            Some(Some("now")) => PassedHour::Now,
            Some(Some("next_day")) => PassedHour::NextDay,
            Some(Some("exclude")) => PassedHour::Exclude,
            Some(_) => {
                let message = "must be now, next_day or exclude";
                return Err(RecurrenceError::new("recipient_time.passed", message));
            }
        };
        Ok(Some(Self { passed }))
    }
}

/// The object being read. A field that is `null` is absent.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str, form: &str) -> Result<&'a str> {
        let Some(value) = self.get(name) else {
            return Err(RecurrenceError::new(name, format!("is missing: {form}")));
        };
        value.as_str().ok_or_else(|| RecurrenceError::new(name, format!("must be {form}")))
    }

    fn whole(&self, name: &str, most: u32) -> Result<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=most).contains(number));
        let message = || format!("must be a whole number from 1 to {most}");
        number.map(Some).ok_or_else(|| RecurrenceError::new(name, message()))
    }

    fn start(&self) -> Result<(Date, Option<Time>)> {
        let form = "a date or a local time without an offset, such as 2027-03-01 or 2027-03-01T09:00:00";
        let text = self.text("start", form)?;
        if let Some(date) = local_date(text) {
            return Ok((date, None));
        }
        let local = local_date_time(text);
        let local = local.ok_or_else(|| RecurrenceError::new("start", format!("must be {form}")))?;
        Ok((local.date(), Some(local.time())))
    }

    fn time(&self, start: Option<Time>) -> Result<Time> {
        let form = "a local time, such as 09:00";
        match (self.get("time"), start) {
            (None, Some(start)) => Ok(start),
            _ => local_time(self.text("time", form)?)
                .ok_or_else(|| RecurrenceError::new("time", format!("must be {form}"))),
        }
    }

    fn pattern(&self, frequency: &str, start: Date) -> Result<Pattern> {
        let pattern = match frequency {
            "daily" => Pattern::Daily,
            "weekly" => Pattern::Weekly(self.weekdays(start)?),
            "monthly" => Pattern::Monthly(self.month_days(start)?),
            _ => return Err(RecurrenceError::new("frequency", "must be daily, weekly or monthly")),
        };
        for (name, only) in [("weekdays", "weekly"), ("days", "monthly")] {
            if frequency != only && self.get(name).is_some() {
                return Err(RecurrenceError::new(name, format!("only a {only} schedule has these")));
            }
        }
        Ok(pattern)
    }

    fn weekdays(&self, start: Date) -> Result<Weekdays> {
        let form = "a list of weekdays, monday to sunday, at least one";
        let wrong = || RecurrenceError::new("weekdays", format!("must be {form}"));
        let days = match self.get("weekdays") {
            None => vec![start.weekday()],
            Some(list) => {
                let read = |(index, name): (usize, &Value)| {
                    let found = WEEKDAYS.iter().find(|(known, _)| name.as_str() == Some(known));
                    let wrong =
                        || RecurrenceError::new(format!("weekdays[{index}]"), "must be monday to sunday");
                    found.map(|(_, day)| *day).ok_or_else(wrong)
                };
                list.as_array().ok_or_else(wrong)?.iter().enumerate().map(read).collect::<Result<_>>()?
            }
        };
        Weekdays::new(days).ok_or_else(wrong)
    }

    fn month_days(&self, start: Date) -> Result<MonthDays> {
        let wrong = || RecurrenceError::new("days", "must be a list of 1 to 31 and \"last\", at least one");
        let mut numbers = Vec::new();
        let mut last = None;
        match self.get("days") {
            None => numbers.push(start.day().unsigned_abs()),
            Some(list) => {
                for (index, day) in list.as_array().ok_or_else(wrong)?.iter().enumerate() {
                    match day.as_u64() {
                        Some(number @ 1..=31) => numbers.push(number as u8),
                        None if day == "last" => last = Some(LastDay),
                        _ => {
                            let field = format!("days[{index}]");
                            return Err(RecurrenceError::new(field, "must be 1 to 31, or \"last\""));
                        }
                    }
                }
            }
        }
        MonthDays::new(numbers, last).ok_or_else(wrong)
    }

    fn ends(&self) -> Result<Ends> {
        let occurrences = self.whole("occurrences", MAX_OCCURRENCES)?;
        match (self.get("end"), occurrences) {
            (None, None) => Ok(Ends::Never),
            (None, Some(occurrences)) => Ok(Ends::After(occurrences)),
            (Some(_), Some(_)) => Err(RecurrenceError::new("occurrences", "can't be given beside end")),
            (Some(end), None) => {
                let moment = Moment::parse(end.as_str().unwrap_or_default());
                moment.map(Ends::On).map_err(|error| RecurrenceError::new("end", error.to_string()))
            }
        }
    }
}

impl Serialize for Recurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.pattern() {
            Pattern::Daily => map.serialize_entry("frequency", "daily")?,
            Pattern::Weekly(days) => {
                map.serialize_entry("frequency", "weekly")?;
                let name = |day| WEEKDAYS.iter().find(|(_, known)| *known == day).map(|(name, _)| *name);
                map.serialize_entry("weekdays", &days.iter().filter_map(name).collect::<Vec<_>>())?;
            }
            Pattern::Monthly(days) => {
                map.serialize_entry("frequency", "monthly")?;
                let mut list: Vec<Value> = days.numbers().map(Value::from).collect();
                list.extend(days.last().map(|LastDay| Value::from("last")));
                map.serialize_entry("days", &list)?;
            }
        }
        map.serialize_entry("every", &self.every())?;
        map.serialize_entry("time", &self.time())?;
        // Midnight is where a date begins: it was given as one, or means the same.
        if self.start().time() == Time::midnight() {
            map.serialize_entry("start", &self.start().date())?;
        } else {
            map.serialize_entry("start", &self.start())?;
        }
        map.serialize_entry("time_zone", self.zone())?;
        match self.ends() {
            Ends::Never => {}
            Ends::On(end) => map.serialize_entry("end", &end)?,
            Ends::After(occurrences) => map.serialize_entry("occurrences", &occurrences)?,
        }
        if let Some(recipient_time) = self.recipient_time() {
            map.serialize_entry("recipient_time", &recipient_time)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Recurrence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::<String, Value>::deserialize(deserializer)?;
        Self::from_json(&object).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As it stands among the kinds of schedules.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Kinds {
        AtActivation,
        Recurring(Recurrence),
    }

    fn error(change: impl Fn(&mut Map<String, Value>)) -> String {
        let mut schedule = json!({
            "frequency": "daily", "time": "09:00", "start": "2027-03-01", "time_zone": "Europe/Paris",
        });
        change(schedule.as_object_mut().unwrap());
        let kind = json!({ "kind": "recurring" });
        let mut tagged = kind.as_object().unwrap().clone();
        tagged.extend(schedule.as_object().unwrap().clone());
        let tagged =
            serde_json::from_value::<Kinds>(Value::Object(tagged)).map_err(|error| error.to_string());
        let plain = Recurrence::from_json(schedule.as_object().unwrap()).map_err(|error| error.to_string());
        assert_eq!(tagged.as_ref().err(), plain.as_ref().err());
        plain.expect_err(&schedule.to_string())
    }

    #[test]
    fn a_recurring_schedule_reads_as_it_was_written() {
        // Corpus B15: the local time typed is the one shown again, whatever its zone.
        for schedule in [
            json!({
                "kind": "recurring", "frequency": "daily", "every": 3, "time": "19:00:00",
                "start": "2027-03-01", "time_zone": "America/Los_Angeles",
            }),
            json!({
                "kind": "recurring", "frequency": "weekly", "weekdays": ["monday", "sunday"], "every": 2,
                "time": "02:30:00", "start": "2027-03-01T10:00:00", "time_zone": "Etc/GMT+8",
                "end": "2028-01-31",
            }),
            json!({
                "kind": "recurring", "frequency": "monthly", "days": [1, 31, "last"], "every": 1,
                "time": "00:00:05", "start": "2027-03-01T00:00:05", "time_zone": "UTC", "occurrences": 10,
            }),
        ] {
            let read: Kinds = serde_json::from_value(schedule.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), schedule);
            let text = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Kinds>(&text).unwrap(), read);
        }
    }

    #[test]
    fn what_is_left_out_is_the_start_s() {
        let read = |schedule: Value| Recurrence::from_json(schedule.as_object().unwrap()).unwrap();
        let weekly = read(json!({
            "frequency": "weekly", "start": "2027-03-04T09:15", "time_zone": "US/Eastern", "end": null,
        }));
        assert_eq!(
            serde_json::to_value(weekly).unwrap(),
            json!({
                "frequency": "weekly", "every": 1, "weekdays": ["thursday"], "time": "09:15:00",
                "start": "2027-03-04T09:15:00", "time_zone": "America/New_York",
            })
        );
        let monthly = read(json!({
            "frequency": "monthly", "start": "2027-01-31", "time": "09:15", "time_zone": "Europe/Kiev",
        }));
        assert_eq!(
            serde_json::to_value(monthly).unwrap(),
            json!({
                "frequency": "monthly", "every": 1, "days": [31], "time": "09:15:00", "start": "2027-01-31",
                "time_zone": "Europe/Kyiv",
            })
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let set = |name: &'static str, value: Value| {
            error(move |schedule| {
                schedule.insert(name.to_owned(), value.clone());
            })
        };
        for every in [json!(0), json!(-1), json!(367), json!(1.5), json!("2"), json!(1e30), json!(65_537)] {
            assert_eq!(set("every", every), "every: must be a whole number from 1 to 366");
        }
        for occurrences in [json!(0), json!(100_001), json!("ten")] {
            let message = "occurrences: must be a whole number from 1 to 100000";
            assert_eq!(set("occurrences", occurrences), message);
        }
        assert_eq!(set("frequency", json!("hourly")), "frequency: must be daily, weekly or monthly");
        assert_eq!(set("frequency", json!(1)), "frequency: must be daily, weekly or monthly");
        assert_eq!(set("time_zone", json!("Mars")), "time_zone: \"Mars\" is no IANA time zone");
        assert_eq!(set("time_zone", json!(1)), "time_zone: must be an IANA zone, such as Europe/Paris");
        for time in [json!("9"), json!("24:00"), json!("9:00 pm"), json!("09:00Z"), json!(9)] {
            assert_eq!(set("time", time), "time: must be a local time, such as 09:00");
        }
        for start in [json!("2027-02-29"), json!("2027-03-01T09:00:00Z"), json!("soon"), json!(2027)] {
            assert!(
                set("start", start).starts_with("start: must be a date or a local time without an offset")
            );
        }
        for start in ["1969-12-31", "9001-01-01"] {
            assert_eq!(set("start", json!(start)), "start: must lie in the years 1970 to 9000");
        }
        for end in [json!("soon"), json!(3), json!("")] {
            assert!(set("end", end).starts_with("end: must be a date, a local time or an instant, such as"));
        }
        let message = "is before the first occurrence, 2027-03-01T09:00:00";
        assert_eq!(set("end", json!("2027-02-28")), format!("end: 2027-02-28 {message}"));
        assert_eq!(set("end", json!("2027-03-01T07:59:59Z")), format!("end: 2027-03-01T07:59:59Z {message}"));
        assert_eq!(set("weekdays", json!(["monday"])), "weekdays: only a weekly schedule has these");
        assert_eq!(set("days", json!([1])), "days: only a monthly schedule has these");
        assert_eq!(
            set("hour", json!(9)),
            "hour: is no field of a recurring schedule: frequency, every, weekdays, days, time, start, time_zone, \
             end, occurrences, recipient_time"
        );
        assert_eq!(
            set("recipient_time", json!({ "passed": "later" })),
            "recipient_time.passed: must be now, next_day or exclude"
        );
        assert_eq!(
            set("recipient_time", json!({ "missed": "now" })),
            "recipient_time.missed: is no field: passed"
        );
        assert!(set("recipient_time", json!(true)).starts_with("recipient_time: must be an object"));
        let both = error(|schedule| {
            schedule.insert("end".to_owned(), json!("2028-01-01"));
            schedule.insert("occurrences".to_owned(), json!(3));
        });
        assert_eq!(both, "occurrences: can't be given beside end");
        for name in ["frequency", "time", "start", "time_zone"] {
            let missing = error(|schedule| {
                schedule.remove(name);
            });
            assert!(missing.starts_with(&format!("{name}: is missing: ")), "{missing}");
        }
    }

    #[test]
    fn a_wrong_day_is_named_with_its_place() {
        let weekly = |days: Value| {
            error(move |schedule| {
                schedule.insert("frequency".to_owned(), json!("weekly"));
                schedule.insert("weekdays".to_owned(), days.clone());
            })
        };
        let list = "weekdays: must be a list of weekdays, monday to sunday, at least one";
        assert_eq!(weekly(json!([])), list);
        assert_eq!(weekly(json!("monday")), list);
        assert_eq!(weekly(json!(["monday", "Tues"])), "weekdays[1]: must be monday to sunday");
        let monthly = |days: Value| {
            error(move |schedule| {
                schedule.insert("frequency".to_owned(), json!("monthly"));
                schedule.insert("days".to_owned(), days.clone());
            })
        };
        let list = "days: must be a list of 1 to 31 and \"last\", at least one";
        assert_eq!(monthly(json!([])), list);
        assert_eq!(monthly(json!(31)), list);
        for day in [json!(0), json!(32), json!(-1), json!("first"), json!(257), json!(1.5)] {
            assert_eq!(monthly(json!([1, day])), "days[1]: must be 1 to 31, or \"last\"");
        }
    }
}
