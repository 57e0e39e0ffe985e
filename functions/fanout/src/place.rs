//! When a member gets it: with everybody else, in one of the waves, or at an hour of their own time zone.

use std::collections::HashMap;

use campaign::plan::{By, Lane, Plan};
use campaign::schedule::{PinnedTime, ZoneSource};
use campaign::waves::Split;
use store::ledger::{Cursor, Head};

/// How many zones are remembered: more than there are, and of those that are none no more than fit.
const MOST_KNOWN: usize = 1000;

/// Says of each member of a shard, in the order they are read in, when they get it.
pub(crate) struct Places<'a>(Rule<'a>);

enum Rule<'a> {
    AtOnce,
    Waves(Split),
    OwnTime { plan: &'a Plan, time: &'a PinnedTime, known: HashMap<String, (Lane, ZoneSource)> },
}

impl<'a> Places<'a> {
    pub(crate) fn new(head: &'a Head, shard: u16) -> Self {
        Self(match &head.plan {
            None => Rule::AtOnce,
            Some(Plan { by: By::Waves(sizes), .. }) => Rule::Waves(Split::new(sizes, shard, head.shards)),
            Some(plan @ Plan { by: By::RecipientTime(time), .. }) => {
                Rule::OwnTime { plan, time, known: HashMap::new() }
            }
        })
    }

    /// Whether the members' time zones are to be read.
    pub(crate) const fn wants_zones(&self) -> bool {
        matches!(self.0, Rule::OwnTime { .. })
    }

    /// The lane of the next member, whose profile has this `time_zone`; it is counted.
    pub(crate) fn next(&mut self, cursor: &mut Cursor, zone: Option<&str>) -> Lane {
        let place = cursor.members;
        cursor.members += 1;
        match &mut self.0 {
            Rule::AtOnce => Lane::AT_ONCE,
            Rule::Waves(split) => Lane::release(split.wave(place)),
            Rule::OwnTime { plan, time, known } => {
                let name = zone.unwrap_or_default();
                let (lane, source) = match known.get(name) {
                    Some(found) => *found,
                    None => {
                        let (start, source) = time.start_for(zone);
                        let at = start.instant();
                        let lane = at.map_or(Lane::EXCLUDED, |at| plan.lane_at(at.as_millisecond()));
                        if known.len() < MOST_KNOWN {
                            known.insert(name.to_owned(), (lane, source));
                        }
                        (lane, source)
                    }
                };
                cursor.zones.get_or_insert_default().count(source);
                lane
            }
        }
    }
}
