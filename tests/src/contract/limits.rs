//! What an item and its key may be.

use platform::table::MAX_ITEM_BYTES;
use platform::{Change, Condition, Consistency, Item, Key, PlatformError, Query, Updated, Value, Write};

use super::{A, Engine, assert_invalid, assert_too_large, engine_error, get, put};

/// An item of exactly `size` bytes by DynamoDB's count: "pk" + "p" + "sk" + "s" + "a" + the text.
fn sized(size: usize) -> Item {
    Item::new(Key::new("p", "s")).with("a", "x".repeat(size - 7))
}

/// The limit itself is allowed.
pub async fn an_item_of_400_kib_fits(engine: &dyn Engine) {
    put(engine, A, sized(MAX_ITEM_BYTES)).await;
    assert_eq!(get(engine, A, &Key::new("p", "s")).await, Some(sized(MAX_ITEM_BYTES)));
}

/// One byte more is not, whichever way it comes.
pub async fn a_larger_item_is_named_too_large(engine: &dyn Engine) {
    let over = sized(MAX_ITEM_BYTES + 1);
    let outcome = engine_error(engine.table().transact(vec![Write::put(A, over.clone())]).await);
    assert!(
        matches!(outcome, Err(PlatformError::TooLarge { size, limit: MAX_ITEM_BYTES, .. }) if size > MAX_ITEM_BYTES),
        "{outcome:?}"
    );
    assert_too_large(engine.table().batch_put(A, vec![over.clone()]).await);
    let text = over.attributes["a"].clone();
    assert_too_large(engine.table().update(A, &over.key, None, vec![Change::set("a", text)]).await);
    assert_eq!(get(engine, A, &over.key).await, None);
}

/// An update counts what it leaves behind, not what it brings.
pub async fn growing_beyond_the_limit_is_refused(engine: &dyn Engine) {
    let item = sized(MAX_ITEM_BYTES - 10);
    put(engine, A, item.clone()).await;
    let grow = vec![Change::set("b", "0123456789")];
    assert_too_large(engine.table().update(A, &item.key, None, grow.clone()).await);
    let outcome = engine.table().transact(vec![Write::update(A, item.key.clone(), grow)]).await;
    assert_too_large(engine_error(outcome));
    assert_eq!(get(engine, A, &item.key).await, Some(item.clone()));
    let fits = vec![Change::set("b", "012345678")];
    engine.table().update(A, &item.key, None, fits).await.unwrap();
}

/// In every call.
pub async fn empty_keys_are_invalid(engine: &dyn Engine) {
    for key in [Key::new("", "s"), Key::new("p", "")] {
        assert_invalid(engine.table().get(A, &key, Consistency::Strong).await);
        assert_invalid(engine.table().batch_get(A, std::slice::from_ref(&key), Consistency::Strong).await);
        assert_invalid(engine.table().update(A, &key, None, vec![]).await);
        assert_invalid(engine.table().batch_put(A, vec![Item::new(key.clone())]).await);
        assert_invalid(engine_error(engine.table().transact(vec![Write::delete(A, key)]).await));
    }
    assert_invalid(engine.table().query(A, Query::of("", 1)).await);
}

/// 2048 bytes of pk and 1024 of sk fit, one more does not.
pub async fn long_keys_are_too_large(engine: &dyn Engine) {
    let longest = Key::new("p".repeat(2048), "s".repeat(1024));
    put(engine, A, Item::new(longest.clone())).await;
    assert!(get(engine, A, &longest).await.is_some());
    for key in [Key::new("p".repeat(2049), "s"), Key::new("p", "s".repeat(1025))] {
        assert_too_large(engine_error(engine.table().transact(vec![Write::put(A, Item::new(key))]).await));
    }
}

/// Keys and names of any script, and of characters that mean something elsewhere.
pub async fn unicode_keys_and_names_come_back(engine: &dyn Engine) {
    let names = ["Zoë", "日本語", "🏔️", "a'b\"c;--", "%_\\", "e\u{301}", "é", "\u{7f}\n\t", "#:size"];
    for name in names {
        put(engine, A, Item::new(Key::new(name, name)).with(name, name)).await;
    }
    for name in names {
        let expected = Item::new(Key::new(name, name)).with(name, name);
        assert_eq!(get(engine, A, &expected.key).await, Some(expected), "{name:?}");
    }
}

/// Values at their ends.
pub async fn binary_and_extreme_values_come_back(engine: &dyn Engine) {
    let item = Item::new(Key::new("p", "s"))
        .with("all bytes", (0..=255).collect::<Vec<u8>>())
        .with("no bytes", Vec::new())
        .with("no text", "")
        .with("lowest", i64::MIN)
        .with("highest", i64::MAX)
        .with("zero", 0)
        .with("nul", "a\0b");
    put(engine, A, item.clone()).await;
    let stored = get(engine, A, &item.key).await.unwrap();
    assert_eq!(stored.attributes["no bytes"], Value::B(Vec::new()));
    assert_eq!(stored, item);
}

/// ("ab", "c") is not ("a", "bc").
pub async fn keys_differ_by_where_they_are_split(engine: &dyn Engine) {
    put(engine, A, Item::new(Key::new("ab", "c"))).await;
    assert_eq!(get(engine, A, &Key::new("a", "bc")).await, None);
    assert!(get(engine, A, &Key::new("ab", "c")).await.is_some());
}

/// What a field is called where it is stored is no attribute's concern.
pub async fn attributes_may_be_called_like_fields(engine: &dyn Engine) {
    let names = ["pk", "sk", "ttl", "due", "due_b", "due_at", "expires", "_pk", "__pk", "nothing"];
    let mut item = Item::new(Key::new("p", "s"));
    for (n, name) in (0..).zip(names) {
        item = item.with(name, n);
    }
    put(engine, A, item.clone()).await;
    assert_eq!(get(engine, A, &item.key).await, Some(item.clone()));
    for name in names {
        let condition = Some(Condition::equals(name, item.number(name).unwrap()));
        let add = vec![Change::add(name, 100)];
        let updated = engine.table().update(A, &item.key, condition, add).await.unwrap();
        item = item.clone().with(name, item.number(name).unwrap() + 100);
        assert_eq!(updated, Updated::New(item.clone()), "{name}");
    }
}
