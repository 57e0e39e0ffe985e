//! Pausing an execution and letting it go on. Each is one transaction, so that whatever else is to be written of it is
//! written with it or not at all.

use std::time::Duration;

use campaign::ExecutionId;
use jiff::Timestamp;
use platform::{Change, Message, Write};

use super::cursor::Cursor;
use super::head::{PAUSED, PAUSED_FOR, TRIES};
use super::{Head, Ledger, State};
use crate::StoreError;
use crate::error::refused;
use crate::messages::WakeUp;

/// How soon after a resume the sweep is asked for: on AWS, what was written a moment ago may not be found yet.
const SWEEP_AFTER: Duration = Duration::from_secs(1);

/// What a command came to. It holds the execution as it is after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// It was carried out.
    Done(Head),
    /// It stood like that already: nothing was written.
    Already(Head),
    /// Its state does not allow it: nothing was written.
    Refused(Head),
}

impl Ledger {
    /// Pauses a running execution: workers end their claims at the next window, and what is not handed over by then waits
    /// for [`Self::resume`]. `writes` are carried out with it, at most 80 of them and on no condition.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where it was never started or its ledger is gone; [`StoreError::Contended`]; the engine's.
    pub async fn pause(&self, id: ExecutionId, writes: Vec<Write>) -> Result<Turned, StoreError> {
        for _ in 0..TRIES {
            let head = self.open_head(id).await?;
            match head.state {
                // It is over in a moment, and nobody would look for it on a resume.
                _ if head.is_call() => return Ok(Turned::Refused(head)),
                State::Running => {}
                State::Paused => return Ok(Turned::Already(head)),
                _ => return Ok(Turned::Refused(head)),
            }
            let now_ms = self.platform.clock.now().as_millisecond();
            let changes = vec![Change::set(PAUSED, now_ms)];
            let paused = Head {
                state: State::Paused,
                paused_at: Timestamp::from_millisecond(now_ms).ok(),
                ..head.clone()
            };
            if let Some(turned) = self.commit_turn(&head, paused, changes, &writes, Vec::new()).await? {
                return Ok(turned);
            }
        }
        Err(StoreError::Contended { what: "execution" })
    }

    /// Lets a paused execution go on. Its shards are due at once, and the sweep, which is asked for, sends the messages
    /// of those that are not read to their end and of the chunks that waited. `writes` as of [`Self::pause`].
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub async fn resume(&self, id: ExecutionId, writes: Vec<Write>) -> Result<Turned, StoreError> {
        for _ in 0..TRIES {
            let head = self.open_head(id).await?;
            match head.state {
                State::Paused => {}
                State::Running => return Ok(Turned::Already(head)),
                _ => return Ok(Turned::Refused(head)),
            }
            let now_ms = self.platform.clock.now().as_millisecond();
            let since_ms = head.paused_at.map_or(now_ms, Timestamp::as_millisecond);
            // The clocks of two callers may differ: a pause never takes less than no time.
            let lasted_ms = (now_ms - since_ms).max(0);
            let changes = vec![Change::Remove(PAUSED.to_owned()), Change::add(PAUSED_FOR, lasted_ms)];
            let running = Head {
                state: State::Running,
                paused_at: None,
                paused_for_ms: head.paused_for_ms + lasted_ms,
                ..head.clone()
            };
            let mut all: Vec<Write> = head.shards().map(|shard| Cursor::go_on(shard, now_ms)).collect();
            all.extend(writes.iter().cloned());
            let sweep = WakeUp::Sweep.message().after(SWEEP_AFTER);
            if let Some(turned) = self.commit_turn(&head, running, changes, &all, vec![sweep]).await? {
                return Ok(turned);
            }
        }
        Err(StoreError::Contended { what: "execution" })
    }

    async fn open_head(&self, id: ExecutionId) -> Result<Head, StoreError> {
        self.head(id).await?.ok_or_else(|| StoreError::not_found("execution", id))
    }

    /// Writes what the execution is to be, with its summary. `None` where it was turned since it was read.
    async fn commit_turn(
        &self,
        from: &Head,
        to: Head,
        changes: Vec<Change>,
        writes: &[Write],
        messages: Vec<Message>,
    ) -> Result<Option<Turned>, StoreError> {
        let mut all = self.turn_writes(from, &to, changes)?;
        all.extend_from_slice(writes);
        if refused(self.platform.commit(all, messages).await)?.is_some() {
            return Ok(None);
        }
        // A resend may have counted on meanwhile: then this is out of date, and what is conditional on it is refused.
        Ok(Some(Turned::Done(Head { revision: to.revision + 1, ..to })))
    }
}

#[cfg(test)]
mod tests;
