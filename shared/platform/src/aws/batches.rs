//! Reading and putting many items in few calls.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use tokio::task::JoinSet;

use super::failure::{Busy, DYNAMODB, complete, failure};
use super::item::{self, Stored, decode_live};
use super::{ATTEMPTS, Aws};
use crate::rules::size::{check_item, check_key, within};
use crate::table::MAX_BATCH_GET;
use crate::{Consistency, Item, Key, PlatformError, TableName};

/// The most items of one batch write.
const MAX_BATCH_PUT: usize = 25;
/// How many batch writes are under way at the same time.
const PUTS_AT_ONCE: usize = 4;

impl Aws {
    pub(super) async fn get_batch(
        &self,
        table: TableName,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        within("keys in a batch get", keys.len(), MAX_BATCH_GET)?;
        keys.iter().try_for_each(check_key)?;
        let name = self.inner.names.table_name(table)?;
        let mut seen = HashSet::with_capacity(keys.len());
        let mut wanted: Vec<Stored> = keys.iter().filter(|key| seen.insert(*key)).map(item::key).collect();
        let mut found = Vec::with_capacity(wanted.len());
        let mut idle = 0;
        while !wanted.is_empty() {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(consistency == Consistency::Strong);
            let output = self
                .inner
                .dynamodb
                .batch_get_item()
                .request_items(name, complete(request.build())?)
                .send()
                .await
                .map_err(|error| failure(DYNAMODB, error))?;
            let came = output.responses.and_then(|mut tables| tables.remove(name)).unwrap_or_default();
            let some_came = !came.is_empty();
            found.extend(decode_live(came, self.now_seconds())?);
            wanted = output
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(name))
                .map(|keys| keys.keys)
                .unwrap_or_default();
            // Large items come in several answers; only where nothing comes is the table too busy.
            if !wanted.is_empty() && !some_came {
                if idle == ATTEMPTS {
                    return Err(Busy::error(DYNAMODB, wanted.len(), "keys were not processed"));
                }
                self.pause(idle).await;
                idle += 1;
            }
        }
        Ok(found)
    }

    /// Of items with the same key the last is put, as if they were put in turn.
    pub(super) async fn put_batches(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        for item in &items {
            check_item(item)?;
        }
        let mut seen = HashSet::with_capacity(items.len());
        let mut items: Vec<Item> =
            items.into_iter().rev().filter(|item| seen.insert(item.key.clone())).collect();
        let name = self.inner.names.table_name(table)?;
        let mut under_way = JoinSet::new();
        while !items.is_empty() {
            let batch = items.split_off(items.len().saturating_sub(MAX_BATCH_PUT));
            if under_way.len() == PUTS_AT_ONCE {
                joined(under_way.join_next().await)?;
            }
            let (engine, name) = (self.clone(), name.to_owned());
            under_way.spawn(async move { engine.put_batch(&name, batch).await });
        }
        while let Some(outcome) = under_way.join_next().await {
            joined(Some(outcome))?;
        }
        Ok(())
    }

    async fn put_batch(&self, table: &str, items: Vec<Item>) -> Result<(), PlatformError> {
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item::encode(item)));
            left.push(WriteRequest::builder().put_request(complete(put.build())?).build());
        }
        let mut idle = 0;
        while !left.is_empty() {
            let before = left.len();
            let output = self
                .inner
                .dynamodb
                .batch_write_item()
                .set_request_items(Some(HashMap::from([(table.to_owned(), left)])))
                .send()
                .await
                .map_err(|error| failure(DYNAMODB, error))?;
            left = output.unprocessed_items.and_then(|mut tables| tables.remove(table)).unwrap_or_default();
            if !left.is_empty() {
                // What was not taken was too much for the moment, so that even progress calls for a pause.
                self.pause(idle).await;
                idle = if left.len() < before { 0 } else { idle + 1 };
                if idle == ATTEMPTS {
                    return Err(Busy::error(DYNAMODB, left.len(), "items were not processed"));
                }
            }
        }
        Ok(())
    }
}

fn joined(
    outcome: Option<Result<Result<(), PlatformError>, tokio::task::JoinError>>,
) -> Result<(), PlatformError> {
    match outcome {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(PlatformError::Unavailable { what: DYNAMODB, source: Box::new(error) }),
    }
}
