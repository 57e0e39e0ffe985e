//! Finding items by when they want to be looked at.

use platform::{Change, Due, Item, Key, Write};

use super::{A, B, Engine, assert_invalid, put};

async fn put_due(engine: &dyn Engine, name: &str, bucket: u8, at_ms: i64) {
    let mut item = Item::new(Key::new(name, "s")).with("name", name);
    item.due = Some(Due { bucket, at_ms });
    put(engine, A, item).await;
}

async fn due(engine: &dyn Engine, bucket: u8, until_ms: i64) -> Vec<String> {
    let items = engine.table().query_due(A, bucket, until_ms, 100).await.expect("a due query");
    items.into_iter().map(|item| item.key.pk).collect()
}

/// By instant, whatever the order of the keys.
pub async fn the_earliest_comes_first(engine: &dyn Engine) {
    for (name, at_ms) in [("a", 300), ("b", 100), ("c", 200), ("d", -50)] {
        put_due(engine, name, 1, at_ms).await;
    }
    assert_eq!(due(engine, 1, 1000).await, ["d", "b", "c", "a"]);
}

/// The instant itself is included, later ones are not, and the items come whole.
pub async fn only_what_is_due_comes(engine: &dyn Engine) {
    for (name, at_ms) in [("a", 100), ("b", 101)] {
        put_due(engine, name, 1, at_ms).await;
    }
    put(engine, A, Item::new(Key::new("never", "s"))).await;
    assert!(due(engine, 1, 99).await.is_empty());
    assert_eq!(due(engine, 1, 100).await, ["a"]);
    let items = engine.table().query_due(A, 1, 100, 10).await.unwrap();
    let mut expected = Item::new(Key::new("a", "s")).with("name", "a");
    expected.due = Some(Due { bucket: 1, at_ms: 100 });
    assert_eq!(items, [expected]);
}

/// Buckets, and tables, don't mix.
pub async fn buckets_are_apart(engine: &dyn Engine) {
    for bucket in 0..16 {
        put_due(engine, &format!("item-{bucket}"), bucket, 100).await;
    }
    for bucket in 0..16 {
        assert_eq!(due(engine, bucket, 100).await, [format!("item-{bucket}")]);
    }
    assert_eq!(engine.table().query_due(B, 0, 100, 10).await.unwrap(), []);
}

/// To another instant and another bucket.
pub async fn an_update_moves_it(engine: &dyn Engine) {
    put_due(engine, "a", 1, 100).await;
    let later = Change::Due(Some(Due { bucket: 2, at_ms: 500 }));
    engine.table().update(A, &Key::new("a", "s"), None, vec![later]).await.unwrap();
    assert!(due(engine, 1, 1000).await.is_empty());
    assert!(due(engine, 2, 499).await.is_empty());
    assert_eq!(due(engine, 2, 500).await, ["a"]);
    // A change of something else leaves it where it is.
    engine.table().update(A, &Key::new("a", "s"), None, vec![Change::set("b", 1)]).await.unwrap();
    assert_eq!(due(engine, 2, 500).await, ["a"]);
}

/// By a change, and by deleting the item.
pub async fn removing_due_or_the_item_removes_it(engine: &dyn Engine) {
    for name in ["a", "b", "c"] {
        put_due(engine, name, 1, 100).await;
    }
    engine.table().update(A, &Key::new("a", "s"), None, vec![Change::Due(None)]).await.unwrap();
    engine.table().transact(vec![Write::delete(A, Key::new("b", "s"))]).await.unwrap();
    assert_eq!(due(engine, 1, 1000).await, ["c"]);
}

/// A put replaces due like all the rest.
pub async fn a_put_without_due_removes_it(engine: &dyn Engine) {
    put_due(engine, "a", 1, 100).await;
    put(engine, A, Item::new(Key::new("a", "s"))).await;
    assert!(due(engine, 1, 1000).await.is_empty());
}

/// The earliest ones, and no more than asked for.
pub async fn the_limit_holds(engine: &dyn Engine) {
    for n in 0..20 {
        put_due(engine, &format!("{n}"), 1, 100 - n).await;
    }
    let items = engine.table().query_due(A, 1, 1000, 3).await.unwrap();
    let instants: Vec<i64> = items.iter().filter_map(|item| item.due).map(|due| due.at_ms).collect();
    assert_eq!(instants, [81, 82, 83]);
}

/// There are sixteen.
pub async fn a_bucket_out_of_range_is_invalid(engine: &dyn Engine) {
    assert_invalid(engine.table().query_due(A, 16, 0, 10).await);
    let mut item = Item::new(Key::new("a", "s"));
    item.due = Some(Due { bucket: 16, at_ms: 0 });
    assert_invalid(engine.table().batch_put(A, vec![item]).await);
}
