//! A table that is out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use platform::{
    Change, Condition, Consistency, Item, Key, Page, PlatformError, Query, Scan, Table, TableName,
    TransactError, Updated, Write,
};
use serde_json::json;
use store::{HashKey, Store};

use crate::app::TestApp;

/// A table that can be cut off.
struct CutOff {
    table: Arc<dyn Table>,
    is_cut: AtomicBool,
}

impl CutOff {
    fn check(&self) -> Result<(), PlatformError> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(PlatformError::Unavailable {
                what: "table",
                source: "connection to 10.0.0.1 refused".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Table for CutOff {
    async fn get(
        &self,
        table: TableName,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Item>, PlatformError> {
        self.check()?;
        self.table.get(table, key, consistency).await
    }
    async fn batch_get(
        &self,
        table: TableName,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Item>, PlatformError> {
        self.check()?;
        self.table.batch_get(table, keys, consistency).await
    }
    async fn query(&self, table: TableName, query: Query) -> Result<Page, PlatformError> {
        self.check()?;
        self.table.query(table, query).await
    }
    async fn scan(&self, table: TableName, scan: Scan) -> Result<Page, PlatformError> {
        self.check()?;
        self.table.scan(table, scan).await
    }
    async fn estimate(&self, table: TableName) -> Result<u64, PlatformError> {
        self.check()?;
        self.table.estimate(table).await
    }
    async fn query_due(
        &self,
        table: TableName,
        bucket: u8,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<Item>, PlatformError> {
        self.check()?;
        self.table.query_due(table, bucket, until_ms, limit).await
    }
    async fn update(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Condition>,
        changes: Vec<Change>,
    ) -> Result<Updated, PlatformError> {
        self.check()?;
        self.table.update(table, key, condition, changes).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        self.check()?;
        self.table.transact(writes).await
    }
    async fn batch_put(&self, table: TableName, items: Vec<Item>) -> Result<(), PlatformError> {
        self.check()?;
        self.table.batch_put(table, items).await
    }
}

#[tokio::test]
async fn while_the_table_is_out_of_reach_callers_are_told_to_come_back() {
    let mut app = TestApp::new().await;
    let mut platform = app.engine.platform();
    let table = Arc::new(CutOff { table: platform.table.clone(), is_cut: AtomicBool::new(false) });
    platform.table = table.clone();
    app.router = api::router(api::Context::new(Store::new(platform, HashKey([7; 32])), app.blob.clone()));
    app.get("/health").send().await.expect(200);
    app.get("/segments").send().await.expect(200);

    table.is_cut.store(true, Ordering::Relaxed);
    let body = json!({ "name": "l", "kind": "list" });
    for call in [
        app.get("/health"),
        app.get("/segments"),
        app.post("/segments").json(&body),
        app.post("/segments").header("idempotency-key", "k").json(&body),
        app.post("/profiles/import").csv("email\na@x.io\n"),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.headers["retry-after"], "2");
        let problem = answer.problem(503, "unavailable");
        assert!(!problem.to_string().contains("10.0.0.1"), "{problem}");
    }
    // Nothing that failed is remembered as the answer.
    table.is_cut.store(false, Ordering::Relaxed);
    app.post("/segments").header("idempotency-key", "k").json(&body).send().await.expect(201);
}
