//! The store of a function, from the function's environment.
//!
//! | variable | |
//! |---|---|
//! | `ENVOI_DATA` | the data folder of the embedded engine; without it, the function runs on AWS |
//! | `ENVOI_HASH_KEY` | with a data folder: the secret that suppressed addresses are hashed under, 64 hexadecimal digits |
//! | `ENVOI_TABLE_...`, `ENVOI_QUEUE_...`, `ENVOI_SCHEDULE_...` | on AWS: `platform::aws::Names` |
//! | `ENVOI_KMS_KEY` | on AWS: the key that secrets are sealed under, by its id, ARN or alias |
//!
//! An empty variable is as good as none, since a template can't leave one out. Opening sends nothing over the network.

use std::env;

use thiserror::Error;

use crate::Store;

/// Why the environment gives no store.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// A variable is missing.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable is not of its form.
    #[error("ENVOI_HASH_KEY must hold 64 hexadecimal digits")]
    HashKey,
    /// The data folder can't be opened.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Data(#[from] platform::embedded::OpenError),
    /// The engine on AWS can't be used.
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Aws(#[from] platform::PlatformError),
}

/// A variable that is not empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Opens the store that the environment names.
///
/// # Errors
/// [`EnvironmentError`] names the variable.
pub async fn store() -> Result<Store, EnvironmentError> {
    #[cfg(feature = "embedded")]
    if let Some(folder) = variable("ENVOI_DATA") {
        return embedded(&folder);
    }
    #[cfg(feature = "aws")]
    return aws().await;
    #[cfg(not(feature = "aws"))]
    Err(EnvironmentError::Missing("ENVOI_DATA"))
}

#[cfg(feature = "embedded")]
fn embedded(folder: &str) -> Result<Store, EnvironmentError> {
    let key = variable("ENVOI_HASH_KEY").ok_or(EnvironmentError::Missing("ENVOI_HASH_KEY"))?;
    let key = data_encoding::HEXLOWER_PERMISSIVE
        .decode(key.trim().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(EnvironmentError::HashKey)?;
    let clock = std::sync::Arc::new(platform::SystemClock);
    let engine = platform::embedded::Embedded::open(folder.as_ref(), clock)?;
    Ok(Store::new(engine.platform(), crate::HashKey(key)))
}

#[cfg(feature = "aws")]
async fn aws() -> Result<Store, EnvironmentError> {
    use platform::aws::{Aws, KmsVault, sdk_config};

    let key = variable("ENVOI_KMS_KEY").ok_or(EnvironmentError::Missing("ENVOI_KMS_KEY"))?;
    let config = sdk_config().await;
    let vault = std::sync::Arc::new(KmsVault::new(&config, key));
    Ok(Store::sealed(Aws::of_environment(&config)?.platform(), vault))
}
