use std::sync::Arc;

use jiff::Timestamp;
use outbound::Policy;
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
    /// What may be called that users name.
    pub(crate) outbound: Policy,
    /// Which campaigns take calls now.
    pub(crate) live: LiveCampaigns,
}

impl Context {
    /// Over these repositories and files. Of addresses that users name, those of the public Internet may be called.
    pub fn new(store: Store, blob: Arc<dyn Blob>) -> Self {
        Self { store: Arc::new(store), blob, outbound: Policy::public_only(), live: LiveCampaigns::default() }
    }

    /// With another rule of what may be called that users name.
    #[must_use]
    pub fn with_outbound(self, outbound: Policy) -> Self {
        Self { outbound, ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.platform.clock.now()
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment ([`store::environment`], [`store::jobs::environment`]), and `ENVOI_OUTBOUND_ALLOW`:
    /// what may be called beside the public Internet ([`Policy::allowing`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        use store::environment::{EnvironmentError, store, variable};

        let name = "ENVOI_OUTBOUND_ALLOW";
        let outbound = Policy::allowing(&variable(name).unwrap_or_default())
            .map_err(|error| EnvironmentError::Invalid { name, why: error.to_string() })?;
        Ok(Self { outbound, ..Self::new(store().await?, store::jobs::environment::blob()?) })
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
