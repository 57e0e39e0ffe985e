//! Transactions: whole or not at all.

use platform::{Change, Condition, Item, Key, Write, WriteKind};

use super::{A, B, Engine, assert_invalid, assert_too_large, engine_error, failing, get, numbered, put};

fn key(name: &str) -> Key {
    Key::new(name, "s")
}

/// Puts, updates and deletes over two tables.
pub async fn all_writes_are_applied_over_tables(engine: &dyn Engine) {
    put(engine, A, numbered("updated", "s", 1)).await;
    put(engine, B, numbered("deleted", "s", 1)).await;
    let writes = vec![
        Write::put(A, numbered("put", "s", 1)).when(Condition::NotExists),
        Write::update(A, key("updated"), vec![Change::add("n", 1)]).when(Condition::equals("n", 1)),
        Write::update(B, key("created"), vec![Change::set("n", 9)]),
        Write::delete(B, key("deleted")).when(Condition::Exists),
        Write::check(B, key("absent"), Condition::NotExists),
    ];
    engine.table().transact(writes).await.unwrap();
    assert_eq!(get(engine, A, &key("put")).await, Some(numbered("put", "s", 1)));
    assert_eq!(get(engine, A, &key("updated")).await, Some(numbered("updated", "s", 2)));
    assert_eq!(get(engine, B, &key("created")).await, Some(numbered("created", "s", 9)));
    assert_eq!(get(engine, B, &key("deleted")).await, None);
    assert_eq!(get(engine, B, &key("absent")).await, None);
}

/// Writes before and after the failing one leave no trace.
pub async fn nothing_is_applied_where_one_condition_fails(engine: &dyn Engine) {
    put(engine, A, numbered("updated", "s", 1)).await;
    put(engine, B, numbered("deleted", "s", 1)).await;
    let writes = vec![
        Write::put(A, numbered("put", "s", 1)),
        Write::update(A, key("updated"), vec![Change::add("n", 1)]),
        Write::check(A, key("absent"), Condition::Exists),
        Write::delete(B, key("deleted")),
    ];
    assert_eq!(failing(engine.table().transact(writes).await), [2]);
    assert_eq!(get(engine, A, &key("put")).await, None);
    assert_eq!(get(engine, A, &key("updated")).await, Some(numbered("updated", "s", 1)));
    assert_eq!(get(engine, B, &key("deleted")).await, Some(numbered("deleted", "s", 1)));
}

/// All positions that failed, in order, and no other.
pub async fn every_failing_condition_is_named(engine: &dyn Engine) {
    put(engine, A, numbered("one", "s", 1)).await;
    let writes = vec![
        Write::put(A, numbered("one", "s", 2)).when(Condition::NotExists),
        Write::put(A, numbered("two", "s", 2)).when(Condition::NotExists),
        Write::update(A, key("three"), vec![Change::add("n", 1)]).when(Condition::Exists),
        Write::delete(B, key("four")).when(Condition::Exists),
        Write::check(B, key("five"), Condition::NotExists),
    ];
    assert_eq!(failing(engine.table().transact(writes).await), [0, 2, 3]);
    assert_eq!(get(engine, A, &key("two")).await, None);
}

/// A check that holds changes nothing.
pub async fn a_check_writes_nothing(engine: &dyn Engine) {
    put(engine, A, numbered("one", "s", 1)).await;
    let writes = vec![
        Write::check(A, key("one"), Condition::equals("n", 1)),
        Write::check(A, key("absent"), Condition::NotExists),
    ];
    engine.table().transact(writes).await.unwrap();
    assert_eq!(get(engine, A, &key("one")).await, Some(numbered("one", "s", 1)));
    assert_eq!(get(engine, A, &key("absent")).await, None);
}

/// A check of nothing makes no sense.
pub async fn a_check_without_condition_is_invalid(engine: &dyn Engine) {
    let write = Write { table: A, kind: WriteKind::Check(key("one")), condition: None };
    assert_invalid(engine_error(engine.table().transact(vec![write]).await));
}

/// One action an item, whatever the actions are.
pub async fn two_writes_of_one_item_are_invalid(engine: &dyn Engine) {
    let writes = vec![
        Write::put(A, numbered("one", "s", 1)),
        Write::put(A, numbered("two", "s", 1)),
        Write::check(A, key("one"), Condition::NotExists),
    ];
    assert_invalid(engine_error(engine.table().transact(writes).await));
    assert_eq!(get(engine, A, &key("one")).await, None);
    assert_eq!(get(engine, A, &key("two")).await, None);
}

/// Tables are apart.
pub async fn the_same_key_in_two_tables_is_two_items(engine: &dyn Engine) {
    let writes = vec![Write::put(A, numbered("one", "s", 1)), Write::put(B, numbered("one", "s", 2))];
    engine.table().transact(writes).await.unwrap();
    assert_eq!(get(engine, A, &key("one")).await.unwrap().number("n"), Some(1));
    assert_eq!(get(engine, B, &key("one")).await.unwrap().number("n"), Some(2));
}

fn many(count: usize) -> Vec<Write> {
    (0..count).map(|n| Write::put(A, Item::new(Key::new("many", format!("{n:03}"))))).collect()
}

/// The limit itself is allowed.
pub async fn a_hundred_writes_pass(engine: &dyn Engine) {
    engine.table().transact(many(100)).await.unwrap();
    assert!(get(engine, A, &Key::new("many", "099")).await.is_some());
}

/// One more is not, and nothing is written.
pub async fn a_hundred_and_one_are_too_many(engine: &dyn Engine) {
    assert_too_large(engine_error(engine.table().transact(many(101)).await));
    assert_eq!(get(engine, A, &Key::new("many", "000")).await, None);
}

/// A change that can't be made undoes the writes beside it.
pub async fn an_impossible_update_fails_the_whole(engine: &dyn Engine) {
    put(engine, A, Item::new(key("text")).with("n", "five")).await;
    let writes = vec![
        Write::put(A, numbered("one", "s", 1)),
        Write::update(A, key("text"), vec![Change::add("n", 1)]),
    ];
    assert_invalid(engine_error(engine.table().transact(writes).await));
    assert_eq!(get(engine, A, &key("one")).await, None);
}

/// No writes at all are fine.
pub async fn nothing_is_a_transaction_too(engine: &dyn Engine) {
    engine.table().transact(vec![]).await.unwrap();
}

/// A put leaves nothing of what was there.
pub async fn put_replaces_the_item_whole(engine: &dyn Engine) {
    let mut before = Item::new(key("one")).with("a", 1).with("b", 2);
    before.expires = Some(engine.now().as_second() + 1000);
    put(engine, A, before).await;
    put(engine, A, Item::new(key("one")).with("b", 3)).await;
    assert_eq!(get(engine, A, &key("one")).await, Some(Item::new(key("one")).with("b", 3)));
}

/// Deleting has no condition of its own.
pub async fn deleting_what_is_absent_is_fine(engine: &dyn Engine) {
    engine.table().transact(vec![Write::delete(A, key("absent"))]).await.unwrap();
}

/// Of each kind: what is true of many writes is true of one.
pub async fn one_write_alone_keeps_its_condition(engine: &dyn Engine) {
    put(engine, A, numbered("one", "s", 1)).await;
    let set = || vec![Change::set("n", 2)];
    let attempts = |n: i64| {
        [
            Write::check(A, key("one"), Condition::equals("n", n)),
            Write::update(A, key("one"), vec![Change::add("m", 1)]).when(Condition::equals("n", n)),
            Write::update(A, key("one"), set()).when(Condition::equals("n", n)),
            Write::put(A, numbered("one", "s", 3)).when(Condition::equals("n", n + 1)),
            Write::delete(A, key("one")).when(Condition::equals("n", n + 2)),
        ]
    };
    for write in attempts(5) {
        assert_eq!(failing(engine.table().transact(vec![write]).await), [0]);
        assert_eq!(get(engine, A, &key("one")).await, Some(numbered("one", "s", 1)));
    }
    let after = [
        Some(numbered("one", "s", 1)),
        Some(numbered("one", "s", 1).with("m", 1)),
        Some(numbered("one", "s", 2).with("m", 1)),
        Some(numbered("one", "s", 3)),
        None,
    ];
    for (write, after) in attempts(1).into_iter().zip(after) {
        engine.table().transact(vec![write]).await.unwrap();
        assert_eq!(get(engine, A, &key("one")).await, after);
    }
}
