//! Many profiles at once: found by an identity or made, merged, and written in transactions of whole profiles.

use std::collections::{HashMap, HashSet};

use campaign::profile::{Namespace, ProfileError};
use campaign::{Profile, ProfileId};
use platform::Write;
use platform::table::{MAX_TRANSACTION, WriteKind};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{Profiles, blame, put_writes};
use crate::StoreError;
use crate::document::Revised;
use crate::error::refused;

/// One row of a batch: what it changes in the profile, as a JSON merge patch (RFC 7396). Objects are merged, so that an
/// opt-in to one channel leaves the opt-out from another as it is; anything else replaces what was there; `null` removes.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// The fields, free attributes beside the reserved ones.
    pub document: Map<String, Value>,
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowResult {
    /// A profile was made.
    Created(ProfileId),
    /// A profile was changed, or already said the same.
    Updated(ProfileId),
    /// A later row of the batch names the same profile: what this one says was written with it.
    Duplicate,
}

/// Why one row was left out.
#[derive(Debug, Error)]
pub enum UpsertError {
    /// It has neither `external_id`, nor `email`, nor `phone`, so nobody can say whose it is.
    #[error("needs an external_id, an email or a phone")]
    NoIdentity,
    /// A field has a value it can't have.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Another profile has one of its identities.
    #[error("another profile has this {0}")]
    IdentityTaken(&'static str),
    /// Others changed the same profile at the same time, again and again.
    #[error("the profile kept changing")]
    Contended,
}

/// A row on its way.
struct Candidate {
    row: usize,
    profile: Profile,
    before: Option<Revised<Profile>>,
}

/// The most bytes of a transaction: the ports take 4 MiB, and keys and numbers are only estimated.
const MOST_BYTES: usize = 3 * 1024 * 1024;

/// The rows of one profile that are to be written together.
#[derive(Default)]
struct Wanted {
    /// By which names whose they are may be found, the one that decides first.
    identities: Vec<(Namespace, String)>,
    /// The place of each in the batch and what it changes, in their order.
    rows: Vec<(usize, Map<String, Value>)>,
}

impl Wanted {
    fn add(&mut self, row: usize, identities: Vec<(Namespace, String)>, changes: Map<String, Value>) {
        for identity in identities {
            if !self.identities.contains(&identity) {
                self.identities.push(identity);
            }
        }
        self.rows.push((row, changes));
    }

    /// The external id they name, which is the same in all of them: it would decide whose they are.
    fn external_id(&self) -> Option<&str> {
        self.rows.first().and_then(|(_, changes)| changes.get("external_id")).and_then(Value::as_str)
    }

    /// The profile after all of them, each laid over those before it, as the last that is right; whoever came before is its
    /// duplicate, and one that is wrong is left out.
    fn merge(
        &self,
        id: ProfileId,
        before: Option<&Revised<Profile>>,
        results: &mut [Option<Result<RowResult, UpsertError>>],
    ) -> Option<(usize, Profile)> {
        let mut merged: Option<(usize, Profile)> = None;
        for (row, changes) in &self.rows {
            let under = merged.as_ref().map(|(_, profile)| profile).or(before.map(|before| &before.value));
            let mut document = under.map(|profile| profile.document().clone()).unwrap_or_default();
            patch(&mut document, changes.clone());
            match Profile::new(id, document) {
                Ok(profile) => {
                    if let Some((earlier, _)) = merged.replace((*row, profile)) {
                        results[earlier] = Some(Ok(RowResult::Duplicate));
                    }
                }
                Err(error) => results[*row] = Some(Err(error.into())),
            }
        }
        merged
    }
}

impl Profiles {
    /// Creates or changes the profiles of `rows`, each found by its `external_id`, else its `email`, else its `phone`; a
    /// profile that already has another `external_id` than the row is somebody else's. Where several rows of the batch name one
    /// profile, each is laid over those before it, and all are written at once. One bad row never stops the others.
    ///
    /// # Errors
    /// [`StoreError`] only where the engine fails; then some rows may have been written, and the same call may be made
    /// again.
    pub async fn upsert(
        &self,
        rows: Vec<Incoming>,
    ) -> Result<Vec<Result<RowResult, UpsertError>>, StoreError> {
        let mut results: Vec<Option<Result<RowResult, UpsertError>>> = Vec::new();
        results.resize_with(rows.len(), || None);
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places: HashMap<(Namespace, String), usize> = HashMap::new();
        for (row, incoming) in rows.into_iter().enumerate() {
            match identities_of(&incoming.document) {
                Err(error) => results[row] = Some(Err(error)),
                Ok(identities) => {
                    let place = *places.entry(identities[0].clone()).or_insert(wanted.len());
                    if place == wanted.len() {
                        wanted.push(Wanted::default());
                    }
                    wanted[place].add(row, identities, incoming.document);
                }
            }
        }
        for attempt in 0..3 {
            let again = self.upsert_once(std::mem::take(&mut wanted), &mut results, attempt == 2).await?;
            if again.is_empty() {
                break;
            }
            wanted = again;
        }
        Ok(results.into_iter().map(|result| result.unwrap_or(Err(UpsertError::Contended))).collect())
    }

    /// One try; returns the rows that met somebody else's change and are to be tried again.
    async fn upsert_once(
        &self,
        wanted: Vec<Wanted>,
        results: &mut [Option<Result<RowResult, UpsertError>>],
        last: bool,
    ) -> Result<Vec<Wanted>, StoreError> {
        let names: Vec<_> = wanted.iter().flat_map(|wanted| wanted.identities.iter().cloned()).collect();
        let found = self.find_many(&names).await?;
        let mut known: Vec<ProfileId> = found.iter().copied().flatten().collect();
        known.sort_unstable();
        known.dedup();
        let mut before = self.revised_many(&known).await?;
        // One that was found and is not there was erased meanwhile: its id must not come back to life.
        let living: HashSet<ProfileId> = before.keys().copied().collect();
        let mut found = found.into_iter();
        let mut candidates = Vec::with_capacity(wanted.len());
        let mut sources = HashMap::new();
        for wanted in wanted {
            let named: Vec<_> = found.by_ref().take(wanted.identities.len()).collect();
            let external = wanted.external_id();
            let owner = named.into_iter().flatten().filter(|id| living.contains(id)).find(|id| {
                let theirs = before.get(id).and_then(|before| before.value.text("external_id"));
                theirs.is_none() || external.is_none() || theirs == external
            });
            let id = owner.unwrap_or_else(ProfileId::random);
            let old = before.remove(&id);
            let Some((row, profile)) = wanted.merge(id, old.as_ref(), results) else { continue };
            if old.as_ref().is_some_and(|old| old.value == profile) {
                results[row] = Some(Ok(RowResult::Updated(id)));
                continue;
            }
            candidates.push(Candidate { row, profile, before: old });
            sources.insert(row, wanted);
        }
        let mut again = Vec::new();
        for group in grouped(&candidates)? {
            self.write_group(group, results, &mut again).await?;
        }
        if last {
            return Ok(Vec::new());
        }
        Ok(again.into_iter().filter_map(|row| sources.remove(&row)).collect())
    }

    /// Writes a group in one transaction; where that is refused, each of its profiles in one of its own.
    async fn write_group(
        &self,
        group: &[Candidate],
        results: &mut [Option<Result<RowResult, UpsertError>>],
        again: &mut Vec<usize>,
    ) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        for candidate in group {
            writes.extend(put_writes(&candidate.profile, candidate.before.as_ref())?.0);
        }
        if distinct(&writes) && refused(self.platform.table.transact(writes).await)?.is_none() {
            for candidate in group {
                results[candidate.row] = Some(Ok(candidate.result()));
            }
            return Ok(());
        }
        for candidate in group {
            let (writes, owners) = put_writes(&candidate.profile, candidate.before.as_ref())?;
            match refused(self.platform.table.transact(writes).await)? {
                None => results[candidate.row] = Some(Ok(candidate.result())),
                Some(failed) => match blame(&failed, &owners) {
                    StoreError::IdentityTaken { namespace } if candidate.before.is_some() => {
                        results[candidate.row] = Some(Err(UpsertError::IdentityTaken(namespace)));
                    }
                    // Somebody made a profile of this identity just now, or changed this one: look again.
                    error => {
                        again.push(candidate.row);
                        results[candidate.row] = match error {
                            StoreError::IdentityTaken { namespace } => {
                                Some(Err(UpsertError::IdentityTaken(namespace)))
                            }
                            _ => None,
                        };
                    }
                },
            }
        }
        Ok(())
    }

    async fn revised_many(
        &self,
        ids: &[ProfileId],
    ) -> Result<HashMap<ProfileId, Revised<Profile>>, StoreError> {
        let mut profiles = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(platform::table::MAX_BATCH_GET) {
            let keys: Vec<_> = ids.iter().map(|id| crate::tables::profile(*id)).collect();
            let items = self
                .platform
                .table
                .batch_get(crate::tables::PROFILES, &keys, platform::Consistency::Strong)
                .await?;
            for item in items {
                let value = super::read(&item)?;
                let revision = item.number(crate::document::REVISION).unwrap_or(0);
                profiles.insert(value.id(), Revised { value, revision });
            }
        }
        Ok(profiles)
    }
}

impl Candidate {
    fn result(&self) -> RowResult {
        match self.before {
            None => RowResult::Created(self.profile.id()),
            Some(_) => RowResult::Updated(self.profile.id()),
        }
    }
}

/// Whose row this is: its identities in canonical form, the one that decides first. Never empty.
pub(crate) fn identities_of(document: &Map<String, Value>) -> Result<Vec<(Namespace, String)>, UpsertError> {
    let mut own = Map::new();
    for field in ["external_id", "email", "phone"] {
        if let Some(value) = document.get(field).filter(|value| !value.is_null()) {
            own.insert(field.to_owned(), value.clone());
        }
    }
    let profile = Profile::new(ProfileId::from_bytes([0; 16]), own)?;
    let mut identities = profile.identities();
    identities.sort_by_key(|(namespace, _)| match namespace {
        Namespace::ExternalId => 0,
        Namespace::Email => 1,
        Namespace::Phone => 2,
    });
    if identities.is_empty() { Err(UpsertError::NoIdentity) } else { Ok(identities) }
}

/// Applies a JSON merge patch (RFC 7396).
pub(crate) fn patch(document: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (name, change) in changes {
        match change {
            Value::Null => {
                document.remove(&name);
            }
            Value::Object(changes) => {
                let inner = document.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if !inner.is_object() {
                    *inner = Value::Object(Map::new());
                }
                if let Value::Object(inner) = inner {
                    patch(inner, changes);
                }
            }
            change => {
                document.insert(name, change);
            }
        }
    }
}

/// Runs of candidates whose writes fit one transaction.
fn grouped(candidates: &[Candidate]) -> Result<Vec<&[Candidate]>, StoreError> {
    let (mut groups, mut start, mut size, mut bytes) = (Vec::new(), 0, 0, 0);
    for (index, candidate) in candidates.iter().enumerate() {
        let writes = put_writes(&candidate.profile, candidate.before.as_ref())?.0;
        let more = writes.iter().map(bytes_of).sum::<usize>();
        if (size + writes.len() > MAX_TRANSACTION || bytes + more > MOST_BYTES) && index > start {
            groups.push(&candidates[start..index]);
            (start, size, bytes) = (index, 0, 0);
        }
        size += writes.len();
        bytes += more;
    }
    if start < candidates.len() {
        groups.push(&candidates[start..]);
    }
    Ok(groups)
}

/// The bytes of a write, near enough: what is not a document is short.
fn bytes_of(write: &Write) -> usize {
    const SHORT: usize = 512;
    match &write.kind {
        WriteKind::Put(item) => SHORT + item.bytes(crate::document::DOCUMENT).map_or(0, <[u8]>::len),
        _ => SHORT,
    }
}

/// Whether no item is written twice, which no transaction allows.
fn distinct(writes: &[Write]) -> bool {
    let mut seen = HashSet::with_capacity(writes.len());
    writes.iter().all(|write| seen.insert((write.table, write.key())))
}
