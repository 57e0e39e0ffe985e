//! Updates of one item.

use platform::{Change, Condition, Due, Item, Key, Updated, Value, Write};

use super::{A, Engine, assert_invalid, get, put};

fn key() -> Key {
    Key::new("p", "s")
}

async fn update(engine: &dyn Engine, condition: Option<Condition>, changes: Vec<Change>) -> Updated {
    engine.table().update(A, &key(), condition, changes).await.expect("an update")
}

/// An update without condition makes the item.
pub async fn an_absent_item_is_created(engine: &dyn Engine) {
    let expected = Item::new(key()).with("a", "x");
    assert_eq!(update(engine, None, vec![Change::set("a", "x")]).await, Updated::New(expected.clone()));
    assert_eq!(get(engine, A, &key()).await, Some(expected));
}

/// The answer is the item after all changes, untouched attributes included.
pub async fn the_new_item_is_returned(engine: &dyn Engine) {
    put(engine, A, Item::new(key()).with("a", "x").with("b", 1)).await;
    let updated = update(engine, Some(Condition::equals("b", 1)), vec![Change::set("b", 2)]).await;
    assert_eq!(updated, Updated::New(Item::new(key()).with("a", "x").with("b", 2)));
    assert_eq!(get(engine, A, &key()).await.unwrap().number("b"), Some(2));
}

/// The answer of a refused update is the item as it stays.
pub async fn a_refused_update_returns_the_old_item(engine: &dyn Engine) {
    let item = Item::new(key()).with("a", "x");
    put(engine, A, item.clone()).await;
    let updated = update(engine, Some(Condition::equals("a", "y")), vec![Change::set("a", "z")]).await;
    assert_eq!(updated, Updated::Refused(Some(item.clone())));
    assert_eq!(get(engine, A, &key()).await, Some(item));
}

/// A refused update of nothing makes nothing.
pub async fn a_refused_update_of_an_absent_item_returns_none(engine: &dyn Engine) {
    let updated = update(engine, Some(Condition::Exists), vec![Change::set("a", "z")]).await;
    assert_eq!(updated, Updated::Refused(None));
    assert_eq!(get(engine, A, &key()).await, None);
}

/// Every kind of change of an attribute.
pub async fn set_remove_and_add(engine: &dyn Engine) {
    put(engine, A, Item::new(key()).with("gone", "x").with("n", 5).with("kind", "text")).await;
    let changes = vec![
        Change::Remove("gone".to_owned()),
        Change::Remove("never there".to_owned()),
        Change::add("n", -7),
        Change::set("kind", vec![1, 2]),
    ];
    let expected = Item::new(key()).with("n", -2).with("kind", vec![1, 2]);
    assert_eq!(update(engine, None, changes).await, Updated::New(expected.clone()));
    assert_eq!(get(engine, A, &key()).await, Some(expected));
}

/// Adding begins at 0 where there is no attribute, or no item.
pub async fn add_counts_absent_as_zero(engine: &dyn Engine) {
    assert_eq!(
        update(engine, None, vec![Change::add("n", 3)]).await,
        Updated::New(Item::new(key()).with("n", 3))
    );
    let twice = Item::new(key()).with("n", 3).with("m", -1);
    assert_eq!(update(engine, None, vec![Change::add("m", -1)]).await, Updated::New(twice));
}

/// Text can't be added to, and the item stays as it is.
pub async fn adding_to_text_is_invalid(engine: &dyn Engine) {
    let item = Item::new(key()).with("n", "five").with("other", 1);
    put(engine, A, item.clone()).await;
    let changes = vec![Change::set("other", 2), Change::add("n", 1)];
    assert_invalid(engine.table().update(A, &key(), None, changes).await);
    assert_eq!(get(engine, A, &key()).await, Some(item));
}

/// Two changes of one attribute have no order, so they make no sense.
pub async fn one_attribute_can_not_change_twice(engine: &dyn Engine) {
    let changes = vec![Change::set("n", 2), Change::add("n", 1)];
    assert_invalid(engine.table().update(A, &key(), None, changes).await);
    assert_eq!(get(engine, A, &key()).await, None);
}

/// The fields beside the attributes change like them.
pub async fn due_and_expiry_are_set_and_removed(engine: &dyn Engine) {
    let due = Due { bucket: 3, at_ms: 1_000 };
    let expires = engine.now().as_second() + 1000;
    let changes = vec![Change::Due(Some(due)), Change::Expires(Some(expires)), Change::set("a", Value::N(1))];
    let Updated::New(item) = update(engine, None, changes).await else { panic!("it was refused") };
    assert_eq!((item.due, item.expires), (Some(due), Some(expires)));
    assert_eq!(get(engine, A, &key()).await, Some(item.clone()));

    // What an update does not name stays.
    let Updated::New(item) = update(engine, None, vec![Change::add("a", 1)]).await else {
        panic!("it was refused")
    };
    assert_eq!((item.due, item.expires, item.number("a")), (Some(due), Some(expires), Some(2)));

    update(engine, None, vec![Change::Due(None), Change::Expires(None)]).await;
    assert_eq!(get(engine, A, &key()).await, Some(Item::new(key()).with("a", 2)));
}

/// It counts as a write of an item with nothing in it, and changes none that is there; in a transaction too.
pub async fn an_update_without_changes_makes_the_item(engine: &dyn Engine) {
    assert_eq!(update(engine, None, vec![]).await, Updated::New(Item::new(key())));
    let there = Item::new(Key::new("p", "there")).with("a", 1).with("_", 1).with("nothing", 1);
    put(engine, A, there.clone()).await;
    let nothing = |key: Key| Write::update(A, key, vec![]);
    let absent = Key::new("p", "absent");
    engine.table().transact(vec![nothing(there.key.clone()), nothing(absent.clone())]).await.unwrap();
    assert_eq!(get(engine, A, &there.key).await, Some(there));
    assert_eq!(get(engine, A, &absent).await, Some(Item::new(absent)));
}
