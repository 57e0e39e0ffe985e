//! The keys that calls are signed with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::{Channel, ConfigurationId};
use outbound::standard_webhooks::Secret;
use platform::PlatformError;
use store::{Store, StoreError};
use thiserror::Error;

/// How long keys are taken to hold: opening them is a call to KMS.
const REMEMBER: Duration = Duration::from_secs(30);
/// The most configurations whose keys are kept; beyond it all are dropped, and those in use read anew.
const MOST: usize = 1000;
/// The newest key, and the one before it: signed with in this order.
const NAMES: [&str; 2] = ["signing_key", "previous_signing_key"];

/// Why there are no keys.
#[derive(Debug, Error)]
pub(crate) enum KeysError {
    /// The store can't be read.
    #[error("the configuration's secrets can't be read")]
    Store(#[source] StoreError),
    /// A secret is no key.
    #[error("the secret {0} is no key: it has to be whsec_ and base64")]
    NoKey(&'static str),
}

impl KeysError {
    /// Whether somebody has to mend it: a secret is no key, or was sealed under another key than ours.
    pub(crate) const fn is_lasting(&self) -> bool {
        match self {
            Self::NoKey(_) => true,
            Self::Store(error) => {
                matches!(error, StoreError::Corrupt { .. } | StoreError::Platform(PlatformError::Corrupt(_)))
            }
        }
    }
}

/// Keys by configuration.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    kept: Mutex<HashMap<ConfigurationId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    keys: Arc<[Secret]>,
    /// Until when, on the monotonic clock, they are taken to hold.
    until: Duration,
}

impl Keys {
    /// The keys of a configuration; none where it does not sign.
    pub(crate) async fn of(&self, store: &Store, id: ConfigurationId) -> Result<Arc<[Secret]>, KeysError> {
        let now = store.platform.clock.monotonic();
        if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
            && now < kept.until
        {
            return Ok(Arc::clone(&kept.keys));
        }
        let secrets = store.secrets.of_configuration(Channel::Webhook, id).await.map_err(KeysError::Store)?;
        let named = NAMES.into_iter().filter_map(|name| Some((name, secrets.get(name)?)));
        let keys: Arc<[Secret]> = named
            .map(|(name, text)| Secret::read(text).map_err(|_| KeysError::NoKey(name)))
            .collect::<Result<_, _>>()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(id, Kept { keys: Arc::clone(&keys), until: now + REMEMBER });
        Ok(keys)
    }
}
