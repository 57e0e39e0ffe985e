//! Delivery rules: what an operator has decided about marketing as a whole, whichever campaign it comes from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::frequency::{FrequencyCap, Limit, MOST_MESSAGES};
use crate::quiet::{OnQuiet, QuietHours};
use crate::schedule::Zone;
use crate::{Channel, Profile};

/// The most caps, and the most windows of quiet hours.
pub const MOST_RULES: usize = 10;
/// The longest name of a rule, in characters.
pub const LONGEST_NAME: usize = 200;
/// Windows that follow one another are followed no farther than this; whoever comes back then sees the next.
const MOST_WINDOWS: usize = 64;
const MINUTES_OF_A_WEEK: usize = 7 * 24 * 60;

/// What is decided about marketing as a whole. Transactional messages know no such rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryRules {
    /// The zone of recipients whose profile names none, or one that is not known: an IANA name; `UTC` where absent.
    #[serde(default = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, example = "Europe/Paris"))]
    pub time_zone: Zone,
    /// How often people are written to at most. Where several hold, each has to allow a message.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 10))]
    pub frequency_caps: Vec<FrequencyCap>,
    /// When people are not written to. Where several hold, `exclude` goes before `delay`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 10))]
    pub quiet_hours: Vec<QuietHours>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct RuleError {
    /// The field's path.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// Whether it is quiet for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// It is not.
    No,
    /// It is until then, and messages wait.
    Until(Timestamp),
    /// It is, and messages are not sent.
    Exclude,
}

impl Default for DeliveryRules {
    fn default() -> Self {
        Self { time_zone: utc(), frequency_caps: Vec::new(), quiet_hours: Vec::new() }
    }
}

impl DeliveryRules {
    /// Whether nothing is decided.
    pub const fn is_empty(&self) -> bool {
        self.frequency_caps.is_empty() && self.quiet_hours.is_empty()
    }

    /// Whether a cap counts messages over this channel.
    pub fn caps(&self, channel: Channel) -> bool {
        self.frequency_caps.iter().any(|cap| cap.channels.contains(&channel))
    }

    /// Whether there are quiet hours of this channel.
    pub fn quiets(&self, channel: Channel) -> bool {
        self.quiet_hours.iter().any(|hours| hours.channels.contains(&channel))
    }

    /// The zone by whose clocks the rules are read for somebody: the profile's own, where it names one.
    pub fn zone_of(&self, profile: &Profile) -> Zone {
        let own = profile.text("time_zone").map(str::trim).filter(|name| !name.is_empty());
        own.and_then(|name| Zone::parse(name).ok()).unwrap_or_else(|| self.time_zone.clone())
    }

    /// What all caps say at an instant of somebody whose clocks are those of `zone`.
    pub fn limits(&self, now: Timestamp, zone: &Zone) -> Vec<Limit> {
        self.frequency_caps.iter().map(|cap| cap.limit(now, zone)).collect()
    }

    /// Whether it is quiet over a channel for somebody whose clocks are those of `zone`. Where one window is followed by
    /// another at once, the end is that of the last.
    pub fn quiet(&self, channel: Channel, now: Timestamp, zone: &Zone) -> Quiet {
        let of_channel = || self.quiet_hours.iter().filter(|hours| hours.channels.contains(&channel));
        let ends = |on_quiet: OnQuiet, at: Timestamp| {
            of_channel()
                .filter(move |hours| hours.on_quiet == on_quiet)
                .filter_map(move |hours| hours.ends(at, zone))
                .max()
        };
        if ends(OnQuiet::Exclude, now).is_some() {
            return Quiet::Exclude;
        }
        let mut until = now;
        for _ in 0..MOST_WINDOWS {
            match ends(OnQuiet::Delay, until) {
                Some(end) => until = end,
                None => break,
            }
        }
        if until > now { Quiet::Until(until) } else { Quiet::No }
    }

    /// What is wrong with the rules beyond the form of their fields.
    pub fn check(&self) -> Vec<RuleError> {
        let mut errors = Vec::new();
        let mut refuse = |field: String, message: String| errors.push(RuleError { field, message });
        let caps: Vec<_> =
            self.frequency_caps.iter().map(|cap| (cap.name.as_str(), &cap.channels[..])).collect();
        let hours: Vec<_> =
            self.quiet_hours.iter().map(|hours| (hours.name.as_str(), &hours.channels[..])).collect();
        for (list, rules) in [("frequency_caps", caps), ("quiet_hours", hours)] {
            if rules.len() > MOST_RULES {
                refuse(list.to_owned(), format!("has at most {MOST_RULES}"));
            }
            for (index, (name, channels)) in rules.iter().enumerate() {
                if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
                    refuse(format!("{list}[{index}].name"), format!("has 1 to {LONGEST_NAME} characters"));
                } else if rules[..index].iter().any(|(other, _)| other == name) {
                    refuse(format!("{list}[{index}].name"), "is another's already".to_owned());
                }
                if channels.is_empty() {
                    refuse(format!("{list}[{index}].channels"), "names at least one channel".to_owned());
                }
                let doubled = (1..channels.len()).find(|at| channels[..*at].contains(&channels[*at]));
                if let Some(at) = doubled {
                    refuse(format!("{list}[{index}].channels[{at}]"), "is there already".to_owned());
                }
            }
        }
        for (index, cap) in self.frequency_caps.iter().enumerate() {
            if !(1..=MOST_MESSAGES).contains(&cap.max_messages) {
                let message = format!("must be between 1 and {MOST_MESSAGES}");
                refuse(format!("frequency_caps[{index}].max_messages"), message);
            }
        }
        for (index, hours) in self.quiet_hours.iter().enumerate() {
            if hours.weekdays.as_ref().is_some_and(Vec::is_empty) {
                refuse(format!("quiet_hours[{index}].weekdays"), "names at least one day".to_owned());
            }
        }
        for channel in [Channel::Email, Channel::Sms, Channel::Push, Channel::Webhook] {
            if self.leaves_no_time(channel) {
                let message = format!("leave no time at all for {}", channel.name());
                refuse("quiet_hours".to_owned(), message);
            }
        }
        errors
    }

    fn leaves_no_time(&self, channel: Channel) -> bool {
        let mut is_quiet = vec![false; MINUTES_OF_A_WEEK];
        for hours in self.quiet_hours.iter().filter(|hours| hours.channels.contains(&channel)) {
            for minute in hours.minutes() {
                is_quiet[minute] = true;
            }
        }
        is_quiet.into_iter().all(|minute| minute)
    }
}

const fn utc() -> Zone {
    Zone::UTC
}

/// The channels of a rule, in the OpenAPI document.
#[cfg(feature = "schema")]
pub(crate) fn channels_schema() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

    let names = [Channel::Email, Channel::Sms, Channel::Push, Channel::Webhook].map(Channel::name);
    let channel = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    ArrayBuilder::new()
        .items(channel)
        .min_items(Some(1))
        .max_items(Some(4))
        .unique_items(true)
        .description(Some("Over which channels; each once."))
        .build()
}

#[cfg(test)]
mod tests;
