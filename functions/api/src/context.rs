use std::sync::Arc;

use jiff::Timestamp;
use platform::Blob;
use store::Store;

use crate::im::LiveCampaigns;

/// What the API needs. Clones are cheap and share it.
#[derive(Clone)]
pub struct Context {
    /// The repositories.
    pub store: Arc<Store>,
    /// Where files are.
    pub blob: Arc<dyn Blob>,
    /// Which campaigns take calls now.
    pub(crate) live: LiveCampaigns,
}

impl Context {
    /// Over these repositories and files.
    pub fn new(store: Store, blob: Arc<dyn Blob>) -> Self {
        Self { store: Arc::new(store), blob, live: LiveCampaigns::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.platform.clock.now()
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment ([`store::environment`], [`store::jobs::environment`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self::new(store::environment::store().await?, store::jobs::environment::blob()?))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
