//! What the answers of one claim add up to, and what is to happen with the chunk after it.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::chunk::Members;
use campaign::outcome::OnUnknown;
use campaign::{Code, Configuration, retry};
use store::ledger::{Bookkeeping, Next};

use crate::{Answer, Cause};

/// How long a member may be in doubt before the rule `on_unknown` decides.
pub(crate) const UNKNOWN_WAIT: Duration = Duration::from_secs(300);
/// How long to wait for a throttling provider that names no time.
const THROTTLE_WAIT: Duration = Duration::from_secs(1);
/// How long to wait for a new day's quota before looking again.
const QUOTA_WAIT: Duration = Duration::from_secs(900);
/// The longest error text kept of a provider.
const LONGEST_DETAIL: usize = 500;

/// Why the loop over a chunk's windows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every member was tried.
    Through,
    /// Time is short.
    OutOfTime,
    /// The next slot at the configuration's rate is too far away.
    OutOfRate,
}

/// What happened in one claim, so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What the provider said for good, of members not yet written to the ledger.
    pub(crate) known: Vec<(usize, Code)>,
    /// Error texts by member.
    pub(crate) details: BTreeMap<usize, String>,
    /// Which members the provider would not take yet.
    pub(crate) deferred: Vec<usize>,
    /// The gravest cause among them.
    pub(crate) cause: Option<Cause>,
    /// The longest wait a provider asked for.
    pub(crate) retry_after: Option<Duration>,
}

impl Tally {
    /// Books the answer to one member's message.
    pub(crate) fn answer(&mut self, members: &mut Members, index: usize, answer: Answer) {
        let code = members.codes[index];
        match answer {
            Answer::Accepted => self.decide(members, index, code.accepted()),
            Answer::Refused { code, detail } => {
                self.detail(index, detail);
                self.decide(members, index, code);
            }
            Answer::Ambiguous { detail } => {
                self.detail(index, detail);
                members.codes[index] = code.in_doubt();
            }
            Answer::NotAccepted { cause, retry_after, detail } => {
                self.detail(index, detail);
                self.deferred.push(index);
                self.cause = self.cause.max(Some(cause));
                self.retry_after = self.retry_after.max(retry_after);
            }
        }
    }

    fn decide(&mut self, members: &mut Members, index: usize, code: Code) {
        members.codes[index] = code;
        self.known.push((index, code));
    }

    /// Keeps an error text, cut to a length that can't fill the ledger.
    pub(crate) fn detail(&mut self, index: usize, mut detail: String) {
        if detail.len() > LONGEST_DETAIL {
            let end = (0..=LONGEST_DETAIL).rev().find(|end| detail.is_char_boundary(*end)).unwrap_or(0);
            detail.truncate(end);
        }
        if !detail.is_empty() {
            self.details.insert(index, detail);
        }
    }

    /// Whether the loop must not hand over more now.
    pub(crate) fn stops_the_rest(&self) -> bool {
        self.cause.is_some_and(Cause::stops_the_rest)
    }
}

/// What a chunk does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is written.
    pub(crate) next: Next,
    /// After which time a message brings it back; `None` where the sweep does, or nothing.
    pub(crate) message: Option<Duration>,
}

/// Decides what a chunk does next, from what was answered, and keeps its book. `jitter` is any number.
pub(crate) fn plan(
    members: &mut Members,
    book: &mut Bookkeeping,
    tally: &Tally,
    ended: Ended,
    on_unknown: OnUnknown,
    configuration: Option<&Configuration>,
    now_ms: i64,
    jitter: u64,
) -> Plan {
    let in_doubt = on_unknown == OnUnknown::Resend && members.codes.contains(&Code::Unknown);
    if in_doubt {
        book.doubt_since_ms.get_or_insert(now_ms);
    }
    if members.pending().next().is_some() {
        match (ended, tally.cause) {
            (Ended::OutOfTime, None) => return Plan { next: Next::Continue, message: Some(Duration::ZERO) },
            (Ended::OutOfRate, None) => return Plan { next: Next::AwaitRate, message: None },
            _ => {}
        }
        let wait = retry_wait(book, tally, now_ms, jitter);
        let period_ms = configuration.map_or_else(
            || i64::from(campaign::configuration::default_retry_period()) * 1000,
            |configuration| i64::from(configuration.retry_period_seconds) * 1000,
        );
        let first_ms = book.first_try_ms.unwrap_or(now_ms);
        let expired = tally.cause.is_some_and(Cause::counts_as_try) && now_ms - first_ms >= period_ms;
        if expired {
            let code =
                if tally.cause == Some(Cause::Misconfigured) { Code::Misconfigured } else { Code::Expired };
            for index in &tally.deferred {
                members.codes[*index] = code;
            }
            if members.pending().next().is_some() {
                return Plan { next: Next::Continue, message: Some(Duration::ZERO) };
            }
        } else {
            let at_ms = now_ms.saturating_add(millis(wait));
            let message = (wait <= retry::LONGEST_IN_QUEUE).then_some(wait);
            return Plan { next: Next::Park(at_ms), message };
        }
    }
    if in_doubt {
        let since = book.doubt_since_ms.unwrap_or(now_ms);
        let wait = UNKNOWN_WAIT.saturating_sub(Duration::from_millis(u64::try_from(now_ms - since).unwrap_or(0)));
        return Plan { next: Next::Park(now_ms.saturating_add(millis(wait))), message: Some(wait) };
    }
    Plan { next: Next::Close, message: None }
}

/// How long to wait, and what that does to the tries and the retry period.
fn retry_wait(book: &mut Bookkeeping, tally: &Tally, now_ms: i64, jitter: u64) -> Duration {
    match tally.cause {
        Some(cause @ (Cause::Throttled | Cause::Quota)) => {
            let least = if cause == Cause::Quota { QUOTA_WAIT } else { THROTTLE_WAIT };
            let spread = Duration::from_millis(jitter % 1000);
            let wait = tally.retry_after.unwrap_or(least).max(THROTTLE_WAIT) + spread;
            // The clock of the retry period stands still while the provider asks us to wait.
            book.first_try_ms = Some(book.first_try_ms.unwrap_or(now_ms).saturating_add(millis(wait)));
            wait
        }
        _ => {
            book.tries = book.tries.saturating_add(1);
            book.first_try_ms.get_or_insert(now_ms);
            retry::wait(book.tries, jitter, tally.retry_after)
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
