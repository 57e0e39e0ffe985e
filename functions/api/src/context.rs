use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use outbound::Policy;
use platform::{Blob, Deadline};
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
    /// For how long a call may read a file, where there is a limit.
    longest_import: Option<Duration>,
}

/// For how long a call may read a file on Lambda: API Gateway gives up after 30 seconds, and what was read is still to be
/// written.
#[cfg(any(feature = "aws", feature = "embedded"))]
const LONGEST_IMPORT: Duration = Duration::from_secs(20);

impl Context {
    /// Over these repositories and files. Of addresses that users name, those of the public Internet may be called.
    pub fn new(store: Store, blob: Arc<dyn Blob>) -> Self {
        Self {
            store: Arc::new(store),
            blob,
            outbound: Policy::public_only(),
            live: LiveCampaigns::default(),
            longest_import: None,
        }
    }

    /// With a limit of how long a call may read a file.
    #[must_use]
    pub fn with_longest_import(self, longest: Duration) -> Self {
        Self { longest_import: Some(longest), ..self }
    }

    /// Until when the call that comes now may read a file; `None`: as long as that takes.
    pub(crate) fn import_until(&self) -> Option<Deadline> {
        self.longest_import.map(|longest| Deadline::after(&*self.store.platform.clock, longest))
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
        let context = Self::new(store().await?, store::jobs::environment::blob()?);
        Ok(context.with_outbound(outbound).with_longest_import(LONGEST_IMPORT))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
