//! Items past their expiry.

use std::time::Duration;

use platform::{Change, Condition, Consistency, Due, Item, Key, Query, Scan, Updated, Write};

use super::{A, Engine, failing, get, numbered, put};

fn key() -> Key {
    Key::new("p", "s")
}

/// Puts an item that is due and expires, and lets its expiry pass.
async fn expired(engine: &dyn Engine) {
    let mut item = Item::new(key()).with("old", 1);
    item.due = Some(Due { bucket: 2, at_ms: 0 });
    item.expires = Some(engine.now().as_second() + 5);
    put(engine, A, item.clone()).await;
    assert_eq!(get(engine, A, &key()).await, Some(item), "not expired yet");
    engine.advance(Duration::from_secs(6)).await;
}

/// No read shows it.
pub async fn an_expired_item_is_absent_from_every_read(engine: &dyn Engine) {
    expired(engine).await;
    let table = engine.table();
    put(engine, A, Item::new(Key::new("p", "z"))).await;
    assert_eq!(get(engine, A, &key()).await, None);
    let both = [key(), Key::new("p", "z")];
    assert_eq!(
        table.batch_get(A, &both, Consistency::Strong).await.unwrap(),
        [Item::new(Key::new("p", "z"))]
    );
    assert_eq!(table.query(A, Query::of("p", 1)).await.unwrap().items, [Item::new(Key::new("p", "z"))]);
    let scan = Scan { bucket: 0, of: 1, after: None, limit: 10 };
    assert_eq!(table.scan(A, scan).await.unwrap().items, [Item::new(Key::new("p", "z"))]);
    assert_eq!(table.query_due(A, 2, i64::MAX, 10).await.unwrap(), []);
}

/// No condition sees it.
pub async fn an_expired_item_is_absent_in_conditions(engine: &dyn Engine) {
    expired(engine).await;
    let check = |condition| Write::check(A, key(), condition);
    for condition in [Condition::Exists, Condition::equals("old", 1), Condition::Has("old".to_owned())] {
        assert_eq!(failing(engine.table().transact(vec![check(condition)]).await), [0]);
    }
    for condition in [
        Condition::NotExists,
        Condition::Lacks("old".to_owned()),
        Condition::Differs("old".to_owned(), 1.into()),
    ] {
        engine.table().transact(vec![check(condition)]).await.unwrap();
    }
    let others = vec![
        Write::update(A, key(), vec![Change::set("new", 1)]).when(Condition::equals("old", 1)),
        Write::check(A, Key::new("p", "other"), Condition::NotExists),
    ];
    assert_eq!(failing(engine.table().transact(others).await), [0]);
    let refused =
        engine.table().update(A, &key(), Some(Condition::Exists), vec![Change::add("old", 1)]).await;
    assert_eq!(refused.unwrap(), Updated::Refused(None));
    let anew = Item::new(key()).with("new", 1);
    engine.table().transact(vec![Write::put(A, anew.clone()).when(Condition::NotExists)]).await.unwrap();
    assert_eq!(get(engine, A, &key()).await, Some(anew));
}

/// Nothing of the expired item comes back, its expiry and due least of all.
pub async fn an_update_starts_an_expired_item_anew(engine: &dyn Engine) {
    expired(engine).await;
    let updated = engine.table().update(A, &key(), None, vec![Change::add("new", 1)]).await.unwrap();
    assert_eq!(updated, Updated::New(Item::new(key()).with("new", 1)));
    assert_eq!(get(engine, A, &key()).await, Some(Item::new(key()).with("new", 1)));
    assert_eq!(engine.table().query_due(A, 2, i64::MAX, 10).await.unwrap(), []);
}

/// A transaction's update does so too, with a condition that holds of an absent item and without one, beside other writes
/// and alone.
pub async fn a_transaction_starts_an_expired_item_anew(engine: &dyn Engine) {
    let other = || Key::new("p", "other");
    for n in 0..3 {
        let mut item = numbered("p", &format!("{n}"), 7).with("old", 1);
        item.due = Some(Due { bucket: 2, at_ms: 0 });
        item.expires = Some(engine.now().as_second() + 5);
        put(engine, A, item).await;
    }
    engine.advance(Duration::from_secs(6)).await;
    let later = engine.now().as_second() + 1000;
    let add = |n: &str| Write::update(A, Key::new("p", n), vec![Change::add("n", 1)]);
    let writes = vec![
        add("0").when(Condition::Lacks("old".to_owned())),
        Write::update(A, Key::new("p", "1"), vec![Change::add("n", 1), Change::Expires(Some(later))]),
        Write::put(A, Item::new(other())),
    ];
    engine.table().transact(writes).await.unwrap();
    engine.table().transact(vec![add("2")]).await.unwrap();
    assert!(get(engine, A, &other()).await.is_some());
    let mut items = engine.table().query(A, Query::of("p", 10)).await.unwrap().items;
    items.retain(|item| item.key != other());
    let mut expected: Vec<Item> = (0..3).map(|n| numbered("p", &format!("{n}"), 1)).collect();
    expected[1].expires = Some(later);
    assert_eq!(items, expected);
    assert_eq!(engine.table().query_due(A, 2, i64::MAX, 10).await.unwrap(), []);
}

/// The expiry counts as it is now.
pub async fn a_moved_expiry_keeps_the_item(engine: &dyn Engine) {
    let now = engine.now().as_second();
    let mut item = Item::new(key());
    item.expires = Some(now + 5);
    put(engine, A, item).await;
    let later = vec![Change::Expires(Some(now + 1000))];
    engine.table().update(A, &key(), Some(Condition::Exists), later).await.unwrap();
    engine.advance(Duration::from_secs(6)).await;
    assert!(get(engine, A, &key()).await.is_some());
}
