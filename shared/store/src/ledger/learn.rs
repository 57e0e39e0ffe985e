//! What a provider's event teaches about the hand-over of a message: that it took it, or that it did not send it after all.

use std::time::Duration;

use campaign::{Code, Outcome};

use super::Ledger;
use super::counters::Books;
use super::stored::Reopened;
use crate::StoreError;
use crate::messages::ChunkKey;

/// How often a chunk is looked at anew while others change it.
const TRIES: usize = 10;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What an event shows of a member's hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// The provider took the message: there would be no event of it otherwise.
    Taken,
    /// It took the message and has not sent it, for this reason, a `failed` code; and when that was, in milliseconds since the
    /// Unix epoch.
    NotSent(Code, i64),
}

/// What came of lessons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// The codes of all members, as they are now.
    pub codes: Vec<Code>,
    /// Members whose codes were changed.
    pub changed: Vec<usize>,
    /// Members that somebody is delivering to now, so that nothing can be said yet, or was: to be taught again.
    pub in_hand: Vec<usize>,
    /// Until when somebody holds the chunk, in milliseconds since the Unix epoch.
    pub held_until_ms: Option<i64>,
}

impl Lesson {
    /// What a code becomes by it, as long as nobody holds the chunk; `None` where it stays.
    ///
    /// Whatever order lessons come in, they come to the same: that it was not sent goes before that it was taken. Of a
    /// message that may have been handed over twice, one that was not sent says nothing of the other.
    const fn applied(self, code: Code) -> Option<Code> {
        match (self, code) {
            // It was handed over once: an event settles that, and spares the second time.
            (Self::Taken, Code::Unknown | Code::UnknownOnce | Code::PendingAgain) => Some(Code::Sent),
            (Self::Taken, Code::UnknownAgain) => Some(Code::SentAgain),
            (Self::NotSent(code, _), Code::Sent | Code::Unknown | Code::UnknownOnce | Code::PendingAgain) => {
                Some(code)
            }
            // Told of both, it is the one, whichever came first.
            (Self::NotSent(Code::RenderFailed, _), Code::Refused) => Some(Code::RenderFailed),
            _ => None,
        }
    }

    /// Whether it is of a message before the one that the member was last sent, because somebody had it sent again: being told
    /// late or twice of that one says nothing of the last.
    const fn is_outdated(self, member: usize, reopened: Reopened) -> bool {
        match self {
            Self::NotSent(_, at_ms) => reopened.is_behind(member, at_ms),
            Self::Taken => false,
        }
    }

    /// Whether a code may still become one that the lesson is about, while somebody holds the chunk.
    const fn must_wait(self, code: Code) -> bool {
        match code.outcome() {
            Outcome::Pending | Outcome::Unknown => true,
            Outcome::Sent => matches!((self, code), (Self::NotSent(..), Code::Sent)),
            Outcome::Failed => {
                matches!((self, code), (Self::NotSent(Code::RenderFailed, _), Code::Refused))
            }
            Outcome::Excluded => false,
        }
    }
}

impl Ledger {
    /// Changes the codes of members as events teach, and the counters with them. `None` where there is no such chunk: a
    /// call's is made by the first write of who delivers it, which may be just about to come.
    ///
    /// Being taught twice does no harm. Whatever is in hand is left as it is: whoever holds the chunk writes what it knows.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where others keep changing the chunk.
    pub async fn learn(
        &self,
        chunk: ChunkKey,
        books: Books,
        lessons: &[(usize, Lesson)],
    ) -> Result<Option<Learnt>, StoreError> {
        for _ in 0..TRIES {
            let Some(mut stored) = self.chunk(chunk).await? else { return Ok(None) };
            let held_until_ms = stored.leased_until_ms;
            let before = stored.members.codes.clone();
            let mut in_hand = Vec::new();
            for (member, lesson) in lessons {
                let Some(code) = stored.members.codes.get_mut(*member) else { continue };
                if lesson.is_outdated(*member, stored.reopened) {
                    continue;
                }
                if held_until_ms.is_some() {
                    if lesson.must_wait(*code) {
                        in_hand.push(*member);
                    }
                } else if let Some(new) = lesson.applied(*code) {
                    *code = new;
                }
            }
            let codes = stored.members.codes.clone();
            let is_changed = |member: &usize| codes[*member] != before[*member];
            let changed = (0..codes.len()).filter(is_changed).collect();
            let learnt = Learnt { codes, changed, in_hand, held_until_ms };
            if learnt.changed.is_empty() || self.rewrite(&mut stored, books, None).await? {
                return Ok(Some(learnt));
            }
            self.platform.clock.sleep(PAUSE).await;
        }
        Err(StoreError::Contended { what: "chunk" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a code becomes by lessons in this order.
    fn taught(code: Code, lessons: &[Lesson]) -> Code {
        lessons.iter().fold(code, |code, lesson| lesson.applied(code).unwrap_or(code))
    }

    #[test]
    fn any_order_and_multiplicity_of_lessons_comes_to_the_same() {
        let (taken, not_sent) = (Lesson::Taken, Lesson::NotSent(Code::Refused, 0));
        for code in Code::ALL {
            let expected = taught(code, &[taken, not_sent]);
            let orders: [&[Lesson]; 4] = [
                &[not_sent, taken],
                &[taken, taken, not_sent],
                &[not_sent, not_sent, taken, taken],
                &[taken, not_sent, taken, not_sent],
            ];
            for order in orders {
                assert_eq!(taught(code, order), expected, "{code:?} {order:?}");
            }
            assert_eq!(taught(code, &[taken, taken]), taught(code, &[taken]), "{code:?}");
            let other = Lesson::NotSent(Code::RenderFailed, 0);
            assert_eq!(taught(code, &[not_sent, other]), taught(code, &[other, not_sent]), "{code:?}");
        }
    }

    #[test]
    fn doubt_is_settled_and_what_is_decided_stays() {
        assert_eq!(taught(Code::Unknown, &[Lesson::Taken]), Code::Sent);
        assert_eq!(taught(Code::UnknownAgain, &[Lesson::Taken]), Code::SentAgain);
        assert_eq!(taught(Code::UnknownOnce, &[Lesson::Taken]), Code::Sent);
        assert_eq!(taught(Code::PendingAgain, &[Lesson::Taken]), Code::Sent);
        let failed = Lesson::NotSent(Code::RenderFailed, 0);
        assert_eq!(taught(Code::Sent, &[failed]), Code::RenderFailed);
        assert_eq!(taught(Code::Unknown, &[failed]), Code::RenderFailed);
        // One of two messages was not sent: the other may have been.
        assert_eq!(taught(Code::SentAgain, &[failed]), Code::SentAgain);
        for code in [Code::Pending, Code::BadAddress, Code::Suppressed, Code::Stopped] {
            assert_eq!(taught(code, &[Lesson::Taken, failed]), code);
        }
    }
}
