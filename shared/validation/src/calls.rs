//! What calls start: its schedule is no more than the time in which it takes them.

use campaign::Version;
use campaign::model::Finding;
use campaign::schedule::Schedule;
use jiff::Timestamp;

use crate::schedule::named;

pub(crate) fn check(version: &Version, now: Timestamp, findings: &mut Vec<Finding>) {
    let own_time = matches!(&version.schedule, Schedule::At { recipient_time: Some(_), .. });
    if own_time || matches!(version.schedule, Schedule::Recurring(_)) {
        let message = "calls start it: the schedule says at most from when on (at_activation, or at a date)";
        findings.push(Finding::error("schedule_not_used", "schedule", message));
    }
    if version.waves.is_some() {
        let message = "calls start it, each for its recipients at once";
        findings.push(Finding::error("waves_not_used", "waves", message));
    }
    let opens = version.opens().map_err(|error| named(&error, "schedule.time_zone", "schedule.date_time"));
    let closes = version.closes().map_err(|error| named(&error, "ends.time_zone", "ends.at"));
    match (opens, closes) {
        (Ok(opens), Ok(closes)) => {
            if let Some(closes) = closes.filter(|closes| *closes <= now) {
                let message = format!("the campaign's end, {closes}, has passed");
                findings.push(Finding::error("ends_in_past", "ends", message));
            } else if let (Some(opens), Some(closes)) = (opens, closes)
                && closes <= opens
            {
                let message = format!("the campaign ends at {closes}, and starts at {opens}");
                findings.push(Finding::error("ends_before_start", "ends", message));
            }
        }
        (opens, closes) => findings.extend([opens.err(), closes.err()].into_iter().flatten()),
    }
}
