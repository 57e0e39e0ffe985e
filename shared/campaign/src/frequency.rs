//! Frequency caps: at most so many marketing messages to one person in a day, a week or a month of theirs.
//!
//! What somebody was sent lately is a short list, one entry a message, that is kept beside them and changed before a
//! message is handed over. An entry names its message, so that whoever asks again for the same message is not counted
//! again; and the claim it was reserved in, so that a worker that has lost its claim can't give back what another is
//! about to use.

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Channel;
use crate::schedule::Zone;

/// The most messages that a cap may allow in a period.
pub const MOST_MESSAGES: u32 = 100;
/// The bytes of an entry.
const ENTRY: usize = 17;

/// A cap: of the messages over its channels together, at most so many a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FrequencyCap {
    /// Its name, for people; no two caps have the same.
    #[cfg_attr(
        feature = "schema",
        schema(min_length = 1, max_length = 200, pattern = r"\S", example = "Three a week")
    )]
    pub name: String,
    /// The most marketing messages to one person in a period, those of its channels taken together.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 100))]
    pub max_messages: u32,
    /// In which time.
    pub period: Period,
    /// Over which channels; each once.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::delivery_rules::channels_schema))]
    pub channels: Vec<Channel>,
}

/// A period of the calendar, by the recipient's clock: a `day` begins at midnight, a `week` on Monday, a `month` on the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday's beginning on.
    Week,
    /// From the first's beginning on.
    Month,
}

impl Period {
    /// When the period that `now` lies in has begun, by the clocks of a zone: the first instant at which they showed its
    /// first midnight or later.
    ///
    /// ```
    /// use campaign::frequency::Period;
    /// use campaign::schedule::Zone;
    ///
    /// let now = "2027-07-14T22:30:00Z".parse()?;
    /// let paris = Zone::parse("Europe/Paris")?;
    /// // It is half past midnight in Paris, on a Thursday.
    /// assert_eq!(Period::Day.began(now, &paris).to_string(), "2027-07-14T22:00:00Z");
    /// assert_eq!(Period::Week.began(now, &paris).to_string(), "2027-07-11T22:00:00Z");
    /// assert_eq!(Period::Month.began(now, &paris).to_string(), "2027-06-30T22:00:00Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn began(self, now: Timestamp, zone: &Zone) -> Timestamp {
        let today = zone.local(now).date();
        let first = match self {
            Self::Day => today,
            Self::Week => {
                let since_monday = jiff::Span::new().days(today.weekday().to_monday_zero_offset());
                today.checked_sub(since_monday).unwrap_or(today)
            }
            Self::Month => today.first_of_month(),
        };
        zone.first(first.to_datetime(Time::midnight())).min(now)
    }
}

/// Which message an entry is about: a hash of its place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageTag(pub u64);

/// The claim that an entry was made in, among those of the message's chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimTag(pub u16);

/// That a message is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which message.
    pub message: MessageTag,
    /// In which claim it was reserved last.
    pub claim: ClaimTag,
    /// Over which channel.
    pub channel: Channel,
    /// Since when it counts, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What a cap says of one person at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    channels: Channels,
    since_ms: i64,
    most: usize,
}

/// A set of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channels(u8);

impl Channels {
    fn contains(self, channel: Channel) -> bool {
        self.0 & 1 << byte(channel) != 0
    }
}

impl FrequencyCap {
    /// What it says of somebody whose clocks are those of `zone`.
    pub fn limit(&self, now: Timestamp, zone: &Zone) -> Limit {
        Limit {
            channels: Channels(self.channels.iter().fold(0, |bits, channel| bits | 1 << byte(*channel))),
            since_ms: self.period.began(now, zone).as_millisecond(),
            most: usize::try_from(self.max_messages).unwrap_or(usize::MAX),
        }
    }
}

impl Limit {
    fn counts(&self, entry: &Entry) -> bool {
        self.channels.contains(entry.channel) && entry.at_ms >= self.since_ms
    }
}

/// What somebody was sent lately, as far as a cap has counted it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lately(Vec<Entry>);

/// Stored entries that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stored entries of a frequency cap are malformed")]
pub struct MalformedLately;

/// What asking for a message comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// It may go, and is counted already by this claim.
    Already,
    /// It may go once this is written.
    With(Lately),
    /// A cap is reached.
    Capped,
}

impl Lately {
    /// Asks for one more message under these limits, which are those of all caps at this instant. One that is counted
    /// already, in whichever claim, is not counted again: only where it was counted in a period before does it take a
    /// place in this one.
    pub fn reserve(&self, new: Entry, limits: &[Limit]) -> Reserved {
        let binding = || limits.iter().filter(|limit| limit.channels.contains(new.channel));
        let others = || self.0.iter().filter(|entry| entry.message != new.message);
        if binding().any(|limit| others().filter(|entry| limit.counts(entry)).count() >= limit.most) {
            return Reserved::Capped;
        }
        let own = self.0.iter().find(|entry| entry.message == new.message);
        let is_current = |entry: &&Entry| binding().all(|limit| limit.counts(entry));
        let own = own.filter(is_current);
        if own.is_some_and(|own| own.claim == new.claim) {
            return Reserved::Already;
        }
        // What no cap counts any more is forgotten here.
        let counted = others().filter(|entry| limits.iter().any(|limit| limit.counts(entry)));
        let mut entries: Vec<_> = counted.copied().collect();
        entries.push(Entry { at_ms: own.map_or(new.at_ms, |own| own.at_ms), ..new });
        Reserved::With(Self(entries))
    }

    /// In which claim a message was counted last; `None` where it is not.
    pub fn claim_of(&self, message: MessageTag) -> Option<ClaimTag> {
        self.0.iter().find(|entry| entry.message == message).map(|entry| entry.claim)
    }

    /// The same without a message that was counted in one of these claims; `None` where there is none.
    pub fn without(&self, message: MessageTag, claims: &[ClaimTag]) -> Option<Self> {
        let is_it = |entry: &&Entry| entry.message == message && claims.contains(&entry.claim);
        self.0.iter().find(is_it)?;
        Some(Self(self.0.iter().filter(|entry| !is_it(entry)).copied().collect()))
    }

    /// As bytes, 17 an entry.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        for entry in &self.0 {
            bytes.extend_from_slice(&entry.message.0.to_be_bytes());
            bytes.extend_from_slice(&entry.claim.0.to_be_bytes());
            bytes.push(byte(entry.channel));
            // The last six bytes: milliseconds of some nine thousand years.
            bytes.extend_from_slice(&entry.at_ms.max(0).to_be_bytes()[2..]);
        }
        bytes
    }

    /// From [`Lately::pack`]'s bytes.
    ///
    /// # Errors
    /// [`MalformedLately`] where they are none.
    pub fn unpack(bytes: &[u8]) -> Result<Self, MalformedLately> {
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(MalformedLately);
        }
        let read = |&[a, b, c, d, e, f, g, h, i, j, channel, at @ ..]: &[u8; ENTRY]| {
            let [k, l, m, n, o, p] = at;
            Ok(Entry {
                message: MessageTag(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
                claim: ClaimTag(u16::from_be_bytes([i, j])),
                channel: channel_of(channel).ok_or(MalformedLately)?,
                at_ms: i64::from_be_bytes([0, 0, k, l, m, n, o, p]),
            })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The byte a channel is stored as.
const fn byte(channel: Channel) -> u8 {
    match channel {
        Channel::Email => 0,
        Channel::Sms => 1,
        Channel::Push => 2,
        Channel::Webhook => 3,
    }
}

const fn channel_of(byte: u8) -> Option<Channel> {
    match byte {
        0 => Some(Channel::Email),
        1 => Some(Channel::Sms),
        2 => Some(Channel::Push),
        3 => Some(Channel::Webhook),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
