//! The suppression list: addresses and domains nothing may be sent to. Deliveries look addresses up by keyed hashes; whoever
//! keeps the list sees them as rows.

mod bounces;
mod forgotten;
mod key;
mod many;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::suppression::{AddressHash, SuppressionReason};
use campaign::{Category, Channel};
use jiff::Timestamp;
use platform::{Consistency, Item, Key, Platform, Query, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use self::bounces::bounces_key;
pub use self::bounces::{BOUNCES_IN_A_ROW, SoftBounces};
pub use self::key::{HashKey, KeyCheck, check_key};
pub use self::many::Became;
use crate::StoreError;
use crate::document::{self, DOCUMENT, at_revision};
use crate::error::refused;
use crate::secrets::{Purpose, Secrets};
use crate::tables::AUDIENCE;

/// The most suppressed domains: they are one item.
pub const MOST_DOMAINS: usize = 1000;
/// The most bytes of JSON of the suppressed domains together, for the same reason.
const MOST_DOMAIN_BYTES: usize = 300 * 1024;
/// How long the suppressed domains are taken to be as they were read.
const REMEMBER: Duration = Duration::from_secs(1);
/// How often a change is tried anew when others change the same entry at the same time.
const TRIES: usize = 5;
const WHAT: &str = "suppression";

/// An address nothing is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Over which channel.
    pub channel: Channel,
    /// Which, as it was given; `None` where nothing but its hash is known, or may be known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why.
    pub reason: SuppressionReason,
    /// Who or what has put it there, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was put there.
    pub at: Timestamp,
}

impl Suppression {
    /// What becomes of this entry when `new` is added to it: it keeps its time, and the graver of the two reasons. Where
    /// nothing but a hash was kept, no address is written down again. `None` where nothing changes.
    fn with(&self, new: &Self) -> Option<Self> {
        let reason = self.reason.or_graver(new.reason);
        (reason != self.reason).then(|| Self { reason, source: new.source.clone(), ..self.clone() })
    }
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is found by.
    pub hash: AddressHash,
    /// What it says.
    pub suppression: Suppression,
}

/// A domain of email no address of which is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressedDomain {
    /// Why.
    pub reason: SuppressionReason,
    /// Who or what has put it there, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was put there.
    pub at: Timestamp,
}

type Domains = BTreeMap<String, SuppressedDomain>;

/// The suppressed domains as they were read, and until when (on the monotonic clock) they are taken to be so.
type Remembered = Option<(Arc<Domains>, Duration)>;

/// The repository of suppressed addresses.
#[derive(Debug, Clone)]
pub struct Suppressions {
    platform: Platform,
    secrets: Secrets,
    /// Opened when it is first needed, which is once a process.
    key: Arc<OnceCell<HashKey>>,
    domains: Arc<Mutex<Remembered>>,
}

impl Suppressions {
    /// Over this platform, hashing under this key; where it is not given, under the sealed one.
    pub fn new(platform: Platform, secrets: Secrets, key: Option<HashKey>) -> Self {
        Self { platform, secrets, key: Arc::new(OnceCell::new_with(key)), domains: Arc::default() }
    }

    async fn key(&self) -> Result<&HashKey, StoreError> {
        self.key
            .get_or_try_init(|| async { Ok(HashKey(self.secrets.key(Purpose::Suppression).await?)) })
            .await
    }

    /// By what the entry of an address over a channel is found; the case of the address does not matter.
    ///
    /// # Errors
    /// As the vault's and the engine's, when the key is first needed.
    pub async fn hash(&self, channel: Channel, address: &str) -> Result<AddressHash, StoreError> {
        Ok(self.key().await?.hash(channel, address))
    }

    /// Adds an address. One that is there already keeps its time, and the graver of the two reasons; one of which nothing
    /// but the hash was known stays so. Gives it as it is then, and whether it is new.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where it has no address; as the engine's; [`StoreError::Contended`] where it keeps changing.
    pub async fn add(&self, new: &Suppression) -> Result<(Entry, bool), StoreError> {
        let Some(address) = &new.address else {
            return Err(StoreError::invalid("address", "is missing"));
        };
        let hash = self.hash(new.channel, address).await?;
        let (suppression, became) = self.put(hash, new).await?;
        Ok((Entry { hash, suppression }, became == Became::New))
    }

    /// Adds an address of which the hash alone is known, as [`Self::add`] does; says whether that changed anything.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where it keeps changing.
    pub async fn add_hashed(
        &self,
        channel: Channel,
        hash: AddressHash,
        reason: SuppressionReason,
        source: Option<String>,
    ) -> Result<bool, StoreError> {
        let new = Suppression { channel, address: None, reason, source, at: self.platform.clock.now() };
        let (_, became) = self.put(hash, &new).await?;
        Ok(became != Became::Unchanged)
    }

    async fn put(&self, hash: AddressHash, new: &Suppression) -> Result<(Suppression, Became), StoreError> {
        let at = item_key(hash);
        for _ in 0..TRIES {
            let found = self.read(&at).await?;
            if let Some((found, _)) = &found
                && found.with(new).is_none()
            {
                return Ok((found.clone(), Became::Unchanged));
            }
            let new = self.unnamed(hash, new).await?;
            let is_named = new.address.is_some();
            let (suppression, revision) = match found {
                None => (new, 0),
                Some((found, revision)) => (found.with(&new).unwrap_or(found), revision),
            };
            let mut writes = Vec::from(put_writes(hash, &suppression, revision)?);
            if is_named {
                writes.push(Self::still_named(hash));
            }
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                let became = if revision == 0 { Became::New } else { Became::Updated };
                return Ok((suppression, became));
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Removes an address, and what was counted of its bounces; says whether it was there.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where it keeps changing.
    pub async fn remove(&self, channel: Channel, address: &str) -> Result<bool, StoreError> {
        self.remove_hashed(self.hash(channel, address).await?).await
    }

    /// Removes an address by its hash, as [`Self::remove`] does.
    ///
    /// # Errors
    /// As [`Self::remove`]'s.
    pub async fn remove_hashed(&self, hash: AddressHash) -> Result<bool, StoreError> {
        let at = item_key(hash);
        for _ in 0..TRIES {
            let Some((found, revision)) = self.read(&at).await? else { return Ok(false) };
            let writes = vec![
                Write::delete(AUDIENCE, at.clone()).when(at_revision(revision)),
                Write::delete(AUDIENCE, row_key(hash, &found)),
                Write::delete(AUDIENCE, bounces_key(hash)),
            ];
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok(true);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// The entry of an address, where it has one of its own.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find(&self, channel: Channel, address: &str) -> Result<Option<Entry>, StoreError> {
        self.find_hashed(self.hash(channel, address).await?).await
    }

    /// The entry that is found by this hash.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find_hashed(&self, hash: AddressHash) -> Result<Option<Entry>, StoreError> {
        let found = self.read(&item_key(hash)).await?;
        Ok(found.map(|(suppression, _)| Entry { hash, suppression }))
    }

    /// A page of the addresses suppressed over a channel, the newest first.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(
        &self,
        channel: Channel,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<String>), StoreError> {
        let query = Query { descending: true, ..Query::of(rows(channel), limit).after(after) };
        let page = self.platform.table.query(AUDIENCE, query).await?;
        Ok((page.items.iter().map(entry_of_row).collect::<Result<_, _>>()?, page.next))
    }

    /// The suppressed domains of email, by name.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn domains(&self) -> Result<BTreeMap<String, SuppressedDomain>, StoreError> {
        let item = self.platform.table.get(AUDIENCE, &domains_key(), Consistency::Strong).await?;
        Ok(item.map(|item| document::decode(WHAT, &item)).transpose()?.unwrap_or_default())
    }

    /// Changes the suppressed domains of email: `change` gets them as they are and says whether it has changed anything.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where they are more than [`MOST_DOMAINS`] or have more bytes than an item holds; else as the
    /// engine's.
    pub async fn change_domains(
        &self,
        mut change: impl FnMut(&mut Domains) -> bool,
    ) -> Result<bool, StoreError> {
        let at = domains_key();
        for _ in 0..TRIES {
            let item = self.platform.table.get(AUDIENCE, &at, Consistency::Strong).await?;
            let found = item.map(|item| document::revised::<Domains>(WHAT, &item)).transpose()?;
            let (mut domains, revision) =
                found.map(|found| (found.value, found.revision)).unwrap_or_default();
            let before = bytes_of(&domains);
            if !change(&mut domains) {
                return Ok(false);
            }
            let after = bytes_of(&domains);
            if domains.len() > MOST_DOMAINS || (after > before && after > MOST_DOMAIN_BYTES) {
                return Err(StoreError::invalid("domain", no_room()));
            }
            let write = document::put(AUDIENCE, WHAT, at.clone(), &domains, revision)?;
            if refused(self.platform.table.transact(vec![write]).await)?.is_none() {
                *self.domains.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Ok(true);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Which of these addresses (by position) messages of this category must not go to. An address that was added or
    /// removed within the last second or so may be judged as before: half the price on AWS, and a message handed over a
    /// second ago could not be called back either.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn which(
        &self,
        channel: Channel,
        category: Category,
        addresses: &[&str],
    ) -> Result<HashSet<usize>, StoreError> {
        if addresses.is_empty() {
            return Ok(HashSet::new());
        }
        let key = self.key().await?;
        let keys: Vec<_> = addresses.iter().map(|address| item_key(key.hash(channel, address))).collect();
        let mut domains =
            if channel == Channel::Email { self.remembered_domains() } else { Some(Arc::default()) };
        let mut wanted = keys.clone();
        if domains.is_none() {
            wanted.push(domains_key());
        }
        let mut stopped = HashSet::new();
        for some in wanted.chunks(platform::table::MAX_BATCH_GET) {
            for item in self.platform.table.batch_get(AUDIENCE, some, Consistency::Eventual).await? {
                if item.key == domains_key() {
                    domains = Some(self.remember(document::decode(WHAT, &item)?));
                    continue;
                }
                let entry: Suppression = document::decode(WHAT, &item)?;
                if entry.reason.stops(category) {
                    stopped.insert(item.key);
                }
            }
        }
        let domains = domains.unwrap_or_else(|| self.remember(Domains::new()));
        let is_stopped = |(index, address): (usize, &&str)| {
            let of_domain = || {
                let (_, domain) = address.rsplit_once('@')?;
                domains.get(&domain.to_lowercase())
            };
            let stops = stopped.contains(&keys[index])
                || (!domains.is_empty() && of_domain().is_some_and(|found| found.reason.stops(category)));
            stops.then_some(index)
        };
        Ok(addresses.iter().enumerate().filter_map(is_stopped).collect())
    }

    fn remembered_domains(&self) -> Option<Arc<Domains>> {
        let now = self.platform.clock.monotonic();
        let kept = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(_, until)| now < *until).map(|(domains, _)| Arc::clone(domains))
    }

    fn remember(&self, domains: Domains) -> Arc<Domains> {
        let domains = Arc::new(domains);
        let until = self.platform.clock.monotonic() + REMEMBER;
        *self.domains.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&domains), until));
        domains
    }

    async fn read(&self, at: &Key) -> Result<Option<(Suppression, i64)>, StoreError> {
        let item = self.platform.table.get(AUDIENCE, at, Consistency::Strong).await?;
        let found = item.map(|item| document::revised(WHAT, &item)).transpose()?;
        Ok(found.map(|found| (found.value, found.revision)))
    }
}

fn item_key(hash: AddressHash) -> Key {
    Key::new(partition(hash), "S")
}

/// The partition of what is kept of one address.
fn partition(hash: AddressHash) -> String {
    format!("sup#{hash}")
}

/// The two writes that store an entry over the one at `revision` (0: there is none), for deliveries and as a row.
fn put_writes(hash: AddressHash, entry: &Suppression, revision: i64) -> Result<[Write; 2], StoreError> {
    let row = Item::new(row_key(hash, entry)).with(DOCUMENT, document::encode(WHAT, entry)?);
    Ok([document::put(AUDIENCE, WHAT, item_key(hash), entry, revision)?, Write::put(AUDIENCE, row)])
}

/// One item holds all the suppressed domains: there are few, and each chunk of email looks at them.
fn domains_key() -> Key {
    Key::new("sup#domains", "S")
}

/// The bytes of JSON of domains together.
fn bytes_of(domains: &Domains) -> usize {
    domains.iter().map(|(name, domain)| domain_bytes(name, domain)).sum()
}

/// The bytes of JSON of one domain.
fn domain_bytes(name: &str, domain: &SuppressedDomain) -> usize {
    serde_json::to_vec(&(name, domain)).map_or(MOST_DOMAIN_BYTES, |json| json.len())
}

/// Says for people that no further domain can be suppressed.
pub(crate) fn no_room() -> String {
    format!(
        "there is no room: the list has at most {MOST_DOMAINS} domains, of {MOST_DOMAIN_BYTES} bytes together with their sources"
    )
}

/// The partition of the rows of a channel's list, which deliveries never read.
fn rows(channel: Channel) -> String {
    format!("supl#{}", channel.name())
}

fn row_key(hash: AddressHash, of: &Suppression) -> Key {
    Key::new(rows(of.channel), format!("{:015}#{hash}", of.at.as_millisecond()))
}

fn entry_of_row(row: &Item) -> Result<Entry, StoreError> {
    let hash = row.key.sk.rsplit_once('#').and_then(|(_, hash)| hash.parse().ok());
    let hash = hash.ok_or(StoreError::Corrupt { what: WHAT, source: None })?;
    Ok(Entry { hash, suppression: document::decode(WHAT, row)? })
}

#[cfg(test)]
mod tests;
