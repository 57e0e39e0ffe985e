//! Validation.
use campaign::content::Content;
use campaign::model::Finding;
use campaign::{Campaign, Version};
use store::{Store, StoreError};

/// Everything that is to be said of a version before it is activated.
///
/// # Errors
/// Where the store can't be read.
pub async fn validate(
    _store: &Store,
    _campaign: &Campaign,
    _version: &Version,
    _contents: &[Content],
) -> Result<Vec<Finding>, StoreError> {
    Ok(Vec::new())
}
