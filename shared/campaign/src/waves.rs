//! Waves: an audience that gets it part by part, each part by its size and at its time.
//!
//! What a version asks for is [`Waves`]; [`Split`] says in which of them a member is, by nothing but the member's place
//! in the audience, so that a fan-out that dies and is taken up by another puts nobody into two.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::schedule::{Moment, Zone};

/// The fewest waves.
pub const MIN_WAVES: usize = 2;
/// The most waves.
pub const MAX_WAVES: usize = 10;
/// The shortest interval between two waves, in seconds: starts are punctual to the minute.
pub const MIN_INTERVAL_SECONDS: u32 = 60;
/// The longest interval between two waves, in seconds.
pub const MAX_INTERVAL_SECONDS: u32 = 7 * 24 * 3600;
/// How long after the start the last wave may be.
pub const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);
/// The largest wave that is given by its number.
pub const MAX_NUMBER: u64 = 1_000_000_000;

/// The waves of a version, as its user gave them: a draft's may lack something, which [`sizes`](Self::sizes) and
/// [`instants`](Self::instants) say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waves {
    /// How long after the one before each wave starts, in seconds; absent where each has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u32>,
    /// Where times of waves that are local ones are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// The waves, in their order.
    pub list: Vec<Wave>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// How many of a hundred recipients are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// How many recipients are in it. The last wave has none: it is the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// When it starts, a local time or an instant. The first may have none: it starts with the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
}

/// How large the waves are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizes {
    /// Of a hundred recipients so many, a hundred in all.
    Percent(Vec<u8>),
    /// So many recipients, and in one more wave whoever is left.
    Number(Vec<u64>),
}

/// What is wrong with waves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct WavesError {
    /// A stable code, such as `waves_percent`.
    pub code: &'static str,
    /// The field, such as `waves.list[1].percent`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl WavesError {
    /// An error by its code, the field and what is wrong.
    pub fn new(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}

impl Waves {
    /// How large they are.
    ///
    /// # Errors
    /// [`WavesError`] with the code `waves_count`, where they are too few or too many; `waves_sizes`, where one has no
    /// size or a size of another kind; `waves_percent`, where they are not a hundred percent.
    pub fn sizes(&self) -> Result<Sizes, WavesError> {
        let count = self.list.len();
        if !(MIN_WAVES..=MAX_WAVES).contains(&count) {
            let message = format!("there are {count} waves: {MIN_WAVES} to {MAX_WAVES} are allowed");
            return Err(WavesError::new("waves_count", "waves.list", message));
        }
        let of = |index: usize, name: &str| format!("waves.list[{index}].{name}");
        if self.list.iter().any(|wave| wave.percent.is_some()) {
            let mut percents = Vec::with_capacity(count);
            for (index, wave) in self.list.iter().enumerate() {
                match (wave.percent, wave.number) {
                    (Some(percent), None) if percent > 0 => percents.push(percent),
                    (_, Some(_)) => {
                        let message =
                            "other waves are given by percent: give all by percent or all by number";
                        return Err(WavesError::new("waves_sizes", of(index, "number"), message));
                    }
                    _ => {
                        let message = "is missing: 1 to 99 percent of the recipients";
                        return Err(WavesError::new("waves_sizes", of(index, "percent"), message));
                    }
                }
            }
            let total: u32 = percents.iter().map(|percent| u32::from(*percent)).sum();
            if total != 100 {
                let message = format!("the waves have {total} percent in all: they must have 100");
                return Err(WavesError::new("waves_percent", "waves.list", message));
            }
            return Ok(Sizes::Percent(percents));
        }
        let last = count - 1;
        let mut numbers = Vec::with_capacity(last);
        for (index, wave) in self.list.iter().enumerate() {
            match wave.number {
                Some(_) if index == last => {
                    let message = "the last wave is the rest of the recipients: leave its number out";
                    return Err(WavesError::new("waves_sizes", of(index, "number"), message));
                }
                Some(number) if number > 0 => numbers.push(number),
                None if index == last => {}
                _ => {
                    let message = "is missing: a number of recipients, or percent for every wave";
                    return Err(WavesError::new("waves_sizes", of(index, "number"), message));
                }
            }
        }
        Ok(Sizes::Number(numbers))
    }

    /// When each starts, where the campaign starts at `start`: at a time of its own, the interval after the one before,
    /// or, the first, with the campaign.
    ///
    /// # Errors
    /// [`WavesError`] with the code `waves_times`, where a wave has no time, one that is no instant, or both an interval
    /// and times are given; `waves_order`, where one is not after the one before; `waves_too_long`, where the last is
    /// too far away.
    pub fn instants(&self, start: Timestamp) -> Result<Vec<Timestamp>, WavesError> {
        let instants = self.resolve(start)?;
        let wrong = |code, index: usize, message| Err(WavesError::new(code, at_field(index), message));
        for (index, pair) in instants.windows(2).enumerate() {
            if pair[1] <= pair[0] {
                let message = format!("is {}, not after the wave before, {}", pair[1], pair[0]);
                return wrong("waves_order", index + 1, message);
            }
        }
        let longest = SignedDuration::try_from(LONGEST).unwrap_or(SignedDuration::MAX);
        if let Some(index) = instants.iter().position(|instant| instant.duration_since(start) > longest) {
            let days = LONGEST.as_secs() / (24 * 3600);
            let message = format!("is {}, more than {days} days after the start, {start}", instants[index]);
            return wrong("waves_too_long", index, message);
        }
        Ok(instants)
    }

    /// When each is released by a run that starts at `start`: as [`instants`](Self::instants), and where the start is so
    /// late that one would come before the one it follows, with that.
    ///
    /// # Errors
    /// [`WavesError`] with the code `waves_times`.
    pub fn releases(&self, start: Timestamp) -> Result<Vec<Timestamp>, WavesError> {
        let mut last = Timestamp::MIN;
        let in_order = self.resolve(start)?.into_iter().map(|instant| {
            last = last.max(instant);
            last
        });
        Ok(in_order.collect())
    }

    fn resolve(&self, start: Timestamp) -> Result<Vec<Timestamp>, WavesError> {
        let mut instants: Vec<Timestamp> = Vec::with_capacity(self.list.len());
        for (index, wave) in self.list.iter().enumerate() {
            let wrong = |message: String| WavesError::new("waves_times", at_field(index), message);
            instants.push(match (wave.at, self.interval_seconds) {
                (Some(_), Some(_)) => {
                    return Err(wrong("there is an interval: give one or the other".to_owned()));
                }
                (Some(at), None) => self.own(at).map_err(wrong)?,
                (None, _) if index == 0 => start,
                (None, Some(seconds)) => {
                    let after = SignedDuration::from_secs(i64::from(seconds));
                    instants[index - 1].checked_add(after).unwrap_or(Timestamp::MAX)
                }
                (None, None) => {
                    return Err(wrong("is missing: give each wave a time, or all an interval".to_owned()));
                }
            });
        }
        Ok(instants)
    }

    /// Whether waves have times of their own, and so mean one day of the calendar.
    pub fn has_own_times(&self) -> bool {
        self.list.iter().any(|wave| wave.at.is_some())
    }

    fn own(&self, at: Moment) -> Result<Timestamp, String> {
        match (at, &self.time_zone) {
            (Moment::Day(_), _) => Err("must have a time, such as 2027-03-14T09:00:00".to_owned()),
            (Moment::Instant(instant), _) => Ok(instant),
            (Moment::Local(_), None) => Err("is a local time: give waves.time_zone".to_owned()),
            (Moment::Local(local), Some(zone)) => zone.instant(local).map_err(|error| error.to_string()),
        }
    }
}

fn at_field(index: usize) -> String {
    format!("waves.list[{index}].at")
}

/// Who of one shard of an audience is in which wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split(Shares);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shares {
    /// The wave of each of a hundred members, and at which of them the shard begins.
    Percent { pattern: [u8; 100], first: u64 },
    /// The place behind the last member of each wave but the last.
    Number { ends: Vec<u64> },
}

impl Split {
    /// That of one of so many shards.
    ///
    /// By percent, any hundred members one after the other are split exactly. By number, each shard has its share of
    /// every wave, which together are the wave: with one shard the numbers are exact, with several a wave falls short
    /// where a shard has fewer members than the shares it should fill, and whoever is beyond the shares is in the last.
    pub fn new(sizes: &Sizes, shard: u16, shards: u16) -> Self {
        let (shard, shards) = (u64::from(shard), u64::from(shards.max(1)));
        Self(match sizes {
            // Each shard begins elsewhere, so that what is left over of a hundred is not the same wave's everywhere.
            Sizes::Percent(percents) => {
                Shares::Percent { pattern: pattern(percents), first: shard * 100 / shards }
            }
            Sizes::Number(numbers) => {
                let mut end = 0;
                let share = |number: &u64| number / shards + u64::from(shard < number % shards);
                let ends = numbers.iter().map(|number| {
                    end += share(number);
                    end
                });
                Shares::Number { ends: ends.collect() }
            }
        })
    }

    /// In which wave the shard's member at this place (from 0) is, from 0.
    pub fn wave(&self, place: u64) -> usize {
        match &self.0 {
            Shares::Percent { pattern, first } => {
                usize::from(pattern[usize::try_from((first + place) % 100).unwrap_or(0)])
            }
            Shares::Number { ends } => ends.iter().take_while(|end| **end <= place).count(),
        }
    }
}

/// A hundred members in an order in which every wave comes as evenly as it can: each goes to the wave that is the
/// farthest behind its share.
fn pattern(percents: &[u8]) -> [u8; 100] {
    let mut given = vec![0_i32; percents.len()];
    let mut pattern = [0; 100];
    for (place, wave) in (1..=100).zip(&mut pattern) {
        let behind = |wave: usize| i32::from(percents[wave]) * place - given[wave] * 100;
        // The first of those that are equally far behind.
        let next = (0..percents.len()).rev().max_by_key(|wave| behind(*wave)).unwrap_or(0);
        given[next] += 1;
        *wave = u8::try_from(next).unwrap_or(0);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(waves: Value) -> Waves {
        serde_json::from_value(waves).unwrap()
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// 2 to 10 percents, a hundred in all.
    fn any_percents() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::btree_set(1..100_u8, 1..MAX_WAVES).prop_map(|cuts| {
            let ends: Vec<u8> = cuts.into_iter().chain([100]).collect();
            let starts = [0].into_iter().chain(ends.iter().copied());
            starts.zip(&ends).map(|(start, end)| end - start).collect()
        })
    }

    proptest! {
        #[test]
        fn any_hundred_members_are_split_exactly(
            percents in any_percents(),
            (shard, shards) in (1..=16_u16).prop_flat_map(|shards| (0..shards, Just(shards))),
            from in 0..1_000_000_u64,
        ) {
            let split = Split::new(&Sizes::Percent(percents.clone()), shard, shards);
            let mut found = vec![0; percents.len()];
            for place in from..from + 100 {
                found[split.wave(place)] += 1;
            }
            prop_assert_eq!(found, percents);
        }

        #[test]
        fn fewer_than_a_hundred_are_split_to_within_one_or_two(percents in any_percents(), members in 1..100_u64) {
            let split = Split::new(&Sizes::Percent(percents.clone()), 0, 1);
            let mut found = vec![0_u64; percents.len()];
            for place in 0..members {
                found[split.wave(place)] += 1;
            }
            for (found, percent) in found.iter().zip(&percents) {
                let share = members * u64::from(*percent);
                prop_assert!((found * 100).abs_diff(share) < 200, "{found} of {members} at {percent} percent");
            }
        }

        #[test]
        fn numbers_are_exact_over_all_shards_and_the_rest_is_the_last_wave(
            numbers in prop::collection::vec(1..500_u64, 1..MAX_WAVES),
            shards in 1..=16_u16,
        ) {
            let sizes = Sizes::Number(numbers.clone());
            let each = numbers.iter().sum::<u64>() / u64::from(shards) + numbers.len() as u64 + 7;
            let mut found = vec![0_u64; numbers.len() + 1];
            for shard in 0..shards {
                let split = Split::new(&sizes, shard, shards);
                let waves: Vec<_> = (0..each).map(|place| split.wave(place)).collect();
                prop_assert!(waves.is_sorted());
                waves.iter().for_each(|wave| found[*wave] += 1);
            }
            prop_assert_eq!(&found[..numbers.len()], &numbers[..]);
            prop_assert_eq!(found.iter().sum::<u64>(), each * u64::from(shards));
        }

        #[test]
        fn instants_are_an_interval_apart(count in MIN_WAVES..=MAX_WAVES, interval in 60..=604_800_u32) {
            let start = utc("2027-03-01T09:00:00Z");
            let waves = Waves { interval_seconds: Some(interval), time_zone: None, list: vec![Wave::default(); count] };
            for (k, instant) in waves.instants(start).unwrap().into_iter().enumerate() {
                prop_assert_eq!(instant.duration_since(start).as_secs(), i64::from(interval) * k as i64);
            }
        }
    }

    #[test]
    fn a_small_wave_comes_in_the_middle_of_its_hundred_and_not_at_an_end() {
        let split = Split::new(&Sizes::Percent(vec![1, 99]), 0, 1);
        let first: Vec<_> = (0..200).filter(|place| split.wave(*place) == 0).collect();
        assert_eq!(first, [49, 149]);
    }

    #[test]
    fn more_than_there_are_leaves_the_rest_empty() {
        let split = Split::new(&Sizes::Number(vec![10, 10]), 0, 1);
        let waves: Vec<_> = (0..21).map(|place| split.wave(place)).collect();
        assert_eq!([waves[0], waves[9], waves[10], waves[19], waves[20]], [0, 0, 1, 1, 2]);
    }

    #[test]
    fn sizes_are_percents_or_numbers_and_say_what_is_wrong() {
        let sizes = |list: Value| read(json!({ "interval_seconds": 60, "list": list })).sizes();
        assert_eq!(sizes(json!([{ "percent": 30 }, { "percent": 70 }])), Ok(Sizes::Percent(vec![30, 70])));
        assert_eq!(sizes(json!([{ "number": 5 }, { "number": 6 }, {}])), Ok(Sizes::Number(vec![5, 6])));
        for (list, code, field) in [
            (json!([]), "waves_count", "waves.list"),
            (json!([{ "percent": 100 }]), "waves_count", "waves.list"),
            (Value::Array(vec![json!({ "percent": 9 }); 11]), "waves_count", "waves.list"),
            (json!([{ "percent": 50 }, { "percent": 49 }]), "waves_percent", "waves.list"),
            (json!([{ "percent": 50 }, { "percent": 51 }]), "waves_percent", "waves.list"),
            (json!([{ "percent": 50 }, {}]), "waves_sizes", "waves.list[1].percent"),
            (json!([{ "percent": 50 }, { "number": 3 }]), "waves_sizes", "waves.list[1].number"),
            (json!([{ "number": 5 }, { "number": 6 }]), "waves_sizes", "waves.list[1].number"),
            (json!([{}, {}]), "waves_sizes", "waves.list[0].number"),
        ] {
            let error = sizes(list.clone()).unwrap_err();
            assert_eq!((error.code, error.field.as_str()), (code, field), "{list}");
        }
    }

    #[test]
    fn a_late_start_leaves_no_wave_out_and_keeps_their_order() {
        let waves =
            read(json!({ "list": [{}, { "at": "2027-03-01T10:00:00Z" }, { "at": "2027-03-02T00:00:00Z" }] }));
        let late = utc("2027-03-01T11:00:00Z");
        assert_eq!(waves.releases(late).unwrap(), [late, late, utc("2027-03-02T00:00:00Z")]);
        assert_eq!(waves.instants(late).unwrap_err().code, "waves_order");
    }

    #[test]
    fn each_has_a_time_of_its_own_or_all_an_interval() {
        let start = utc("2027-03-01T08:00:00Z");
        let waves = read(json!({
            "time_zone": "Europe/Paris",
            "list": [{}, { "at": "2027-03-01T10:00:00" }, { "at": "2027-03-02T09:30:00Z" }],
        }));
        assert!(waves.has_own_times());
        let expected = [start, utc("2027-03-01T09:00:00Z"), utc("2027-03-02T09:30:00Z")];
        assert_eq!(waves.instants(start).unwrap(), expected);
        assert_eq!(read(serde_json::to_value(&waves).unwrap()), waves);
        for (waves, code, index) in [
            (json!({ "list": [{}, {}] }), "waves_times", 1),
            (json!({ "list": [{}, { "at": "2027-03-01T10:00:00" }] }), "waves_times", 1),
            (json!({ "list": [{}, { "at": "2027-03-02" }] }), "waves_times", 1),
            (
                json!({ "interval_seconds": 60, "list": [{}, { "at": "2027-03-02T00:00:00Z" }] }),
                "waves_times",
                1,
            ),
            (json!({ "list": [{}, { "at": "2027-03-01T08:00:00Z" }] }), "waves_order", 1),
            (
                json!({ "list": [{}, { "at": "2027-03-03T00:00:00Z" }, { "at": "2027-03-02T00:00:00Z" }] }),
                "waves_order",
                2,
            ),
            (json!({ "list": [{}, { "at": "2027-05-30T08:00:01Z" }] }), "waves_too_long", 1),
        ] {
            let error = read(waves.clone()).instants(start).unwrap_err();
            assert_eq!((error.code, error.field), (code, format!("waves.list[{index}].at")), "{waves}");
        }
        assert!(read(json!({ "list": [{}, { "at": "2027-05-30T08:00:00Z" }] })).instants(start).is_ok());
    }
}
