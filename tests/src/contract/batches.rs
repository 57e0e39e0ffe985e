//! Reading and writing many items at once.

use std::collections::BTreeSet;

use platform::{Consistency, Item, Key};

use super::{A, Engine, assert_too_large, get, numbered, put};

fn key(n: usize) -> Key {
    Key::new(format!("p{n}"), "s")
}

async fn fill(engine: &dyn Engine, count: usize) {
    let items = (0..count).map(|n| Item::new(key(n))).collect();
    engine.table().batch_put(A, items).await.expect("a batch put");
}

/// What is absent is left out.
pub async fn batch_get_reads_what_is_there(engine: &dyn Engine) {
    fill(engine, 10).await;
    let keys: Vec<Key> = (5..15).map(key).collect();
    for consistency in [Consistency::Strong, Consistency::Eventual] {
        let found = engine.table().batch_get(A, &keys, consistency).await.unwrap();
        let found: BTreeSet<Key> = found.into_iter().map(|item| item.key).collect();
        assert_eq!(found, (5..10).map(key).collect());
    }
    assert_eq!(engine.table().batch_get(A, &[], Consistency::Strong).await.unwrap(), []);
}

/// A doubled key gives one item.
pub async fn batch_get_reads_doubled_keys_once(engine: &dyn Engine) {
    fill(engine, 2).await;
    let keys = [key(1), key(0), key(1), key(1)];
    assert_eq!(engine.table().batch_get(A, &keys, Consistency::Strong).await.unwrap().len(), 2);
}

/// A hundred, and not one more.
pub async fn batch_get_takes_a_hundred_keys(engine: &dyn Engine) {
    fill(engine, 101).await;
    let keys: Vec<Key> = (0..101).map(key).collect();
    assert_eq!(engine.table().batch_get(A, &keys[..100], Consistency::Strong).await.unwrap().len(), 100);
    assert_too_large(engine.table().batch_get(A, &keys, Consistency::Strong).await);
}

/// More than any engine takes in one request.
pub async fn batch_put_takes_any_number(engine: &dyn Engine) {
    fill(engine, 1001).await;
    for n in [0, 500, 1000] {
        assert_eq!(get(engine, A, &key(n)).await, Some(Item::new(key(n))));
    }
    engine.table().batch_put(A, vec![]).await.unwrap();
}

/// Whole, like every put.
pub async fn batch_put_replaces(engine: &dyn Engine) {
    put(engine, A, numbered("p0", "s", 1).with("old", 1)).await;
    engine.table().batch_put(A, vec![numbered("p0", "s", 2)]).await.unwrap();
    assert_eq!(get(engine, A, &key(0)).await, Some(numbered("p0", "s", 2)));
}

/// As if they were put in turn.
pub async fn batch_put_puts_the_last_of_a_key(engine: &dyn Engine) {
    let items = (0..60).map(|n| numbered(&format!("p{}", n % 2), "s", n)).collect();
    engine.table().batch_put(A, items).await.unwrap();
    for n in [0, 1] {
        assert_eq!(get(engine, A, &key(n)).await.unwrap().number("n"), Some(58 + i64::try_from(n).unwrap()));
    }
}

/// An item that can't be put is found before any is.
pub async fn a_batch_with_an_impossible_item_is_refused(engine: &dyn Engine) {
    let large = Item::new(key(1)).with("x", "x".repeat(500_000));
    assert_too_large(engine.table().batch_put(A, vec![Item::new(key(0)), large]).await);
    assert_eq!(get(engine, A, &key(0)).await, None);
}

/// It may be hours old on AWS, so only its order of magnitude counts, and that it is not above what was ever there.
pub async fn the_estimate_is_near(engine: &dyn Engine) {
    let before = engine.table().estimate(A).await.unwrap();
    assert!(before <= 10, "{before} of an empty table");
    fill(engine, 500).await;
    let estimate = engine.table().estimate(A).await.unwrap();
    assert!(estimate <= 1000, "{estimate} of 500");
}
