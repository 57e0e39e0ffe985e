//! Who was erased, by id alone, and by which job: so that asking again finds it, and so that the id is given to nobody
//! else while the ledger may know the person by it.

use campaign::{JobId, ProfileId};
use platform::{Condition, Consistency, Item, Key, Write};

use super::{Job, JobState, Jobs};
use crate::StoreError;
use crate::tables::{self, CONTROL, LEDGER_TTL_SECONDS};

/// How long it is known that somebody was erased, in seconds: as long as the ledger may hold their id.
pub const ERASED_SECONDS: i64 = LEDGER_TTL_SECONDS;
const WHAT: &str = "erasure";
const JOB: &str = "job";

/// That somebody was erased, or is being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// By which job, the last one where there were several.
    pub id: JobId,
    /// The job itself, where it is still known.
    pub job: Option<Job>,
}

impl Erasure {
    /// Whether its job was given up, so that something of the person may be left.
    pub fn has_failed(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.state == JobState::Failed)
    }
}

impl Jobs {
    /// Whether and by which job a person was erased.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn erasure(&self, person: ProfileId) -> Result<Option<Erasure>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(person), Consistency::Strong).await?;
        let Some(item) = item else { return Ok(None) };
        let id = item.text(JOB).and_then(|id| id.parse().ok());
        let id = id.ok_or(StoreError::Corrupt { what: WHAT, source: None })?;
        let job = match self.get(id).await {
            Err(StoreError::NotFound { .. }) => None,
            found => Some(found?),
        };
        Ok(Some(Erasure { id, job }))
    }

    /// Stores and hands on a new job that erases a person, in place of that `before`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where another was begun meanwhile.
    pub async fn begin_erasure(
        &self,
        person: ProfileId,
        job: &Job,
        before: Option<&Erasure>,
    ) -> Result<(), StoreError> {
        let mut item = Item::new(key(person)).with(JOB, job.id.to_string());
        item.expires = Some(self.platform.clock.now().as_second() + ERASED_SECONDS);
        let unchanged =
            before.map_or(Condition::NotExists, |before| Condition::equals(JOB, before.id.to_string()));
        self.create_with(job, vec![Write::put(CONTROL, item).when(unchanged)]).await
    }
}

fn key(person: ProfileId) -> Key {
    Key::new(tables::ERASURES, person.to_string())
}
