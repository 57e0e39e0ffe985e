//! The suppression list: addresses and domains nothing may be sent to. Deliveries look addresses up by keyed hashes; whoever
//! keeps the list sees them as rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::suppression::SuppressionReason;
use campaign::{Category, Channel};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use platform::{Condition, Consistency, Item, Key, Platform, Query, Write};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::StoreError;
use crate::document::{self, DOCUMENT, at_revision};
use crate::error::refused;
use crate::secrets::{Purpose, Secrets};
use crate::tables::{AUDIENCE, CONTROL};

/// The most suppressed domains: they are one item.
pub const MOST_DOMAINS: usize = 1000;
/// How long the suppressed domains are taken to be as they were read.
const REMEMBER: Duration = Duration::from_secs(1);
/// How often a change is tried anew when others change the same entry at the same time.
const TRIES: usize = 5;
const WHAT: &str = "suppression";

/// The secret that addresses are hashed under, so that the list can't be turned back into addresses by trying them.
#[derive(Clone)]
pub struct HashKey(pub [u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// Whether a key is the one that addresses have been hashed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCheck {
    /// It is, or it is the first.
    Same,
    /// It is another: every suppressed address would be missed.
    Other,
}

/// Holds a key against the check value of the first one, which the first call writes.
///
/// # Errors
/// As the engine's.
pub async fn check_key(platform: &Platform, key: &HashKey) -> Result<KeyCheck, StoreError> {
    let mac = keyed_hash(key, b"check");
    let at = Key::new("hash-key", "CHECK");
    let write =
        Write::put(CONTROL, Item::new(at.clone()).with("mac", mac.clone())).when(Condition::NotExists);
    if refused(platform.table.transact(vec![write]).await)?.is_none() {
        return Ok(KeyCheck::Same);
    }
    let stored = platform.table.get(CONTROL, &at, Consistency::Strong).await?;
    let same = stored.is_some_and(|item| item.text("mac") == Some(mac.as_str()));
    Ok(if same { KeyCheck::Same } else { KeyCheck::Other })
}

/// The first half of a keyed hash, in hexadecimal.
fn keyed_hash(key: &HashKey, text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.update(text);
    HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
}

/// An address nothing is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Over which channel.
    pub channel: Channel,
    /// Which, as it was given.
    pub address: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Who or what has put it there, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was put there.
    pub at: Timestamp,
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

    /// Adds an address. One that is there already keeps its time, and the graver of the two reasons. Gives it as it is
    /// then, and whether it is new.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where it keeps changing.
    pub async fn add(&self, new: &Suppression) -> Result<(Suppression, bool), StoreError> {
        let at = item_key(self.key().await?, new.channel, &new.address);
        for _ in 0..TRIES {
            let found = self.read(&at).await?;
            let (mut suppression, revision) = match found {
                Some((found, _)) if found.reason >= new.reason => return Ok((found, false)),
                Some((found, revision)) => (found, revision),
                None => (new.clone(), 0),
            };
            suppression.reason = suppression.reason.or_graver(new.reason);
            suppression.source.clone_from(&new.source);
            let entry = document::put(AUDIENCE, WHAT, at.clone(), &suppression, revision)?;
            let row =
                Item::new(row_key(&suppression, &at)).with(DOCUMENT, document::encode(WHAT, &suppression)?);
            let writes = vec![entry, Write::put(AUDIENCE, row)];
            if refused(self.platform.table.transact(writes).await)?.is_none() {
                return Ok((suppression, revision == 0));
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Removes an address; says whether it was there.
    ///
    /// # Errors
    /// As the engine's; [`StoreError::Contended`] where it keeps changing.
    pub async fn remove(&self, channel: Channel, address: &str) -> Result<bool, StoreError> {
        let at = item_key(self.key().await?, channel, address);
        for _ in 0..TRIES {
            let Some((found, revision)) = self.read(&at).await? else { return Ok(false) };
            let row = row_key(&found, &at);
            let writes = vec![
                Write::delete(AUDIENCE, at.clone()).when(at_revision(revision)),
                Write::delete(AUDIENCE, row),
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
    pub async fn find(&self, channel: Channel, address: &str) -> Result<Option<Suppression>, StoreError> {
        let at = item_key(self.key().await?, channel, address);
        Ok(self.read(&at).await?.map(|(found, _)| found))
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
    ) -> Result<(Vec<Suppression>, Option<String>), StoreError> {
        let query = Query { descending: true, ..Query::of(rows(channel), limit).after(after) };
        let page = self.platform.table.query(AUDIENCE, query).await?;
        let found = page.items.iter().map(|item| document::decode(WHAT, item)).collect::<Result<_, _>>()?;
        Ok((found, page.next))
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
    /// [`StoreError::Invalid`] where they are more than [`MOST_DOMAINS`]; else as the engine's.
    pub async fn change_domains(&self, change: impl Fn(&mut Domains) -> bool) -> Result<bool, StoreError> {
        let at = domains_key();
        for _ in 0..TRIES {
            let item = self.platform.table.get(AUDIENCE, &at, Consistency::Strong).await?;
            let found = item.map(|item| document::revised::<Domains>(WHAT, &item)).transpose()?;
            let (mut domains, revision) =
                found.map(|found| (found.value, found.revision)).unwrap_or_default();
            if !change(&mut domains) {
                return Ok(false);
            }
            if domains.len() > MOST_DOMAINS {
                let message = format!("there are {MOST_DOMAINS} domains already, which is the most");
                return Err(StoreError::Invalid { field: "domain".to_owned(), message });
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
        let keys: Vec<_> = addresses.iter().map(|address| item_key(key, channel, address)).collect();
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

fn item_key(key: &HashKey, channel: Channel, address: &str) -> Key {
    let text = format!("{}:{}", channel.name(), address.to_lowercase());
    Key::new(format!("sup#{}", keyed_hash(key, text.as_bytes())), "S")
}

/// One item holds all the suppressed domains: there are few, and each chunk of email looks at them.
fn domains_key() -> Key {
    Key::new("sup#domains", "S")
}

/// The partition of the rows of a channel's list, which deliveries never read.
fn rows(channel: Channel) -> String {
    format!("supl#{}", channel.name())
}

fn row_key(of: &Suppression, at: &Key) -> Key {
    let hash = at.pk.trim_start_matches("sup#");
    Key::new(rows(of.channel), format!("{:015}#{hash}", of.at.as_millisecond()))
}

#[cfg(test)]
mod tests;
