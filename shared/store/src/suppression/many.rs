//! Many entries at once.

use std::collections::HashMap;

use campaign::suppression::AddressHash;
use futures::future::try_join_all;
use platform::Consistency;
use platform::table::{MAX_BATCH_GET, MAX_TRANSACTION};

use super::{MOST_DOMAINS, SuppressedDomain, Suppression, Suppressions, WHAT, item_key, put_writes};
use crate::StoreError;
use crate::document;
use crate::error::refused;
use crate::tables::AUDIENCE;

/// What became of an entry when it was added to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It was not there.
    New,
    /// It was there for a lesser reason.
    Updated,
    /// It was there, for this reason or a graver one.
    Unchanged,
}

/// An entry as it is, and as it is to be.
struct Kept {
    found: Option<Suppression>,
    revision: i64,
    wanted: Option<Suppression>,
}

impl Kept {
    fn add(&mut self, new: &Suppression) -> Became {
        match self.wanted.as_ref().or(self.found.as_ref()) {
            None => {
                self.wanted = Some(new.clone());
                Became::New
            }
            Some(entry) => match entry.with(new) {
                None => Became::Unchanged,
                Some(changed) => {
                    self.wanted = Some(changed);
                    Became::Updated
                }
            },
        }
    }
}

impl Suppressions {
    /// Adds addresses as [`Self::add`] does each, one after the other, in few calls. Those that have none are not taken.
    ///
    /// # Errors
    /// As the engine's; then some may have been added, and all may be added again.
    pub(crate) async fn add_many(&self, new: &[Suppression]) -> Result<Vec<Became>, StoreError> {
        let key = self.key().await?;
        let named: Vec<_> = new
            .iter()
            .filter_map(|entry| Some((key.hash(entry.channel, entry.address.as_deref()?), entry)))
            .collect();
        let mut kept = self.read_many(named.iter().map(|(hash, _)| *hash)).await?;
        let mut became: Vec<_> = named
            .iter()
            .map(|(hash, entry)| kept.get_mut(hash).map_or(Became::Unchanged, |kept| kept.add(entry)))
            .collect();
        let changed: Vec<_> = kept
            .iter()
            .filter_map(|(hash, kept)| Some((*hash, kept.revision, kept.wanted.as_ref()?)))
            .collect();
        let groups = changed.chunks(MAX_TRANSACTION / 2).map(|group| self.write_group(group));
        let refused: Vec<AddressHash> = try_join_all(groups).await?.concat();
        // Somebody else changed one of these at the same time: each is added on its own.
        for ((hash, entry), became) in named.iter().zip(&mut became) {
            if refused.contains(hash) {
                *became = self.put(*hash, entry).await?.1;
            }
        }
        Ok(became)
    }

    /// Reads the entries of these hashes; of those that have none, that they have none.
    async fn read_many(
        &self,
        hashes: impl Iterator<Item = AddressHash>,
    ) -> Result<HashMap<AddressHash, Kept>, StoreError> {
        let none = |hash| (hash, Kept { found: None, revision: 0, wanted: None });
        let mut kept: HashMap<_, _> = hashes.map(none).collect();
        let by_key: HashMap<_, _> = kept.keys().map(|hash| (item_key(*hash), *hash)).collect();
        let keys: Vec<_> = by_key.keys().cloned().collect();
        for keys in keys.chunks(MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, keys, Consistency::Strong).await? {
                let found = document::revised(WHAT, &item)?;
                if let Some(kept) = by_key.get(&item.key).and_then(|hash| kept.get_mut(hash)) {
                    (kept.found, kept.revision) = (Some(found.value), found.revision);
                }
            }
        }
        Ok(kept)
    }

    /// Writes some entries in one transaction; where that is refused, gives all of them back.
    async fn write_group(
        &self,
        group: &[(AddressHash, i64, &Suppression)],
    ) -> Result<Vec<AddressHash>, StoreError> {
        let mut writes = Vec::with_capacity(2 * group.len());
        for (hash, revision, entry) in group {
            writes.extend(put_writes(*hash, entry, *revision)?);
        }
        let is_refused = refused(self.platform.table.transact(writes).await)?.is_some();
        Ok(if is_refused { group.iter().map(|(hash, ..)| *hash).collect() } else { Vec::new() })
    }

    /// Adds domains, one after the other, in one change; `None` for one for which there is no room any more.
    ///
    /// # Errors
    /// As the engine's.
    pub(crate) async fn add_domains(
        &self,
        new: &[(String, SuppressedDomain)],
    ) -> Result<Vec<Option<Became>>, StoreError> {
        let mut became = Vec::new();
        self.change_domains(|domains| {
            became.clear();
            for (name, domain) in new {
                let room = domains.len() < MOST_DOMAINS;
                became.push(match domains.get_mut(name) {
                    None if !room => None,
                    None => {
                        domains.insert(name.clone(), domain.clone());
                        Some(Became::New)
                    }
                    Some(found) if found.reason >= domain.reason => Some(Became::Unchanged),
                    Some(found) => {
                        found.reason = domain.reason;
                        found.source.clone_from(&domain.source);
                        Some(Became::Updated)
                    }
                });
            }
            became.iter().any(|became| matches!(became, Some(Became::New | Became::Updated)))
        })
        .await?;
        Ok(became)
    }
}
