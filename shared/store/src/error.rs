use campaign::status::NotAllowed;
use platform::{PlatformError, TransactError};
use thiserror::Error;

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// "campaign", "segment", ...
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// It changed since it was read: the revision given is not the newest.
    #[error("the {what} has changed since it was read")]
    Stale {
        /// "campaign", "segment", ...
        what: &'static str,
    },
    /// The campaign's status does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// Another profile has this identity.
    #[error("another profile has this {namespace}")]
    IdentityTaken {
        /// `email`, `phone` or `external_id`.
        namespace: &'static str,
    },
    /// Something else uses it.
    #[error("{0}")]
    InUse(String),
    /// A field has a value it can't have.
    #[error("{field}: {message}")]
    Invalid {
        /// Its path.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// Many wrote the same item at once; try again.
    #[error("too many writers at once on the {what}")]
    Contended {
        /// "campaign", "chunk", ...
        what: &'static str,
    },
    /// What is stored can't be read.
    #[error("the stored {what} can't be read")]
    Corrupt {
        /// "campaign", "chunk", ...
        what: &'static str,
        /// Why.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The engine could not.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl StoreError {
    /// There is no such thing.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// A field has a value it can't have.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }
}

/// Splits a transaction's result: applied, or refused by these conditions.
pub(crate) fn refused(result: Result<(), TransactError>) -> Result<Option<Vec<usize>>, StoreError> {
    match result {
        Ok(()) => Ok(None),
        Err(TransactError::ConditionFailed(writes)) => Ok(Some(writes)),
        Err(TransactError::Engine(error)) => Err(StoreError::Platform(error)),
    }
}
