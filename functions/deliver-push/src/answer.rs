//! One answer for all devices of a profile.

use std::time::Duration;

use campaign::Code;
use delivery::{Answer, Cause};

/// What the answers to the messages of one profile come to, so that nobody is sent twice what another of their devices has:
/// accepted if one was, else in doubt if one is, else not accepted if one may be tried again, else refused.
pub(crate) fn together(answers: impl IntoIterator<Item = Answer>) -> Answer {
    let mut doubt = None;
    let mut again: Option<(Cause, Option<Duration>, String)> = None;
    let mut refusal: Option<(Code, String)> = None;
    for answer in answers {
        match answer {
            Answer::Accepted => return Answer::Accepted,
            Answer::Ambiguous { detail } => doubt = doubt.or(Some(detail)),
            Answer::NotAccepted { cause, retry_after, detail } => {
                again = Some(match again {
                    Some((gravest, longest, said)) if gravest >= cause => {
                        (gravest, longest.max(retry_after), said)
                    }
                    before => (cause, before.and_then(|(_, longest, _)| longest).max(retry_after), detail),
                });
            }
            // A device that is gone says less than one that was refused for a reason.
            Answer::Refused { code, detail } => {
                if refusal.as_ref().is_none_or(|(before, _)| *before == Code::BadAddress) {
                    refusal = Some((code, detail));
                }
            }
        }
    }
    match (doubt, again, refusal) {
        (Some(detail), ..) => Answer::Ambiguous { detail },
        (None, Some((cause, retry_after, detail)), _) => Answer::NotAccepted { cause, retry_after, detail },
        (None, None, Some((code, detail))) => Answer::Refused { code, detail },
        (None, None, None) => Answer::Refused { code: Code::NoAddress, detail: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers() -> impl Strategy<Value = Answer> {
        let detail = || "[a-z]{0,3}";
        let code = prop_oneof![Just(Code::BadAddress), Just(Code::TooLarge), Just(Code::Refused)];
        let cause = prop_oneof![Just(Cause::Transient), Just(Cause::Throttled), Just(Cause::Unreachable)];
        let wait = proptest::option::of((0u64..9).prop_map(Duration::from_secs));
        prop_oneof![
            Just(Answer::Accepted),
            detail().prop_map(|detail| Answer::Ambiguous { detail }),
            (code, detail()).prop_map(|(code, detail)| Answer::Refused { code, detail }),
            (cause, wait, detail()).prop_map(|(cause, retry_after, detail)| Answer::NotAccepted {
                cause,
                retry_after,
                detail
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_order_of_the_rule_holds_whatever_the_order_of_the_answers(
            answers in proptest::collection::vec(answers(), 1..6),
        ) {
            let rank = |answer: &Answer| match answer {
                Answer::Accepted => 0,
                Answer::Ambiguous { .. } => 1,
                Answer::NotAccepted { .. } => 2,
                Answer::Refused { .. } => 3,
            };
            let all = together(answers.clone());
            prop_assert_eq!(Some(rank(&all)), answers.iter().map(rank).min());
            match all {
                Answer::NotAccepted { cause, retry_after, .. } => {
                    let waits = answers.iter().filter_map(|answer| match answer {
                        Answer::NotAccepted { cause, retry_after, .. } => Some((*cause, *retry_after)),
                        _ => None,
                    });
                    let (causes, waits): (Vec<_>, Vec<_>) = waits.unzip();
                    prop_assert_eq!(Some(cause), causes.into_iter().max());
                    prop_assert_eq!(Some(retry_after), waits.into_iter().max());
                }
                // Only where every device is gone, the address is bad.
                Answer::Refused { code: Code::BadAddress, .. } => {
                    let is_gone =
                        |answer: &Answer| matches!(answer, Answer::Refused { code: Code::BadAddress, .. });
                    prop_assert!(answers.iter().all(is_gone), "{:?}", answers);
                }
                _ => {}
            }
        }
    }
}
