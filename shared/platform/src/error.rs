use thiserror::Error;

/// Why a port could not do what was asked.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// The engine is out of reach or busy; the same call may succeed later.
    #[error("{what} is unavailable")]
    Unavailable {
        /// Which part of the engine.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The call breaks a limit of the port, so no engine will ever take it.
    #[error("{what} is {size}, the limit is {limit}")]
    TooLarge {
        /// What was too large, with its unit ("item bytes", "messages in a batch").
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// The call makes no sense to the port (two actions on one item, a foreign cursor...).
    #[error("{0}")]
    Invalid(String),
    /// What is stored can't be read back.
    #[error("stored data can't be read: {0}")]
    Corrupt(String),
}

/// Why a transaction was not applied. Nothing of it was.
#[derive(Debug, Error)]
pub enum TransactError {
    /// The conditions of the writes at these positions did not hold.
    #[error("the conditions of writes {0:?} did not hold")]
    ConditionFailed(Vec<usize>),
    /// The engine could not carry it out.
    #[error(transparent)]
    Engine(#[from] PlatformError),
}
