//! Conditions, each against an item that is there and one that is not.

use platform::{Condition, Item, Key, Value, Write};

use super::{A, Engine, failing, put};

fn there() -> Key {
    Key::new("there", "item")
}

fn absent() -> Key {
    Key::new("absent", "item")
}

async fn prepare(engine: &dyn Engine) {
    put(engine, A, Item::new(there()).with("text", "blue").with("n", 5).with("bytes", vec![0, 255])).await;
}

async fn holds(engine: &dyn Engine, key: Key, condition: Condition) -> bool {
    let outcome = engine.table().transact(vec![Write::check(A, key, condition)]).await;
    if outcome.is_ok() {
        return true;
    }
    assert_eq!(failing(outcome), [0]);
    false
}

#[track_caller]
fn text(name: &str) -> String {
    name.to_owned()
}

/// The item is there or it is not.
pub async fn exists_and_not_exists(engine: &dyn Engine) {
    prepare(engine).await;
    assert!(holds(engine, there(), Condition::Exists).await);
    assert!(!holds(engine, absent(), Condition::Exists).await);
    assert!(!holds(engine, there(), Condition::NotExists).await);
    assert!(holds(engine, absent(), Condition::NotExists).await);
}

/// Equality is of kind and value, over texts, numbers and bytes.
pub async fn equals_compares_value_and_kind(engine: &dyn Engine) {
    prepare(engine).await;
    assert!(holds(engine, there(), Condition::equals("text", "blue")).await);
    assert!(!holds(engine, there(), Condition::equals("text", "Blue")).await);
    assert!(holds(engine, there(), Condition::equals("n", 5)).await);
    assert!(!holds(engine, there(), Condition::equals("n", "5")).await);
    assert!(holds(engine, there(), Condition::equals("bytes", vec![0, 255])).await);
    assert!(!holds(engine, there(), Condition::equals("bytes", vec![0])).await);
    assert!(!holds(engine, there(), Condition::equals("missing", "blue")).await);
    assert!(!holds(engine, absent(), Condition::equals("text", "blue")).await);
}

/// What is absent differs from everything.
pub async fn differs_holds_of_what_is_absent(engine: &dyn Engine) {
    prepare(engine).await;
    let differs = |name: &str, value: Value| Condition::Differs(text(name), value);
    assert!(!holds(engine, there(), differs("text", "blue".into())).await);
    assert!(holds(engine, there(), differs("text", "red".into())).await);
    assert!(holds(engine, there(), differs("n", "5".into())).await);
    assert!(holds(engine, there(), differs("missing", "blue".into())).await);
    assert!(holds(engine, absent(), differs("text", "blue".into())).await);
}

/// The bounds are outside, and only numbers have an order.
pub async fn below_and_above_want_a_number(engine: &dyn Engine) {
    prepare(engine).await;
    let below = |name: &str, bound| Condition::Below(text(name), bound);
    let above = |name: &str, bound| Condition::Above(text(name), bound);
    assert!(holds(engine, there(), below("n", 6)).await);
    assert!(!holds(engine, there(), below("n", 5)).await);
    assert!(holds(engine, there(), above("n", 4)).await);
    assert!(!holds(engine, there(), above("n", 5)).await);
    for name in ["text", "bytes", "missing"] {
        assert!(!holds(engine, there(), below(name, i64::MAX)).await, "{name}");
        assert!(!holds(engine, there(), above(name, i64::MIN)).await, "{name}");
    }
    assert!(!holds(engine, absent(), below("n", i64::MAX)).await);
}

/// The attribute is there or it is not.
pub async fn has_and_lacks(engine: &dyn Engine) {
    prepare(engine).await;
    assert!(holds(engine, there(), Condition::Has(text("bytes"))).await);
    assert!(!holds(engine, there(), Condition::Has(text("missing"))).await);
    assert!(!holds(engine, absent(), Condition::Has(text("text"))).await);
    assert!(!holds(engine, there(), Condition::Lacks(text("bytes"))).await);
    assert!(holds(engine, there(), Condition::Lacks(text("missing"))).await);
    assert!(holds(engine, absent(), Condition::Lacks(text("text"))).await);
}

/// Lists hold where all, or one, of their parts do.
pub async fn all_and_any_nest(engine: &dyn Engine) {
    prepare(engine).await;
    let yes = || Condition::equals("n", 5);
    let no = || Condition::equals("n", 6);
    assert!(holds(engine, there(), Condition::All(vec![Condition::Exists, yes()])).await);
    assert!(!holds(engine, there(), Condition::All(vec![yes(), no()])).await);
    assert!(holds(engine, there(), Condition::Any(vec![no(), yes()])).await);
    assert!(!holds(engine, there(), Condition::Any(vec![no(), no()])).await);
    let nested = Condition::Any(vec![
        Condition::All(vec![yes(), no()]),
        Condition::All(vec![yes(), Condition::Exists]),
    ]);
    assert!(holds(engine, there(), nested).await);
    let free_or_mine = || Condition::Any(vec![Condition::NotExists, Condition::equals("text", "blue")]);
    assert!(holds(engine, there(), free_or_mine()).await);
    assert!(holds(engine, absent(), free_or_mine()).await);
}

/// Neighbours, of the same partition or the same sort key, don't count.
pub async fn they_see_one_item_only(engine: &dyn Engine) {
    prepare(engine).await;
    assert!(!holds(engine, Key::new("there", "ite"), Condition::Exists).await);
    assert!(!holds(engine, Key::new("there", "item2"), Condition::Exists).await);
    assert!(!holds(engine, Key::new("ther", "item"), Condition::Exists).await);
}
