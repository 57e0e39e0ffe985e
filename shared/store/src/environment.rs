//! The store of a function, from the function's environment.
//!
//! | variable | |
//! |---|---|
//! | `ENVOI_DATA` | the data folder of the embedded engine; without it, the function runs on AWS |
//! | `ENVOI_HASH_KEY` | with a data folder: the secret that suppressed addresses are hashed under, 64 hexadecimal digits |
//! | `ENVOI_TABLE_...`, `ENVOI_QUEUE_...`, `ENVOI_SCHEDULE_...` | on AWS: `platform::aws::Names` |
//! | `ENVOI_PUBLIC_URL` | where public links are: scheme and host, such as `https://links.example.org` |
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
    /// Another variable is not of its form.
    #[error("{name}: {why}")]
    Invalid {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
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
    let public_url = public_url()?;
    Ok(public_url.iter().fold(opened().await?, |store, url| store.with_public_url(url)))
}

async fn opened() -> Result<Store, EnvironmentError> {
    if let Some(store) = in_folder()? {
        return Ok(store);
    }
    #[cfg(feature = "aws")]
    {
        let key = variable("ENVOI_KMS_KEY").ok_or(EnvironmentError::Missing("ENVOI_KMS_KEY"))?;
        let config = platform::aws::sdk_config().await;
        let vault = std::sync::Arc::new(platform::aws::KmsVault::new(&config, key));
        Ok(Store::sealed(platform::aws::Aws::of_environment(&config)?.platform(), vault))
    }
    #[cfg(not(feature = "aws"))]
    Err(EnvironmentError::Missing("ENVOI_DATA"))
}

/// Opens the store that the environment names, for a function that has no secret to seal or open: on AWS its role has no
/// right to, and it need not carry the client of KMS.
///
/// # Errors
/// [`EnvironmentError`] names the variable.
pub async fn store_without_secrets() -> Result<Store, EnvironmentError> {
    if let Some(store) = in_folder()? {
        return Ok(store);
    }
    #[cfg(feature = "aws")]
    {
        let config = platform::aws::sdk_config().await;
        let vault = std::sync::Arc::new(platform::NoVault);
        Ok(Store::sealed(platform::aws::Aws::of_environment(&config)?.platform(), vault))
    }
    #[cfg(not(feature = "aws"))]
    Err(EnvironmentError::Missing("ENVOI_DATA"))
}

/// Where public links are, as far as the environment says.
fn public_url() -> Result<Option<String>, EnvironmentError> {
    const NAME: &str = "ENVOI_PUBLIC_URL";
    let Some(url) = variable(NAME) else { return Ok(None) };
    match crate::links::is_base(&url) {
        true => Ok(Some(url)),
        false => {
            Err(EnvironmentError::Invalid { name: NAME, why: "must be such as https://host".to_owned() })
        }
    }
}

/// The store in a data folder, where the environment names one.
fn in_folder() -> Result<Option<Store>, EnvironmentError> {
    #[cfg(feature = "embedded")]
    if let Some(folder) = variable("ENVOI_DATA") {
        return embedded(&folder).map(Some);
    }
    Ok(None)
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
