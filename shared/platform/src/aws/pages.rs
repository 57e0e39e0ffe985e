//! Pages: of a partition, of a scan's segment, of what is due.

use std::cmp::Ordering;
use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::Aws;
use super::expression::Placeholders;
use super::failure::{DYNAMODB, failure};
use super::item::{self, Stored, decode_live, number};
use crate::rules::size::{DUE_AT, DUE_BUCKET, PK, SK, check_pk};
use crate::rules::{check_due_bucket, check_limit, check_scan};
use crate::table::MAX_BATCH_GET;
use crate::{Consistency, Due, Item, Key, Page, PlatformError, Query, Range, Scan, TableName};

/// The index over `due_b` and `due_at`.
const DUE_INDEX: &str = "due";

impl Aws {
    /// Reads on where all that a page holds is expired, so that an empty page is the last.
    pub(super) async fn query_page(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        check_pk(&query.pk)?;
        check_limit(query.limit)?;
        let Some(mut start) = start(&query) else {
            return Ok(Page::default());
        };
        let mut with = Placeholders::default();
        let Some(condition) = key_condition(&query, &mut with) else {
            return Ok(Page::default());
        };
        let request = self
            .inner
            .dynamodb
            .query()
            .table_name(self.inner.names.table_name(table)?)
            .key_condition_expression(condition)
            .set_expression_attribute_names(with.names())
            .set_expression_attribute_values(with.values())
            .scan_index_forward(!query.descending)
            .consistent_read(query.consistency == Consistency::Strong)
            .limit(page_size(query.limit));
        loop {
            let output = request
                .clone()
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| failure(DYNAMODB, error))?;
            let items = decode_live(output.items.unwrap_or_default(), self.now_seconds())?;
            start = output.last_evaluated_key;
            if !items.is_empty() || start.is_none() {
                let next = start.map(|mut key| item::take_key(&mut key)).transpose()?;
                return Ok(Page { items, next: next.map(|key| key.sk) });
            }
        }
    }

    /// A bucket is a segment of DynamoDB's parallel scan: it cuts by the partition key's hash, so that an item stays in its
    /// segment for as long as there are as many.
    pub(super) async fn scan_page(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        check_scan(&scan)?;
        let mut start = scan.after.as_deref().map(|cursor| read_cursor(cursor, table, &scan)).transpose()?;
        let segment = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let request = self
            .inner
            .dynamodb
            .scan()
            .table_name(self.inner.names.table_name(table)?)
            .segment(segment(scan.bucket))
            .total_segments(segment(scan.of))
            .limit(page_size(scan.limit));
        loop {
            let output = request
                .clone()
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| failure(DYNAMODB, error))?;
            let items = decode_live(output.items.unwrap_or_default(), self.now_seconds())?;
            start = output.last_evaluated_key;
            if !items.is_empty() || start.is_none() {
                let next =
                    start.map(|mut key| cursor(item::take_key(&mut key)?, table, &scan)).transpose()?;
                return Ok(Page { items, next });
            }
        }
    }

    /// The index knows the keys and may be a moment behind; the items are read from the table, strongly, and those that
    /// are no longer due are left out.
    pub(super) async fn due_items(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        check_limit(limit)?;
        check_due_bucket(bucket)?;
        let mut with = Placeholders::default();
        let (name, value) = (with.field(DUE_BUCKET), with.value(number(i64::from(bucket))));
        let (at, until) = (with.field(DUE_AT), with.value(number(until_ms)));
        let request = self
            .inner
            .dynamodb
            .query()
            .table_name(self.inner.names.table_name(table)?)
            .index_name(DUE_INDEX)
            .key_condition_expression(format!("{name} = {value} AND {at} <= {until}"))
            .set_expression_attribute_names(with.names())
            .set_expression_attribute_values(with.values());
        let is_due = |due: Due| due.bucket == bucket && due.at_ms <= until_ms;
        let mut seen = HashSet::new();
        let mut due: Vec<Item> = Vec::new();
        let mut start = None;
        loop {
            let output = request
                .clone()
                .limit(page_size((limit - due.len()).min(MAX_BATCH_GET)))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| failure(DYNAMODB, error))?;
            let mut keys = Vec::new();
            for mut stored in output.items.unwrap_or_default() {
                let key = item::take_key(&mut stored)?;
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
            let items = self.get_batch(table, &keys, Consistency::Strong).await?;
            due.extend(items.into_iter().filter(|item| item.due.is_some_and(is_due)));
            start = output.last_evaluated_key;
            if due.len() >= limit || start.is_none() {
                due.sort_by_key(|item| item.due.map(|due| due.at_ms));
                return Ok(due);
            }
        }
    }
}

fn page_size(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

/// Where the query begins: `None` where it is past its end already, `Some(None)` where it begins at the range's own start.
/// DynamoDB refuses a start outside the range.
fn start(query: &Query) -> Option<Option<Stored>> {
    let Some(after) = &query.after else {
        return Some(None);
    };
    let place = match &query.range {
        // No key is empty, so this is before them all.
        _ if after.is_empty() => Ordering::Less,
        Range::All => Ordering::Equal,
        Range::Prefix(prefix) if after.starts_with(prefix.as_str()) => Ordering::Equal,
        Range::Prefix(prefix) => after.cmp(prefix),
        Range::Between(first, _) if after < first => Ordering::Less,
        Range::Between(_, last) if after > last => Ordering::Greater,
        Range::Between(..) => Ordering::Equal,
    };
    match (place, query.descending) {
        (Ordering::Equal, _) => Some(Some(item::key(&Key::new(query.pk.as_str(), after.as_str())))),
        (Ordering::Less, false) | (Ordering::Greater, true) => Some(None),
        (Ordering::Less, true) | (Ordering::Greater, false) => None,
    }
}

/// The query's keys; `None` where no key can be in its range.
fn key_condition(query: &Query, with: &mut Placeholders) -> Option<String> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (pk, value) = (with.field(PK), with.value(text(&query.pk)));
    let mut condition = format!("{pk} = {value}");
    let range = match &query.range {
        Range::All => return Some(condition),
        Range::Prefix(prefix) if prefix.is_empty() => return Some(condition),
        Range::Prefix(prefix) => {
            let (sk, prefix) = (with.field(SK), with.value(text(prefix)));
            format!("begins_with({sk}, {prefix})")
        }
        Range::Between(first, last) if first > last || last.is_empty() => return None,
        Range::Between(first, last) if first.is_empty() => {
            let (sk, last) = (with.field(SK), with.value(text(last)));
            format!("{sk} <= {last}")
        }
        Range::Between(first, last) => {
            let (sk, first, last) = (with.field(SK), with.value(text(first)), with.value(text(last)));
            format!("{sk} BETWEEN {first} AND {last}")
        }
    };
    condition.push_str(" AND ");
    condition.push_str(&range);
    Some(condition)
}

/// A scan's cursor: the last key, and of which walk it is, for in another one it would skip or repeat.
#[derive(Serialize, Deserialize)]
struct Cursor<'a>(&'a str, u32, u32, String, String);

fn cursor(key: Key, table: TableName, scan: &Scan) -> Result<String, PlatformError> {
    serde_json::to_string(&Cursor(table.0, scan.bucket, scan.of, key.pk, key.sk))
        .map_err(|error| PlatformError::Corrupt(error.to_string()))
}

fn read_cursor(cursor: &str, table: TableName, scan: &Scan) -> Result<Stored, PlatformError> {
    match serde_json::from_str(cursor) {
        Ok(Cursor(name, bucket, of, pk, sk)) if (name, bucket, of) == (table.0, scan.bucket, scan.of) => {
            Ok(item::key(&Key { pk, sk }))
        }
        Ok(_) => Err(PlatformError::Invalid("the cursor is of another bucket".to_owned())),
        Err(_) => Err(PlatformError::Invalid("the cursor is not one of a scan".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(after: &str, descending: bool) -> Query {
        let query = Query { descending, ..Query::of("p", 1) };
        query.prefix("CHUNK#").after(Some(after.to_owned()))
    }

    #[test]
    fn a_start_outside_the_range_is_its_beginning_or_its_end() {
        assert!(matches!(start(&Query::of("p", 1)), Some(None)));
        assert!(matches!(start(&prefixed("CHUNK#7", false)), Some(Some(_))));
        assert!(matches!(start(&prefixed("A", false)), Some(None)));
        assert!(start(&prefixed("A", true)).is_none());
        assert!(start(&prefixed("D", false)).is_none());
        assert!(matches!(start(&prefixed("D", true)), Some(None)));
        assert!(matches!(start(&prefixed("", false)), Some(None)));
    }

    #[test]
    fn a_range_without_keys_asks_nothing() {
        let between = |first: &str, last: &str| {
            let range = Range::Between(first.to_owned(), last.to_owned());
            key_condition(&Query { range, ..Query::of("p", 1) }, &mut Placeholders::default())
        };
        assert_eq!(between("b", "a"), None);
        assert_eq!(between("", ""), None);
        assert_eq!(between("", "a").as_deref(), Some("#0 = :0 AND #1 <= :1"));
        assert_eq!(between("a", "a").as_deref(), Some("#0 = :0 AND #1 BETWEEN :1 AND :2"));
    }

    #[test]
    fn a_cursor_is_of_one_table_and_one_bucket() {
        let scan = |bucket| Scan { bucket, of: 3, after: None, limit: 1 };
        let (one, other) = (TableName("one"), TableName("other"));
        let cursor = cursor(Key::new("p \"é\"", "s"), one, &scan(2)).unwrap();
        assert_eq!(read_cursor(&cursor, one, &scan(2)).unwrap(), item::key(&Key::new("p \"é\"", "s")));
        for wrong in [read_cursor(&cursor, one, &scan(1)), read_cursor(&cursor, other, &scan(2))] {
            assert!(matches!(wrong, Err(PlatformError::Invalid(_))));
        }
    }
}
