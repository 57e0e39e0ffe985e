//! Many entries at once.

use std::collections::HashMap;

use campaign::suppression::AddressHash;
use futures::future::try_join_all;
use platform::Consistency;
use platform::table::{MAX_BATCH_GET, MAX_TRANSACTION};

use super::forgotten::marker_key;
use super::{
    MOST_DOMAIN_BYTES, MOST_DOMAINS, SuppressedDomain, Suppression, Suppressions, WHAT, bytes_of,
    domain_bytes, item_key, put_writes,
};
use crate::StoreError;
use crate::document;
use crate::error::refused;
use crate::tables::AUDIENCE;

/// How many entries one transaction stores: each is two writes, and a check that its address was not forgotten meanwhile.
const GROUP: usize = MAX_TRANSACTION / 3;

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
#[derive(Default)]
struct Kept {
    found: Option<Suppression>,
    revision: i64,
    /// Whether its address is not to be named any more.
    is_forgotten: bool,
    wanted: Option<Suppression>,
}

impl Kept {
    fn add(&mut self, new: &Suppression) -> Became {
        let new = if self.is_forgotten { new.unnamed() } else { new.clone() };
        match self.wanted.as_ref().or(self.found.as_ref()) {
            None => {
                self.wanted = Some(new);
                Became::New
            }
            Some(entry) => match entry.with(&new) {
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
        let changed: Vec<_> =
            kept.iter().filter(|(_, kept)| kept.wanted.is_some()).map(|(hash, kept)| (*hash, kept)).collect();
        let groups = changed.chunks(GROUP).map(|group| self.write_group(group));
        let refused: Vec<AddressHash> = try_join_all(groups).await?.concat();
        // Somebody else changed or forgot one of these at the same time: each is added on its own.
        for ((hash, entry), became) in named.iter().zip(&mut became) {
            if refused.contains(hash) {
                *became = self.put(*hash, entry).await?.1;
            }
        }
        Ok(became)
    }

    /// Reads the entries of these hashes, and which of them are forgotten; of those that have none, that they have none.
    async fn read_many(
        &self,
        hashes: impl Iterator<Item = AddressHash>,
    ) -> Result<HashMap<AddressHash, Kept>, StoreError> {
        let mut kept: HashMap<_, _> = hashes.map(|hash| (hash, Kept::default())).collect();
        let entries = kept.keys().map(|hash| (item_key(*hash), (*hash, false)));
        let markers = kept.keys().map(|hash| (marker_key(*hash), (*hash, true)));
        let by_key: HashMap<_, _> = entries.chain(markers).collect();
        let keys: Vec<_> = by_key.keys().cloned().collect();
        for keys in keys.chunks(MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, keys, Consistency::Strong).await? {
                let Some((hash, is_marker)) = by_key.get(&item.key) else { continue };
                let Some(kept) = kept.get_mut(hash) else { continue };
                if *is_marker {
                    kept.is_forgotten = true;
                } else {
                    let found = document::revised(WHAT, &item)?;
                    (kept.found, kept.revision) = (Some(found.value), found.revision);
                }
            }
        }
        Ok(kept)
    }

    /// Writes some entries in one transaction; where that is refused, gives all of them back.
    async fn write_group(&self, group: &[(AddressHash, &Kept)]) -> Result<Vec<AddressHash>, StoreError> {
        let mut writes = Vec::with_capacity(3 * group.len());
        for (hash, kept) in group {
            let Some(entry) = &kept.wanted else { continue };
            writes.extend(put_writes(*hash, entry, kept.revision)?);
            if !kept.is_forgotten {
                writes.push(Self::still_named(*hash));
            }
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
            let mut bytes = bytes_of(domains);
            for (name, domain) in new {
                let found = domains.get(name);
                if found.is_some_and(|found| found.reason >= domain.reason) {
                    became.push(Some(Became::Unchanged));
                    continue;
                }
                // Who is on the list already keeps their time.
                let at = found.map_or(domain.at, |found| found.at);
                let without = bytes - found.map_or(0, |found| domain_bytes(name, found));
                let (is_new, domain) = (found.is_none(), SuppressedDomain { at, ..domain.clone() });
                let with = without + domain_bytes(name, &domain);
                if with > MOST_DOMAIN_BYTES || (is_new && domains.len() >= MOST_DOMAINS) {
                    became.push(None);
                    continue;
                }
                bytes = with;
                domains.insert(name.clone(), domain);
                became.push(Some(if is_new { Became::New } else { Became::Updated }));
            }
            became.iter().any(|became| matches!(became, Some(Became::New | Became::Updated)))
        })
        .await?;
        Ok(became)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use campaign::Channel;
    use campaign::suppression::SuppressionReason;
    use platform::embedded::Embedded;
    use platform::{Clock, SystemClock};

    use super::*;
    use crate::{HashKey, Store};

    fn store() -> Store {
        Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([7; 32]))
    }

    fn entry(number: usize, reason: SuppressionReason) -> Suppression {
        let address = Some(format!("p{number}@example.org"));
        let source = Some(format!("wrote p{number}"));
        Suppression { channel: Channel::Email, address, reason, source, at: SystemClock.now() }
    }

    async fn names(store: &Store, number: usize) -> (Option<String>, Option<String>) {
        let found = store.suppressions.find(Channel::Email, &format!("p{number}@example.org")).await.unwrap();
        let found = found.unwrap().suppression;
        (found.address, found.source)
    }

    #[tokio::test]
    async fn who_was_forgotten_is_added_without_being_named() {
        let store = store();
        let list = &store.suppressions;
        let new: Vec<_> = (0..250).map(|number| entry(number, SuppressionReason::Complaint)).collect();
        // Of one nothing but the hash is known, the other is new to the list.
        list.add(&new[3]).await.unwrap();
        for number in [3, 120] {
            list.forget(Channel::Email, &format!("p{number}@example.org")).await.unwrap();
        }
        let became = list.add_many(&new).await.unwrap();
        assert!(
            became
                .iter()
                .enumerate()
                .all(|(number, became)| *became == if number == 3 { Became::Unchanged } else { Became::New })
        );
        let graver: Vec<_> = (0..250).map(|number| entry(number, SuppressionReason::HardBounce)).collect();
        assert_eq!(list.add_many(&graver).await.unwrap(), [Became::Updated; 250]);
        for (number, new) in new.into_iter().enumerate() {
            let kept = names(&store, number).await;
            let named = (new.address, new.source);
            assert_eq!(kept, if [3, 120].contains(&number) { (None, None) } else { named }, "{number}");
        }
        // One by one it is the same.
        list.add(&entry(3, SuppressionReason::Manual)).await.unwrap();
        assert_eq!(names(&store, 3).await, (None, None));
    }

    #[tokio::test]
    async fn who_is_forgotten_behind_the_reading_is_not_named_by_the_writing() {
        let store = store();
        let list = &store.suppressions;
        let old = entry(1, SuppressionReason::Complaint);
        list.add_hashed(
            Channel::Email,
            list.hash(Channel::Email, "p1@example.org").await.unwrap(),
            old.reason,
            None,
        )
        .await
        .unwrap();
        for number in 0..2 {
            let entry = entry(number, SuppressionReason::HardBounce);
            let address = entry.address.as_deref().unwrap();
            let hash = list.hash(Channel::Email, address).await.unwrap();
            let mut kept = list.read_many([hash].into_iter()).await.unwrap().remove(&hash).unwrap();
            kept.add(&entry);
            list.forget(Channel::Email, address).await.unwrap();
            assert_eq!(list.write_group(&[(hash, &kept)]).await.unwrap(), [hash], "it is refused");
            list.put(hash, &entry).await.unwrap();
            assert_eq!(names(&store, number).await, (None, None));
        }
    }
}
