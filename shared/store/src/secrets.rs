//! Secrets in the control table: sealed there, opened by whoever may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ::links::{KEY_BYTES, LinkKey, MOST_UNSUBSCRIBE_KEYS};
use campaign::id::random_bytes;
use campaign::{Channel, ConfigurationId};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use platform::{Consistency, Item, Key, Platform, PlatformError, Query, Vault, Write, batch};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::StoreError;
use crate::document::at_revision;
use crate::error::refused;
use crate::tables::{self, CONTROL};

/// The sealed bytes.
const SEALED: &str = "sealed";
/// When they were stored, in milliseconds since the Unix epoch.
const AT: &str = "at";

/// Begins the sort key of a key for links; its number follows. One that was revoked stays as an item without [`SEALED`], so that
/// no other ever gets its number.
const LINK_KEY: &str = "K#";
/// How many keys for links are opened at a time.
const OPENED_AT_A_TIME: usize = 16;

/// The most secrets of a configuration.
pub const MOST_NAMED: usize = 10;

/// What a secret is for: it is sealed for that alone, and a function opens only those of its own purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Hashing suppressed addresses.
    Suppression,
    /// Signing public links.
    Links,
    /// A channel's provider.
    Provider(Channel),
}

impl Purpose {
    /// Its name, in storage and in KMS's encryption context.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suppression => "suppression",
            Self::Links => "links",
            Self::Provider(channel) => channel.name(),
        }
    }
}

/// What a channel's provider knows us by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The secret.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// A key for links as it is stored.
pub(crate) struct StoredLinkKey {
    /// Its number, counted from 1.
    pub(crate) number: u32,
    /// When it was made, in milliseconds since the Unix epoch.
    pub(crate) made_ms: i64,
    /// The key itself; `None` once it is revoked.
    sealed: Option<Vec<u8>>,
}

impl StoredLinkKey {
    /// Whether links may be signed with it.
    pub(crate) const fn is_good(&self) -> bool {
        self.sealed.is_some()
    }
}

/// The keys for links, as far as they can be opened.
pub(crate) struct OpenedLinkKeys {
    /// Each, and when it was made, in milliseconds since the Unix epoch; the newest first.
    pub(crate) keys: Vec<(LinkKey, i64)>,
    /// Whether that is all of them.
    pub(crate) are_all: bool,
}

/// The repository of secrets.
#[derive(Clone)]
pub struct Secrets {
    platform: Platform,
    vault: Arc<dyn Vault>,
    /// The keys for links that were opened before, by number: a key never changes.
    opened: Arc<Mutex<BTreeMap<u32, [u8; KEY_BYTES]>>>,
}

impl Secrets {
    /// Over this platform, sealed in this vault.
    pub fn new(platform: Platform, vault: Arc<dyn Vault>) -> Self {
        Self { platform, vault, opened: Arc::default() }
    }

    /// The key for a purpose; whoever asks first makes it, of random bytes.
    ///
    /// # Errors
    /// As the engines'; [`PlatformError::Corrupt`] where it was sealed under another key.
    pub async fn key(&self, purpose: Purpose) -> Result<[u8; 32], StoreError> {
        if let Some(key) = self.read(purpose).await? {
            return key_of(&key);
        }
        let key = [random_bytes(), random_bytes()].concat();
        let item = self.sealed(self::key(purpose), purpose, &key).await?;
        let write = Write::put(CONTROL, item).when(at_revision(0));
        if refused(self.platform.table.transact(vec![write]).await)?.is_none() {
            return key_of(&key);
        }
        // Another was quicker, and its key is the one.
        let key = self.read(purpose).await?.ok_or(StoreError::Contended { what: "secret" })?;
        key_of(&key)
    }

    /// The keys that links are signed with. Whoever asks first makes one.
    pub(crate) async fn link_keys(&self) -> Result<OpenedLinkKeys, StoreError> {
        let mut stored = self.stored_link_keys(MOST_UNSUBSCRIBE_KEYS).await?;
        if !stored.iter().any(StoredLinkKey::is_good) {
            match self.new_link_key(stored.first().map_or(1, |newest| newest.number + 1)).await {
                // Another was quicker, and its key is the one.
                Ok(_) | Err(StoreError::Contended { .. }) => {
                    stored = self.stored_link_keys(MOST_UNSUBSCRIBE_KEYS).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.open_link_keys(stored).await
    }

    /// Opens those that were not opened before. One that can't be is left out: the others' links are as good.
    async fn open_link_keys(&self, stored: Vec<StoredLinkKey>) -> Result<OpenedLinkKeys, StoreError> {
        let opening = stored.into_iter().filter(StoredLinkKey::is_good).map(|key| async move {
            let secret = self.open_link_key(&key).await?;
            // The newest two hundred differ in their last byte.
            Ok((LinkKey { id: key.number.to_be_bytes()[3], secret }, key.made_ms))
        });
        let opened: Vec<Result<_, StoreError>> =
            stream::iter(opening).buffered(OPENED_AT_A_TIME).collect().await;
        let (mut keys, mut left_out) = (Vec::with_capacity(opened.len()), None);
        for key in opened {
            match key {
                Ok(key) => keys.push(key),
                Err(error) => left_out = Some(error),
            }
        }
        match left_out {
            Some(error) if keys.is_empty() => Err(error),
            Some(error) => {
                let error = batch::chain(&error);
                warn!(error, "a key for links can't be opened, and its links are refused: {error}");
                Ok(OpenedLinkKeys { keys, are_all: false })
            }
            None => Ok(OpenedLinkKeys { keys, are_all: true }),
        }
    }

    async fn open_link_key(&self, key: &StoredLinkKey) -> Result<[u8; KEY_BYTES], StoreError> {
        let known = || self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = known().get(&key.number) {
            return Ok(*secret);
        }
        let sealed = key.sealed.as_deref().unwrap_or_default();
        let secret = key_of(&self.vault.open(Purpose::Links.name(), sealed).await?)?;
        known().insert(key.number, secret);
        Ok(secret)
    }

    /// Makes a new key for links, and gives its number. The others are not opened for that.
    pub(crate) async fn rotate_link_key(&self) -> Result<u32, StoreError> {
        let newest = self.stored_link_keys(1).await?;
        self.new_link_key(newest.first().map_or(1, |newest| newest.number + 1)).await
    }

    /// Forgets a key for links, and that for good.
    pub(crate) async fn revoke_link_key(&self, number: u32) -> Result<(), StoreError> {
        let now = self.platform.clock.now().as_millisecond();
        let write = Write::put(CONTROL, Item::new(link_key(number)).with(AT, now));
        refused(self.platform.table.transact(vec![write]).await)?;
        Ok(())
    }

    async fn new_link_key(&self, number: u32) -> Result<u32, StoreError> {
        let secret = [random_bytes(), random_bytes()].concat();
        let item = self.sealed(link_key(number), Purpose::Links, &secret).await?;
        let write = Write::put(CONTROL, item).when(at_revision(0));
        match refused(self.platform.table.transact(vec![write]).await)? {
            None => Ok(number),
            Some(_) => Err(StoreError::Contended { what: "link keys" }),
        }
    }

    /// The keys for links as they are stored, revoked ones among them, the newest first.
    pub(crate) async fn stored_link_keys(&self, most: usize) -> Result<Vec<StoredLinkKey>, StoreError> {
        let of = Query::of(partition(Purpose::Links), most).prefix(LINK_KEY.to_owned());
        let query = Query { descending: true, ..of };
        let items = self.platform.table.query(CONTROL, query).await?.items;
        let stored = |item: &Item| {
            let (number, made_ms) = (number_of(item)?, item.number(AT)?);
            Some(StoredLinkKey { number, made_ms, sealed: item.bytes(SEALED).map(<[u8]>::to_vec) })
        };
        let stored = items.iter().map(stored).collect::<Option<_>>();
        stored.ok_or(StoreError::Corrupt { what: "link keys", source: None })
    }

    /// The credentials of a channel's provider, where some were stored.
    ///
    /// # Errors
    /// As the engines'.
    pub async fn credentials(&self, channel: Channel) -> Result<Option<Credentials>, StoreError> {
        let Some(json) = self.read(Purpose::Provider(channel)).await? else {
            return Ok(None);
        };
        let credentials = serde_json::from_slice(&json);
        credentials.map(Some).map_err(|_| StoreError::Corrupt { what: "credentials", source: None })
    }

    /// Stores the credentials of a channel's provider in place of those before.
    ///
    /// # Errors
    /// As the engines'; [`PlatformError::TooLarge`] where they are over 4 KB.
    pub async fn set_credentials(
        &self,
        channel: Channel,
        credentials: &Credentials,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_vec(credentials).expect("credentials always serialize");
        let purpose = Purpose::Provider(channel);
        let item = self.sealed(key(purpose), purpose, &json).await?;
        refused(self.platform.table.transact(vec![Write::put(CONTROL, item)]).await)?;
        Ok(())
    }

    /// When the credentials of a channel's provider were stored; they themselves are not opened.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn credentials_set_at(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
        let key = key(Purpose::Provider(channel));
        let item = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
        Ok(item.and_then(|item| Timestamp::from_millisecond(item.number(AT)?).ok()))
    }

    /// Forgets the credentials of a channel's provider; where there are none that is no error.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn delete_credentials(&self, channel: Channel) -> Result<(), StoreError> {
        let write = Write::delete(CONTROL, key(Purpose::Provider(channel)));
        refused(self.platform.table.transact(vec![write]).await)?;
        Ok(())
    }

    /// The secrets of a configuration, by name.
    ///
    /// # Errors
    /// As the engines'.
    pub async fn of_configuration(
        &self,
        channel: Channel,
        id: ConfigurationId,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let purpose = Purpose::Provider(channel);
        let mut secrets = BTreeMap::new();
        for item in self.named(channel, id).await? {
            let sealed = item.bytes(SEALED).ok_or(StoreError::Corrupt { what: "secret", source: None })?;
            let opened = self.vault.open(purpose.name(), sealed).await?;
            let opened = String::from_utf8(opened);
            let secret = opened.map_err(|_| StoreError::Corrupt { what: "secret", source: None })?;
            secrets.insert(name_of(&item, id), secret);
        }
        Ok(secrets)
    }

    /// The names of a configuration's secrets, and when they were stored; they themselves are not opened.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn names_of_configuration(
        &self,
        channel: Channel,
        id: ConfigurationId,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let items = self.named(channel, id).await?;
        let named = items.iter().filter_map(|item| {
            let at = Timestamp::from_millisecond(item.number(AT)?).ok()?;
            Some((name_of(item, id), at))
        });
        Ok(named.collect())
    }

    /// Stores a secret of a configuration in place of that of the same name. Where `keep` names another, what is replaced is
    /// kept under that, still sealed.
    ///
    /// # Errors
    /// As the engines'; [`PlatformError::TooLarge`] where it is over 4 KB.
    pub async fn set_of_configuration(
        &self,
        channel: Channel,
        id: ConfigurationId,
        (name, secret): (&str, &str),
        keep: Option<&str>,
    ) -> Result<(), StoreError> {
        let purpose = Purpose::Provider(channel);
        let key = named_key(channel, id, name);
        let mut writes = Vec::new();
        if let Some(keep) = keep {
            let before = self.platform.table.get(CONTROL, &key, Consistency::Strong).await?;
            if let Some(sealed) = before.as_ref().and_then(|item| item.bytes(SEALED)) {
                let now = self.platform.clock.now().as_millisecond();
                let kept =
                    Item::new(named_key(channel, id, keep)).with(SEALED, sealed.to_vec()).with(AT, now);
                writes.push(Write::put(CONTROL, kept));
            }
        }
        writes.push(Write::put(CONTROL, self.sealed(key, purpose, secret.as_bytes()).await?));
        refused(self.platform.table.transact(writes).await)?;
        Ok(())
    }

    /// Forgets a secret of a configuration, or all of them where `name` is `None`; where there is none that is no error.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn delete_of_configuration(
        &self,
        channel: Channel,
        id: ConfigurationId,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let keys: Vec<Key> = match name {
            Some(name) => vec![named_key(channel, id, name)],
            None => self.named(channel, id).await?.into_iter().map(|item| item.key).collect(),
        };
        let writes: Vec<_> = keys.into_iter().map(|key| Write::delete(CONTROL, key)).collect();
        if !writes.is_empty() {
            refused(self.platform.table.transact(writes).await)?;
        }
        Ok(())
    }

    /// The items of a configuration's secrets, of which there are a few.
    async fn named(&self, channel: Channel, id: ConfigurationId) -> Result<Vec<Item>, StoreError> {
        let of = Query::of(partition(Purpose::Provider(channel)), MOST_NAMED).prefix(named_prefix(id));
        Ok(self.platform.table.query(CONTROL, of).await?.items)
    }

    async fn read(&self, purpose: Purpose) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(purpose), Consistency::Strong).await?;
        let Some(item) = item else {
            return Ok(None);
        };
        let sealed = item.bytes(SEALED).ok_or(StoreError::Corrupt { what: "secret", source: None })?;
        Ok(Some(self.vault.open(purpose.name(), sealed).await?))
    }

    async fn sealed(&self, key: Key, purpose: Purpose, secret: &[u8]) -> Result<Item, PlatformError> {
        let sealed = self.vault.seal(purpose.name(), secret).await?;
        let now = self.platform.clock.now().as_millisecond();
        Ok(Item::new(key).with(SEALED, sealed).with(AT, now))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// A partition a purpose, so that a role can be held to its own.
fn key(purpose: Purpose) -> Key {
    Key::new(partition(purpose), "S")
}

fn partition(purpose: Purpose) -> String {
    format!("{}{}", tables::SECRET, purpose.name())
}

/// Begins the sort key of a configuration's secrets.
fn named_prefix(id: ConfigurationId) -> String {
    format!("C#{id}#")
}

fn named_key(channel: Channel, id: ConfigurationId, name: &str) -> Key {
    Key::new(partition(Purpose::Provider(channel)), format!("{}{name}", named_prefix(id)))
}

fn name_of(item: &Item, id: ConfigurationId) -> String {
    item.key.sk.strip_prefix(&named_prefix(id)).unwrap_or_default().to_owned()
}

fn link_key(number: u32) -> Key {
    Key::new(partition(Purpose::Links), format!("{LINK_KEY}{number:08}"))
}

fn number_of(item: &Item) -> Option<u32> {
    item.key.sk.strip_prefix(LINK_KEY)?.parse().ok()
}

fn key_of(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt { what: "secret", source: None })
}

#[cfg(test)]
mod tests {
    use platform::embedded::Embedded;
    use platform::{KeyVault, SystemClock};

    use super::*;

    fn secrets(engine: &Embedded, key: [u8; 32]) -> Secrets {
        Secrets::new(engine.platform(), Arc::new(KeyVault::new(&key)))
    }

    fn smtp() -> Credentials {
        Credentials { username: "envoi".to_owned(), password: "open sesame".to_owned() }
    }

    #[tokio::test]
    async fn a_key_is_made_once_for_all_who_ask() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let secrets = secrets(&engine, [7; 32]);
        let asked = (0..8).map(|_| secrets.key(Purpose::Suppression));
        let keys = futures::future::join_all(asked).await;
        let first = *keys[0].as_ref().unwrap();
        assert!(keys.into_iter().all(|key| key.unwrap() == first));
        assert_ne!(first, [0; 32]);
    }

    #[tokio::test]
    async fn credentials_are_stored_sealed_and_forgotten_when_told() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let secrets = secrets(&engine, [7; 32]);
        assert!(secrets.credentials(Channel::Email).await.unwrap().is_none());
        secrets.set_credentials(Channel::Email, &smtp()).await.unwrap();
        assert_eq!(secrets.credentials(Channel::Email).await.unwrap().unwrap(), smtp());
        assert!(secrets.credentials(Channel::Sms).await.unwrap().is_none());
        assert!(secrets.credentials_set_at(Channel::Email).await.unwrap().is_some());
        let key = key(Purpose::Provider(Channel::Email));
        let item = engine.platform().table.get(CONTROL, &key, Consistency::Strong).await.unwrap().unwrap();
        let stored = item.bytes(SEALED).unwrap();
        assert!(!stored.windows(6).any(|part| part == b"sesame"));
        secrets.delete_credentials(Channel::Email).await.unwrap();
        assert!(secrets.credentials(Channel::Email).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_configuration_has_secrets_of_its_own_and_keeps_the_one_before_where_told() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let secrets = secrets(&engine, [7; 32]);
        let (one, other) = (ConfigurationId::from_bytes([1; 16]), ConfigurationId::from_bytes([2; 16]));
        let channel = Channel::Webhook;
        for secret in ["first", "second"] {
            let keep = Some("previous_signing_key");
            secrets.set_of_configuration(channel, one, ("signing_key", secret), keep).await.unwrap();
        }
        secrets.set_of_configuration(channel, other, ("signing_key", "of another"), None).await.unwrap();
        let opened = secrets.of_configuration(channel, one).await.unwrap();
        let pair = |name: &str, secret: &str| (name.to_owned(), secret.to_owned());
        let both = [pair("previous_signing_key", "first"), pair("signing_key", "second")];
        assert_eq!(opened, BTreeMap::from(both));
        let names = secrets.names_of_configuration(channel, one).await.unwrap();
        let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["previous_signing_key", "signing_key"]);
        secrets.delete_of_configuration(channel, one, Some("previous_signing_key")).await.unwrap();
        assert_eq!(secrets.of_configuration(channel, one).await.unwrap().len(), 1);
        secrets.delete_of_configuration(channel, one, None).await.unwrap();
        assert!(secrets.of_configuration(channel, one).await.unwrap().is_empty());
        assert_eq!(secrets.of_configuration(channel, other).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn another_key_opens_nothing_and_makes_no_new_secret() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let key = secrets(&engine, [7; 32]).key(Purpose::Suppression).await.unwrap();
        assert!(secrets(&engine, [8; 32]).key(Purpose::Suppression).await.is_err());
        assert_eq!(secrets(&engine, [7; 32]).key(Purpose::Suppression).await.unwrap(), key);
    }
}
