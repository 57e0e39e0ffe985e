//! Many callers at once.

use std::collections::BTreeSet;
use std::time::Duration;

use platform::{Change, Condition, Consistency, Key, Message, TransactError, Updated, Write};
use tokio::task::JoinSet;

use super::{A, B, Engine, MAX_RECEIVES, WORK, get, numbered, put};

fn key() -> Key {
    Key::new("p", "s")
}

/// Each reads, and writes on the condition that nothing has changed, until it succeeds.
pub async fn a_hundred_conditional_increments_lose_none(engine: &dyn Engine) {
    put(engine, A, numbered("p", "s", 0)).await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let table = engine.table();
        tasks.spawn(async move {
            loop {
                let item = table.get(A, &key(), Consistency::Strong).await.unwrap().unwrap();
                let seen = item.number("n").unwrap();
                let unchanged = Some(Condition::equals("n", seen));
                let updated =
                    table.update(A, &key(), unchanged, vec![Change::set("n", seen + 1)]).await.unwrap();
                if matches!(updated, Updated::New(_)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(get(engine, A, &key()).await.unwrap().number("n"), Some(100));
}

/// Additions need no condition, and every caller sees its own.
pub async fn a_hundred_additions_lose_none(engine: &dyn Engine) {
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let table = engine.table();
        tasks.spawn(async move {
            match table.update(A, &key(), None, vec![Change::add("n", 1)]).await.unwrap() {
                Updated::New(item) => item.number("n").unwrap(),
                Updated::Refused(item) => panic!("refused without a condition: {item:?}"),
            }
        });
    }
    let seen: BTreeSet<i64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(seen, (1..=100).collect());
}

/// And everyone knows who.
pub async fn one_of_fifty_conditional_puts_wins(engine: &dyn Engine) {
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let table = engine.table();
        tasks.spawn(async move {
            let write = Write::put(A, numbered("p", "s", n)).when(Condition::NotExists);
            match table.transact(vec![write]).await {
                Ok(()) => Some(n),
                Err(TransactError::ConditionFailed(positions)) => {
                    assert_eq!(positions, [0]);
                    None
                }
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    let winners: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(get(engine, A, &key()).await.unwrap().number("n"), Some(winners[0]));
}

/// Transfers between two items, some refused, keep the sum.
pub async fn transactions_over_two_items_never_tear(engine: &dyn Engine) {
    put(engine, A, numbered("p", "s", 20)).await;
    put(engine, B, numbered("p", "s", 20)).await;
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let table = engine.table();
        tasks.spawn(async move {
            let (from, to) = if n % 3 == 0 { (A, B) } else { (B, A) };
            let writes = vec![
                Write::update(to, key(), vec![Change::add("n", 1)]),
                Write::update(from, key(), vec![Change::add("n", -1)])
                    .when(Condition::Above("n".to_owned(), 0)),
            ];
            match table.transact(writes).await {
                Ok(()) => true,
                Err(TransactError::ConditionFailed(positions)) => {
                    assert_eq!(positions, [1]);
                    false
                }
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    let applied = tasks.join_all().await.into_iter().filter(|applied| *applied).count();
    assert!(applied >= 20, "{applied} transfers");
    let [a, b] = [get(engine, A, &key()).await.unwrap(), get(engine, B, &key()).await.unwrap()];
    let [a, b] = [a.number("n").unwrap(), b.number("n").unwrap()];
    assert_eq!(a + b, 40);
    assert!(a >= 0 && b >= 0, "{a} and {b}");
}

/// Consumers that pull at the same time share the messages out.
pub async fn messages_are_received_by_one_consumer_each(engine: &dyn Engine) {
    let messages = (0..200).map(|n| Message::new(WORK, format!("{n}"))).collect();
    engine.queue().send(messages).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let source = engine.source();
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let received = source.receive(WORK, 10, Duration::from_secs(60), MAX_RECEIVES).await.unwrap();
                if received.is_empty() {
                    return mine;
                }
                source
                    .delete(WORK, received.iter().map(|message| message.receipt.clone()).collect())
                    .await
                    .unwrap();
                mine.extend(received.into_iter().map(|message| message.body));
            }
        });
    }
    let received: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(received.len(), 200);
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>().len(), 200);
}
