//! How long the audience takes at the rates of the configurations, and whether there is so much time.

use std::time::Duration;

use campaign::model::Finding;
use campaign::{ConfigurationId, Version};
use jiff::Timestamp;

use crate::waves;

/// A day: a warning, where nothing else says when it should be over.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// About how long a version takes to be sent: at a rate, and without counting what providers make it wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// About how many recipients it has: a list's members; for a rule, which is judged when it is sent, all profiles.
    pub recipients: u64,
    /// The rate that takes the longest.
    pub rate_per_second: u32,
    /// How long that is.
    pub seconds: u64,
}

/// The rate of a configuration, and which actions of the version share it.
#[derive(Debug, Clone)]
pub(crate) struct Rated {
    pub(crate) configuration: ConfigurationId,
    pub(crate) rate_per_second: u32,
    /// Their numbers.
    pub(crate) actions: Vec<usize>,
}

impl Rated {
    /// How long so many recipients take: each gets one message of each action.
    fn takes(&self, recipients: u64) -> Duration {
        let messages = recipients.saturating_mul(self.actions.len() as u64);
        Duration::from_secs(messages.div_ceil(u64::from(self.rate_per_second.max(1))))
    }
}

/// The longest of the configurations; `None` where none has a rate.
pub(crate) fn estimate(rated: &[Rated], recipients: u64) -> Option<Estimate> {
    let slowest = rated.iter().max_by_key(|rated| rated.takes(recipients))?;
    Some(Estimate {
        recipients,
        rate_per_second: slowest.rate_per_second,
        seconds: slowest.takes(recipients).as_secs(),
    })
}

/// What is to be said of the rates of a version whose next start is at `start`, and whose occurrences come no closer than
/// `apart`.
pub(crate) fn check(
    rated: &[Rated],
    recipients: u64,
    version: &Version,
    start: Option<Timestamp>,
    apart: Option<Duration>,
    findings: &mut Vec<Finding>,
) {
    for rated in rated {
        let takes = rated.takes(recipients);
        let about = |recipients: u64, takes| {
            let rate = rated.rate_per_second;
            format!("about {recipients} recipients at {rate} a second take about {}", span(takes))
        };
        let field = format!("actions[{}].configuration_id", rated.actions.first().copied().unwrap_or(0));
        let mut slow = |message| findings.push(Finding::warning("rate_too_slow", field.clone(), message));
        let mut found = false;
        if let Some(apart) = apart.filter(|apart| takes > *apart) {
            found = true;
            let message = format!("{}, and occurrences are {} apart", about(recipients, takes), span(apart));
            slow(format!("{message}: they would overlap"));
        }
        if let (Some(waves), Some(start)) = (&version.waves, start) {
            let windows = waves::windows(waves, start, recipients);
            let is_slow = |(_, (size, gap)): &(usize, (u64, Duration))| rated.takes(*size) > *gap;
            if let Some((index, (size, gap))) = windows.into_iter().enumerate().find(is_slow) {
                found = true;
                let (wave, about) = (index + 1, about(size, rated.takes(size)));
                let message =
                    format!("{about}, and wave {} starts {} after wave {wave}", wave + 1, span(gap));
                slow(format!("{message}: they would overlap"));
            }
        }
        if let (Some(start), Ok(Some(closes))) = (start, version.closes())
            && takes > closes.duration_since(start).unsigned_abs()
            && start < closes
        {
            found = true;
            slow(format!(
                "{}, and the campaign ends at {closes}: it would go on after that",
                about(recipients, takes)
            ));
        }
        if takes >= LONG && !found {
            findings.push(Finding::warning("rate_slow", field, about(recipients, takes)));
        }
    }
}

/// A time for people, in the largest unit it has two of.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, name) in [(24 * 3600, "days"), (3600, "hours"), (60, "minutes")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(rate_per_second: u32, actions: &[usize]) -> Rated {
        Rated { configuration: ConfigurationId::random(), rate_per_second, actions: actions.to_vec() }
    }

    #[test]
    fn the_longest_wins_and_actions_of_one_configuration_share_its_rate() {
        let rates = [rated(100, &[0]), rated(150, &[1, 2])];
        let expected = Estimate { recipients: 30_000, rate_per_second: 150, seconds: 400 };
        assert_eq!(estimate(&rates, 30_000), Some(expected));
        assert_eq!(estimate(&rates, 0).unwrap().seconds, 0);
        assert_eq!(estimate(&[], 30_000), None);
    }

    #[test]
    fn spans_are_for_people() {
        let of = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [of(90), of(3600), of(7200), of(172_800)],
            ["90 seconds", "60 minutes", "2 hours", "2 days"]
        );
    }
}
