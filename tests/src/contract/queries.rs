//! Pages of a partition.

use platform::{Change, Item, Key, Query, Range, Write};

use super::{A, Engine, assert_invalid, numbered, put};

async fn fill(engine: &dyn Engine, pk: &str, sks: &[String]) {
    let items = sks.iter().map(|sk| Item::new(Key::new(pk, sk.as_str()))).collect();
    engine.table().batch_put(A, items).await.expect("a batch put");
}

fn hundred() -> Vec<String> {
    (0..100).map(|n| format!("{n:03}")).collect()
}

/// Walks all pages of a query and returns the sort keys in the order they came.
async fn walk(engine: &dyn Engine, query: Query) -> Vec<String> {
    let mut found = Vec::new();
    let mut query = query;
    loop {
        let page = engine.table().query(A, query.clone()).await.expect("a query");
        assert!(page.items.len() <= query.limit);
        found.extend(page.items.into_iter().map(|item| item.key.sk));
        assert!(found.len() <= 1000, "the walk goes round in circles: {found:?}");
        if page.next.is_none() {
            return found;
        }
        query.after = page.next;
    }
}

/// Whatever the size of the page.
pub async fn ascending_pages_give_all_in_order(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    for limit in [1, 7, 50, 100, 1000] {
        assert_eq!(walk(engine, Query::of("p", limit)).await, hundred(), "limit {limit}");
    }
}

/// The same backwards.
pub async fn descending_pages_give_all_in_order(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    let expected: Vec<String> = hundred().into_iter().rev().collect();
    for limit in [1, 7, 100] {
        let query = Query { descending: true, ..Query::of("p", limit) };
        assert_eq!(walk(engine, query).await, expected, "limit {limit}");
    }
}

fn prefixed() -> Vec<String> {
    ["CHUNK", "CHUNK#1", "CHUNK#2", "CHUNK\u{10FFFF}", "CHUNL", "CHUN"].map(str::to_owned).to_vec()
}

/// A prefix takes what begins with it, itself included.
pub async fn a_prefix_selects(engine: &dyn Engine) {
    fill(engine, "p", &prefixed()).await;
    let found = walk(engine, Query::of("p", 2).prefix("CHUNK")).await;
    assert_eq!(found, ["CHUNK", "CHUNK#1", "CHUNK#2", "CHUNK\u{10FFFF}"]);
    assert_eq!(walk(engine, Query::of("p", 2).prefix("CHUNK#")).await, ["CHUNK#1", "CHUNK#2"]);
    assert!(walk(engine, Query::of("p", 2).prefix("X")).await.is_empty());
}

/// The same backwards.
pub async fn a_prefix_selects_descending_over_pages(engine: &dyn Engine) {
    fill(engine, "p", &prefixed()).await;
    let query = Query { descending: true, ..Query::of("p", 1).prefix("CHUNK") };
    assert_eq!(walk(engine, query).await, ["CHUNK\u{10FFFF}", "CHUNK#2", "CHUNK#1", "CHUNK"]);
}

fn between(first: &str, last: &str, limit: usize) -> Query {
    Query { range: Range::Between(first.to_owned(), last.to_owned()), ..Query::of("p", limit) }
}

/// Both ends belong to the range, whether or not an item lies there.
pub async fn between_includes_both_ends(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    assert_eq!(walk(engine, between("010", "013", 100)).await, ["010", "011", "012", "013"]);
    assert_eq!(walk(engine, between("0105", "0125", 100)).await, ["011", "012"]);
    assert_eq!(walk(engine, between("098", "zzz", 100)).await, ["098", "099"]);
    let backwards = Query { descending: true, ..between("010", "012", 100) };
    assert_eq!(walk(engine, backwards).await, ["012", "011", "010"]);
}

/// Paging stays inside the range, in both directions, also where a page ends at an end of the range.
pub async fn between_goes_on_after_a_cursor(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    for limit in [1, 2] {
        assert_eq!(walk(engine, between("010", "014", limit)).await, ["010", "011", "012", "013", "014"]);
        let backwards = Query { descending: true, ..between("010", "014", limit) };
        assert_eq!(walk(engine, backwards).await, ["014", "013", "012", "011", "010"]);
    }
}

/// Nothing lies between an end and what comes before it, nor before everything.
pub async fn ranges_without_keys_are_empty(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    assert!(walk(engine, between("020", "010", 10)).await.is_empty());
    assert!(walk(engine, between("", "", 10)).await.is_empty());
    assert_eq!(walk(engine, between("", "002", 10)).await, ["000", "001", "002"]);
    assert_eq!(walk(engine, Query::of("p", 100).prefix("")).await, hundred());
}

/// Whichever of the two lies in the direction of reading.
pub async fn a_cursor_outside_the_range_is_its_beginning_or_its_end(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    let after = |query: Query, sk: &str, descending| Query { descending, ..query.after(Some(sk.to_owned())) };
    for query in [between("010", "012", 10), between("01", "0125", 10)] {
        assert_eq!(walk(engine, after(query.clone(), "00", false)).await, ["010", "011", "012"]);
        assert!(walk(engine, after(query.clone(), "00", true)).await.is_empty());
        assert!(walk(engine, after(query.clone(), "02", false)).await.is_empty());
        assert_eq!(walk(engine, after(query, "02", true)).await, ["012", "011", "010"]);
    }
    let prefix = || Query::of("p", 10).prefix("09");
    let all: Vec<String> = (90..100).map(|n| format!("{n:03}")).collect();
    assert_eq!(walk(engine, after(prefix(), "05", false)).await, all);
    assert!(walk(engine, after(prefix(), "05", true)).await.is_empty());
    assert!(walk(engine, after(prefix(), "1", false)).await.is_empty());
    assert_eq!(walk(engine, after(prefix(), "098", false)).await, ["099"]);
}

/// Partitions with similar names don't mix.
pub async fn partitions_are_apart(engine: &dyn Engine) {
    for pk in ["p", "p2", "P", "q"] {
        put(engine, A, numbered(pk, &format!("of {pk}"), 1)).await;
    }
    assert_eq!(walk(engine, Query::of("p", 10)).await, ["of p"]);
    assert!(walk(engine, Query::of("none", 10)).await.is_empty());
}

/// Not by letters, case or length.
pub async fn the_order_is_that_of_utf8_bytes(engine: &dyn Engine) {
    let sks = ["a", "B", "é", "z", "aa", "Z", "🏔", "\u{FFFD}", "10", "9", "\u{1}"].map(str::to_owned);
    fill(engine, "p", &sks).await;
    let mut expected = sks.to_vec();
    expected.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    assert_eq!(walk(engine, Query::of("p", 3)).await, expected);
}

/// A cursor is only given where it may lead on; at worst it leads to an empty page.
pub async fn a_page_that_ends_at_the_last_item_has_no_next(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    let page = engine.table().query(A, Query::of("p", 101)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (100, None));
    let after = Query::of("p", 10).after(Some("099".to_owned()));
    let page = engine.table().query(A, after).await.unwrap();
    assert_eq!((page.items.len(), page.next), (0, None));
}

/// Rows are rewritten, added behind and removed ahead between the pages.
pub async fn editing_the_rows_neither_skips_nor_repeats(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    let mut query = Query::of("p", 10);
    let mut found = Vec::new();
    for round in 0.. {
        let page = engine.table().query(A, query.clone()).await.unwrap();
        found.extend(page.items.into_iter().map(|item| item.key.sk));
        let mut writes: Vec<Write> = (0..20)
            .map(|n| {
                Write::update(
                    A,
                    Key::new("p", format!("{:03}", n * 5)),
                    vec![Change::set("edit", "x".repeat(500))],
                )
            })
            .collect();
        writes.push(Write::put(A, numbered("p", &format!("000-{round}"), 1)));
        engine.table().transact(writes).await.unwrap();
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    assert_eq!(found, hundred());
}

/// A cursor is a place, not an item.
pub async fn removing_the_row_of_the_cursor_does_no_harm(engine: &dyn Engine) {
    fill(engine, "p", &hundred()).await;
    let page = engine.table().query(A, Query::of("p", 10)).await.unwrap();
    let removed = vec![Write::delete(A, Key::new("p", "009")), Write::delete(A, Key::new("p", "010"))];
    engine.table().transact(removed).await.unwrap();
    let page = engine.table().query(A, Query::of("p", 2).after(page.next)).await.unwrap();
    let sks: Vec<&str> = page.items.iter().map(|item| item.key.sk.as_str()).collect();
    assert_eq!(sks, ["011", "012"]);
}

/// It would never come to an end.
pub async fn a_limit_of_zero_is_invalid(engine: &dyn Engine) {
    assert_invalid(engine.table().query(A, Query::of("p", 0)).await);
}

/// A page may be cut by its size, and the walk still finds all.
pub async fn large_items_come_in_several_pages(engine: &dyn Engine) {
    let sks = &hundred()[..20];
    let items =
        sks.iter().map(|sk| Item::new(Key::new("p", sk.as_str())).with("x", "x".repeat(300_000))).collect();
    engine.table().batch_put(A, items).await.unwrap();
    assert_eq!(walk(engine, Query::of("p", 100)).await, sks);
    let page = engine.table().query(A, Query::of("p", 100)).await.unwrap();
    assert!(page.items.len() < 20 && page.next.is_some(), "6 MB in one page");
}
