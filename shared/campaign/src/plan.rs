//! When an execution's recipients get it, where they don't all get it at its start: pinned with it, so that whoever
//! goes on with its fan-out puts everybody where the one before would have.
//!
//! A plan has **releases**: instants at which chunks are handed out. Chunks are numbered by release, so that those of one
//! can be read without those of another, and nobody has to look at what is not due.

use serde::{Deserialize, Serialize};

use crate::schedule::PinnedTime;
use crate::waves::Sizes;

/// The numbers of a release's chunks within a shard and action: so many.
pub const NUMBERS: u32 = 1_000_000;

/// When an execution's recipients get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The instants, in order, in milliseconds since the Unix epoch.
    pub releases_ms: Vec<i64>,
    /// Who gets it at which.
    pub by: By,
}

/// Who gets it when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// In waves of these sizes, a release each.
    Waves(Sizes),
    /// At a local time in their own zones.
    RecipientTime(PinnedTime),
}

/// To which chunks a recipient belongs: those handed out at the same time. It gives its chunks their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lane(u16);

impl Lane {
    /// Handed out as soon as written: where there is no plan.
    pub const AT_ONCE: Self = Self(0);
    /// Never handed out: the hour had passed, and they don't get it.
    pub const EXCLUDED: Self = Self(1);

    /// Handed out with the plan's release at this place.
    pub fn release(index: usize) -> Self {
        // Beyond what any plan has, numbers would no longer do.
        Self(u16::try_from(index.min(4000) + 2).unwrap_or(2))
    }

    /// The place of its release in the plan; `None` where it has none.
    pub fn index(self) -> Option<usize> {
        self.0.checked_sub(2).map(usize::from)
    }

    /// The number of its n-th chunk, within shard and action.
    pub fn number(self, n: u32) -> u32 {
        u32::from(self.0) * NUMBERS + n
    }

    /// That of the chunk with this number.
    pub fn of(number: u32) -> Self {
        Self(u16::try_from(number / NUMBERS).unwrap_or(u16::MAX))
    }

    /// As a number, to be stored.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// From what [`Lane::get`] gave.
    pub const fn from_stored(number: u16) -> Self {
        Self(number)
    }
}

impl Plan {
    /// When the chunks of a lane are handed out, in milliseconds since the Unix epoch; `None` where that is at once or
    /// never.
    pub fn release_ms(&self, lane: Lane) -> Option<i64> {
        lane.index().and_then(|index| self.releases_ms.get(index).copied())
    }

    /// The lane of who gets it at an instant: that of the first release not before it.
    pub fn lane_at(&self, at_ms: i64) -> Lane {
        let index = self.releases_ms.partition_point(|release| *release < at_ms);
        Lane::release(index.min(self.releases_ms.len().saturating_sub(1)))
    }

    /// The last instant, in milliseconds since the Unix epoch.
    pub fn last_ms(&self) -> Option<i64> {
        self.releases_ms.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_lanes_apart() {
        for (lane, n, number) in [
            (Lane::AT_ONCE, 7, 7),
            (Lane::EXCLUDED, 999_999, 1_999_999),
            (Lane::release(0), 0, 2_000_000),
            (Lane::release(80), 3, 82_000_003),
        ] {
            assert_eq!((lane.number(n), Lane::of(number)), (number, lane));
        }
        assert_eq!(Lane::release(3).index(), Some(3));
        assert_eq!((Lane::AT_ONCE.index(), Lane::EXCLUDED.index()), (None, None));
    }

    #[test]
    fn nobody_is_before_their_time() {
        let plan = Plan { releases_ms: vec![10, 20, 30], by: By::Waves(Sizes::Percent(vec![40, 30, 30])) };
        let at = |at_ms| plan.release_ms(plan.lane_at(at_ms));
        assert_eq!([at(5), at(10), at(11), at(30)], [Some(10), Some(10), Some(20), Some(30)]);
        assert_eq!(plan.release_ms(Lane::AT_ONCE), None);
        assert_eq!(plan.last_ms(), Some(30));
    }
}
