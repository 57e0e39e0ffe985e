//! In which parts its audience gets it: the waves make a whole, come in order, and before the campaign's end.

use std::time::Duration;

use campaign::Version;
use campaign::model::Finding;
use campaign::schedule::Schedule;
use campaign::waves::{Sizes, Waves, WavesError};
use jiff::Timestamp;

use crate::rate::span;

/// What is to be said of the waves of a version whose next start is at `start`, and whose occurrences come no closer than
/// `apart`.
pub(crate) fn check(
    version: &Version,
    start: Timestamp,
    apart: Option<Duration>,
    findings: &mut Vec<Finding>,
) {
    let Some(waves) = &version.waves else { return };
    let mut wrong = |error: WavesError| findings.push(Finding::error(error.code, error.field, error.message));
    if version.schedule.recipient_time().is_some() {
        wrong(Version::both());
    }
    if let Err(error) = waves.sizes() {
        wrong(error);
    }
    let instants = match waves.instants(start) {
        Err(error) => return wrong(error),
        Ok(instants) => instants,
    };
    if waves.has_own_times() && matches!(version.schedule, Schedule::Recurring(_)) {
        let message = "the campaign recurs, and these times come once: give interval_seconds";
        wrong(WavesError::new("waves_recurring", "waves.list", message));
    }
    let (Some(first), Some(last)) = (instants.first(), instants.last()) else { return };
    if *first < start {
        let message = format!("is {first}, before the campaign's start, {start}");
        wrong(WavesError::new("waves_before_start", "waves.list[0].at", message));
    }
    if let Ok(Some(closes)) = version.closes()
        && *last >= closes
    {
        let message = format!("the last wave would start at {last}, and the campaign ends at {closes}");
        wrong(WavesError::new("waves_after_end", "waves", message));
    }
    let lasts = last.duration_since(start).unsigned_abs();
    if let Some(apart) = apart.filter(|apart| lasts >= *apart) {
        let (lasts, apart) = (span(lasts), span(apart));
        let message =
            format!("the last wave starts {lasts} after the first, and occurrences are {apart} apart");
        findings.push(Finding::warning("waves_overlap", "waves", message));
    }
}

/// Of about so many recipients how many each wave has, and how long it is from its start to the next one's.
pub(crate) fn windows(waves: &Waves, start: Timestamp, recipients: u64) -> Vec<(u64, Duration)> {
    let (Ok(sizes), Ok(instants)) = (waves.sizes(), waves.instants(start)) else { return Vec::new() };
    let sizes: Vec<u64> = match sizes {
        Sizes::Percent(percents) => {
            percents.iter().map(|percent| recipients.saturating_mul(u64::from(*percent)) / 100).collect()
        }
        Sizes::Number(numbers) => {
            let mut left = recipients;
            let mut take = |number: &u64| {
                let taken = left.min(*number);
                left -= taken;
                taken
            };
            numbers.iter().map(&mut take).collect()
        }
    };
    let gaps = instants.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs());
    sizes.into_iter().zip(gaps).collect()
}
