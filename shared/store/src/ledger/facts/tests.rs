use std::sync::Arc;

use campaign::{ExecutionId, ProfileId};
use platform::embedded::Embedded;
use platform::{Clock, Query, Range, SystemClock};

use super::*;
use crate::ledger::{Begins, NewChunk};
use crate::tables;

const CHUNK: ChunkKey =
    ChunkKey { execution: ExecutionId::from_bytes([7; 16]), shard: 3, action: 1, number: 12 };

/// A ledger with the chunk in it.
async fn ledger() -> (Embedded, Ledger) {
    let engine = Embedded::in_memory(Arc::new(SystemClock));
    let ledger = Ledger::new(engine.platform());
    let members = vec![ProfileId::from_bytes([1; 16]); 50];
    let new = NewChunk { key: CHUNK, members, begins: Begins::AtOnce };
    let writes = chunk::first_writes(vec![new], SystemClock.now().as_second());
    engine.platform().table.transact(writes).await.unwrap();
    (engine, ledger)
}

/// The counters, by the end of their sort key and name.
async fn counters(engine: &Embedded, kind: &str) -> BTreeMap<String, i64> {
    let query = Query {
        range: Range::Prefix(kind.to_owned()),
        ..Query::of(tables::counters(CHUNK.execution, CHUNK.shard), 1000)
    };
    let page = engine.platform().table.query(LEDGER, query).await.unwrap();
    let mut counted = BTreeMap::new();
    for item in page.items {
        for (name, value) in &item.attributes {
            let platform::Value::N(value) = value else { panic!("a number") };
            if *value != 0 {
                *counted.entry(format!("{} {name}", item.key.sk)).or_default() += *value;
            }
        }
    }
    counted
}

fn told(member: u8, fact: Fact, minute: Minute) -> Told {
    Told { member, fact, minute }
}

#[tokio::test]
async fn what_is_told_is_counted_once_in_its_minute() {
    let (engine, ledger) = ledger().await;
    let events = [told(0, Fact::Delivered, 61), told(1, Fact::SoftBounced, 62), told(0, Fact::Delivered, 61)];
    let news = ledger.tell(CHUNK, &events).await.unwrap();
    assert_eq!(news.facts, [(0, Fact::Delivered), (1, Fact::SoftBounced)]);
    assert_eq!(ledger.tell(CHUNK, &events).await.unwrap(), News::default());
    let news = ledger.tell(CHUNK, &[told(1, Fact::HardBounced, 125)]).await.unwrap();
    assert_eq!(news.facts, [(1, Fact::HardBounced)]);
    let late = ledger.tell(CHUNK, &[told(1, Fact::SoftBounced, 60)]).await.unwrap();
    assert_eq!(late, News::default(), "a lesser fate says nothing new");
    let expected = [("E#01#00000001#4 f3m1", 1), ("E#01#00000002#4 f4m5", 1)];
    assert_eq!(counters(&engine, "E#").await, expected.map(|(key, n)| (key.to_owned(), n)).into());
    let facts = ledger.facts(CHUNK).await.unwrap();
    assert_eq!((facts.of(0).fate(), facts.of(1).fate()), (Some(Fact::Delivered), Some(Fact::HardBounced)));
}

#[tokio::test]
async fn a_hundred_opens_at_once_are_one_unique() {
    let (engine, ledger) = ledger().await;
    let visit = Visit { member: 9, fact: Fact::Opened, link: None, minute: 60 };
    let visits = (0..100).map(|_| ledger.visit(CHUNK, visit));
    let news: Vec<_> = futures::future::join_all(visits).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(news.iter().filter(|news| !news.facts.is_empty()).count(), 1);
    let counted = counters(&engine, "E#").await;
    assert_eq!(counted["E#01#00000001#4 f10m0"], 1);
    assert_eq!(counted["E#01#00000001#4 v10m0"], 100);
}

#[tokio::test]
async fn a_links_visitors_are_counted_apart_by_person_and_program() {
    let (engine, ledger) = ledger().await;
    let visit =
        |member, fact, link| ledger.visit(CHUNK, Visit { member, fact, link: Some(link), minute: 60 });
    for (member, fact, link) in [
        (9, Fact::Clicked, 0),
        (9, Fact::Clicked, 0),
        (9, Fact::Clicked, 2),
        (49, Fact::Clicked, 0),
        (49, Fact::MachineClicked, 0),
    ] {
        visit(member, fact, link).await.unwrap();
    }
    assert_eq!(ledger.link_visitors(CHUNK, 0).await.unwrap(), (2, 1));
    assert_eq!(ledger.link_visitors(CHUNK, 2).await.unwrap(), (1, 0));
    let links = counters(&engine, "L#").await;
    assert_eq!(links["L#01#00000001#00000#4 f12"], 2);
    assert_eq!(links["L#01#00000001#00000#4 v12"], 3);
    assert_eq!(links["L#01#00000001#00000#4 f13"], 1);
    assert_eq!(links["L#01#00000001#00002#4 v12"], 1);
    assert_eq!(counters(&engine, "E#").await["E#01#00000001#4 f12m0"], 2);
}

#[tokio::test]
async fn of_a_chunk_that_is_forgotten_nothing_is_counted_anew() {
    let (engine, ledger) = ledger().await;
    let gone = ChunkKey { number: 13, ..CHUNK };
    let visit = Visit { member: 9, fact: Fact::Clicked, link: Some(1), minute: 60 };
    assert_eq!(ledger.visit(gone, visit).await.unwrap(), News::default());
    assert_eq!(ledger.tell(gone, &[told(0, Fact::Delivered, 61)]).await.unwrap(), News::default());
    assert!(counters(&engine, "E#").await.is_empty() && counters(&engine, "L#").await.is_empty());
    assert_eq!(ledger.facts(gone).await.unwrap(), ChunkFacts::default());
}

#[tokio::test]
async fn a_history_of_many_hours_is_told_in_parts() {
    let (engine, ledger) = ledger().await;
    let history = |at: i64| {
        let of = move |member: u8| {
            let minute = (i64::from(member) + at) * 60;
            [told(member, Fact::SoftBounced, minute), told(member, Fact::Complained, minute + 6000)]
        };
        (0..50).flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(ledger.tell(CHUNK, &history(200)).await.unwrap().facts.len(), 100);
    assert_eq!(ledger.tell(CHUNK, &history(1)).await.unwrap(), News::default());
    let counted = counters(&engine, "E#").await;
    assert_eq!(counted.values().sum::<i64>(), 100);
}
