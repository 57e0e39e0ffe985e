//! Items under (pk, sk) keys with DynamoDB's semantics.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Message, PlatformError, Queue, TransactError};

/// The largest item, key and attribute names included: DynamoDB's 400 KB.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// The most writes in a transaction.
pub const MAX_TRANSACTION: usize = 100;
/// The most keys in a batch get.
pub const MAX_BATCH_GET: usize = 100;
/// How many buckets the `due` index has.
pub const DUE_BUCKETS: u8 = 16;

/// A table by its logical name; each engine knows what it is called in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName(pub &'static str);

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Text.
    S(String),
    /// A whole number.
    N(i64),
    /// Bytes.
    B(Vec<u8>),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::S(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::S(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::N(value)
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::B(value)
    }
}

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Partition key: items that share it lie together, ordered by `sk`.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// The key (pk, sk). Neither may be empty.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// When an item wants to be looked at, for [`Table::query_due`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// 0 to 15, so that the index does not become one hot partition.
    pub bucket: u8,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// An item. Its attributes hold neither the key, nor `due`, nor the expiry: these have their own fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is.
    pub key: Key,
    /// What it holds.
    pub attributes: BTreeMap<String, Value>,
    /// When it wants to be looked at.
    pub due: Option<Due>,
    /// Seconds since the Unix epoch from which on it counts as absent, in conditions too.
    pub expires: Option<i64>,
}

impl Item {
    /// An item without attributes.
    pub fn new(key: Key) -> Self {
        Self { key, attributes: BTreeMap::new(), due: None, expires: None }
    }

    /// The same item with one attribute set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// The text of an attribute, if it is there and text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::S(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of an attribute, if it is there and a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Value::N(number)) => Some(*number),
            _ => None,
        }
    }

    /// The bytes of an attribute, if it is there and bytes.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.attributes.get(name) {
            Some(Value::B(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was acknowledged before.
    Strong,
    /// May be a moment behind, at half the price.
    Eventual,
}

/// What must hold of the item as stored (an absent item has no attributes) for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The item is there.
    Exists,
    /// The item is not there (or its TTL is past).
    NotExists,
    /// The attribute is there and equals this.
    Equals(String, Value),
    /// The attribute is not there, or differs from this.
    Differs(String, Value),
    /// The attribute is a number below this. False where it is absent.
    Below(String, i64),
    /// The attribute is a number above this. False where it is absent.
    Above(String, i64),
    /// The attribute is there.
    Has(String),
    /// The attribute is not there.
    Lacks(String),
    /// All of them.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
}

impl Condition {
    /// The attribute equals this value.
    pub fn equals(name: &str, value: impl Into<Value>) -> Self {
        Self::Equals(name.to_owned(), value.into())
    }
}

/// One change of an update. An update of an absent item creates it, as in DynamoDB: give a condition where it must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets an attribute.
    Set(String, Value),
    /// Removes an attribute.
    Remove(String),
    /// Adds to a number (absent counts as 0).
    Add(String, i64),
    /// Sets or removes `due`.
    Due(Option<Due>),
    /// Sets or removes the expiry.
    Expires(Option<i64>),
}

impl Change {
    /// Sets an attribute.
    pub fn set(name: &str, value: impl Into<Value>) -> Self {
        Self::Set(name.to_owned(), value.into())
    }

    /// Adds to a number.
    pub fn add(name: &str, by: i64) -> Self {
        Self::Add(name.to_owned(), by)
    }
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteKind {
    /// Replaces the item whole (the key is the item's own).
    Put(Item),
    /// Changes attributes of the item at the key.
    Update(Key, Vec<Change>),
    /// Removes the item.
    Delete(Key),
    /// Only checks the condition.
    Check(Key),
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// In which table.
    pub table: TableName,
    /// What.
    pub kind: WriteKind,
    /// Under which condition.
    pub condition: Option<Condition>,
}

impl Write {
    /// Puts an item.
    pub fn put(table: TableName, item: Item) -> Self {
        Self { table, kind: WriteKind::Put(item), condition: None }
    }

    /// Updates an item.
    pub fn update(table: TableName, key: Key, changes: Vec<Change>) -> Self {
        Self { table, kind: WriteKind::Update(key, changes), condition: None }
    }

    /// Deletes an item.
    pub fn delete(table: TableName, key: Key) -> Self {
        Self { table, kind: WriteKind::Delete(key), condition: None }
    }

    /// Checks a condition.
    pub fn check(table: TableName, key: Key, condition: Condition) -> Self {
        Self { table, kind: WriteKind::Check(key), condition: Some(condition) }
    }

    /// The same write under a condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The key it writes.
    pub fn key(&self) -> &Key {
        match &self.kind {
            WriteKind::Put(item) => &item.key,
            WriteKind::Update(key, _) | WriteKind::Delete(key) | WriteKind::Check(key) => key,
        }
    }
}

/// What an update did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    /// It was applied; this is the item as it is now.
    New(Item),
    /// The condition did not hold; this is the item as it is, if there is one.
    Refused(Option<Item>),
}

/// Which sort keys of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// All.
    All,
    /// Those that begin with this.
    Prefix(String),
    /// From the first to the second, both included.
    Between(String, String),
}

/// A page of one partition, in the order of the sort keys (bytes of their UTF-8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The partition.
    pub pk: String,
    /// Which of its items.
    pub range: Range,
    /// Only what comes after this sort key in the direction of reading (a page's `next`).
    pub after: Option<String>,
    /// From the last sort key to the first.
    pub descending: bool,
    /// At most so many items; a page may be shorter and still have a `next`.
    pub limit: usize,
    /// How fresh.
    pub consistency: Consistency,
}

impl Query {
    /// The first page of a whole partition, ascending, strongly consistent.
    pub fn of(pk: impl Into<String>, limit: usize) -> Self {
        Self {
            pk: pk.into(),
            range: Range::All,
            after: None,
            descending: false,
            limit,
            consistency: Consistency::Strong,
        }
    }

    /// Only sort keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.range = Range::Prefix(prefix.into());
        self
    }

    /// Continues after a page's `next`.
    #[must_use]
    pub fn after(mut self, next: Option<String>) -> Self {
        self.after = next;
        self
    }
}

/// A page of one fixed bucket of a whole table. An item never changes its bucket, and within a bucket the order is
/// fixed, so a walk sees each item that was there throughout exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Which bucket, 0 to `of - 1`.
    pub bucket: u32,
    /// Of how many, 1 to 4096.
    pub of: u32,
    /// A page's `next`.
    pub after: Option<String>,
    /// At most so many items.
    pub limit: usize,
}

/// Some items, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Give this back as `after` for what follows; `None` at the end.
    pub next: Option<String>,
}

/// The state of everything.
#[async_trait]
pub trait Table: Send + Sync {
    /// The item at `key`, if it is there.
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Item>, PlatformError>;

    /// The items at `keys` that are there, in no order. Doubled keys are read once; more than [`MAX_BATCH_GET`] is
    /// [`PlatformError::TooLarge`].
    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Item>, PlatformError>;

    /// A page of one partition.
    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError>;

    /// A page of a table's bucket; not ordered by key.
    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError>;

    /// About how many items the table holds; may be hours old on AWS.
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError>;

    /// Items of this due bucket whose instant is at or before `until_ms`, the earliest first. On AWS an item that was
    /// written a moment ago may be missing.
    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError>;

    /// Changes one item on a condition.
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError>;

    /// Applies up to [`MAX_TRANSACTION`] writes over several tables, whole or not at all, at most one an item.
    ///
    /// # Errors
    /// [`TransactError::ConditionFailed`] names the writes whose conditions did not hold.
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError>;

    /// Puts any number of items without conditions; on an error some may have been put.
    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError>;

    /// [`Table::transact`], then [`Queue::send`]. An engine that holds both does it in one step.
    async fn commit(
        &self,
        queue: &dyn Queue,
        writes: Vec<Write>,
        messages: Vec<Message>,
    ) -> Result<(), TransactError> {
        self.transact(writes).await?;
        if messages.is_empty() {
            return Ok(());
        }
        queue.send(messages).await.map_err(TransactError::Engine)
    }
}
