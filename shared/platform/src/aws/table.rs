//! The [`Table`] port on DynamoDB, and its calls for one item.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::expression::{self, Placeholders};
use super::failure::{Busy, DYNAMODB, failure};
use super::item::{self, is_expired};
use super::{ATTEMPTS, Aws};
use crate::rules::change::{apply, check_changes, holds};
use crate::rules::size::{check_item, check_key};
use crate::rules::{check_messages, check_writes};
use crate::{
    Change, Condition, Consistency, Item, Key, Message, Page, PlatformError, Query, Queue, Scan, Table,
    TableName, TransactError, Updated, Write,
};

/// What became of a write that was sent.
pub(super) enum Sent {
    /// It was applied; the item as it is now, if there is one.
    Applied(Option<Item>),
    /// Its condition did not hold; the item as it is, expired or not, where the call asks for it.
    Refused(Option<Item>),
    /// A transaction had the item.
    Conflict,
}

#[async_trait]
impl Table for Aws {
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Item>, PlatformError> {
        check_key(key)?;
        let output = self
            .inner
            .dynamodb
            .get_item()
            .table_name(self.inner.names.table_name(table)?)
            .set_key(Some(item::key(key)))
            .consistent_read(consistency == Consistency::Strong)
            .send()
            .await
            .map_err(|error| failure(DYNAMODB, error))?;
        let item = output.item.map(item::decode).transpose()?;
        let now = self.now_seconds();
        Ok(item.filter(|item| !is_expired(item, now)))
    }

    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        self.get_batch(table, keys, consistency).await
    }

    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        self.query_page(table, query).await
    }

    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        self.scan_page(table, scan).await
    }

    /// As DynamoDB counted it last, some six hours ago at most.
    #[cfg(feature = "estimates")]
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        let described = self
            .inner
            .dynamodb
            .describe_table()
            .table_name(self.inner.names.table_name(table)?)
            .send()
            .await
            .map_err(|error| failure(DYNAMODB, error))?;
        let items = described.table.and_then(|table| table.item_count).unwrap_or(0);
        Ok(u64::try_from(items).unwrap_or(0))
    }

    #[cfg(not(feature = "estimates"))]
    async fn estimate(&self, _: TableName) -> Result<u64, PlatformError> {
        Err(PlatformError::Invalid("this program is built without estimates".to_owned()))
    }

    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        self.due_items(table, bucket, until_ms, limit).await
    }

    /// An expired item is never updated, for its old attributes would live on. It is refused by the update's condition,
    /// and where the caller's condition holds of an absent item, a put takes its place.
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        check_key(key)?;
        check_changes(&changes)?;
        let name = self.inner.names.table_name(table)?;
        let condition = condition.as_ref();
        for attempt in 0..ATTEMPTS {
            let now = self.now_seconds();
            match self.send_update(name, key, condition, &changes, now).await? {
                Sent::Applied(item) => {
                    return Ok(Updated::New(item.unwrap_or_else(|| Item::new(key.clone()))));
                }
                Sent::Refused(Some(old)) if is_expired(&old, now) => {
                    if condition.is_some_and(|condition| !holds(condition, None)) {
                        return Ok(Updated::Refused(None));
                    }
                    let item = anew(key, &changes)?;
                    let mut with = Placeholders::default();
                    let nothing = expression::nothing_there(now, &mut with);
                    if let Sent::Applied(_) = self.send_put(name, item.clone(), Some((nothing, with))).await?
                    {
                        return Ok(Updated::New(item));
                    }
                }
                Sent::Refused(old) => return Ok(Updated::Refused(old)),
                Sent::Conflict => {}
            }
            self.pause(attempt).await;
        }
        Err(Busy::error(DYNAMODB, 1, "others kept writing the item"))
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        check_writes(&writes)?;
        match writes.as_slice() {
            [] => Ok(()),
            [write] => self.write_alone(write).await,
            _ => self.write_together(&writes).await,
        }
    }

    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        self.put_batches(table, items).await
    }

    /// The writes, then the messages.
    async fn commit(
        &self,
        queue: &dyn Queue,
        writes: Vec<Write>,
        messages: Vec<Message>,
    ) -> Result<(), TransactError> {
        check_messages(&messages)?;
        self.transact(writes).await?;
        if messages.is_empty() {
            return Ok(());
        }
        Ok(queue.send(messages).await?)
    }
}

/// The item that the changes make out of nothing.
pub(super) fn anew(key: &Key, changes: &[Change]) -> Result<Item, PlatformError> {
    let mut item = Item::new(key.clone());
    apply(&mut item, changes.to_vec())?;
    check_item(&item)?;
    Ok(item)
}

impl Aws {
    async fn send_update(
        &self,
        table: &str,
        key: &Key,
        condition: Option<&Condition>,
        changes: &[Change],
        now: i64,
    ) -> Result<Sent, PlatformError> {
        let mut with = Placeholders::default();
        let condition = expression::update_condition(condition, now, &mut with);
        let changes = expression::changes(changes, &mut with);
        let sent = self
            .inner
            .dynamodb
            .update_item()
            .table_name(table)
            .set_key(Some(item::key(key)))
            .condition_expression(condition)
            .set_update_expression(changes)
            .set_expression_attribute_names(with.names())
            .set_expression_attribute_values(with.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Sent::Applied(output.attributes.map(item::decode).transpose()?)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Sent::Refused(refused.item.clone().map(item::decode).transpose()?))
                }
                Some(UpdateItemError::TransactionConflictException(_)) => Ok(Sent::Conflict),
                _ => Err(failure(DYNAMODB, error)),
            },
        }
    }

    pub(super) async fn send_put(
        &self,
        table: &str,
        item: Item,
        condition: Option<(String, Placeholders)>,
    ) -> Result<Sent, PlatformError> {
        let (condition, with) = condition.unzip();
        let with = with.unwrap_or_default();
        let sent = self
            .inner
            .dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(item::encode(item)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(with.names())
            .set_expression_attribute_values(with.values())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Sent::Applied(None)),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Sent::Refused(None)),
                Some(PutItemError::TransactionConflictException(_)) => Ok(Sent::Conflict),
                _ => Err(failure(DYNAMODB, error)),
            },
        }
    }

    pub(super) async fn send_delete(
        &self,
        table: &str,
        key: &Key,
        condition: Option<(String, Placeholders)>,
    ) -> Result<Sent, PlatformError> {
        let (condition, with) = condition.unzip();
        let with = with.unwrap_or_default();
        let sent = self
            .inner
            .dynamodb
            .delete_item()
            .table_name(table)
            .set_key(Some(item::key(key)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(with.names())
            .set_expression_attribute_values(with.values())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Sent::Applied(None)),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(Sent::Refused(None)),
                Some(DeleteItemError::TransactionConflictException(_)) => Ok(Sent::Conflict),
                _ => Err(failure(DYNAMODB, error)),
            },
        }
    }
}
