//! What an operator's figures are made from: what one invocation did, counted chunk by chunk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use campaign::chunk::Members;
use campaign::{Channel, Code, Outcome};

/// What one invocation did. All but the age are numbers of recipients.
///
/// An outcome is counted once the ledger has it, so what a killed invocation did is counted by whoever goes on. The ledger
/// holds the truth; these say how it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// By which channel.
    pub channel: Channel,
    /// Whom it took on: the members of the chunks it claimed that were still to be decided.
    pub claimed: u64,
    /// Whose message the provider took.
    pub sent: u64,
    /// Who will get none, because the provider or we could not.
    pub failed: u64,
    /// Who will get none, because they must not.
    pub excluded: u64,
    /// Of whom it is not known whether the provider took their message.
    pub unknown: u64,
    /// Who was put back to be tried again, because the provider would not take their message now.
    pub retried: u64,
    /// The longest time from the instant an execution was due until a chunk of it was claimed; `None` where no chunk was.
    ///
    /// Reckoned from the execution, and not from the message that brought the chunk: messages are sent anew whenever a
    /// chunk waits, for its rate or for a provider, so they tell how long a queue is and not how late a recipient is. At a
    /// rate, this grows with the audience even if all is well. What a resend opens again is as old as its execution.
    pub oldest: Option<Duration>,
}

impl Metrics {
    /// Nothing done yet.
    pub const fn new(channel: Channel) -> Self {
        Self { channel, claimed: 0, sent: 0, failed: 0, excluded: 0, unknown: 0, retried: 0, oldest: None }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.channel)
    }

    fn add(&mut self, outcome: Outcome, recipients: u64) {
        match outcome {
            Outcome::Pending => {}
            Outcome::Sent => self.sent += recipients,
            Outcome::Failed => self.failed += recipients,
            Outcome::Excluded => self.excluded += recipients,
            Outcome::Unknown => self.unknown += recipients,
        }
    }
}

/// Counts one invocation: a few additions a chunk.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<Metrics>);

/// The outcomes that a chunk's next write decides.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decided([u64; 4]);

const DECIDED: [Outcome; 4] = [Outcome::Sent, Outcome::Failed, Outcome::Excluded, Outcome::Unknown];

impl Decided {
    /// Those of the members whose code the counters have not been told.
    pub(crate) fn of(members: &Members) -> Self {
        let told = members.codes.iter().zip(&members.booked);
        Self::among(told.filter(|(code, booked)| code != booked).map(|(code, _)| *code))
    }

    /// Those of these codes.
    pub(crate) fn among(codes: impl Iterator<Item = Code>) -> Self {
        let mut decided = Self::default();
        for code in codes {
            let outcome = code.outcome();
            if let Some(place) = DECIDED.iter().position(|decided| *decided == outcome) {
                decided.0[place] += 1;
            }
        }
        decided
    }
}

impl Meter {
    pub(crate) const fn new(channel: Channel) -> Self {
        Self(Mutex::new(Metrics::new(channel)))
    }

    /// A chunk was claimed, so long after its execution was due.
    pub(crate) fn claimed(&self, members: &Members, age: Duration) {
        let told = members.codes.iter().zip(&members.booked);
        let open = told.filter(|(code, booked)| code.is_pending() || code != booked).count();
        self.with(|metrics| {
            metrics.claimed += open as u64;
            metrics.oldest = metrics.oldest.max(Some(age));
        });
    }

    /// The ledger has these outcomes, and so many recipients were put back to be tried again.
    pub(crate) fn settled(&self, decided: &Decided, retried: usize) {
        self.with(|metrics| {
            for (outcome, recipients) in DECIDED.into_iter().zip(decided.0) {
                metrics.add(outcome, recipients);
            }
            metrics.retried += retried as u64;
        });
    }

    pub(crate) fn read(self) -> Metrics {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use campaign::ProfileId;

    use super::*;

    fn members(codes: &[Code], booked: &[Code]) -> Members {
        let mut members = Members::new(vec![ProfileId::from_bytes([1; 16]); codes.len()]);
        members.codes = codes.to_vec();
        members.booked = booked.to_vec();
        members
    }

    #[test]
    fn only_what_is_newly_decided_counts() {
        let codes =
            [Code::Sent, Code::Sent, Code::Policy, Code::NoConsent, Code::UnknownAgain, Code::Pending];
        let booked =
            [Code::Sent, Code::Pending, Code::Pending, Code::Pending, Code::Unknown, Code::PendingAgain];
        assert_eq!(Decided::of(&members(&codes, &booked)), Decided([1, 1, 1, 1]));
    }

    #[test]
    fn a_claim_takes_on_whoever_is_still_to_be_decided() {
        let meter = Meter::new(Channel::Email);
        // One in doubt since the last worker's death is decided by this claim; one booked as sent is not its affair.
        let codes = [Code::Pending, Code::PendingAgain, Code::Unknown, Code::Sent];
        let booked = [Code::Pending, Code::Unknown, Code::Pending, Code::Sent];
        meter.claimed(&members(&codes, &booked), Duration::from_secs(3));
        meter.claimed(&members(&[Code::Sent], &[Code::Sent]), Duration::from_secs(1));
        let metrics = meter.read();
        assert_eq!((metrics.claimed, metrics.oldest), (3, Some(Duration::from_secs(3))));
        assert!(!metrics.is_empty());
    }
}
