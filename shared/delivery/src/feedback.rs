//! Whoever wants to know what became of messages is told by a message that goes with what is written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use campaign::chunk::Members;
use campaign::feedback::{EventType, EventTypes};
use campaign::{Category, Code, Outcome};
use platform::Message;
use store::ledger::{ClaimedChunk, Head, Next};
use store::messages::{ChunkKey, Notify, Settled};
use store::{Store, StoreError};

/// How long what was read is taken to hold.
const REMEMBER: Duration = Duration::from_secs(2);
/// How much later than it was sent a message may be seen that is sent before what it tells of is written.
const AHEAD: Duration = Duration::from_secs(1);
/// The same, where whoever writes has to wait for who holds the chunk.
const AMENDED: Duration = Duration::from_secs(5);

/// Which events anybody wants to be told of, remembered for a moment.
#[derive(Debug, Default)]
pub struct Listeners {
    /// And until when (on the monotonic clock) that is taken to hold.
    kept: Mutex<Option<(EventTypes, Duration)>>,
}

impl Listeners {
    /// Of which events of this execution somebody wants to be told: of transactional campaigns only, whose callers wait for
    /// each message. Costs the others nothing.
    pub(crate) async fn of(&self, store: &Store, head: &Head) -> Result<EventTypes, StoreError> {
        if head.category != Category::Transactional {
            return Ok(EventTypes::default());
        }
        self.wanted(store).await
    }

    /// Of which events of transactional campaigns somebody wants to be told.
    ///
    /// # Errors
    /// As the engine's, where it was never read.
    pub async fn wanted(&self, store: &Store) -> Result<EventTypes, StoreError> {
        let now = store.platform.clock.monotonic();
        let kept = *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((wanted, until)) = kept
            && now < until
        {
            return Ok(wanted);
        }
        let endpoints = match (store.endpoints.all().await, kept) {
            (Ok(endpoints), _) => endpoints,
            // What was wanted a moment ago is better than to lose what a provider has just said.
            (Err(_), Some((wanted, _))) => return Ok(wanted),
            (Err(error), None) => return Err(error),
        };
        let wanted = endpoints.iter().fold(EventTypes::default(), |all, one| all.and(one.value.wants()));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((wanted, now + REMEMBER));
        Ok(wanted)
    }

    /// Sees to it that what is about to be written of a chunk is told: the messages that the write is to carry.
    ///
    /// Where the engine can't write and send in one step, they are sent before, since nothing would find out that they were
    /// lost after it. Whoever gets one looks whether what it tells of was written.
    pub(crate) async fn announce(
        &self,
        store: &Store,
        head: &Head,
        chunk: &ClaimedChunk,
        next: Next,
    ) -> Result<Vec<Message>, StoreError> {
        let wanted = self.of(store, head).await?;
        let codes = decided(&chunk.members, next, wanted);
        let message = settled(store, chunk.key, &codes);
        if store.platform.queue.store_id().is_none()
            && let Some(message) = &message
            && store.platform.queue.send(vec![message.clone().after(AHEAD)]).await.is_ok()
        {
            return Ok(Vec::new());
        }
        // What a provider has said is not lost for this: where it could not be sent before, it is tried with the write.
        Ok(message.into_iter().collect())
    }

    /// Sees to it that what is known of members of a chunk that another may hold is told, once that is written.
    pub(crate) async fn announce_known(
        &self,
        store: &Store,
        head: &Head,
        chunk: ChunkKey,
        known: &[(usize, Code)],
    ) -> Result<(), StoreError> {
        let wanted = self.of(store, head).await?;
        let is_wanted = |code: Code| EventType::of(code).is_some_and(|kind| wanted.has(kind));
        let codes: Vec<_> = known.iter().copied().filter(|(_, code)| is_wanted(*code)).collect();
        if let Some(message) = settled(store, chunk, &codes) {
            store.platform.queue.send(vec![message.after(AMENDED)]).await?;
        }
        Ok(())
    }
}

/// What was decided of members since their chunk was last written, and is wanted. What is in doubt may still be decided as
/// long as the chunk does not close.
pub(crate) fn decided(members: &Members, next: Next, wanted: EventTypes) -> Vec<(usize, Code)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let codes = members.codes.iter().zip(&members.booked).enumerate();
    codes
        .filter(|(_, (code, booked))| match code.outcome() {
            Outcome::Unknown => next == Next::Close,
            _ => code != booked,
        })
        .map(|(index, (code, _))| (index, *code))
        .filter(|(_, code)| EventType::of(*code).is_some_and(|kind| wanted.has(kind)))
        .collect()
}

fn settled(store: &Store, chunk: ChunkKey, codes: &[(usize, Code)]) -> Option<Message> {
    let codes: Vec<_> =
        codes.iter().filter_map(|(index, code)| Some((u8::try_from(*index).ok()?, *code as u8))).collect();
    if codes.is_empty() {
        return None;
    }
    let at_ms = store.platform.clock.now().as_millisecond();
    Some(Notify::Settled(Settled { chunk, codes, at_ms }).message())
}

#[cfg(test)]
mod tests {
    use campaign::ProfileId;

    use super::*;

    fn members() -> Members {
        let mut members = Members::new(vec![ProfileId::from_bytes([1; 16]); 6]);
        members.codes =
            vec![Code::Sent, Code::Sent, Code::Unknown, Code::Pending, Code::Expired, Code::NoConsent];
        // The first was told before.
        members.booked[0] = Code::Sent;
        members
    }

    #[test]
    fn what_is_new_and_wanted_is_told_and_doubt_only_in_the_end() {
        let all = EventTypes::all();
        let told = |next, wanted| {
            decided(&members(), next, wanted).into_iter().map(|(index, _)| index).collect::<Vec<_>>()
        };
        assert_eq!(told(Next::Park(1), all), [1, 4, 5]);
        assert_eq!(told(Next::Close, all), [1, 2, 4, 5]);
        assert_eq!(told(Next::Close, [EventType::Failed].into_iter().collect()), [4]);
        assert!(told(Next::Close, EventTypes::default()).is_empty());
    }

    #[test]
    fn doubt_that_was_written_before_is_told_when_the_chunk_closes() {
        let mut doubtful = members();
        doubtful.book();
        assert_eq!(decided(&doubtful, Next::Close, EventTypes::all()), [(2, Code::Unknown)]);
    }
}
