//! How fast a configuration may send: the generic cell rate algorithm, whose whole state is one instant.

/// A slot farther away than this is refused without being taken: a function is paid for while it waits, and slots
/// taken far ahead would stay empty where a campaign is stopped or a rate is raised.
pub const FARTHEST_SLOT_US: i64 = 500_000;

/// What asking for a slot gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Start at this instant; the cell is to be set to `cell`.
    At {
        /// When to start, in microseconds since the Unix epoch; never before now.
        start_us: i64,
        /// The cell's next state.
        cell: i64,
    },
    /// The next free slot is this far away; nothing was taken.
    Later {
        /// How far, in microseconds.
        wait_us: i64,
    },
}

/// Asks for `count` messages at `rate` a second. `cell` is the instant from which on the next message may start.
pub fn reserve(cell: i64, now_us: i64, rate: u32, count: usize) -> Slot {
    let start_us = cell.max(now_us);
    let wait_us = start_us - now_us;
    if wait_us > FARTHEST_SLOT_US {
        return Slot::Later { wait_us };
    }
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Slot::At {
        start_us,
        cell: start_us.saturating_add(count.saturating_mul(1_000_000) / i64::from(rate.max(1))),
    }
}

/// How many messages to hand over at once, so that a burst stays below a twentieth of a second's worth.
pub fn burst(rate: u32, window: usize) -> usize {
    usize::try_from(rate / 20).unwrap_or(window).clamp(1, window)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However callers come, in any stretch of time no more starts than the rate allows, plus one burst.
        #[test]
        fn the_rate_holds(rate in 1..500u32, calls in proptest::collection::vec((0..400_000i64, 1..10usize), 1..200)) {
            let (mut cell, mut now) = (0, 1_000_000);
            let mut starts: Vec<(i64, usize)> = Vec::new();
            for (pause, count) in calls {
                now += pause;
                if let Slot::At { start_us, cell: next } = reserve(cell, now, rate, count) {
                    prop_assert!(start_us >= now && start_us - now <= FARTHEST_SLOT_US);
                    starts.push((start_us, count));
                    cell = next;
                }
            }
            for (first, (from, _)) in starts.iter().enumerate() {
                let mut sent = 0;
                for (start, count) in &starts[first..] {
                    let allowed = (start - from) * i64::from(rate) / 1_000_000 + 1;
                    prop_assert!(i64::try_from(sent).unwrap() <= allowed + i64::try_from(first).unwrap());
                    sent += count;
                }
            }
        }
    }

    #[test]
    fn a_far_slot_is_refused_without_being_taken() {
        assert_eq!(reserve(10_000_000, 1_000_000, 10, 5), Slot::Later { wait_us: 9_000_000 });
    }

    #[test]
    fn bursts_are_small_at_low_rates() {
        assert_eq!([burst(1, 10), burst(14, 10), burst(100, 10), burst(100_000, 10)], [1, 1, 5, 10]);
    }
}
