use std::sync::Arc;

use jiff::Timestamp;
use store::Store;

/// What the API needs. Clones are cheap and share it.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repositories.
    pub store: Arc<Store>,
}

impl Context {
    /// Over these repositories.
    pub fn new(store: Store) -> Self {
        Self {
            store: Arc::new(store),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.platform.clock.now()
    }
}

/// The context of the function, from its environment: `ENVOI_DATA` is the data folder, `ENVOI_HASH_KEY` the secret that
/// suppressed addresses are hashed under, 64 hexadecimal digits.
///
/// # Errors
/// Where a variable is missing or wrong, or the folder can't be opened.
#[cfg(feature = "embedded")]
pub fn from_environment() -> anyhow::Result<Context> {
    use anyhow::Context as _;

    let folder = std::env::var("ENVOI_DATA").context("ENVOI_DATA must name the data folder")?;
    let key = std::env::var("ENVOI_HASH_KEY").context("ENVOI_HASH_KEY must hold 64 hexadecimal digits")?;
    let key = data_encoding::HEXLOWER_PERMISSIVE
        .decode(key.trim().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .context("ENVOI_HASH_KEY must hold 64 hexadecimal digits")?;
    let engine = platform::embedded::Embedded::open(folder.as_ref(), Arc::new(platform::SystemClock))
        .context("the data folder can't be opened")?;
    Ok(Context::new(Store::new(engine.platform(), store::HashKey(key))))
}
