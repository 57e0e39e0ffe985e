//! When an address is tried again.

use std::time::Duration;

/// The waits before the second, third... try. After the last try an event is a dead letter.
pub(crate) const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];
/// The longest wait that an address may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// For how long an event is tried, however few tries that was: an address that is down is not asked for each event that
/// waits for it.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30 * 3600);

/// The wait after `tries` tries (at least 1), and up to a fifth more by `jitter` (any number), so that what failed
/// together does not come back together. What the address asks for is not undercut. `None`: that was the last try.
pub(crate) fn wait(tries: u32, jitter: u64, asked: Option<Duration>) -> Option<Duration> {
    let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let base = *WAITS.get(step)?;
    let spread = u64::try_from(base.as_millis() / 5).unwrap_or(u64::MAX).max(1);
    let wait = base + Duration::from_millis(jitter % spread);
    Some(wait.max(asked.unwrap_or_default().min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_tried_eight_times_in_somewhat_more_than_a_day() {
        let least: Duration = (1..).map_while(|tries| wait(tries, 0, None)).sum();
        let most: Duration = (1..).map_while(|tries| wait(tries, u64::MAX, None)).sum();
        let day = Duration::from_secs(24 * 3600);
        assert!(least > day && most < day * 2, "{least:?} {most:?}");
        assert_eq!(wait(1, 0, None), Some(Duration::from_secs(5)));
        assert!(
            (Duration::from_secs(300)..Duration::from_secs(361)).contains(&wait(2, 77_777, None).unwrap())
        );
        assert_eq!(wait(8, 0, None), None);
        assert_eq!(wait(0, 0, None), Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_an_address_asks_for_is_not_undercut_within_reason() {
        let asked = |seconds| wait(1, 0, Some(Duration::from_secs(seconds))).unwrap().as_secs();
        assert_eq!(asked(0), 5);
        assert_eq!(asked(120), 120);
        assert_eq!(asked(u64::from(u32::MAX)), 24 * 3600);
        assert_eq!(wait(8, 0, Some(Duration::from_secs(60))), None);
    }
}
