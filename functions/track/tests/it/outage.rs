//! A table that is out of reach, or says nothing: whoever visits gets what they came for.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use platform::{
    Change, Clock, Condition, Consistency, Item, Key, Page, PlatformError, Query, Scan, SystemClock, Table,
    TableName, TransactError, Updated, Write,
};
use store::{HashKey, Store};

use crate::world::{ANN, BASE, World};

const TARGET: &str = "https://shop.example.com/";

#[derive(Debug, Clone, Copy)]
enum State {
    Reached,
    Cut,
    Silent,
}

struct Troubled {
    table: Arc<dyn Table>,
    state: Mutex<State>,
}

impl Troubled {
    async fn check(&self) -> Result<(), PlatformError> {
        let state = *self.state.lock().unwrap();
        match state {
            State::Reached => Ok(()),
            State::Cut => {
                Err(PlatformError::Unavailable { what: "table", source: "connection refused".into() })
            }
            State::Silent => pending().await,
        }
    }
}

#[async_trait]
impl Table for Troubled {
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Item>, PlatformError> {
        self.check().await?;
        self.table.get(table, key, consistency).await
    }
    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        self.check().await?;
        self.table.batch_get(table, keys, consistency).await
    }
    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        self.check().await?;
        self.table.query(table, query).await
    }
    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        self.check().await?;
        self.table.scan(table, scan).await
    }
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        self.check().await?;
        self.table.estimate(table).await
    }
    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        self.check().await?;
        self.table.query_due(table, bucket, until_ms, limit).await
    }
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        self.check().await?;
        self.table.update(table, key, condition, changes).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        self.check().await?;
        self.table.transact(writes).await
    }
    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        self.check().await?;
        self.table.batch_put(table, items).await
    }
}

/// Waiting is over at once.
#[derive(Default)]
struct Impatient {
    /// How much later it is than it was, in seconds.
    later: AtomicU64,
}

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + Duration::from_secs(self.later.load(Ordering::Relaxed))
    }
    async fn sleep(&self, _: Duration) {}
}

/// Whether the keys were read while the table was reached.
#[derive(PartialEq)]
enum Keys {
    Known,
    /// So long ago that they are to be read again.
    Lapsed,
    Unknown,
}

/// The same campaign, over a table in this state.
async fn troubled(state: State, keys: &Keys) -> World {
    let mut world = World::new(None).await;
    let mut platform = world.store.platform.clone();
    let table = Arc::new(Troubled { table: platform.table.clone(), state: Mutex::new(State::Reached) });
    platform.table = table.clone();
    let clock = Arc::new(Impatient::default());
    platform.clock = clock.clone();
    let store = Store::new(platform, HashKey([7; 32])).with_public_url(BASE);
    if *keys != Keys::Unknown {
        store.links.keys().await.unwrap();
    }
    if *keys == Keys::Lapsed {
        clock.later.store(3600, Ordering::Relaxed);
    }
    world.serve(store);
    *table.state.lock().unwrap() = state;
    world
}

#[tokio::test]
async fn a_click_leads_on_and_a_picture_is_one_where_nothing_can_be_counted() {
    let states = [State::Cut, State::Silent].into_iter();
    for (state, keys) in states.flat_map(|state| [(state, Keys::Known), (state, Keys::Lapsed)]) {
        let world = troubled(state, &keys).await;
        let click = world.get(&world.click(ANN, 0, TARGET)).await;
        assert_eq!((click.status.as_u16(), click.header("location")), (302, TARGET), "{state:?}");
        let open = world.get(&world.open(ANN)).await;
        assert_eq!((open.status.as_u16(), open.header("content-type")), (200, "image/gif"), "{state:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_checked_is_not_followed_but_can_be_tried_again() {
    let world = troubled(State::Cut, &Keys::Unknown).await;
    let open = world.get(&world.open(ANN)).await;
    assert_eq!((open.status.as_u16(), open.header("content-type")), (200, "image/gif"));
    for path in [world.click(ANN, 0, TARGET), world.unsubscribe(ANN), world.view(ANN)] {
        let answer = world.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
        answer.assert_is_plain_page();
    }
}

#[tokio::test]
async fn who_could_not_be_unsubscribed_is_not_told_that_they_are() {
    let world = troubled(State::Cut, &Keys::Known).await;
    let answer = world.post(&world.unsubscribe(ANN), "List-Unsubscribe=One-Click").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    answer.assert_is_plain_page();
}
