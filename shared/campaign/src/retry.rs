//! When to try again what a provider would not take yet.

use std::time::Duration;

/// The waits before the second, third, ... try; the last one repeats until the retry period ends.
pub const SCHEDULE: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(40 * 60),
    Duration::from_secs(3600),
];

/// What waits longer than this waits in the ledger, not in a queue.
pub const LONGEST_IN_QUEUE: Duration = Duration::from_secs(600);

/// The wait after `tries` tries (at least 1): the schedule's, plus up to a quarter of it by `jitter` (any number; its
/// value picks the point), so that what failed together does not come back together. A provider's own wish
/// (`retry_after`) is never undercut.
pub fn wait(tries: u32, jitter: u64, retry_after: Option<Duration>) -> Duration {
    let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(SCHEDULE.len() - 1);
    let base = SCHEDULE[step];
    let spread = u64::try_from(base.as_millis() / 4).unwrap_or(u64::MAX).max(1);
    (base + Duration::from_millis(jitter % spread)).max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_stay_near_the_schedule_and_honour_the_provider(
            tries in 0..100u32, jitter in any::<u64>(), asked in proptest::option::of(0..10_000u64),
        ) {
            let asked = asked.map(Duration::from_secs);
            let got = wait(tries, jitter, asked);
            prop_assert!(got >= asked.unwrap_or_default());
            prop_assert!(got >= wait(tries.saturating_sub(1), 0, None));
            prop_assert!(got <= (SCHEDULE[7] * 5 / 4).max(asked.unwrap_or_default()));
        }
    }
}
