//! Time zones of the IANA database. Any name of one is accepted; what is kept and shown is its canonical name.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, AmbiguousTimestamp, Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ScheduleError;
use super::aliases::ALIASES;

/// What a database may have beside zones: the machine's own setting, markers of "not set", and, in folders, copies of
/// itself, of which `right` counts leap seconds.
const NO_ZONES: [&str; 6] = ["Etc/Unknown", "Factory", "localtime", "posix", "posixrules", "right"];

const NANOSECOND: Duration = Duration::from_nanos(1);

/// A time zone, under its canonical name. Cheap to clone.
#[derive(Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Reads a name of the IANA database, in any case: a canonical one or an alias.
    ///
    /// ```
    /// use campaign::schedule::Zone;
    ///
    /// assert_eq!(Zone::parse("Asia/Calcutta")?.name(), "Asia/Kolkata");
    /// assert_eq!(Zone::parse("europe/oslo")?.name(), "Europe/Oslo");
    /// # Ok::<(), campaign::schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::UnknownZone`], where the database has no such name.
    pub fn parse(name: &str) -> Result<Self, ScheduleError> {
        let unknown = || ScheduleError::UnknownZone(name.to_owned());
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        let is = |other: &&str| folder.eq_ignore_ascii_case(other) || name.eq_ignore_ascii_case(other);
        if NO_ZONES.iter().any(is) {
            return Err(unknown());
        }
        // The canonical name first: a system may keep aliases in a package of their own. The alias itself second: a
        // system older than a renaming knows the old name only.
        let named = |name: &str| TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
        canonical_name(name).and_then(named).or_else(|| named(name)).map(Self).ok_or_else(unknown)
    }

    /// Its canonical name, such as `Europe/Paris`.
    pub fn name(&self) -> &str {
        self.0.iana_name().expect("a zone is only made of one that has a name")
    }

    /// What clocks there show at an instant.
    pub fn local(&self, instant: Timestamp) -> DateTime {
        self.0.to_datetime(instant)
    }

    /// How far clocks there are ahead of UTC at an instant.
    pub fn offset(&self, instant: Timestamp) -> Offset {
        self.0.to_offset(instant)
    }

    /// The instant of a local time: moved forward by the gap where a clock change skips it, the first where it comes
    /// twice.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn instant(&self, local: DateTime) -> Result<Timestamp, ScheduleError> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        ambiguous.compatible().map_err(|_| ScheduleError::OutOfRange(local))
    }

    /// The first instant at which clocks there show a local time, or a later one where a clock change skips it.
    pub(crate) fn first(&self, local: DateTime) -> Timestamp {
        self.edge(local, AmbiguousTimestamp::earlier).unwrap_or(Timestamp::MAX)
    }

    /// The instant from which on clocks there show nothing before a local time any more: where they show it twice, the
    /// second.
    pub(crate) fn last(&self, local: DateTime) -> Timestamp {
        let instant = || {
            let before = local.checked_sub(NANOSECOND).ok()?;
            let is_skipped =
                matches!(self.0.to_ambiguous_timestamp(before).offset(), AmbiguousOffset::Gap { .. });
            let edge = self.edge(before, AmbiguousTimestamp::later)?;
            if is_skipped { Some(edge) } else { edge.checked_add(NANOSECOND).ok() }
        };
        instant().unwrap_or(Timestamp::MAX)
    }

    /// The instant of a local time: of the change that skips it, or the one that `choose` gives where it comes twice.
    fn edge(
        &self,
        local: DateTime,
        choose: impl Fn(AmbiguousTimestamp) -> Result<Timestamp, jiff::Error>,
    ) -> Option<Timestamp> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
            let behind = ambiguous.later().ok()?.checked_add(NANOSECOND).ok()?;
            return self.0.preceding(behind).next().map(|change| change.timestamp());
        }
        choose(ambiguous).ok()
    }

    /// All zones this machine's database has, once each, by name.
    pub fn all() -> Vec<Self> {
        let names = jiff::tz::db().available();
        let mut zones: Vec<_> = names.filter_map(|name| Self::parse(name.as_str()).ok()).collect();
        zones.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        zones.dedup();
        zones
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Zone").field(&self.name()).finish()
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Zone {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        Self::parse(name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The canonical name of an alias; `None` for what is none.
fn canonical_name(name: &str) -> Option<&'static str> {
    let found = ALIASES.binary_search_by(|(alias, _)| ignoring_case(alias, name));
    found.ok().map(|index| ALIASES[index].1)
}

fn ignoring_case(one: &str, other: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    one.bytes().map(lower).cmp(other.bytes().map(lower))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;

    use super::*;

    #[test]
    fn aliases_are_ordered_and_lead_to_a_canonical_name_at_once() {
        assert!(ALIASES.windows(2).all(|pair| ignoring_case(pair[0].0, pair[1].0) == Ordering::Less));
        for (alias, canonical) in ALIASES {
            assert_eq!(canonical_name(alias), Some(*canonical));
            assert_eq!(canonical_name(&alias.to_ascii_uppercase()), Some(*canonical));
            assert_eq!(canonical_name(canonical), None, "{canonical} is an alias itself");
        }
    }

    #[test]
    fn an_alias_keeps_the_same_time_as_its_canonical_zone() {
        let from: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let until: Timestamp = "2041-01-01T00:00:00Z".parse().unwrap();
        // The database that is built in, whose release the table is of, and the one of this machine.
        for database in [&TimeZoneDatabase::bundled(), jiff::tz::db()] {
            let mut compared = 0;
            for (alias, canonical) in ALIASES {
                let (Ok(alias), Ok(canonical)) = (database.get(alias), database.get(canonical)) else {
                    continue;
                };
                let changes = |zone: &TimeZone| {
                    let changes = zone.following(from).take_while(|change| change.timestamp() < until);
                    // A change of the name alone is none of the clock.
                    let mut all = vec![(from, zone.to_offset(from))];
                    all.extend(changes.map(|change| (change.timestamp(), change.offset())));
                    all.dedup_by_key(|(_, offset)| *offset);
                    all
                };
                assert_eq!(changes(&alias), changes(&canonical), "{alias:?} {canonical:?}");
                compared += 1;
            }
            assert!(compared >= 100, "only {compared} aliases are known");
        }
        let bundled = TimeZoneDatabase::bundled();
        for (alias, canonical) in ALIASES {
            assert!(bundled.get(alias).is_ok() && bundled.get(canonical).is_ok(), "{alias} {canonical}");
        }
    }

    #[test]
    fn every_zone_is_read_by_its_name_and_none_is_shown_under_an_alias() {
        let zones = Zone::all();
        assert!(zones.len() > 400, "{}", zones.len());
        for zone in &zones {
            assert_eq!(Zone::parse(zone.name()).as_ref(), Ok(zone));
            assert_eq!(Zone::parse(&zone.name().to_lowercase()).as_ref(), Ok(zone));
        }
        for (alias, canonical) in ALIASES {
            assert!(zones.iter().all(|zone| zone.name() != *alias), "{alias}");
            assert_eq!(Zone::parse(alias).unwrap().name(), *canonical);
        }
    }

    #[test]
    fn what_is_no_zone_is_refused_by_name() {
        for name in
            ["", "Mars/Olympus", "Factory", "localtime", "Etc/Unknown", "right/Europe/Paris", "+02:00"]
        {
            assert_eq!(Zone::parse(name), Err(ScheduleError::UnknownZone(name.to_owned())));
        }
    }

    #[test]
    fn a_zone_is_its_canonical_name_in_json() {
        let zone: Zone = serde_json::from_str("\"US/Pacific\"").unwrap();
        assert_eq!(serde_json::to_string(&zone).unwrap(), "\"America/Los_Angeles\"");
        let error = serde_json::from_str::<Zone>("\"Mars\"").unwrap_err();
        assert!(error.to_string().starts_with("\"Mars\" is no IANA time zone"), "{error}");
    }
}
