//! The [`Table`] port.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::catalog::{QueueEntry, TableEntry};
use super::readers::snapshot;
use super::rows::{self, Plan};
use super::writer::Step;
use super::{Embedded, pages, queue};
use crate::rules::change::check_changes;
use crate::rules::size::{check_item, check_key, within};
use crate::rules::{MAX_TRANSACTION_BYTES, check_due_bucket, check_limit, check_messages, check_writes};
use crate::table::MAX_BATCH_GET;
use crate::{
    Change, Condition, Consistency, Item, Key, Message, Page, PlatformError, Query, Queue, Scan, Table,
    TableName, TransactError, Updated, Write, WriteKind,
};

/// How many items of a batch put go into one job, so that others get their turn in between.
const PUT_CHUNK: usize = 250;

#[async_trait]
impl Table for Embedded {
    async fn get(&self, table: TableName, key: &Key, _: Consistency) -> Result<Option<Item>, PlatformError> {
        check_key(key)?;
        let table = self.table_entry(table).await?;
        let now = self.shared().now_seconds();
        self.read(|conn| Ok(rows::find(conn, &table, key, now)?.into_item()))
    }

    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        _: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        within("keys in a batch get", keys.len(), MAX_BATCH_GET)?;
        keys.iter().try_for_each(check_key)?;
        let table = self.table_entry(table).await?;
        let now = self.shared().now_seconds();
        let find = |conn: &Connection, key: &Key| Ok(rows::find(conn, &table, key, now)?.into_item());
        if let [key] = keys {
            return Ok(self.read(|conn| find(conn, key))?.into_iter().collect());
        }
        // In the order of the keys, so that it does not depend on a set's.
        let mut seen = HashSet::with_capacity(keys.len());
        let keys = keys.iter().filter(|key| seen.insert(*key));
        self.read(|conn| snapshot(conn, |conn| keys.filter_map(|key| find(conn, key).transpose()).collect()))
    }

    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        let table = self.table_entry(table).await?;
        let now = self.shared().now_seconds();
        self.read(|conn| pages::query(conn, &table, &query, now))
    }

    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        let table = self.table_entry(table).await?;
        let now = self.shared().now_seconds();
        self.read(|conn| pages::scan(conn, &table, &scan, now))
    }

    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        let table = self.table_entry(table).await?;
        self.read(|conn| rows::estimate(conn, &table))
    }

    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        check_limit(limit)?;
        check_due_bucket(bucket)?;
        let table = self.table_entry(table).await?;
        let now = self.shared().now_seconds();
        self.read(|conn| pages::due(conn, &table, bucket, until_ms, limit, now))
    }

    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        check_key(key)?;
        check_changes(&changes)?;
        let table = self.table_entry(table).await?;
        let key = key.clone();
        self.write_checked(move |step| {
            let kind = WriteKind::Update(key.clone(), changes);
            let now = step.shared.now_seconds();
            Ok(match rows::plan(step.conn, table, kind, condition.as_ref(), now)? {
                Plan::Refused(item) => Updated::Refused(item),
                // An update always leaves an item behind.
                Plan::Go(planned) => Updated::New(planned.carry_out(step)?.unwrap_or_else(|| Item::new(key))),
            })
        })
        .await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        let writes = self.prepare(writes).await?;
        if writes.is_empty() {
            return Ok(());
        }
        self.write_checked(move |step| carry_out(step, writes)).await
    }

    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        let sizes = items.iter().map(check_item).collect::<Result<Vec<_>, _>>()?;
        let table = self.table_entry(table).await?;
        let mut items = items.into_iter().zip(sizes);
        loop {
            let chunk: Vec<(Item, usize)> = items.by_ref().take(PUT_CHUNK).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            let table = Arc::clone(&table);
            self.write(move |step| -> Result<(), PlatformError> {
                chunk.iter().try_for_each(|(item, size)| rows::put(step, &table, item, *size))
            })
            .await?;
        }
    }

    /// One step where `queue` is this engine's own; otherwise the writes, then the messages.
    async fn commit(
        &self,
        queue: &dyn Queue,
        writes: Vec<Write>,
        messages: Vec<Message>,
    ) -> Result<(), TransactError> {
        if queue.store_id() != self.store_id() {
            self.transact(writes).await?;
            if !messages.is_empty() {
                queue.send(messages).await?;
            }
            return Ok(());
        }
        check_messages(&messages)?;
        let writes = self.prepare(writes).await?;
        let messages = self.address(messages).await?;
        if writes.is_empty() && messages.is_empty() {
            return Ok(());
        }
        self.write_checked(move |step| {
            carry_out(step, writes)?;
            queue::enqueue(step, &messages)?;
            Ok(())
        })
        .await
    }
}

/// A write with the table it goes to.
type Prepared = (Arc<TableEntry>, Write);

/// Messages with the queues they go to.
pub(super) type Addressed = Vec<(Arc<QueueEntry>, Message)>;

impl Embedded {
    pub(super) async fn table_entry(&self, table: TableName) -> Result<Arc<TableEntry>, PlatformError> {
        self.ensure(self.shared().catalog.table(table)).await
    }

    /// Checks what can be checked before anything is read.
    async fn prepare(&self, writes: Vec<Write>) -> Result<Vec<Prepared>, PlatformError> {
        check_writes(&writes)?;
        let mut prepared = Vec::with_capacity(writes.len());
        for write in writes {
            prepared.push((self.table_entry(write.table).await?, write));
        }
        Ok(prepared)
    }
}

/// Looks at every write first, so that all failing conditions are named and a refused transaction has written nothing.
fn carry_out(step: &mut Step<'_>, writes: Vec<Prepared>) -> Result<(), TransactError> {
    let now = step.shared.now_seconds();
    let mut planned = Vec::with_capacity(writes.len());
    let mut failing = Vec::new();
    let mut impossible = None;
    let mut bytes = 0;
    for (position, (table, write)) in writes.into_iter().enumerate() {
        match rows::plan(step.conn, table, write.kind, write.condition.as_ref(), now) {
            Ok(Plan::Go(plan)) => {
                bytes += plan.size;
                planned.push(plan);
            }
            Ok(Plan::Refused(_)) => failing.push(position),
            Err(error) => impossible = impossible.or(Some(error)),
        }
    }
    if let Some(error) = impossible {
        return Err(error.into());
    }
    if !failing.is_empty() {
        return Err(TransactError::ConditionFailed(failing));
    }
    within("transaction bytes", bytes, MAX_TRANSACTION_BYTES)?;
    for plan in planned {
        plan.carry_out(step)?;
    }
    Ok(())
}
