//! Profiles and the identities by which they are found.

#[cfg(test)]
mod tests;
mod upsert;

use std::collections::HashSet;

use campaign::profile::Namespace;
use campaign::{Channel, Profile, ProfileId, TopicId};
use platform::{Condition, Consistency, Item, Platform, Scan, Write};
use serde_json::{Map, Value};
pub use upsert::{Incoming, RowResult, UpsertError};
pub(crate) use upsert::{identities_of, patch};

use crate::StoreError;
use crate::document::{self, REVISION, Revised};
use crate::error::refused;
use crate::tables::{self, AUDIENCE, PROFILES};

const WHAT: &str = "profile";
const PUSH_TOKENS: &str = "push_tokens";
/// How often a change is tried against those of others.
const TRIES: usize = 4;

/// The repository of profiles.
#[derive(Debug, Clone)]
pub struct Profiles {
    platform: Platform,
}

impl Profiles {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// The profile, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: ProfileId) -> Result<Revised<Profile>, StoreError> {
        let item = self.platform.table.get(PROFILES, &tables::profile(id), Consistency::Strong).await?;
        let item = item.ok_or_else(|| StoreError::not_found(WHAT, id))?;
        Ok(Revised { revision: item.number(REVISION).unwrap_or(0), value: read(&item)? })
    }

    /// The profiles of these ids that are there, in no order; at most 100 ids.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn get_many(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let keys: Vec<_> = ids.iter().map(|id| tables::profile(*id)).collect();
        let items = self.platform.table.batch_get(PROFILES, &keys, Consistency::Strong).await?;
        items.iter().map(read).collect()
    }

    /// As [`Self::get_many`], at half the price on AWS: a profile that was changed within the last second or so may be as
    /// it was before. One that is there is never missing.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn get_many_lately(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let keys: Vec<_> = ids.iter().map(|id| tables::profile(*id)).collect();
        let items = self.platform.table.batch_get(PROFILES, &keys, Consistency::Eventual).await?;
        let mut profiles = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if profiles.len() < ids.len() {
            // Perhaps they were made just now.
            let found: HashSet<_> = profiles.iter().map(Profile::id).collect();
            let missing: Vec<_> = ids.iter().copied().filter(|id| !found.contains(id)).collect();
            profiles.extend(self.get_many(&missing).await?);
        }
        Ok(profiles)
    }

    /// The profile known by this name.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find(&self, namespace: Namespace, name: &str) -> Result<Option<ProfileId>, StoreError> {
        let item = self
            .platform
            .table
            .get(AUDIENCE, &tables::identity(namespace, name), Consistency::Strong)
            .await?;
        Ok(item.as_ref().and_then(identified))
    }

    /// The profiles known by these names, in the order asked for.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find_many(
        &self,
        names: &[(Namespace, String)],
    ) -> Result<Vec<Option<ProfileId>>, StoreError> {
        let keys: Vec<_> = names.iter().map(|(namespace, name)| tables::identity(*namespace, name)).collect();
        let mut found = std::collections::HashMap::with_capacity(keys.len());
        for keys in keys.chunks(platform::table::MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, keys, Consistency::Strong).await? {
                if let Some(id) = identified(&item) {
                    found.insert(item.key, id);
                }
            }
        }
        Ok(keys.iter().map(|key| found.get(key).copied()).collect())
    }

    /// Stores a profile over the one at `revision` (0: a new one), with its identities.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest; [`StoreError::IdentityTaken`] where another profile has one
    /// of its identities. Then nothing has changed.
    pub async fn put(&self, profile: &Profile, before: Option<&Revised<Profile>>) -> Result<(), StoreError> {
        let (writes, owners) = put_writes(profile, before)?;
        match refused(self.platform.table.transact(writes).await)? {
            None => Ok(()),
            Some(failed) => Err(blame(&failed, &owners)),
        }
    }

    /// Removes a profile and its identities. Lists that name it keep a pseudonym, which is excluded at delivery.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Stale`] where it changed meanwhile.
    pub async fn delete(&self, id: ProfileId) -> Result<(), StoreError> {
        let before = self.get(id).await?;
        self.delete_as_read(&before).await
    }

    /// The same, of a profile that is still as it was read.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where it is not.
    pub async fn delete_as_read(&self, before: &Revised<Profile>) -> Result<(), StoreError> {
        let key = tables::profile(before.value.id());
        let mut writes = vec![Write::delete(PROFILES, key).when(document::at_revision(before.revision))];
        for (namespace, name) in before.value.identities() {
            writes.push(Write::delete(AUDIENCE, tables::identity(namespace, &name)));
        }
        match refused(self.platform.table.transact(writes).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }

    /// Removes a push token that its provider no longer knows, and nothing else: whether it was there. A profile left
    /// without any has no `push_tokens` at all, so that a rule can ask whether it has some.
    ///
    /// # Errors
    /// [`StoreError::Contended`] where the profile kept changing; as the engine's.
    pub async fn remove_push_token(&self, id: ProfileId, token: &str) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let before = match self.get(id).await {
                Err(StoreError::NotFound { .. }) => return Ok(false),
                found => found?,
            };
            let Some(document) = without_push_token(before.value.document(), token) else { return Ok(false) };
            let (writes, _) = put_writes(&Profile::from_stored(id, document), Some(&before))?;
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(true);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Writes down that somebody wants no marketing over this channel any more, or about this topic alone, over any channel:
    /// whether that is new. What the profile says of others stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Contended`] where the profile kept changing; as the engine's.
    pub async fn opt_out(
        &self,
        id: ProfileId,
        channel: Channel,
        topic: Option<&TopicId>,
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let before = self.get(id).await?;
            let Some(document) = before.value.opted_out(channel, topic) else { return Ok(false) };
            let (writes, _) = put_writes(&Profile::from_stored(id, document), Some(&before))?;
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(true);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// A page of one bucket of all profiles, each with its document decoded once.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn scan(&self, scan: Scan) -> Result<(Vec<Profile>, Option<String>), StoreError> {
        let page = self.platform.table.scan(PROFILES, scan).await?;
        Ok((page.items.iter().map(read).collect::<Result<_, _>>()?, page.next))
    }

    /// About how many profiles there are.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn estimate(&self) -> Result<u64, StoreError> {
        Ok(self.platform.table.estimate(PROFILES).await?)
    }
}

fn read(item: &Item) -> Result<Profile, StoreError> {
    let id = item.key.pk.parse().map_err(|_| StoreError::Corrupt { what: WHAT, source: None })?;
    let document: Map<String, Value> = document::decode(WHAT, item)?;
    Ok(Profile::from_stored(id, document))
}

/// The document without this push token; `None` where it has no such token.
fn without_push_token(document: &Map<String, Value>, token: &str) -> Option<Map<String, Value>> {
    let tokens = document.get(PUSH_TOKENS)?.as_array()?;
    let others: Vec<_> = tokens.iter().filter(|entry| entry["token"] != *token).cloned().collect();
    if others.len() == tokens.len() {
        return None;
    }
    let mut document = document.clone();
    if others.is_empty() {
        document.remove(PUSH_TOKENS);
    } else {
        document.insert(PUSH_TOKENS.to_owned(), Value::Array(others));
    }
    Some(document)
}

fn identified(item: &Item) -> Option<ProfileId> {
    item.bytes("pid").and_then(|bytes| bytes.try_into().ok()).map(ProfileId::from_bytes)
}

/// The writes that store a profile, and for each of them whose identity it claims (`None` for the profile itself).
fn put_writes(
    profile: &Profile,
    before: Option<&Revised<Profile>>,
) -> Result<(Vec<Write>, Vec<Option<Namespace>>), StoreError> {
    let id = profile.id();
    let revision = before.map_or(0, |before| before.revision);
    let mut writes = vec![document::put(PROFILES, WHAT, tables::profile(id), profile.document(), revision)?];
    let mut owners = vec![None];
    let identities = profile.identities();
    let old = before.map(|before| before.value.identities()).unwrap_or_default();
    for (namespace, name) in identities.iter().filter(|identity| !old.contains(identity)) {
        let item = Item::new(tables::identity(*namespace, name)).with("pid", id.as_bytes().to_vec());
        let free =
            Condition::Any(vec![Condition::NotExists, Condition::equals("pid", id.as_bytes().to_vec())]);
        writes.push(Write::put(AUDIENCE, item).when(free));
        owners.push(Some(*namespace));
    }
    for (namespace, name) in old.iter().filter(|identity| !identities.contains(identity)) {
        writes.push(Write::delete(AUDIENCE, tables::identity(*namespace, name)));
        owners.push(None);
    }
    Ok((writes, owners))
}

fn blame(failed: &[usize], owners: &[Option<Namespace>]) -> StoreError {
    failed
        .iter()
        .find_map(|index| owners.get(*index).copied().flatten())
        .map_or(StoreError::Stale { what: WHAT }, |namespace| StoreError::IdentityTaken {
            namespace: namespace.name(),
        })
}
