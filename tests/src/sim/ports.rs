//! Ports in front of an engine whose every call may go wrong.

use std::sync::Arc;

use async_trait::async_trait;
use platform::embedded::Embedded;
use platform::{
    Change, Condition, Consistency, Item, Key, Message, Page, PlatformError, Query, Queue, Scan, Scheduler,
    Table, TableName, TransactError, Updated, WakeUp, Write,
};
use store::tables::PROFILES;

use super::Faults;

/// Whether a commit is one step, as on the embedded engine, or a write and then a send, as on AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// The process can't die in between.
    InOneStep,
    /// It can.
    InTwoSteps,
}

/// An engine with faults in front.
pub(crate) struct FaultyPorts {
    pub(crate) engine: Embedded,
    pub(crate) faults: Arc<Faults>,
    pub(crate) commits: Commits,
}

#[async_trait]
impl Table for FaultyPorts {
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        how: Consistency,
    ) -> Result<Option<Item>, PlatformError> {
        self.faults.read(self.engine.get(table, key, how)).await
    }

    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        how: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        let mut items = self.faults.read(self.engine.batch_get(table, keys, how)).await?;
        if table == PROFILES && how == Consistency::Eventual {
            // A replica that lags lacks what was made just now: every third profile.
            let mut place = 0;
            items.retain(|_| {
                place += 1;
                place % 3 != 0
            });
        }
        Ok(items)
    }

    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        self.faults.read(self.engine.query(table, query)).await
    }

    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        self.faults.read(self.engine.scan(table, scan)).await
    }

    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        self.faults.read(self.engine.estimate(table)).await
    }

    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        // Sixteen empty buckets a sweep would be most of the calls of a run, all alike.
        let found = self.engine.query_due(table, bucket, until_ms, limit).await?;
        if found.is_empty() {
            return Ok(found);
        }
        self.faults.read(async { Ok(found) }).await
    }

    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        self.faults.call(self.engine.update(table, key, condition, changes)).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        self.faults.call(self.engine.transact(writes)).await
    }

    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        self.faults.call(self.engine.batch_put(table, items)).await
    }

    async fn commit(
        &self,
        queue: &dyn Queue,
        writes: Vec<Write>,
        messages: Vec<Message>,
    ) -> Result<(), TransactError> {
        match self.commits {
            Commits::InOneStep => self.faults.call(self.engine.commit(&self.engine, writes, messages)).await,
            Commits::InTwoSteps => {
                self.transact(writes).await?;
                if messages.is_empty() {
                    return Ok(());
                }
                queue.send(messages).await.map_err(TransactError::Engine)
            }
        }
    }
}

#[async_trait]
impl Queue for FaultyPorts {
    async fn send(&self, messages: Vec<Message>) -> Result<(), PlatformError> {
        self.faults.call(self.engine.send(messages)).await
    }
}

#[async_trait]
impl Scheduler for FaultyPorts {
    async fn put(&self, wake_up: WakeUp) -> Result<(), PlatformError> {
        self.faults.call(self.engine.put(wake_up)).await
    }

    async fn delete(&self, name: &str) -> Result<(), PlatformError> {
        self.faults.call(self.engine.delete(name)).await
    }
}
