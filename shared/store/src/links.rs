//! What public links are signed with, and where they are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use links::{LinkKey, LinkKeys, MOST_UNSUBSCRIBE_KEYS};
use platform::{Platform, batch};
use tracing::warn;

use crate::StoreError;
use crate::secrets::{OpenedLinkKeys, Secrets, StoredLinkKey};

/// Where links are unless something else is said: a node on this machine.
pub const DEFAULT_PUBLIC_URL: &str = "http://localhost:8080";
/// How long the keys are taken to be as they were read: a new one is made now and then, and old ones stay known.
const REMEMBER: Duration = Duration::from_secs(60);
/// How long whoever has old ones waits for new ones: somebody may be waiting for a page.
const WITHIN: Duration = Duration::from_millis(300);
/// How long old ones are taken where new ones can't be had, before that is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The keys, and until when they are taken as they are (on the monotonic clock).
type Kept = (Arc<LinkKeys>, Duration);

/// The repository of the keys that links are signed with.
#[derive(Debug, Clone)]
pub struct Links {
    platform: Platform,
    secrets: Secrets,
    /// `None` where nobody has said.
    public_url: Option<Arc<str>>,
    kept: Arc<Mutex<Option<Kept>>>,
}

impl Links {
    /// Over this platform.
    pub fn new(platform: Platform, secrets: Secrets) -> Self {
        Self { platform, secrets, public_url: None, kept: Arc::default() }
    }

    /// The same, with links at this URL: scheme and host, without a slash at the end.
    #[must_use]
    pub fn at(self, public_url: &str) -> Self {
        Self { public_url: Some(public_url.trim_end_matches('/').into()), ..self }
    }

    /// Where links are, as far as no configuration says otherwise.
    pub fn public_url(&self) -> &str {
        self.given_url().unwrap_or(DEFAULT_PUBLIC_URL)
    }

    /// The same, where somebody has said it.
    pub fn given_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// The keys; whoever asks first makes one. Who has read them before is never kept waiting: where they can't be read again soon,
    /// the ones of a minute ago are better than none.
    ///
    /// # Errors
    /// As the engines', where none were read before.
    pub async fn keys(&self) -> Result<Arc<LinkKeys>, StoreError> {
        let kept = self.kept().clone();
        let Some((old, until)) = kept else { return self.read().await };
        if self.platform.clock.monotonic() < until {
            return Ok(old);
        }
        // One reads; the others go on meanwhile.
        self.keep(&old, RETRY);
        tokio::select! {
            biased;
            read = self.read() => match read {
                Ok(read) => return Ok(read),
                Err(error) => {
                    let error = batch::chain(&error);
                    warn!(error, "the keys of links can't be read again, and the old ones are used: {error}");
                }
            },
            () = self.platform.clock.sleep(WITHIN) => {
                warn!("reading the keys of links again takes too long, and the old ones are used");
            }
        }
        Ok(old)
    }

    async fn read(&self) -> Result<Arc<LinkKeys>, StoreError> {
        let OpenedLinkKeys { keys, are_all } = self.secrets.link_keys().await?;
        let now_ms = self.platform.clock.now().as_millisecond();
        let keys = LinkKeys::new(&in_use(keys, now_ms));
        let keys = Arc::new(keys.ok_or(StoreError::Corrupt { what: "link keys", source: None })?);
        self.keep(&keys, if are_all { REMEMBER } else { RETRY });
        Ok(keys)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, keys: &Arc<LinkKeys>, time: Duration) {
        let until = self.platform.clock.monotonic() + time;
        *self.kept() = Some((Arc::clone(keys), until));
    }

    /// Makes a new key, which signs once it is known everywhere: two minutes later. The ones before stay known, the last seven of
    /// them for links of all kinds and the last 199 for unsubscribing. Gives its number.
    ///
    /// # Errors
    /// As the engines'; [`StoreError::Contended`] where somebody else makes one at the same time.
    pub async fn rotate(&self) -> Result<u32, StoreError> {
        let id = self.secrets.rotate_link_key().await?;
        *self.kept() = None;
        Ok(id)
    }

    /// Forgets the key of this number for good: its links are refused everywhere within a minute, to unsubscribe by among them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where no such key is known; [`StoreError::InUse`] where somebody may still sign with it; as the
    /// engine's.
    pub async fn revoke(&self, number: u32) -> Result<(), StoreError> {
        let mut keys = self.secrets.stored_link_keys(MOST_UNSUBSCRIBE_KEYS).await?;
        keys.retain(StoredLinkKey::is_good);
        if !keys.iter().any(|key| key.number == number) {
            return Err(StoreError::not_found("link key", number));
        }
        // Whoever read the keys last a minute ago signs with what was to sign then.
        let now_ms = self.platform.clock.now().as_millisecond();
        let signs = |at_ms| signing(keys.iter().map(|key| key.made_ms), at_ms).map(|at| keys[at].number);
        if [now_ms, now_ms - millis(REMEMBER)].into_iter().any(|at_ms| signs(at_ms) == Some(number)) {
            let why = "links are signed with this key; make a new one, and revoke this three minutes later";
            return Err(StoreError::InUse(why.to_owned()));
        }
        self.secrets.revoke_link_key(number).await?;
        *self.kept() = None;
        Ok(())
    }
}

/// The keys, the one that signs first.
fn in_use(mut keys: Vec<(LinkKey, i64)>, now_ms: i64) -> Vec<LinkKey> {
    if let Some(at) = signing(keys.iter().map(|(_, made_ms)| *made_ms), now_ms) {
        let signing = keys.remove(at);
        keys.insert(0, signing);
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// Which key signs, of those made at these times, the newest first: the newest that everybody has read by now, or the first of
/// all.
fn signing(mut made_ms: impl ExactSizeIterator<Item = i64>, now_ms: i64) -> Option<usize> {
    let last = made_ms.len().checked_sub(1);
    made_ms.position(|made_ms| now_ms - made_ms >= millis(2 * REMEMBER)).or(last)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether links can be at this URL: `http` or `https`, a host, perhaps a port and a path, and nothing else.
pub fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(is_fit))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;
    use platform::embedded::Embedded;
    use platform::{Clock, KeyVault, PlatformError, SystemClock, Vault};

    use super::*;
    use crate::{HashKey, Store};

    fn store(engine: &Embedded) -> Store {
        Store::new(engine.platform(), HashKey([7; 32]))
    }

    #[tokio::test]
    async fn everybody_gets_the_same_keys_and_a_new_one_leaves_the_old_known() {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        let asked: Vec<_> = (0..8).map(|_| store(&engine)).collect();
        let asked = asked.iter().map(|store| store.secrets.link_keys());
        let keys = futures::future::join_all(asked).await.into_iter();
        let keys: Vec<_> = keys.map(|opened| opened.unwrap().keys).collect();
        assert!(keys.iter().all(|other| *other == keys[0]));
        for id in 2..=12 {
            assert_eq!(store(&engine).links.rotate().await.unwrap(), id);
        }
        let now = store(&engine).secrets.link_keys().await.unwrap().keys;
        let ids = |keys: Vec<LinkKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(
            ids(now.into_iter().map(|(key, _)| key).collect()),
            [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
        );
        let made = |ages: &[i64]| {
            let key = |(id, age): (usize, &i64)| {
                (LinkKey { id: u8::try_from(id).unwrap(), secret: [0; 32] }, 1_000_000 - age)
            };
            ages.iter().enumerate().map(key).collect::<Vec<_>>()
        };
        // Nobody meets a link by a key they have not read yet.
        assert_eq!(ids(in_use(made(&[0, 119_999, 120_000]), 1_000_000)), [2, 0, 1]);
        assert_eq!(ids(in_use(made(&[120_000, 500_000]), 1_000_000)), [0, 1]);
        assert_eq!(ids(in_use(made(&[0, 1]), 1_000_000)), [1, 0]);
    }

    /// A clock that stands still until it is waited on.
    struct TestClock(Mutex<Timestamp>);

    #[async_trait]
    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
        fn monotonic(&self) -> Duration {
            self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
        }
        async fn sleep(&self, duration: Duration) {
            *self.0.lock().unwrap() += duration;
        }
    }

    /// A vault that counts what it opens, and can be made to open nothing, or to say nothing.
    struct TestVault {
        vault: KeyVault,
        opened: AtomicUsize,
        state: Mutex<State>,
    }

    #[derive(Clone, Copy)]
    enum State {
        Opens,
        Refuses,
        IsSilent,
    }

    #[async_trait]
    impl Vault for TestVault {
        async fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, PlatformError> {
            self.vault.seal(purpose, secret).await
        }
        async fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, PlatformError> {
            let state = *self.state.lock().unwrap();
            match state {
                State::Opens => {}
                State::Refuses => return Err(PlatformError::Corrupt("not this one".to_owned())),
                State::IsSilent => std::future::pending().await,
            }
            self.opened.fetch_add(1, Ordering::Relaxed);
            self.vault.open(purpose, sealed).await
        }
    }

    struct World {
        clock: Arc<TestClock>,
        vault: Arc<TestVault>,
        platform: Platform,
        links: Links,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(TestClock(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
            let vault = KeyVault::new(&[7; 32]);
            let state = Mutex::new(State::Opens);
            let vault = Arc::new(TestVault { vault, opened: AtomicUsize::new(0), state });
            let platform = Embedded::in_memory(clock.clone()).platform();
            let links = Links::new(platform.clone(), Secrets::new(platform.clone(), vault.clone()));
            Self { clock, vault, platform, links }
        }

        /// As another process sees it.
        fn other(&self) -> Links {
            Links::new(self.platform.clone(), Secrets::new(self.platform.clone(), self.vault.clone()))
        }

        async fn wait(&self, seconds: u64) {
            self.clock.sleep(Duration::from_secs(seconds)).await;
        }

        fn vault_is(&self, state: State) {
            *self.vault.state.lock().unwrap() = state;
        }

        async fn numbers(&self) -> Vec<u8> {
            let opened = self.links.secrets.link_keys().await.unwrap();
            opened.keys.iter().map(|(key, _)| key.id).collect()
        }
    }

    #[tokio::test]
    async fn a_key_is_opened_once_and_one_that_can_not_be_is_left_out() {
        let world = World::new();
        world.links.keys().await.unwrap();
        world.wait(61).await;
        world.links.keys().await.unwrap();
        assert_eq!(world.vault.opened.load(Ordering::Relaxed), 1);
        world.links.rotate().await.unwrap();
        world.vault_is(State::Refuses);
        assert_eq!(world.numbers().await, [1], "the new one can't be opened, the old one is known");
        assert!(world.other().keys().await.is_err(), "none can be opened");
        // It is tried again before a minute is over.
        world.links.keys().await.unwrap();
        world.vault_is(State::Opens);
        world.wait(6).await;
        world.links.keys().await.unwrap();
        assert_eq!(world.numbers().await, [2, 1]);
        assert_eq!(world.vault.opened.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_has_old_keys_waits_for_new_ones_no_longer_than_that() {
        let world = World::new();
        let old = world.links.keys().await.unwrap();
        // Somebody else makes one.
        world.other().rotate().await.unwrap();
        world.vault_is(State::IsSilent);
        world.wait(61).await;
        let asked = world.clock.monotonic();
        assert!(Arc::ptr_eq(&world.links.keys().await.unwrap(), &old));
        assert_eq!(world.clock.monotonic() - asked, WITHIN);
        // The next ones do not wait at all, for a while.
        assert!(Arc::ptr_eq(&world.links.keys().await.unwrap(), &old));
        assert_eq!(world.clock.monotonic() - asked, WITHIN);
        world.vault_is(State::Opens);
        world.wait(5).await;
        assert!(!Arc::ptr_eq(&world.links.keys().await.unwrap(), &old));
    }

    #[tokio::test]
    async fn a_key_is_revoked_for_good_once_another_signs_everywhere() {
        let world = World::new();
        let revoked = async |number| world.links.revoke(number).await;
        world.links.keys().await.unwrap();
        assert!(matches!(revoked(1).await, Err(StoreError::InUse(_))), "it is the only one");
        assert!(matches!(revoked(2).await, Err(StoreError::NotFound { .. })));
        assert_eq!(world.links.rotate().await.unwrap(), 2);
        world.wait(179).await;
        for still_signs in [1, 2] {
            assert!(matches!(revoked(still_signs).await, Err(StoreError::InUse(_))), "{still_signs}");
        }
        world.wait(1).await;
        revoked(1).await.unwrap();
        assert_eq!(world.numbers().await, [2]);
        assert!(matches!(revoked(1).await, Err(StoreError::NotFound { .. })));
        // One that does not sign yet may go, and nobody gets its number again.
        assert_eq!(world.links.rotate().await.unwrap(), 3);
        revoked(3).await.unwrap();
        assert_eq!(world.links.rotate().await.unwrap(), 4);
        assert_eq!(world.numbers().await, [4, 2]);
        // Were all gone, a new one would be made.
        for number in [2, 4] {
            world.links.secrets.revoke_link_key(number).await.unwrap();
        }
        assert_eq!(world.numbers().await, [5]);
    }

    #[tokio::test]
    async fn two_hundred_keys_are_known_and_their_ids_differ() {
        let world = World::new();
        for _ in 0..260 {
            world.links.rotate().await.unwrap();
        }
        let numbers = world.numbers().await;
        assert_eq!((numbers.len(), numbers[0]), (MOST_UNSUBSCRIBE_KEYS, 4));
        assert_eq!(numbers.iter().collect::<std::collections::BTreeSet<_>>().len(), numbers.len());
    }
}
