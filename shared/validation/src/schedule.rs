//! When it starts: there is an instant, it lies ahead, and the campaign has not ended by then.

use std::time::Duration;

use campaign::model::Finding;
use campaign::schedule::{Ends, PassedHour, Schedule, ScheduleError, earliest, latest};
use campaign::{Campaign, Version};
use jiff::Timestamp;

/// How many occurrences are looked at to see how close they come: two months of every day, in which any pattern of days
/// has shown its closest ones.
const LOOKED_AT: usize = 64;

/// What is to be said of when a version starts; when that is next, where it does.
pub(crate) fn check(
    campaign: &Campaign,
    version: &Version,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Option<Timestamp> {
    let asked = campaign.asked_at(now);
    let closes = match version.closes() {
        Err(error) => {
            findings.push(named(&error, "ends.time_zone", "ends.at"));
            return None;
        }
        Ok(Some(closes)) if closes <= now => {
            let message = format!("the campaign's end, {closes}, has passed");
            findings.push(Finding::error("ends_in_past", "ends", message));
            return None;
        }
        Ok(closes) => closes,
    };
    match version.first_of(campaign, now) {
        Err(error) => findings.push(named(&error, "schedule.time_zone", "schedule.date_time")),
        Ok(Some(first)) => {
            // In recipients' own time it has passed when it has in the latest zone.
            let over = match &version.schedule {
                Schedule::At { date_time, recipient_time: Some(_), .. } => {
                    latest(*date_time).unwrap_or(first)
                }
                _ => first,
            };
            let late = now.duration_since(over);
            let is_late = late.is_positive() && late.unsigned_abs() > version.misfire_grace();
            if is_late && matches!(version.schedule, Schedule::At { .. }) {
                let message = format!("the start, {over}, has passed");
                findings.push(Finding::error("start_in_past", "schedule.date_time", message));
            } else {
                zones(version, first, closes, findings);
            }
            return Some(first);
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
    None
}

/// What is to be said of the zones of a schedule in recipients' own time whose next start is at `first`.
fn zones(version: &Version, first: Timestamp, closes: Option<Timestamp>, findings: &mut Vec<Finding>) {
    let Ok(Some(pinned)) = version.schedule.pin(first, first, closes) else { return };
    let (Ok(begins), Ok(last)) = (earliest(pinned.local), latest(pinned.local)) else { return };
    if first > begins {
        let fate = match pinned.passed {
            PassedHour::Now => "get it at once",
            PassedHour::NextDay => "get it at that hour on the next day",
            PassedHour::Exclude => "don't get it",
        };
        let message = format!("it has been {} in some zones: recipients there {fate}", pinned.local);
        findings.push(Finding::warning("hour_passed", "schedule.recipient_time.passed", message));
    }
    if let Some(closes) = closes.filter(|closes| last >= *closes) {
        let message = format!(
            "in the latest zone it is {} at {last}, after the campaign's end, {closes}: what has started by then goes on",
            pinned.local
        );
        findings.push(Finding::warning("zones_after_end", "ends", message));
    }
}

pub(crate) fn named(error: &ScheduleError, zone: &str, time: &str) -> Finding {
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
