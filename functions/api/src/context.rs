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
        Self { store: Arc::new(store) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.platform.clock.now()
    }
}

#[cfg(feature = "embedded")]
impl Context {
    /// From the function's environment ([`store::environment`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self::new(store::environment::store()?))
    }
}
