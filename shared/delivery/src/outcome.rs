//! What the answers of one claim add up to, and what is to happen with the chunk after it.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::chunk::Members;
use campaign::frequency::ClaimTag;
use campaign::outcome::OnUnknown;
use campaign::{Code, retry};
use jiff::Timestamp;
use store::ledger::{Bookkeeping, Next};

use crate::{Answer, Cause};

/// How long a member may be in doubt before the rule `on_unknown` decides.
pub(crate) const UNKNOWN_WAIT: Duration = Duration::from_secs(300);
/// How long to wait for a throttling provider that names no time.
pub(crate) const THROTTLE_WAIT: Duration = Duration::from_secs(1);
/// How long to wait for a new day's quota before looking again.
pub(crate) const QUOTA_WAIT: Duration = Duration::from_secs(900);
/// The longest that a provider can have us wait, whatever it asks for: then it is asked again.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Those who wait for the same come apart by at least so much, and by so much at most.
const LEAST_SPREAD: Duration = Duration::from_secs(1);
const MOST_SPREAD: Duration = Duration::from_secs(15);
/// How soon to come back after the store was in trouble.
const TROUBLE_WAIT: Duration = Duration::from_secs(5);
/// The longest error text kept of a provider.
const LONGEST_DETAIL: usize = 500;

/// Why the loop over a chunk's windows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every member was tried.
    Through,
    /// Time is short.
    OutOfTime,
    /// The next slot at the configuration's rate is too far away, and nothing was handed over: it is others' turn.
    OutOfRate,
    /// The next slot at the configuration's rate is so far away; until then some were handed over.
    Paced(Duration),
    /// The provider asked everybody to wait for so long.
    OnHold(Duration),
    /// The execution is paused.
    Paused,
    /// The store could not be read or written in between.
    Trouble,
}

/// What happened in one claim, so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What the provider said of members, as far as it is not yet written to the ledger: their codes, which are pending for
    /// those that it surely did not take.
    pub(crate) known: Vec<(usize, Code)>,
    /// Error texts by member.
    pub(crate) details: BTreeMap<usize, String>,
    /// Which members the provider would not take yet.
    pub(crate) deferred: Vec<usize>,
    /// The gravest cause among them.
    pub(crate) cause: Option<Cause>,
    /// Whether somebody is newly in doubt.
    pub(crate) doubts: bool,
    /// Whether the provider took or refused some of the last window, which only one that is in reach does.
    pub(crate) is_in_reach: bool,
    /// From which member on nobody had a turn, where the loop ended before the last.
    pub(crate) untried: Option<usize>,
    /// Until when everybody waits for the provider by this claim's doing, in milliseconds since the Unix epoch.
    pub(crate) held_until_ms: Option<i64>,
    /// The longest wait a provider asked for.
    pub(crate) retry_after: Option<Duration>,
    /// The longest that it asked of everybody, and not for one recipient.
    pub(crate) hold_asked: Option<Duration>,
    /// Which members have quiet hours.
    pub(crate) quiet: Vec<usize>,
    /// When the first of the members that have quiet hours may be written to, in milliseconds since the Unix epoch.
    pub(crate) quiet_until_ms: Option<i64>,
    /// The claims in which members may have taken places under frequency caps; `None` where that was not looked at.
    pub(crate) places: Option<BTreeMap<usize, Vec<ClaimTag>>>,
}

impl Tally {
    /// Books the answers to the messages of a window.
    ///
    /// A provider that takes messages and says nothing is out of reach: whatever followed would be in doubt, too. Where it is
    /// not the one provider of all, its silence concerns nobody else.
    pub(crate) fn window(
        &mut self,
        members: &mut Members,
        answers: impl IntoIterator<Item = (usize, Answer)>,
        is_one: bool,
    ) {
        self.is_in_reach = false;
        let mut is_doubted = false;
        for (index, answer) in answers {
            is_doubted |= matches!(answer, Answer::Ambiguous { .. });
            self.answer(members, index, answer);
        }
        if is_one && is_doubted && !self.is_in_reach {
            self.cause = self.cause.max(Some(Cause::Unreachable));
        }
    }

    /// Books the answer to one member's message.
    fn answer(&mut self, members: &mut Members, index: usize, answer: Answer) {
        let code = members.codes[index];
        match answer {
            Answer::Accepted => self.decide(members, index, code.accepted()),
            Answer::Refused { code: refused, detail } => {
                self.detail(index, detail);
                self.decide(members, index, code.closed(refused));
            }
            Answer::Ambiguous { detail } => {
                self.detail(index, detail);
                members.codes[index] = code.in_doubt();
                self.doubts = true;
            }
            Answer::NotAccepted { cause, retry_after, detail } => {
                self.detail(index, detail);
                self.known.push((index, code));
                self.deferred.push(index);
                self.cause = self.cause.max(Some(cause));
                let asked = retry_after.map(|wait| wait.min(LONGEST_ASKED));
                self.retry_after = self.retry_after.max(asked);
                if cause.stops_the_rest() {
                    self.hold_asked = self.hold_asked.max(asked);
                }
            }
        }
    }

    fn decide(&mut self, members: &mut Members, index: usize, code: Code) {
        members.codes[index] = code;
        self.known.push((index, code));
        self.is_in_reach = true;
    }

    /// A member has quiet hours until then.
    pub(crate) fn quiet(&mut self, index: usize, until: Timestamp) {
        self.quiet.push(index);
        let until_ms = until.as_millisecond();
        self.quiet_until_ms = Some(self.quiet_until_ms.map_or(until_ms, |first_ms| first_ms.min(until_ms)));
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

/// What the decision about a chunk depends on, beside what was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Why the loop over the windows ended.
    pub(crate) ended: Ended,
    /// What to do in doubt.
    pub(crate) on_unknown: OnUnknown,
    /// How long what is not taken is tried again.
    pub(crate) retry_period: Duration,
    /// How long the execution was paused before, in milliseconds: that uses up nothing of the retry period.
    pub(crate) paused_for_ms: i64,
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) now_ms: i64,
    /// Any number.
    pub(crate) jitter: u64,
}

/// Decides what a chunk does next, from what was answered, and keeps its book.
pub(crate) fn plan(
    members: &mut Members,
    book: &mut Bookkeeping,
    tally: &Tally,
    situation: Situation,
) -> Plan {
    let Situation { ended, on_unknown, retry_period, paused_for_ms, now_ms, jitter } = situation;
    let tried_ms = now_ms.saturating_sub(paused_for_ms);
    let in_doubt = on_unknown == OnUnknown::Resend && members.codes.contains(&Code::Unknown);
    if in_doubt && (tally.doubts || book.doubt_since_ms.is_none()) {
        book.doubt_since_ms = Some(now_ms);
    }
    // Those who were not taken yet wait until everybody else has had a turn.
    book.go_on = tally.untried.unwrap_or(0);
    if members.pending().next().is_some() {
        if tally.untried.is_some() && !tally.stops_the_rest() {
            return match ended {
                Ended::OutOfRate | Ended::Paused => Plan { next: Next::AwaitRate, message: None },
                Ended::Paced(wait) => park(now_ms, wait),
                Ended::OnHold(wait) => park(now_ms, spread(wait, jitter)),
                Ended::Trouble => park(now_ms, TROUBLE_WAIT),
                Ended::OutOfTime | Ended::Through => {
                    Plan { next: Next::Continue, message: Some(Duration::ZERO) }
                }
            };
        }
        let quiet = tally.quiet_until_ms.map(|until_ms| quiet_wait(book, in_doubt, until_ms, now_ms));
        if let (Some(wait), true) = (quiet, tally.deferred.is_empty()) {
            // Nobody is tried until then, so the clock of the retry period stands still.
            book.first_try_ms = book.first_try_ms.map(|first| first.saturating_add(millis(wait)));
            return park(now_ms, wait);
        }
        let wait = retry_wait(book, tally, situation);
        let first_ms = book.first_try_ms.unwrap_or(tried_ms);
        let expired =
            tally.cause.is_some_and(Cause::counts_as_try) && tried_ms - first_ms >= millis(retry_period);
        if expired {
            let code =
                if tally.cause == Some(Cause::Misconfigured) { Code::Misconfigured } else { Code::Expired };
            for index in &tally.deferred {
                members.close(*index, code);
            }
            book.first_try_ms = None;
            if members.pending().next().is_some() {
                return quiet.map_or(Plan { next: Next::Continue, message: Some(Duration::ZERO) }, |wait| {
                    park(now_ms, wait)
                });
            }
        } else {
            return park(now_ms, quiet.map_or(wait, |quiet| quiet.min(wait)));
        }
    }
    if in_doubt {
        let since = book.doubt_since_ms.unwrap_or(now_ms);
        let wait =
            UNKNOWN_WAIT.saturating_sub(Duration::from_millis(u64::try_from(now_ms - since).unwrap_or(0)));
        if ended == Ended::Paused && wait.is_zero() {
            return Plan { next: Next::AwaitRate, message: None };
        }
        return park(now_ms, wait);
    }
    Plan { next: Next::Close, message: None }
}

/// How long quiet hours have the chunk wait: until the first of them are over, or doubt has lasted long enough.
fn quiet_wait(book: &Bookkeeping, in_doubt: bool, until_ms: i64, now_ms: i64) -> Duration {
    let doubt_ms =
        book.doubt_since_ms.filter(|_| in_doubt).map(|since| since.saturating_add(millis(UNKNOWN_WAIT)));
    let until_ms = doubt_ms.map_or(until_ms, |doubt_ms| doubt_ms.min(until_ms));
    Duration::from_millis(u64::try_from(until_ms - now_ms).unwrap_or(0))
}

/// A wait for what everybody waits for, made longer by up to a quarter, so that not all of them come at the same instant.
fn spread(wait: Duration, jitter: u64) -> Duration {
    let most = (wait / 4).clamp(LEAST_SPREAD, MOST_SPREAD);
    wait + Duration::from_millis(jitter % u64::try_from(most.as_millis()).unwrap_or(u64::MAX))
}

/// Waits: with a message, where a queue may hold it for so long.
fn park(now_ms: i64, wait: Duration) -> Plan {
    let message = (wait <= retry::LONGEST_IN_QUEUE).then_some(wait);
    Plan { next: Next::Park(now_ms.saturating_add(millis(wait))), message }
}

/// How long to wait, and what that does to the tries and the retry period.
fn retry_wait(book: &mut Bookkeeping, tally: &Tally, situation: Situation) -> Duration {
    let Situation { now_ms, jitter, .. } = situation;
    let tried_ms = now_ms.saturating_sub(situation.paused_for_ms);
    match tally.cause {
        Some(cause @ (Cause::Throttled | Cause::Quota)) => {
            let least = if cause == Cause::Quota { QUOTA_WAIT } else { THROTTLE_WAIT };
            let asked = tally.retry_after.unwrap_or(least).max(THROTTLE_WAIT);
            let held_ms = tally.held_until_ms.map_or(0, |until_ms| until_ms.saturating_sub(now_ms));
            let held = Duration::from_millis(u64::try_from(held_ms).unwrap_or(0));
            let wait = spread(asked.max(held), jitter);
            // The clock of the retry period stands still while the provider asks us to wait.
            book.first_try_ms = book.first_try_ms.map(|first| first.saturating_add(millis(wait)));
            wait
        }
        _ => {
            book.tries = book.tries.saturating_add(1);
            book.first_try_ms.get_or_insert(tried_ms);
            retry::wait(book.tries, jitter, tally.retry_after)
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use campaign::ProfileId;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn members() -> Members {
        Members::new(vec![ProfileId::from_bytes([1; 16]); 3])
    }

    fn not_accepted(cause: Cause, retry_after: Option<Duration>) -> Answer {
        Answer::NotAccepted { cause, retry_after, detail: "later".to_owned() }
    }

    fn deferred(cause: Cause, retry_after: Option<Duration>) -> Tally {
        let mut tally = Tally::default();
        tally.answer(&mut members(), 1, not_accepted(cause, retry_after));
        tally
    }

    fn next(members: &mut Members, book: &mut Bookkeeping, tally: &Tally, on_unknown: OnUnknown) -> Plan {
        let situation = Situation {
            ended: Ended::Through,
            on_unknown,
            retry_period: Duration::from_secs(12 * 3600),
            paused_for_ms: 0,
            now_ms: NOW,
            jitter: 0,
        };
        plan(members, book, tally, situation)
    }

    #[test]
    fn a_transient_refusal_waits_longer_each_time_and_ends_with_the_retry_period() {
        let mut book = Bookkeeping::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let tally = deferred(Cause::Transient, None);
            let Plan { next: Next::Park(at), .. } = next(&mut members(), &mut book, &tally, OnUnknown::Hold)
            else {
                panic!("it waits")
            };
            waits.push((at - NOW) / 1000);
        }
        assert_eq!(waits, [5, 30, 120, 300, 600, 1200, 2400, 3600, 3600]);
        book.first_try_ms = Some(NOW - 12 * HOUR);
        let mut last = members();
        last.codes = vec![Code::Sent, Code::Pending, Code::Sent];
        let end = next(&mut last, &mut book, &deferred(Cause::Transient, None), OnUnknown::Hold);
        assert_eq!((end.next, last.codes[1]), (Next::Close, Code::Expired));
    }

    #[test]
    fn throttling_uses_up_neither_tries_nor_the_retry_period() {
        for cause in [Cause::Throttled, Cause::Quota] {
            let mut book = Bookkeeping { first_try_ms: Some(NOW - 12 * HOUR), ..Bookkeeping::default() };
            let tally = deferred(cause, Some(Duration::from_secs(7)));
            let plan = next(&mut members(), &mut book, &tally, OnUnknown::Hold);
            assert_eq!(plan.next, Next::Park(NOW + 7000));
            assert_eq!((book.tries, book.first_try_ms), (0, Some(NOW - 12 * HOUR + 7000)));
        }
    }

    #[test]
    fn no_provider_has_us_wait_for_ever() {
        let tally = deferred(Cause::Throttled, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(tally.retry_after, Some(LONGEST_ASKED));
    }

    #[test]
    fn what_waits_longer_than_a_queue_may_hold_it_waits_in_the_ledger() {
        let tally = deferred(Cause::Transient, Some(Duration::from_secs(3600)));
        let plan = next(&mut members(), &mut Bookkeeping::default(), &tally, OnUnknown::Hold);
        assert_eq!(plan, Plan { next: Next::Park(NOW + HOUR), message: None });
    }

    #[test]
    fn doubt_is_held_or_waits_for_the_rule_to_resend() {
        let mut doubtful = members();
        doubtful.codes = vec![Code::Unknown, Code::Sent, Code::NoConsent];
        let held =
            next(&mut doubtful.clone(), &mut Bookkeeping::default(), &Tally::default(), OnUnknown::Hold);
        assert_eq!(held.next, Next::Close);
        let mut book = Bookkeeping::default();
        let waits = next(&mut doubtful.clone(), &mut book, &Tally::default(), OnUnknown::Resend);
        assert_eq!(waits.next, Next::Park(NOW + 300_000));
        assert_eq!(book.doubt_since_ms, Some(NOW));
        // Sent again and in doubt again: that is the end of it.
        doubtful.codes[0] = Code::UnknownAgain;
        let end = next(&mut doubtful, &mut Bookkeeping::default(), &Tally::default(), OnUnknown::Resend);
        assert_eq!(end.next, Next::Close);
    }

    #[test]
    fn a_pause_keeps_who_waits_as_they_are_and_looks_for_no_message() {
        // Somebody was greylisted before, and somebody was never tried.
        let tally = Tally { untried: Some(2), ..deferred(Cause::Transient, None) };
        let mut waiting = members();
        waiting.codes[0] = Code::Sent;
        let mut book =
            Bookkeeping { tries: 1, first_try_ms: Some(NOW - 12 * HOUR), ..Bookkeeping::default() };
        let plan = plan(&mut waiting, &mut book, &tally, paused());
        assert_eq!(plan, Plan { next: Next::AwaitRate, message: None });
        assert_eq!((book.tries, book.first_try_ms, book.go_on), (1, Some(NOW - 12 * HOUR), 2));
        assert_eq!(waiting.codes, [Code::Sent, Code::Pending, Code::Pending]);
    }

    #[test]
    fn doubt_may_last_through_a_pause_but_nothing_comes_of_it_then() {
        let mut doubtful = members();
        doubtful.codes = vec![Code::Unknown, Code::Sent, Code::NoConsent];
        let resend = Situation { on_unknown: OnUnknown::Resend, ..paused() };
        let next = |since| {
            let mut book = Bookkeeping { doubt_since_ms: since, ..Bookkeeping::default() };
            let tally = Tally { untried: Some(0), ..Tally::default() };
            let plan = plan(&mut doubtful.clone(), &mut book, &tally, resend);
            (plan, book.doubt_since_ms)
        };
        // New doubt waits as ever; what has waited long enough waits for the resume, and not for a message at once.
        let wait = Duration::from_secs(300);
        assert_eq!(next(None), (Plan { next: Next::Park(NOW + 300_000), message: Some(wait) }, Some(NOW)));
        let long_ago = Some(NOW - 300_000);
        assert_eq!(next(long_ago), (Plan { next: Next::AwaitRate, message: None }, long_ago));
        // Where doubt is held, everybody has an outcome.
        let held = plan(&mut doubtful, &mut Bookkeeping::default(), &Tally::default(), paused());
        assert_eq!(held.next, Next::Close);
    }

    fn paused() -> Situation {
        Situation {
            ended: Ended::Paused,
            on_unknown: OnUnknown::Hold,
            retry_period: Duration::from_secs(12 * 3600),
            paused_for_ms: 0,
            now_ms: NOW,
            jitter: 0,
        }
    }

    #[test]
    fn a_pause_uses_up_nothing_of_the_retry_period() {
        let resumed = Situation { ended: Ended::Through, paused_for_ms: 100 * HOUR, ..paused() };
        // First refused 111 hours ago, of which it was paused for 100; an hour later its time is over.
        let mut book =
            Bookkeeping { tries: 3, first_try_ms: Some(NOW - 111 * HOUR), ..Bookkeeping::default() };
        let tally = deferred(Cause::Transient, None);
        let mut waiting = members();
        waiting.codes = vec![Code::Sent, Code::Pending, Code::Sent];
        let tried = plan(&mut waiting.clone(), &mut book, &tally, resumed);
        assert!(matches!(tried.next, Next::Park(at_ms) if at_ms > NOW), "{tried:?}");
        assert_eq!((book.tries, book.first_try_ms), (4, Some(NOW - 111 * HOUR)));
        let later = Situation { now_ms: NOW + HOUR, ..resumed };
        assert_eq!(plan(&mut waiting, &mut book, &tally, later).next, Next::Close);
        assert_eq!(waiting.codes[1], Code::Expired);
        // Who is first refused after a pause has the whole period before them.
        let mut book = Bookkeeping::default();
        plan(&mut members(), &mut book, &tally, resumed);
        assert_eq!(book.first_try_ms, Some(NOW - 100 * HOUR));
    }

    fn quiet(until_ms: i64, deferred: &[usize]) -> Tally {
        let cause = (!deferred.is_empty()).then_some(Cause::Transient);
        Tally { quiet_until_ms: Some(until_ms), deferred: deferred.to_vec(), cause, ..Tally::default() }
    }

    #[test]
    fn quiet_hours_are_waited_for_and_use_up_neither_tries_nor_the_retry_period() {
        let mut book =
            Bookkeeping { tries: 2, first_try_ms: Some(NOW - 11 * HOUR), ..Bookkeeping::default() };
        let waits = next(&mut members(), &mut book, &quiet(NOW + 9 * HOUR, &[]), OnUnknown::Hold);
        assert_eq!(waits, Plan { next: Next::Park(NOW + 9 * HOUR), message: None });
        assert_eq!((book.tries, book.first_try_ms), (2, Some(NOW - 2 * HOUR)));
        // Nearly over: a queue holds the message.
        let soon = next(&mut members(), &mut book, &quiet(NOW + 5000, &[]), OnUnknown::Hold);
        let wait = Duration::from_secs(5);
        assert_eq!(soon, Plan { next: Next::Park(NOW + 5000), message: Some(wait) });
    }

    #[test]
    fn who_was_refused_beside_quiet_hours_is_tried_again_or_expires_without_the_others() {
        let mut book = Bookkeeping::default();
        let again = next(&mut members(), &mut book, &quiet(NOW + 9 * HOUR, &[1]), OnUnknown::Hold);
        assert_eq!(again.next, Next::Park(NOW + 5000));
        let over = next(&mut members(), &mut book, &quiet(NOW + 1000, &[1]), OnUnknown::Hold);
        assert_eq!(over.next, Next::Park(NOW + 1000));
        book.first_try_ms = Some(NOW - 12 * HOUR);
        let mut last = members();
        let rest = next(&mut last, &mut book, &quiet(NOW + 9 * HOUR, &[1]), OnUnknown::Hold);
        assert_eq!(rest.next, Next::Park(NOW + 9 * HOUR));
        assert_eq!(last.codes, [Code::Pending, Code::Expired, Code::Pending]);
        assert_eq!(book.first_try_ms, None);
    }

    #[test]
    fn doubt_is_not_left_to_last_through_quiet_hours() {
        let mut doubtful = members();
        doubtful.codes[0] = Code::Unknown;
        let next = |on_unknown| {
            let mut book = Bookkeeping::default();
            next(&mut doubtful.clone(), &mut book, &quiet(NOW + 9 * HOUR, &[]), on_unknown).next
        };
        assert_eq!(next(OnUnknown::Resend), Next::Park(NOW + 300_000));
        assert_eq!(next(OnUnknown::Hold), Next::Park(NOW + 9 * HOUR));
    }

    #[test]
    fn the_gravest_cause_counts() {
        let mut tally = deferred(Cause::Transient, Some(Duration::from_secs(60)));
        assert!(!tally.stops_the_rest());
        tally.answer(&mut members(), 2, not_accepted(Cause::Unreachable, None));
        assert!(tally.stops_the_rest());
        // What one recipient's server asked for holds nobody else.
        assert_eq!((tally.retry_after, tally.hold_asked), (Some(Duration::from_secs(60)), None));
        tally.answer(&mut members(), 2, not_accepted(Cause::Throttled, Some(Duration::from_secs(5))));
        assert_eq!(tally.hold_asked, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_window_of_doubt_and_no_word_is_an_outage() {
        let doubt = || Answer::Ambiguous { detail: "no answer".to_owned() };
        let refused = Answer::Refused { code: Code::Refused, detail: String::new() };
        let later = not_accepted(Cause::Transient, None);
        for (answers, is_one, cause, is_in_reach) in [
            (vec![doubt(), doubt()], true, Some(Cause::Unreachable), false),
            // Some host of many is silent.
            (vec![doubt(), doubt()], false, None, false),
            (vec![doubt(), later.clone()], true, Some(Cause::Unreachable), false),
            (vec![doubt(), Answer::Accepted], true, None, true),
            (vec![refused, doubt()], true, None, true),
            (vec![later], true, Some(Cause::Transient), false),
        ] {
            // What the window before was told says nothing of this one.
            let mut tally = Tally { is_in_reach: true, ..Tally::default() };
            tally.window(&mut members(), answers.clone().into_iter().enumerate(), is_one);
            assert_eq!((tally.cause, tally.is_in_reach), (cause, is_in_reach), "{answers:?}");
        }
    }

    #[test]
    fn who_waits_for_the_same_provider_comes_back_apart() {
        let wait = |ended, tally: &Tally, jitter| {
            let situation = Situation { ended, jitter, ..paused() };
            match plan(&mut members(), &mut Bookkeeping::default(), tally, situation).next {
                Next::Park(at_ms) => at_ms - NOW,
                next => panic!("{next:?}"),
            }
        };
        let mut held = deferred(Cause::Throttled, None);
        held.held_until_ms = Some(NOW + 16_000);
        let untried = Tally { untried: Some(0), ..Tally::default() };
        for (jitter, expected) in [(0, 16_000), (3999, 19_999), (4000, 16_000)] {
            assert_eq!(wait(Ended::Through, &held, jitter), expected);
            assert_eq!(wait(Ended::OnHold(Duration::from_secs(16)), &untried, jitter), expected);
        }
    }

    #[test]
    fn an_error_text_is_cut_between_characters() {
        let mut tally = Tally::default();
        tally.detail(0, "é".repeat(LONGEST_DETAIL));
        assert_eq!(tally.details[&0].len(), LONGEST_DETAIL);
    }
}
