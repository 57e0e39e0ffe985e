use std::sync::Arc;
use std::time::Duration;

use platform::Blob;
use store::Store;
use store::ledger::Worker;

/// What jobs need.
#[derive(Clone)]
pub struct Context {
    /// The repositories.
    pub store: Store,
    /// Where files are.
    pub blob: Arc<dyn Blob>,
    /// Who takes the leases.
    pub worker: Worker,
    /// How often is written how far a job is.
    pub pace: Pace,
    /// How long any function may run, deliveries and calls of the API too: whoever is erased may be in the hands of one.
    pub longest: Duration,
}

/// The longest that Lambda lets a function run, whatever the template sets.
#[cfg(any(feature = "aws", feature = "embedded"))]
const LONGEST_FUNCTION: Duration = Duration::from_secs(900);

/// How often is written how far a job is: what is lost of it where a process dies, and how fine its progress shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After so long.
    pub time: Duration,
    /// After so many rows of a file.
    pub rows: u64,
}

impl Default for Pace {
    /// Five seconds or 20,000 rows.
    fn default() -> Self {
        Self { time: Duration::from_secs(5), rows: 20_000 }
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment ([`store::environment`], [`store::jobs::environment`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, store::environment::EnvironmentError> {
        Ok(Self {
            store: store::environment::store().await?,
            blob: store::jobs::environment::blob()?,
            worker: Worker::new(store::ledger::Tenancy::Shared),
            pace: Pace::default(),
            longest: LONGEST_FUNCTION,
        })
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("pace", &self.pace).finish_non_exhaustive()
    }
}
