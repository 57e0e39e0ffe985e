//! What public links are signed with, and where they are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use links::{LinkKey, LinkKeys};
use platform::Platform;

use crate::StoreError;
use crate::secrets::Secrets;

/// Where links are unless something else is said: a node on this machine.
pub const DEFAULT_PUBLIC_URL: &str = "http://localhost:8080";
/// How long the keys are taken to be as they were read: a new one is made now and then, and old ones stay known.
const REMEMBER: Duration = Duration::from_secs(60);

/// The keys, and until when they are taken as they are (on the monotonic clock).
type Kept = (Arc<LinkKeys>, Duration);

/// The repository of the keys that links are signed with.
#[derive(Debug, Clone)]
pub struct Links {
    platform: Platform,
    secrets: Secrets,
    public_url: Arc<str>,
    kept: Arc<Mutex<Option<Kept>>>,
}

impl Links {
    /// Over this platform.
    pub fn new(platform: Platform, secrets: Secrets) -> Self {
        Self { platform, secrets, public_url: DEFAULT_PUBLIC_URL.into(), kept: Arc::default() }
    }

    /// The same, with links at this URL: scheme and host, without a slash at the end.
    #[must_use]
    pub fn at(self, public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').into(), ..self }
    }

    /// Where links are, as far as no configuration says otherwise.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The keys; whoever asks first makes one.
    ///
    /// # Errors
    /// As the engines'.
    pub async fn keys(&self) -> Result<Arc<LinkKeys>, StoreError> {
        let now = self.platform.clock.monotonic();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((keys, until)) = &kept
            && now < *until
        {
            return Ok(Arc::clone(keys));
        }
        let read = match (self.secrets.link_keys().await, kept) {
            (Ok(read), _) => read,
            // The ones of a minute ago are better than none.
            (Err(_), Some((keys, _))) => return Ok(keys),
            (Err(error), None) => return Err(error),
        };
        let now_ms = self.platform.clock.now().as_millisecond();
        let keys = LinkKeys::new(&in_use(read, now_ms))
            .ok_or(StoreError::Corrupt { what: "link keys", source: None })?;
        let keys = Arc::new(keys);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&keys), now + REMEMBER));
        Ok(keys)
    }

    /// Makes a new key, which signs once it is known everywhere: two minutes later. The ones before stay known, the last seven of
    /// them. Gives its number.
    ///
    /// # Errors
    /// As the engines'; [`StoreError::Contended`] where somebody else makes one at the same time.
    pub async fn rotate(&self) -> Result<u32, StoreError> {
        let id = self.secrets.rotate_link_key().await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(id)
    }
}

/// The keys, the one that signs first: the newest that everybody has read by now, or the first of all.
fn in_use(mut keys: Vec<(LinkKey, i64)>, now_ms: i64) -> Vec<LinkKey> {
    let wait_ms = i64::try_from(2 * REMEMBER.as_millis()).unwrap_or(i64::MAX);
    let signing = keys.iter().position(|(_, made_ms)| now_ms - made_ms >= wait_ms);
    if let Some(at) = signing.or_else(|| keys.len().checked_sub(1)) {
        let signing = keys.remove(at);
        keys.insert(0, signing);
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// Whether links can be at this URL: `http` or `https`, a host, perhaps a port and a path, and nothing else.
pub fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(is_fit))
}

#[cfg(test)]
mod tests {
    use platform::SystemClock;
    use platform::embedded::Embedded;

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
        let keys: Vec<_> = futures::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert!(keys.iter().all(|other| *other == keys[0]));
        for id in 2..=12 {
            assert_eq!(store(&engine).links.rotate().await.unwrap(), id);
        }
        let now = store(&engine).secrets.link_keys().await.unwrap();
        let ids = |keys: Vec<LinkKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(now.into_iter().map(|(key, _)| key).collect()), [12, 11, 10, 9, 8, 7, 6, 5]);
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
}
