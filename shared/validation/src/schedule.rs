//! When it starts: there is an instant, it lies ahead, and the campaign has not ended by then.

use std::time::Duration;

use campaign::model::Finding;
use campaign::schedule::{Ends, Schedule, ScheduleError};
use campaign::{Campaign, Version};
use jiff::Timestamp;

/// How many occurrences are looked at to see how close they come: two months of every day, in which any pattern of days
/// has shown its closest ones.
const LOOKED_AT: usize = 64;

pub(crate) fn check(campaign: &Campaign, version: &Version, now: Timestamp, findings: &mut Vec<Finding>) {
    let asked = campaign.asked_at(now);
    match version.closes() {
        Err(error) => return findings.push(named(&error, "ends.time_zone", "ends.at")),
        Ok(Some(closes)) if closes <= now => {
            let message = format!("the campaign's end, {closes}, has passed");
            return findings.push(Finding::error("ends_in_past", "ends", message));
        }
        Ok(_) => {}
    }
    match version.first(asked, now) {
        Err(error) => findings.push(named(&error, "schedule.time_zone", "schedule.date_time")),
        Ok(Some(first)) => {
            let late = now.duration_since(first);
            let is_late = late.is_positive() && late.unsigned_abs() > version.misfire_grace();
            if is_late && matches!(version.schedule, Schedule::At { .. }) {
                let message = format!("the start, {first}, has passed");
                findings.push(Finding::error("start_in_past", "schedule.date_time", message));
            }
        }
        // Without the campaign's end there would be one.
        Ok(None) => match (version.schedule.first(asked, None), &version.ends) {
            (Ok(Some(first)), Some(ends)) => {
                let message = format!("the campaign ends at {ends}, and its next start would be {first}");
                findings.push(Finding::error("ends_before_start", "ends", message));
            }
            _ => findings.push(none_left(&version.schedule)),
        },
    }
}

fn named(error: &ScheduleError, zone: &str, time: &str) -> Finding {
    let (code, field) = match error {
        ScheduleError::UnknownZone(_) => ("unknown_time_zone", zone),
        ScheduleError::OutOfRange(_) => ("invalid_time", time),
    };
    Finding::error(code, field, error.to_string())
}

fn none_left(schedule: &Schedule) -> Finding {
    let field = match schedule {
        Schedule::Recurring(recurrence) => match recurrence.ends() {
            Ends::On(_) => "schedule.end",
            Ends::After(_) => "schedule.occurrences",
            Ends::Never => "schedule.start",
        },
        Schedule::AtActivation | Schedule::At { .. } => "schedule",
    };
    Finding::error("no_occurrence_left", field, "the schedule's last occurrence has passed")
}

/// How close the next occurrences come to each other; `None` where there are not two.
pub(crate) fn shortest_interval(version: &Version, now: Timestamp) -> Option<Duration> {
    let closes = version.closes().ok()?;
    let coming = version.schedule.coming(now, closes, LOOKED_AT).ok()?;
    coming.windows(2).map(|pair| pair[1].instant.duration_since(pair[0].instant).unsigned_abs()).min()
}
