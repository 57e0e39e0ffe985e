//! What the log tells of a chunk that waits: one line a chunk at most, never one a message.

use store::ledger::Next;
use store::messages::ChunkKey;
use tracing::{debug, info, warn};

use crate::Cause;
use crate::outcome::{Ended, Tally};

/// Why a chunk is not through: the provider's word, or our own pace.
fn reason(tally: &Tally, ended: Ended) -> &'static str {
    match (tally.cause, ended) {
        (Some(Cause::Transient), Ended::Through) => "transient",
        (Some(Cause::Throttled), _) => "throttled",
        (Some(Cause::Quota), _) => "quota",
        (Some(Cause::Unreachable), _) => "unreachable",
        (Some(Cause::Misconfigured), _) => "misconfigured",
        (_, Ended::OutOfTime) => "out_of_time",
        (_, Ended::OutOfRate | Ended::Paced(_)) => "rate",
        (_, Ended::OnHold(_)) => "on_hold",
        (_, Ended::Paused) => "paused",
        (_, Ended::Trouble) => "store",
        (None, Ended::Through) if tally.quiet_until_ms.is_some() => "quiet_hours",
        (None, Ended::Through) => "in_doubt",
    }
}

/// Tells that a chunk was put back or waits, for whom and why. What only follows from our own pace, and is the rule at any
/// rate, is for those who look closely.
pub(crate) fn put_back(
    chunk: &ChunkKey,
    next: Next,
    tally: &Tally,
    ended: Ended,
    waiting: usize,
    now_ms: i64,
) {
    let wait_ms = match next {
        Next::Close => return,
        Next::Continue | Next::AwaitRate => 0,
        Next::Park(at_ms) => at_ms.saturating_sub(now_ms),
    };
    let ChunkKey { execution, shard, action, number } = *chunk;
    let reason = reason(tally, ended);
    macro_rules! tell {
        ($level:ident) => {
            $level!(
                %execution, shard, action, chunk = number, reason, waiting, wait_ms,
                "chunk {number} of shard {shard} of execution {execution} waits {wait_ms} ms ({reason}), {waiting} recipients"
            )
        };
    }
    match reason {
        "quota" | "unreachable" | "misconfigured" => tell!(warn),
        "transient" | "throttled" | "in_doubt" => tell!(info),
        _ => tell!(debug),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_provider_s_word_is_the_reason_where_it_stopped_the_rest() {
        let tally = |cause| Tally { cause, ..Tally::default() };
        let cases = [
            (None, Ended::OutOfRate, "rate"),
            (None, Ended::OnHold(Duration::ZERO), "on_hold"),
            (None, Ended::Paused, "paused"),
            (Some(Cause::Transient), Ended::Paused, "paused"),
            (None, Ended::Through, "in_doubt"),
            (Some(Cause::Transient), Ended::Through, "transient"),
            (Some(Cause::Transient), Ended::OutOfTime, "out_of_time"),
            (Some(Cause::Throttled), Ended::OutOfTime, "throttled"),
            (Some(Cause::Unreachable), Ended::OutOfTime, "unreachable"),
        ];
        for (cause, ended, expected) in cases {
            assert_eq!(reason(&tally(cause), ended), expected, "{cause:?} {ended:?}");
        }
        let quiet = |cause| Tally { quiet_until_ms: Some(0), ..tally(cause) };
        assert_eq!(reason(&quiet(None), Ended::Through), "quiet_hours");
        assert_eq!(reason(&quiet(Some(Cause::Transient)), Ended::Through), "transient");
    }
}
