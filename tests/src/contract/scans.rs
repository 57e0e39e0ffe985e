//! Walking a whole table in buckets.

use std::collections::{BTreeMap, BTreeSet};

use platform::{Change, Item, Key, Query, Scan, Write};

use super::{A, Engine, assert_invalid, numbered, put};

const PARTITIONS: usize = 300;

/// 300 partitions of one to three items.
async fn fill(engine: &dyn Engine) -> BTreeSet<Key> {
    let keys = |n: usize| (0..=n % 3).map(move |m| Key::new(format!("partition-{n}"), format!("item-{m}")));
    let all: BTreeSet<Key> = (0..PARTITIONS).flat_map(keys).collect();
    let items = all.iter().cloned().map(Item::new).collect();
    engine.table().batch_put(A, items).await.expect("a batch put");
    all
}

/// Walks one bucket.
async fn walk(engine: &dyn Engine, bucket: u32, of: u32, limit: usize) -> Vec<Key> {
    let mut found = Vec::new();
    let mut scan = Scan { bucket, of, after: None, limit };
    while next_page(engine, &mut scan, &mut found).await {}
    found
}

/// Reads one page of a walk; whether another follows.
async fn next_page(engine: &dyn Engine, scan: &mut Scan, found: &mut Vec<Key>) -> bool {
    let page = engine.table().scan(A, scan.clone()).await.expect("a scan");
    assert!(page.items.len() <= scan.limit);
    found.extend(page.items.into_iter().map(|item| item.key));
    scan.after = page.next;
    scan.after.is_some()
}

async fn all_once(engine: &dyn Engine, of: u32, limit: usize) {
    let all = fill(engine).await;
    let mut seen = BTreeSet::new();
    for bucket in 0..of {
        for key in walk(engine, bucket, of, limit).await {
            assert!(seen.insert(key.clone()), "{key:?} came twice");
        }
    }
    assert_eq!(seen, all);
}

/// One bucket is the table.
pub async fn one_bucket_is_everything(engine: &dyn Engine) {
    all_once(engine, 1, 7).await;
}

/// A number of buckets that divides nothing evenly.
pub async fn three_buckets_are_everything_once(engine: &dyn Engine) {
    all_once(engine, 3, 50).await;
}

/// As many buckets as a fan-out has shards.
pub async fn sixteen_buckets_are_everything_once(engine: &dyn Engine) {
    all_once(engine, 16, 4).await;
}

/// Rows of all kinds change: the one the cursor stands on, its neighbours, some far away; others come.
async fn edit(engine: &dyn Engine, last: &Key) {
    let grow = |key: Key| Write::update(A, key, vec![Change::set("edit", "x".repeat(2000))]);
    let far = (0..20).map(|n| Key::new(format!("partition-{}", n * 14 + 1), "item-0"));
    let mut writes: BTreeMap<Key, Write> = far.map(|key| (key.clone(), grow(key))).collect();
    writes.insert(last.clone(), grow(last.clone()));
    for new in [Key::new(last.pk.as_str(), "item-between"), Key::new(format!("new-{}", last.pk), "item")] {
        writes.insert(new.clone(), Write::put(A, Item::new(new)));
    }
    engine.table().transact(writes.into_values().collect()).await.expect("edits");
}

/// What is there throughout a walk comes exactly once, what comes meanwhile at most once.
pub async fn edits_during_a_walk_neither_skip_nor_repeat(engine: &dyn Engine) {
    let all = fill(engine).await;
    let mut times: BTreeMap<Key, usize> = BTreeMap::new();
    for bucket in 0..3 {
        let mut found = Vec::new();
        let mut scan = Scan { bucket, of: 3, after: None, limit: 5 };
        while next_page(engine, &mut scan, &mut found).await {
            edit(engine, found.last().expect("a page before another is not empty")).await;
        }
        for key in found {
            *times.entry(key).or_default() += 1;
        }
    }
    for key in &all {
        assert_eq!(times.get(key), Some(&1), "{key:?}");
    }
    assert!(times.values().all(|count| *count == 1), "an item that came meanwhile was seen twice");
}

/// What shares a pk shares a bucket.
pub async fn a_partition_stays_in_one_bucket(engine: &dyn Engine) {
    fill(engine).await;
    let mut bucket_of = BTreeMap::new();
    for bucket in 0..16 {
        for key in walk(engine, bucket, 16, 100).await {
            assert_eq!(*bucket_of.entry(key.pk).or_insert(bucket), bucket);
        }
    }
    assert_eq!(bucket_of.len(), PARTITIONS);
    assert_eq!(bucket_of.into_values().collect::<BTreeSet<_>>().len(), 16, "every bucket has its part");
}

/// Buckets are numbered from 0, and there are 4096 at most.
pub async fn a_bucket_that_is_not_there_is_invalid(engine: &dyn Engine) {
    let scan = |bucket, of, limit| Scan { bucket, of, after: None, limit };
    assert_invalid(engine.table().scan(A, scan(3, 3, 10)).await);
    assert_invalid(engine.table().scan(A, scan(0, 0, 10)).await);
    assert_invalid(engine.table().scan(A, scan(0, 3, 0)).await);
    assert!(engine.table().scan(A, scan(0, 4097, 10)).await.is_err());
    engine.table().scan(A, scan(4095, 4096, 10)).await.unwrap();
}

/// A cursor is a page's own.
pub async fn a_foreign_cursor_is_invalid(engine: &dyn Engine) {
    let scan = Scan { bucket: 0, of: 1, after: Some("nonsense".to_owned()), limit: 10 };
    assert_invalid(engine.table().scan(A, scan).await);
}

/// It would skip or repeat there.
pub async fn a_cursor_of_another_bucket_is_invalid(engine: &dyn Engine) {
    fill(engine).await;
    let scan = |bucket, after| Scan { bucket, of: 2, after, limit: 10 };
    let next = engine.table().scan(A, scan(0, None)).await.unwrap().next;
    assert!(next.is_some());
    assert_invalid(engine.table().scan(A, scan(1, next)).await);
}

/// Nothing comes of nothing.
pub async fn an_empty_table_has_no_pages(engine: &dyn Engine) {
    assert!(walk(engine, 0, 1, 10).await.is_empty());
    assert!(engine.table().query(A, Query::of("p", 10)).await.unwrap().items.is_empty());
}

/// Pages end inside a partition, and large items end pages early.
pub async fn large_partitions_are_walked_in_pages(engine: &dyn Engine) {
    let large = |n: usize| numbered("large", &format!("{n:02}"), 1).with("x", vec![7_u8; 200_000]);
    for n in 0..15 {
        put(engine, A, large(n)).await;
    }
    let found = walk(engine, 0, 1, 4).await;
    assert_eq!(found, (0..15).map(|n| large(n).key).collect::<Vec<_>>());
    let page = engine.table().scan(A, Scan { bucket: 0, of: 1, after: None, limit: 100 }).await.unwrap();
    assert!(page.items.len() < 15 && page.next.is_some(), "3 MB in one page");
}
