//! The embedded engine under the contract, in memory and in a folder, on a clock that tests move.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::embedded::{BlobFolder, Embedded};
use platform::{Blob, Clock, Queue, Scheduler, Source, Table};
use tempfile::TempDir;

use super::{Engine, WAKE_UPS};
use crate::clock::TestClock;

/// An embedded engine, its clock, and its folder if it has one.
pub struct EmbeddedEngine {
    /// The engine itself, for what only it can do.
    pub embedded: Embedded,
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// Where its blobs are, in memory too.
    files: TempDir,
    /// Removed after the engine is closed.
    _folder: Option<TempDir>,
}

impl EmbeddedEngine {
    /// One that lives in memory and never waits, but for its blobs.
    ///
    /// # Panics
    /// Where no folder can be made.
    pub fn in_memory() -> Self {
        let clock = Arc::new(TestClock::default());
        Self { embedded: Embedded::in_memory(clock.clone()), clock, files: folder(), _folder: None }
    }

    /// One in a folder of its own.
    ///
    /// # Panics
    /// Where no folder can be made.
    pub fn in_a_folder() -> Self {
        let clock = Arc::new(TestClock::default());
        let data = folder();
        let embedded = Embedded::open(data.path(), clock.clone()).expect("a new folder opens");
        Self { embedded, clock, files: folder(), _folder: Some(data) }
    }
}

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

#[async_trait]
impl Engine for EmbeddedEngine {
    fn table(&self) -> Arc<dyn Table> {
        Arc::new(self.embedded.clone())
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.embedded.clone())
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.embedded.clone())
    }

    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(self.embedded.clone())
    }

    async fn blob(&self) -> Arc<dyn Blob> {
        Arc::new(BlobFolder::open(self.files.path()).expect("a new folder opens"))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        while self.embedded.fire_due(WAKE_UPS).await.expect("wake-ups fire") > 0 {}
    }
}
