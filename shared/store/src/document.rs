//! Items that hold one JSON document and a revision: the shape of everything in the control table.

use platform::{Condition, Item, Key, Platform, Query, TableName, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::tables::CONTROL;

/// The attribute that holds the document, as JSON text in bytes.
pub(crate) const DOCUMENT: &str = "doc";
/// The attribute that counts changes.
pub(crate) const REVISION: &str = "rev";

/// A document and its revision, which is the ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// The document.
    pub value: T,
    /// Counts its changes from 1.
    pub revision: i64,
}

pub(crate) fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Corrupt { what, source: Some(source) })
}

pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, item: &Item) -> Result<T, StoreError> {
    let bytes = item.bytes(DOCUMENT).ok_or(StoreError::Corrupt { what, source: None })?;
    serde_json::from_slice(bytes).map_err(|source| StoreError::Corrupt { what, source: Some(source) })
}

pub(crate) fn revised<T: DeserializeOwned>(
    what: &'static str,
    item: &Item,
) -> Result<Revised<T>, StoreError> {
    Ok(Revised { value: decode(what, item)?, revision: item.number(REVISION).unwrap_or(0) })
}

/// A put of the document under the next revision, on condition that the stored revision is `revision` (0: not there).
pub(crate) fn put<T: Serialize>(
    table: TableName,
    what: &'static str,
    key: Key,
    value: &T,
    revision: i64,
) -> Result<Write, StoreError> {
    let item = Item::new(key).with(DOCUMENT, encode(what, value)?).with(REVISION, revision + 1);
    Ok(Write::put(table, item).when(at_revision(revision)))
}

/// The item is at this revision; 0 means that it is not there.
pub(crate) fn at_revision(revision: i64) -> Condition {
    if revision == 0 { Condition::NotExists } else { Condition::equals(REVISION, revision) }
}

/// A page of documents of one partition of the control table, and where to go on.
pub(crate) async fn list<T: DeserializeOwned>(
    platform: &Platform,
    what: &'static str,
    query: Query,
) -> Result<(Vec<Revised<T>>, Option<String>), StoreError> {
    let page = platform.table.query(CONTROL, query).await?;
    let values = page.items.iter().map(|item| revised(what, item)).collect::<Result<_, _>>()?;
    Ok((values, page.next))
}
