//! The same local time in every recipient's own zone: nine o'clock is nine o'clock wherever a recipient lives.
//!
//! One occurrence then starts in **waves**: one instant for each distance from UTC that some zone has at that local
//! time, from Kiritimati's (14 hours ahead) to Etc/GMT+12's, some forty of them in 26 hours.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::{ScheduleError, Zone};

/// Whose zone a recipient's time was computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ZoneSource {
    /// The profile's own.
    Profile,
    /// The campaign's, since the profile has none.
    Missing,
    /// The campaign's, since what the profile has is no zone.
    Invalid,
}

/// What is done for a recipient in whose zone the hour has passed when the campaign is activated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedHour {
    /// They get it at once.
    Now,
    /// They get it at that hour on the next day: their first day on which it is still to come. So everybody gets it, and
    /// nobody at an hour that was not chosen.
    #[default]
    NextDay,
    /// They don't get it.
    Exclude,
}

/// When a recipient gets an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientStart {
    /// At the local time.
    OnTime(Timestamp),
    /// At the activation, since the hour had passed.
    Now(Timestamp),
    /// At that hour on a later day, since it had passed.
    NextDay(Timestamp),
    /// Not at all, since the hour had passed.
    Excluded,
    /// With the schedule's following occurrence, which is on that later day or before: a message of this one too would
    /// come on top of it.
    WithFollowing,
}

impl RecipientStart {
    /// The instant; `None` where the recipient does not get this occurrence.
    pub const fn instant(self) -> Option<Timestamp> {
        match self {
            Self::OnTime(instant) | Self::Now(instant) | Self::NextDay(instant) => Some(instant),
            Self::Excluded | Self::WithFollowing => None,
        }
    }
}

/// All zones in which a local time is the same instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// When it starts.
    pub instant: Timestamp,
    /// How far these zones are ahead of UTC by the local time: where a clock change skips it, as before the change.
    pub offset: Offset,
    /// The zones, by name.
    pub zones: Vec<Zone>,
}

/// That a schedule is meant in every recipient's own zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnTime {
    /// What is done where the hour has passed.
    #[serde(default)]
    pub passed: PassedHour,
}

/// How far the zones that are the earliest are ahead of UTC, since before any time a schedule may name.
const EARLIEST: Offset = Offset::constant(14);
/// How far the zones that are the latest are.
const LATEST: Offset = Offset::constant(-12);

/// The instant a local time is in the earliest zones, where an occurrence in recipients' time starts.
///
/// # Errors
/// [`ScheduleError::OutOfRange`], at the ends of the calendar.
pub fn earliest(local: DateTime) -> Result<Timestamp, ScheduleError> {
    EARLIEST.to_timestamp(local).map_err(|_| ScheduleError::OutOfRange(local))
}

/// The instant a local time is in the latest zones, after which it is still to come in none.
///
/// # Errors
/// [`ScheduleError::OutOfRange`], at the ends of the calendar.
pub fn latest(local: DateTime) -> Result<Timestamp, ScheduleError> {
    LATEST.to_timestamp(local).map_err(|_| ScheduleError::OutOfRange(local))
}

/// What clocks in the earliest zones show at an instant.
pub(super) fn earliest_local(instant: Timestamp) -> DateTime {
    EARLIEST.to_datetime(instant)
}

/// A local time in every recipient's own zone as an execution has pinned it at its start: whatever decides when a
/// recipient gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedTime {
    /// The local time.
    pub local: DateTime,
    /// The campaign's zone, for those whose own is not known.
    pub time_zone: Zone,
    /// What is done where the hour had passed.
    pub passed: PassedHour,
    /// Before when it had: the activation, or, where the start is later than that by more than the campaign's grace, so
    /// long before the start.
    pub activated: Timestamp,
    /// The local time of the schedule's next occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub following: Option<DateTime>,
}

impl PinnedTime {
    /// When a recipient whose profile has this `time_zone` gets it, and in whose zone that was computed.
    pub fn start_for(&self, profile: Option<&str>) -> (RecipientStart, ZoneSource) {
        let time = self.time();
        let (zone, source) = time.zone_of(profile);
        (time.start_in(&zone, self.activated, self.passed, self.following), source)
    }

    /// The instants at which any recipient may get it, in order, in milliseconds since the Unix epoch.
    pub fn releases_ms(&self) -> Vec<i64> {
        let time = self.time();
        let mut starts = time.starts(self.activated, self.passed, self.following);
        let own = time.start_in(&self.time_zone, self.activated, self.passed, self.following);
        starts.extend(own.instant());
        let mut releases: Vec<_> = starts.into_iter().map(Timestamp::as_millisecond).collect();
        releases.dedup();
        releases
    }

    fn time(&self) -> RecipientTime {
        RecipientTime { local: self.local, campaign_zone: self.time_zone.clone() }
    }
}

/// A local time that is meant in every recipient's own zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientTime {
    local: DateTime,
    campaign_zone: Zone,
}

impl RecipientTime {
    /// This local time, with the campaign's zone for those whose own is not known.
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`], at the ends of the calendar.
    pub fn new(local: DateTime, campaign_zone: Zone) -> Result<Self, ScheduleError> {
        // Then it has an instant in any zone, and so has the day after.
        if !(1..=9998).contains(&local.year()) {
            return Err(ScheduleError::OutOfRange(local));
        }
        Ok(Self { local, campaign_zone })
    }

    /// The local time.
    pub const fn local(&self) -> DateTime {
        self.local
    }

    /// The zone of a profile, given its `time_zone`, or the campaign's.
    pub fn zone_of(&self, profile: Option<&str>) -> (Zone, ZoneSource) {
        let source = match profile.map(str::trim).filter(|name| !name.is_empty()).map(Zone::parse) {
            Some(Ok(zone)) => return (zone, ZoneSource::Profile),
            Some(Err(_)) => ZoneSource::Invalid,
            None => ZoneSource::Missing,
        };
        (self.campaign_zone.clone(), source)
    }

    /// Its instant in a zone, by the rules for skipped and doubled local times.
    pub fn instant_in(&self, zone: &Zone) -> Timestamp {
        instant(self.local, zone)
    }

    /// When recipients in a zone get it, where the campaign was activated at `activated`: at the local time, or as
    /// `passed` says where that is before the activation. `following` is the local time of the schedule's next
    /// occurrence, where there is one.
    pub fn start_in(
        &self,
        zone: &Zone,
        activated: Timestamp,
        passed: PassedHour,
        following: Option<DateTime>,
    ) -> RecipientStart {
        let on_time = self.instant_in(zone);
        if on_time >= activated {
            return RecipientStart::OnTime(on_time);
        }
        match passed {
            PassedHour::Now => RecipientStart::Now(activated),
            PassedHour::Exclude => RecipientStart::Excluded,
            PassedHour::NextDay => {
                let later = self.next_day(zone, activated);
                if following.is_some_and(|following| following <= later) {
                    RecipientStart::WithFollowing
                } else {
                    RecipientStart::NextDay(instant(later, zone))
                }
            }
        }
    }

    /// The local time on the first day on which it is still to come.
    fn next_day(&self, zone: &Zone, activated: Timestamp) -> DateTime {
        // Yesterday's may still be to come where the clock stands within a skipped day.
        let today = zone.local(activated).date();
        let mut day = today.yesterday().unwrap_or(today).max(self.local.date());
        loop {
            let local = day.to_datetime(self.local.time());
            match day.tomorrow() {
                Ok(tomorrow) if instant(local, zone) < activated => day = tomorrow,
                _ => return local,
            }
        }
    }

    /// The waves, from the earliest zone on: one for each instant the local time is in some zone.
    pub fn waves(&self) -> Vec<Wave> {
        let mut waves = BTreeMap::<Timestamp, Vec<Zone>>::new();
        for zone in Zone::all() {
            waves.entry(self.instant_in(&zone)).or_default().push(zone);
        }
        let as_utc = instant(self.local, &Zone::UTC);
        let wave = |(instant, zones): (Timestamp, _)| {
            let ahead = as_utc.duration_since(instant);
            Wave { instant, offset: Offset::try_from(ahead).unwrap_or(Offset::UTC), zones }
        };
        waves.into_iter().map(wave).collect()
    }

    /// The instants at which any recipient may get it, in order: the waves, as [`start_in`](Self::start_in) moves them
    /// for an activation at `activated`. The occurrence is over when the last one's recipients are done.
    pub fn starts(
        &self,
        activated: Timestamp,
        passed: PassedHour,
        following: Option<DateTime>,
    ) -> BTreeSet<Timestamp> {
        let start = |zone: &Zone| self.start_in(zone, activated, passed, following).instant();
        Zone::all().iter().filter_map(start).collect()
    }
}

/// The instant of a local time; the calendar's last, for the day that goes beyond it.
fn instant(local: DateTime, zone: &Zone) -> Timestamp {
    zone.instant(local).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nine_on(date: &str) -> RecipientTime {
        RecipientTime::new(format!("{date}T09:00").parse().unwrap(), zone("Europe/Paris")).unwrap()
    }

    #[test]
    fn a_profile_s_own_zone_counts_and_else_the_campaign_s() {
        let nine = nine_on("2027-07-14");
        for (profile, name, source) in [
            (Some("Asia/Tokyo"), "Asia/Tokyo", ZoneSource::Profile),
            (Some("US/Pacific"), "America/Los_Angeles", ZoneSource::Profile),
            (Some(" asia/calcutta "), "Asia/Kolkata", ZoneSource::Profile),
            (None, "Europe/Paris", ZoneSource::Missing),
            (Some("  "), "Europe/Paris", ZoneSource::Missing),
            (Some("Mars/Olympus"), "Europe/Paris", ZoneSource::Invalid),
            (Some("+02:00"), "Europe/Paris", ZoneSource::Invalid),
        ] {
            let (zone, found) = nine.zone_of(profile);
            assert_eq!((zone.name(), found), (name, source));
        }
    }

    #[test]
    fn waves_go_round_the_world_from_the_earliest_zone_on() {
        let waves = nine_on("2027-07-14").waves();
        let (first, last) = (waves.first().unwrap(), waves.last().unwrap());
        assert_eq!(first.instant, utc("2027-07-13T19:00:00Z"));
        assert_eq!(first.offset, Offset::constant(14));
        assert!(first.zones.contains(&zone("Pacific/Kiritimati")));
        assert_eq!(last.instant, utc("2027-07-14T21:00:00Z"));
        assert_eq!(last.offset, Offset::constant(-12));
        assert!(waves.windows(2).all(|pair| pair[0].instant < pair[1].instant));
        assert!((30..=45).contains(&waves.len()), "{}", waves.len());
        let in_waves: usize = waves.iter().map(|wave| wave.zones.len()).sum();
        assert_eq!(in_waves, Zone::all().len());
        let chatham = waves.iter().find(|wave| wave.zones.contains(&zone("Pacific/Chatham"))).unwrap();
        assert_eq!(chatham.instant, utc("2027-07-13T20:15:00Z"));
    }

    #[test]
    fn a_local_time_that_a_zone_skips_is_a_wave_of_the_offset_before() {
        let half_past_two = "2027-03-14T02:30".parse().unwrap();
        let waves = RecipientTime::new(half_past_two, Zone::UTC).unwrap().waves();
        let wave = waves.iter().find(|wave| wave.zones.contains(&zone("America/New_York"))).unwrap();
        assert_eq!(wave.instant, utc("2027-03-14T07:30:00Z"));
        assert_eq!(wave.offset, Offset::constant(-5));
        assert!(wave.zones.contains(&zone("America/Panama")));
    }

    #[test]
    fn an_hour_that_has_passed_is_now_or_the_next_day_or_never() {
        let nine = nine_on("2027-07-14");
        let activated = utc("2027-07-14T09:00:00Z");
        let start = |name: &str, passed| nine.start_in(&zone(name), activated, passed, None);
        for passed in [PassedHour::Now, PassedHour::NextDay, PassedHour::Exclude] {
            let still_to_come = RecipientStart::OnTime(utc("2027-07-14T13:00:00Z"));
            assert_eq!(start("America/New_York", passed), still_to_come);
            assert_eq!(start("Etc/UTC", passed), RecipientStart::OnTime(activated));
        }
        assert_eq!(start("Asia/Tokyo", PassedHour::Now), RecipientStart::Now(activated));
        let tomorrow = RecipientStart::NextDay(utc("2027-07-15T00:00:00Z"));
        assert_eq!(start("Asia/Tokyo", PassedHour::NextDay), tomorrow);
        assert_eq!(start("Asia/Tokyo", PassedHour::Exclude), RecipientStart::Excluded);
        assert_eq!(RecipientStart::Excluded.instant(), None);
    }

    #[test]
    fn the_next_day_is_the_first_on_which_the_hour_is_still_to_come() {
        let nine = nine_on("2027-07-14");
        let activated = utc("2027-07-20T12:00:00Z");
        let start = |name: &str| nine.start_in(&zone(name), activated, PassedHour::NextDay, None);
        // It is eight in New York, and nine in the evening in Tokyo.
        assert_eq!(start("America/New_York"), RecipientStart::NextDay(utc("2027-07-20T13:00:00Z")));
        assert_eq!(start("Asia/Tokyo"), RecipientStart::NextDay(utc("2027-07-21T00:00:00Z")));
        // Apia had no 30 December in 2011.
        let activated = utc("2011-12-29T20:00:00Z");
        let apia =
            nine_on("2011-12-29").start_in(&zone("Pacific/Apia"), activated, PassedHour::NextDay, None);
        assert_eq!(apia, RecipientStart::NextDay(utc("2011-12-30T19:00:00Z")));
    }

    #[test]
    fn nobody_gets_two_occurrences_for_one_missed_hour() {
        let nine = nine_on("2027-07-14");
        let activated = utc("2027-07-14T09:00:00Z");
        let start = |following: &str| {
            let following = Some(following.parse().unwrap());
            nine.start_in(&zone("Asia/Tokyo"), activated, PassedHour::NextDay, following)
        };
        assert_eq!(start("2027-07-15T09:00"), RecipientStart::WithFollowing);
        assert_eq!(start("2027-07-21T09:00"), RecipientStart::NextDay(utc("2027-07-15T00:00:00Z")));
    }

    #[test]
    fn what_has_passed_moves_the_starts_of_an_occurrence() {
        let nine = nine_on("2027-07-14");
        let activated = utc("2027-07-14T09:00:00Z");
        let waves: Vec<_> = nine.waves().iter().map(|wave| wave.instant).collect();
        let to_come: Vec<_> = waves.iter().copied().filter(|instant| *instant >= activated).collect();
        let starts = |passed| nine.starts(activated, passed, None).into_iter().collect::<Vec<_>>();
        assert_eq!(starts(PassedHour::Exclude), to_come);
        // UTC's own nine o'clock is now.
        assert_eq!(starts(PassedHour::Now), to_come);
        let tomorrow = nine_on("2027-07-15").waves();
        let tomorrow = tomorrow.iter().map(|wave| wave.instant).take(waves.len() - to_come.len());
        let mut both: Vec<_> = to_come.iter().copied().chain(tomorrow).collect();
        both.sort_unstable();
        both.dedup();
        assert_eq!(starts(PassedHour::NextDay), both);
        let early = utc("2027-01-01T00:00:00Z");
        assert_eq!(nine.starts(early, PassedHour::Exclude, None).into_iter().collect::<Vec<_>>(), waves);
    }

    #[test]
    fn no_zone_is_earlier_than_the_earliest_or_later_than_the_latest() {
        for year in 1970..=2060 {
            for day in ["01-01", "03-28", "06-30", "10-25", "12-31"] {
                let nine = nine_on(&format!("{year}-{day}"));
                let (first, last) = (earliest(nine.local()).unwrap(), latest(nine.local()).unwrap());
                for wave in nine.waves() {
                    // A zone that skips the whole day has it a day later than it would have.
                    let skips = wave.offset.seconds() < LATEST.seconds() || wave.instant > last;
                    assert!(first <= wave.instant, "{year}-{day}: {:?}", wave.zones);
                    assert!(!skips, "{year}-{day}: {:?}", wave.zones);
                }
            }
        }
        let kiritimati = zone("Pacific/Kiritimati");
        let nine = nine_on("2027-07-14");
        assert_eq!(earliest(nine.local()), Ok(nine.instant_in(&kiritimati)));
    }

    #[test]
    fn what_is_pinned_says_when_somebody_gets_it() {
        let pinned = PinnedTime {
            local: "2027-07-14T09:00".parse().unwrap(),
            time_zone: zone("Europe/Paris"),
            passed: PassedHour::Exclude,
            activated: utc("2027-07-14T09:00:00Z"),
            following: None,
        };
        let new_york = pinned.start_for(Some("America/New_York"));
        let on_time = RecipientStart::OnTime(utc("2027-07-14T13:00:00Z"));
        assert_eq!(new_york, (on_time, ZoneSource::Profile));
        assert_eq!(pinned.start_for(Some("Mars")), (RecipientStart::Excluded, ZoneSource::Invalid));
        assert_eq!(pinned.start_for(None), (RecipientStart::Excluded, ZoneSource::Missing));
        let now = PinnedTime { passed: PassedHour::Now, ..pinned };
        let releases = now.releases_ms();
        assert!(releases.is_sorted() && (10..50).contains(&releases.len()), "{releases:?}");
        assert_eq!(releases[0], now.activated.as_millisecond());
        let read: PinnedTime = serde_json::from_value(serde_json::to_value(&now).unwrap()).unwrap();
        assert_eq!(read, now);
    }

    #[test]
    fn a_local_time_at_the_calendar_s_end_is_refused() {
        let late: DateTime = "9999-12-31T09:00".parse().unwrap();
        assert_eq!(RecipientTime::new(late, Zone::UTC), Err(ScheduleError::OutOfRange(late)));
    }
}
