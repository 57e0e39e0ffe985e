//! The store of a function, from the function's environment.
//!
//! | variable | |
//! |---|---|
//! | `ENVOI_DATA` | the data folder of the embedded engine |
//! | `ENVOI_HASH_KEY` | the secret that suppressed addresses are hashed under: 64 hexadecimal digits |

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use platform::SystemClock;
use platform::embedded::{Embedded, OpenError};
use thiserror::Error;

use crate::{HashKey, Store};

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
    #[error(transparent)]
    Data(#[from] OpenError),
}

/// Opens the store that the environment names.
///
/// # Errors
/// [`EnvironmentError`] names the variable.
pub fn store() -> Result<Store, EnvironmentError> {
    let folder = env::var_os("ENVOI_DATA").ok_or(EnvironmentError::Missing("ENVOI_DATA"))?;
    let key = env::var("ENVOI_HASH_KEY").map_err(|_| EnvironmentError::Missing("ENVOI_HASH_KEY"))?;
    let key = HEXLOWER_PERMISSIVE
        .decode(key.trim().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(EnvironmentError::HashKey)?;
    let engine = Embedded::open(&PathBuf::from(folder), Arc::new(SystemClock))?;
    Ok(Store::new(engine.platform(), HashKey(key)))
}
