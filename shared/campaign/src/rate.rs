//! How fast a configuration may send: the generic cell rate algorithm, whose whole state is one instant.

/// A slot farther away than this is refused without being taken. Being refused costs more than waiting so long, since the
/// chunk goes back and is claimed again; but a function is paid for while it waits, and slots
/// taken far ahead would stay empty where a campaign is stopped or a rate is raised.
pub const FARTHEST_SLOT_US: i64 = 1_500_000;
/// As [`FARTHEST_SLOT_US`], for messages that calls asked for: nobody is served meanwhile who waits less.
pub const FARTHEST_CALL_US: i64 = 2_000_000;
/// For how long slots for calls are taken in advance, so that not each of them is a write.
pub const CALL_BLOCK_US: i64 = 200_000;
/// The most time whose slots are taken at once: what one has taken, the others wait for.
const MOST_AT_ONCE_US: i64 = 500_000;

/// What asking for a slot gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Start at this instant.
    At {
        /// In microseconds since the Unix epoch; now, or up to [`FARTHEST_SLOT_US`] ahead.
        start_us: i64,
    },
    /// The next free slot is this far away; nothing was taken.
    Later {
        /// How far, in microseconds.
        wait_us: i64,
    },
}

/// How much time `count` messages take at `rate` a second, in microseconds: so far the cell (the instant from which on
/// the next message may start) moves on.
pub fn duration_us(rate: u32, count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(1_000_000) / i64::from(rate.max(1))
}

/// For how many messages at `rate` a second slots may be taken at once: those of half a second, at least one.
pub fn at_once(rate: u32) -> usize {
    let messages = i64::from(rate).saturating_mul(MOST_AT_ONCE_US) / 1_000_000;
    usize::try_from(messages).unwrap_or(usize::MAX).max(1)
}

/// How many slots for calls at `rate` a second are taken in advance; at least `count`.
pub fn call_block(rate: u32, count: usize) -> usize {
    let messages = i64::from(rate).saturating_mul(CALL_BLOCK_US) / 1_000_000;
    usize::try_from(messages).unwrap_or(usize::MAX).max(count)
}

/// How many messages to hand over at once, so that a burst stays below a twentieth of a second's worth.
pub fn burst(rate: u32, window: usize) -> usize {
    usize::try_from(rate / 20).unwrap_or(window).clamp(1, window)
}

/// How long a provider is left alone that could not be reached so many times in a row, in microseconds: 5 seconds at first, twice
/// as long each time, a minute at most.
pub const fn outage_us(outages: u32) -> i64 {
    doubled_us(5, outages)
}

/// How long a provider is left alone that has asked so many times in a row to be, and not said for how long, in microseconds: a
/// second at first, twice as long each time, a minute at most.
pub const fn throttle_us(throttles: u32) -> i64 {
    doubled_us(1, throttles)
}

/// So many seconds at first, twice as long each time, a minute at most; in microseconds.
const fn doubled_us(first_seconds: i64, times: u32) -> i64 {
    let doublings = times.saturating_sub(1);
    let seconds = if doublings >= 6 { 60 } else { first_seconds << doublings };
    if seconds > 60 { 60_000_000 } else { seconds * 1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_take_their_share_of_a_second() {
        assert_eq!(
            [duration_us(14, 1), duration_us(200, 10), duration_us(0, 1)],
            [71_428, 50_000, 1_000_000]
        );
    }

    #[test]
    fn half_the_rate_is_taken_at_once() {
        assert_eq!([at_once(0), at_once(1), at_once(14), at_once(200)], [1, 1, 7, 100]);
    }

    #[test]
    fn bursts_are_small_at_low_rates() {
        assert_eq!([burst(1, 10), burst(14, 10), burst(100, 10), burst(100_000, 10)], [1, 1, 5, 10]);
    }

    #[test]
    fn a_provider_that_stays_out_of_reach_is_left_alone_longer_each_time() {
        let seconds: Vec<_> = (0..8).map(|outages| outage_us(outages) / 1_000_000).collect();
        assert_eq!(seconds, [5, 5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(outage_us(u32::MAX), 60_000_000);
    }

    #[test]
    fn a_provider_that_goes_on_asking_us_to_wait_is_left_alone_longer_each_time() {
        let seconds: Vec<_> = (0..9).map(|throttles| throttle_us(throttles) / 1_000_000).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(throttle_us(u32::MAX), 60_000_000);
    }
}
