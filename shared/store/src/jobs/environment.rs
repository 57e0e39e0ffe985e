//! The files of a function, from the function's environment.

use std::sync::Arc;

use platform::Blob;

use crate::environment::{EnvironmentError, variable};

/// Where files are kept in a data folder.
#[cfg(feature = "embedded")]
const FOLDER: &str = "files";

/// Opens the blobs that the environment names: those in the data folder `ENVOI_DATA`; without one, those in the bucket
/// `ENVOI_BUCKET`. It sends nothing over the network yet.
///
/// # Errors
/// [`EnvironmentError`] names the variable.
pub fn blob() -> Result<Arc<dyn Blob>, EnvironmentError> {
    #[cfg(feature = "embedded")]
    if let Some(folder) = variable("ENVOI_DATA") {
        let folder = std::path::PathBuf::from(folder).join(FOLDER);
        return Ok(Arc::new(platform::embedded::BlobFolder::open(&folder)?));
    }
    #[cfg(feature = "aws")]
    {
        let bucket = variable("ENVOI_BUCKET").ok_or(EnvironmentError::Missing("ENVOI_BUCKET"))?;
        Ok(Arc::new(platform::aws::S3::of_environment(bucket)))
    }
    #[cfg(not(feature = "aws"))]
    Err(EnvironmentError::Missing("ENVOI_DATA"))
}
