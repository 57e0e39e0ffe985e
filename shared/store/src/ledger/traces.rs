//! Where a person is found in the ledger. There is no index of people, which would cost a write a recipient; so whoever
//! looks for one walks through all of it.

use campaign::call::{Call, CallRecipient};
use campaign::{ExecutionId, ProfileId};
use memchr::memmem;
use platform::{Change, Condition, Consistency, Item, Scan, Updated};
use serde_json::{Map, Value};

use super::call::{CALL, call_of};
use super::chunk::{MEMBERS, chunk_of, detail_key};
use super::stored::stored;
use super::{Head, Ledger, StoredChunk, head};
use crate::StoreError;
use crate::document::{self, REVISION};
use crate::idempotency;
use crate::messages::ChunkKey;
use crate::tables::{self, LEDGER};

/// How often a change is tried against those of others.
const TRIES: usize = 10;

/// Something in the ledger that names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// A message to them: they are this member of a chunk.
    Message(Box<StoredChunk>, usize),
    /// A call to them that is not through, with what it brought along.
    Call(Box<Head>),
    /// An answer that is kept for repeated calls, by its partition.
    Answer(String),
}

/// Some of a person's traces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// What was found.
    pub found: Vec<Trace>,
    /// Among how many items.
    pub scanned: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

impl Ledger {
    /// Looks for a person among the next `limit` items of the ledger, after where the looking stands. What is there
    /// throughout is met exactly once.
    ///
    /// # Errors
    /// As the engine's. What can't be read is passed over, unless it is the person's.
    pub async fn traces(
        &self,
        person: ProfileId,
        after: Option<String>,
        limit: usize,
    ) -> Result<Traces, StoreError> {
        // One bucket: the ledger's items all expire, and the embedded engine looks at those for each bucket anew.
        let page = self.platform.table.scan(LEDGER, Scan { bucket: 0, of: 1, after, limit }).await?;
        let mut traces = Traces { scanned: page.items.len() as u64, next: page.next, ..Traces::default() };
        let name = person.to_string();
        for item in &page.items {
            if let Some(bytes) = item.bytes(MEMBERS) {
                let mut places = places(bytes, person).peekable();
                if places.peek().is_some()
                    && let Some(key) = chunk_of(&item.key)
                {
                    let chunk = stored(key, item)?;
                    traces.found.extend(places.map(|place| Trace::Message(Box::new(chunk.clone()), place)));
                }
            } else if item.bytes(CALL).is_some_and(|call| memmem::find(call, name.as_bytes()).is_some()) {
                traces.found.extend(call_to(person, item)?);
            } else if idempotency::names(item, &name) {
                traces.found.push(Trace::Answer(item.key.pk.clone()));
            }
        }
        Ok(traces)
    }

    /// About how many items the ledger holds.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn estimate(&self) -> Result<u64, StoreError> {
        Ok(self.platform.table.estimate(LEDGER).await?)
    }

    /// Removes the error text of a member of a chunk; whether there was one.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn forget_detail(&self, chunk: ChunkKey, member: usize) -> Result<bool, StoreError> {
        let (key, name) = (detail_key(&chunk), format!("m{member}"));
        let item = self.platform.table.get(LEDGER, &key, Consistency::Strong).await?;
        if item.is_none_or(|item| item.text(&name).is_none()) {
            return Ok(false);
        }
        let there = Condition::Has(name.clone());
        let changes = vec![Change::Remove(name)];
        let updated = self.platform.table.update(LEDGER, &key, Some(there), changes).await?;
        Ok(matches!(updated, Updated::New(_)))
    }

    /// Removes from a call that is not through what it brought along for a person; whether there was something. Who was
    /// not written to by then is excluded when their turn comes, since their profile is gone.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`].
    pub async fn forget_recipient(&self, call: ExecutionId, person: ProfileId) -> Result<bool, StoreError> {
        let key = tables::head(call);
        for _ in 0..TRIES {
            let Some(item) = self.platform.table.get(LEDGER, &key, Consistency::Strong).await? else {
                return Ok(false);
            };
            let Some(brought) = call_of(&item)? else { return Ok(false) };
            let mut brought = (*brought).clone();
            let mut has_changed = false;
            for recipient in brought.recipients.iter_mut().filter(|who| who.profile == Some(person)) {
                let nothing = CallRecipient {
                    profile: Some(person),
                    addresses: Map::new(),
                    attributes: Map::new(),
                    context: Value::Null,
                };
                has_changed |= std::mem::replace(recipient, nothing.clone()) != nothing;
            }
            if !has_changed {
                return Ok(false);
            }
            let revision = item.number(REVISION).unwrap_or(0);
            let unchanged =
                Condition::All(vec![Condition::Has(CALL.to_owned()), document::at_revision(revision)]);
            let changes =
                vec![Change::set(CALL, document::encode("call", &brought)?), Change::add(REVISION, 1)];
            if let Updated::New(_) =
                self.platform.table.update(LEDGER, &key, Some(unchanged), changes).await?
            {
                return Ok(true);
            }
        }
        Err(StoreError::Contended { what: "call" })
    }
}

/// At which places of a chunk's packed members a person is.
fn places(members: &[u8], person: ProfileId) -> impl Iterator<Item = usize> + '_ {
    let ids = members.get(..members.len() / 18 * 16).unwrap_or_default().as_chunks::<16>().0;
    ids.iter().enumerate().filter(move |(_, id)| *id == person.as_bytes()).map(|(place, _)| place)
}

/// The call of this item, where it is to this person.
fn call_to(person: ProfileId, item: &Item) -> Result<Option<Trace>, StoreError> {
    let is_to = |call: &Call| call.recipients.iter().any(|who| who.profile == Some(person));
    if !call_of(item)?.is_some_and(|call| is_to(&call)) {
        return Ok(None);
    }
    Ok(Some(Trace::Call(Box::new(head::read(item)?))))
}

#[cfg(test)]
mod tests {
    use campaign::chunk::Members;

    use platform::Key;

    use super::*;
    use crate::messages::CALL_SHARD;

    #[test]
    fn a_person_is_found_at_each_of_their_places_and_nowhere_between() {
        let [ann, bob] = [[1; 16], [2; 16]].map(ProfileId::from_bytes);
        let packed = Members::new(vec![bob, ann, bob, ann]).pack();
        assert_eq!(places(&packed, ann).collect::<Vec<_>>(), [1, 3]);
        // The bytes of two neighbours hold another's, which nobody has.
        let mut between = [1; 16];
        between[..8].copy_from_slice(&[2; 8]);
        assert_eq!(places(&packed, ProfileId::from_bytes(between)).count(), 0);
        assert_eq!(places(&[], ann).count(), 0);
    }

    #[test]
    fn a_chunk_s_key_is_read_as_it_is_written() {
        let execution = ExecutionId::random();
        let first = campaign::plan::NUMBERS;
        for (shard, number) in [(0, 0), (15, 999_999), (3, first), (3, first + 7), (CALL_SHARD, 0)] {
            let key = ChunkKey { execution, shard, action: 12, number };
            assert_eq!(chunk_of(&super::super::chunk::key(&key)), Some(key));
        }
        assert_eq!(chunk_of(&tables::head(execution)), None);
        assert_eq!(chunk_of(&Key::new("s#x", "C#00#000000")), None);
    }
}
