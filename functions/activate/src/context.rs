use std::time::Duration;

use store::Store;

/// What an activation needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// How often the sweep comes: what it releases must last until the next.
    pub sweep_every: Duration,
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment ([`store::environment`]); the sweep comes each minute, as a schedule sends it.
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self {
            store: store::environment::store_without_secrets().await?,
            sweep_every: Duration::from_secs(60),
        })
    }
}
