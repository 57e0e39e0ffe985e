//! Channel configurations.

use campaign::{Configuration, ConfigurationId};
use platform::{Consistency, Key, Platform, Query, Write};

use crate::StoreError;
use crate::document::{self, Revised};
use crate::error::refused;
use crate::tables::{self, CONTROL};

const WHAT: &str = "configuration";

/// The repository of channel configurations.
#[derive(Debug, Clone)]
pub struct Configurations {
    platform: Platform,
}

impl Configurations {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// The configuration, strongly read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: ConfigurationId) -> Result<Revised<Configuration>, StoreError> {
        let item = self.platform.table.get(CONTROL, &key(id), Consistency::Strong).await?;
        item.map_or_else(|| Err(StoreError::not_found(WHAT, id)), |item| document::revised(WHAT, &item))
    }

    /// Stores a configuration over the one at `revision` (0: a new one).
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is not the newest.
    pub async fn put(&self, configuration: &Configuration, revision: i64) -> Result<(), StoreError> {
        let write = document::put(CONTROL, WHAT, key(configuration.id), configuration, revision)?;
        self.apply(write).await
    }

    /// Removes a configuration at `revision`. Whether something uses it is the caller's to ask.
    ///
    /// # Errors
    /// [`StoreError::Stale`].
    pub async fn delete(&self, id: ConfigurationId, revision: i64) -> Result<(), StoreError> {
        self.apply(Write::delete(CONTROL, key(id)).when(document::at_revision(revision))).await
    }

    /// A page of configurations, in the order of their ids.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Revised<Configuration>>, Option<String>), StoreError> {
        document::list(&self.platform, WHAT, Query::of(tables::CONFIGURATIONS, limit).after(after)).await
    }

    async fn apply(&self, write: Write) -> Result<(), StoreError> {
        match refused(self.platform.table.transact(vec![write]).await)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Stale { what: WHAT }),
        }
    }
}

fn key(id: ConfigurationId) -> Key {
    Key::new(tables::CONFIGURATIONS, id.to_string())
}
