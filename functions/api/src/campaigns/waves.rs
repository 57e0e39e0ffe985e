//! In which parts a campaign's audience gets it, as it comes in and goes out.

use campaign::schedule::{Moment, Schedule, Zone};
use campaign::waves::{MAX_INTERVAL_SECONDS, MAX_NUMBER, MAX_WAVES, MIN_INTERVAL_SECONDS, Wave, Waves};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Problem, Result};

/// Waves: the audience gets it in 2 to 10 parts. All are given by `percent`, a hundred in all, or all but the last by
/// `number`; they start an interval apart, or each at a time of its own. Any hundred recipients are split exactly by
/// percent. Numbers are exact where the audience is read in one part, as audiences of up to 50,000 are; in larger ones a
/// wave may fall short by what one of the up to 16 parts lacks. Not for schedules in recipients' own time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WavesBody {
    /// How long after the one before each wave starts, in seconds; absent where each has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 604_800, example = 3600)]
    interval_seconds: Option<u32>,
    /// The IANA zone that local times are meant in; the schedule's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Paris")]
    time_zone: Option<String>,
    /// The waves, in their order.
    #[schema(max_items = 10)]
    list: Vec<WaveBody>,
}

/// One wave.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaveBody {
    /// How many of a hundred recipients are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 99)]
    percent: Option<u8>,
    /// How many recipients are in it, instead of `percent`. The last wave has none: it is the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    number: Option<u64>,
    /// When it starts, a local time or an instant. The first may have none: it starts with the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-03-14T09:00:00")]
    at: Option<String>,
}

impl WavesBody {
    /// Reads them beside the schedule whose zone is meant where they name none.
    pub(super) fn parse(self, schedule: &Schedule) -> Result<Waves> {
        if self.list.len() > MAX_WAVES {
            return Err(Problem::field("waves.list", format!("has at most {MAX_WAVES}")));
        }
        let interval = MIN_INTERVAL_SECONDS..=MAX_INTERVAL_SECONDS;
        if self.interval_seconds.is_some_and(|seconds| !interval.contains(&seconds)) {
            let message = format!("must be {MIN_INTERVAL_SECONDS} to {MAX_INTERVAL_SECONDS}");
            return Err(Problem::field("waves.interval_seconds", message));
        }
        let list = self.list.into_iter().enumerate().map(|(index, wave)| wave.parse(index));
        let list = list.collect::<Result<Vec<_>>>()?;
        let zone = match self.time_zone {
            Some(name) => Zone::parse(&name).map(Some),
            None if list.iter().any(|wave| matches!(wave.at, Some(Moment::Local(_)))) => schedule.zone(),
            None => Ok(None),
        };
        let time_zone = zone.map_err(|error| Problem::field("waves.time_zone", error.to_string()))?;
        for (index, wave) in list.iter().enumerate() {
            if let Some(Moment::Local(local)) = wave.at {
                let Some(zone) = &time_zone else {
                    return Err(Problem::field("waves.time_zone", "is missing, and the schedule has none"));
                };
                let instant = zone.instant(local);
                instant
                    .map_err(|error| Problem::field(format!("waves.list[{index}].at"), error.to_string()))?;
            }
        }
        Ok(Waves { interval_seconds: self.interval_seconds, time_zone, list })
    }
}

impl WaveBody {
    fn parse(self, index: usize) -> Result<Wave> {
        let wrong =
            |name: &str, message: String| Problem::field(format!("waves.list[{index}].{name}"), message);
        if self.percent.is_some_and(|percent| !(1..100).contains(&percent)) {
            return Err(wrong("percent", "must be 1 to 99".to_owned()));
        }
        if self.number.is_some_and(|number| !(1..=MAX_NUMBER).contains(&number)) {
            return Err(wrong("number", format!("must be 1 to {MAX_NUMBER}")));
        }
        if self.percent.is_some() && self.number.is_some() {
            return Err(wrong("number", "can't be given beside percent".to_owned()));
        }
        let at = match self.at.as_deref().map(Moment::parse) {
            None => None,
            Some(Ok(at @ (Moment::Local(_) | Moment::Instant(_)))) => Some(at),
            Some(_) => {
                let message = "must be a local time or an instant, such as 2027-03-14T09:00:00";
                return Err(wrong("at", message.to_owned()));
            }
        };
        Ok(Wave { percent: self.percent, number: self.number, at })
    }
}
