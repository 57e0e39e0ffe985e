//! What a campaign may do, from the product's description: statuses, versions, and what each command makes of them.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::Value;

/// A campaign as its history tells of it.
#[derive(Debug)]
pub struct Model {
    pub status: String,
    pub live: Option<u64>,
    pub draft: Option<u64>,
    /// When the activation of the draft was asked for, while that is being checked.
    checking: Option<Timestamp>,
    /// The greatest number a version ever had.
    last: u64,
    pub reigns: Vec<Reign>,
    pub stopped: Option<Timestamp>,
    pub deleted: bool,
    at: Timestamp,
}

/// The time in which a version is the live one.
#[derive(Debug, Clone)]
pub struct Reign {
    pub version: u64,
    /// When it was asked for, and when it came.
    pub asked: Timestamp,
    pub began: Timestamp,
    /// When its end was asked for, and when that came.
    pub end_asked: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

pub fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

impl Model {
    /// A campaign whose history begins so.
    pub fn born(entry: &Value) -> Result<Self, String> {
        if entry["command"] != "create" || !entry["from"].is_null() || entry["to"] != "draft" {
            return Err("a history begins with the creation of a draft".to_owned());
        }
        Ok(Self {
            status: "draft".to_owned(),
            live: None,
            draft: Some(1),
            checking: None,
            last: 1,
            reigns: Vec::new(),
            stopped: None,
            deleted: false,
            at: instant(&entry["at"]),
        })
    }

    /// Takes the next entry, if it is one that may follow.
    pub fn step(&mut self, entry: &Value) -> Result<(), String> {
        let command = entry["command"].as_str().unwrap();
        let at = instant(&entry["at"]);
        if at < self.at {
            return Err(format!("time goes back to {at}"));
        }
        self.at = at;
        if self.deleted && command != "duplicate" {
            return Err("it was deleted".to_owned());
        }
        if command == "duplicate" {
            return Ok(());
        }
        if entry["from"] != self.status.as_str() {
            return Err(format!("it was {}", self.status));
        }
        let beside = self.live.is_some();
        let (status, version) = (self.status.clone(), entry["version"].as_u64());
        let to = match (command, status.as_str()) {
            ("rename", same) => same,
            ("edit", same @ ("draft" | "scheduled" | "live")) if self.checking.is_none() => {
                if self.draft.is_none() {
                    self.last += 1;
                    self.draft = Some(self.last);
                }
                same
            }
            ("activate", "draft") if self.draft.is_some() => self.check(at, "activating"),
            ("activate", same @ ("scheduled" | "live"))
                if self.draft.is_some() && self.checking.is_none() =>
            {
                self.check(at, same)
            }
            ("become_scheduled", "activating") => self.take_over(at, "scheduled"),
            ("become_live", "activating") => self.take_over(at, "live"),
            ("replace", same @ ("scheduled" | "live")) if self.checking.is_some() => self.take_over(at, same),
            ("fail_activation", "activating") => self.give_up("draft"),
            ("fail_activation", same @ ("scheduled" | "live")) if self.checking.is_some() => {
                self.give_up(same)
            }
            ("start", "scheduled") => "live",
            ("complete", "scheduled" | "live") => self.end(at, "completed"),
            ("stop", "activating") => self.give_up("draft"),
            ("stop", "scheduled" | "live") => {
                self.stopped = Some(at);
                self.end(at, "stopped")
            }
            ("discard_draft", same @ ("scheduled" | "live" | "stopped" | "completed" | "archived"))
                if beside && self.checking.is_none() && self.draft.is_some() =>
            {
                if version != self.draft {
                    return Err(format!("the draft was {:?}", self.draft));
                }
                self.draft = None;
                same
            }
            ("archive", "stopped" | "completed") => "archived",
            ("delete", "draft") if !beside => {
                self.deleted = true;
                "draft"
            }
            _ => return Err(format!("this does not follow on {self:?}")),
        };
        if entry["to"] != to {
            return Err(format!("this leads to {to}"));
        }
        self.status = to.to_owned();
        let done_to = match command {
            "edit" => self.draft,
            "replace" | "become_scheduled" | "become_live" | "start" | "complete" => self.live,
            _ => version,
        };
        if version != done_to {
            return Err(format!("this was done to version {done_to:?}"));
        }
        Ok(())
    }

    fn check<'s>(&mut self, at: Timestamp, status: &'s str) -> &'s str {
        self.checking = Some(at);
        status
    }

    fn give_up<'s>(&mut self, status: &'s str) -> &'s str {
        self.checking = None;
        status
    }

    fn take_over<'s>(&mut self, at: Timestamp, status: &'s str) -> &'s str {
        let asked = self.checking.take().unwrap_or(at);
        self.close(asked, at);
        self.live = self.draft.take();
        let version = self.live.unwrap_or_default();
        self.reigns.push(Reign { version, asked, began: at, end_asked: None, ended: None });
        status
    }

    fn end<'s>(&mut self, at: Timestamp, status: &'s str) -> &'s str {
        self.checking = None;
        self.close(at, at);
        status
    }

    fn close(&mut self, asked: Timestamp, at: Timestamp) {
        if let Some(reign) = self.reigns.last_mut() {
            (reign.end_asked, reign.ended) = (Some(asked), Some(at));
        }
    }
}

/// When a version starts, of the few kinds of schedule that are used here.
#[derive(Debug)]
pub enum Slots {
    AtActivation,
    At(Vec<Timestamp>),
}

impl Slots {
    pub fn of(schedule: &Value) -> Self {
        let text = |field: &str| schedule[field].as_str().unwrap();
        let utc = |date: Date, time: Time| TimeZone::UTC.to_timestamp(date.to_datetime(time)).unwrap();
        match text("kind") {
            "at_activation" => Self::AtActivation,
            "at" => {
                let at: jiff::civil::DateTime = text("date_time").parse().unwrap();
                Self::At(vec![utc(at.date(), at.time())])
            }
            _ => {
                assert_eq!((text("frequency"), text("time_zone")), ("daily", "UTC"));
                let (start, time): (Date, Time) =
                    (text("start").parse().unwrap(), text("time").parse().unwrap());
                let count = schedule["occurrences"].as_i64().unwrap();
                Self::At((0..count).map(|day| utc(start.saturating_add(day.days()), time)).collect())
            }
        }
    }
}
