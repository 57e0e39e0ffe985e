//! Commits numbered transactions without end and prints each number once it is acknowledged, for a test that kills it.
//!
//! Arguments: the data folder, the first number, how many tasks write at a time.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use envoi_tests::contract::{A, B, WORK};
use platform::embedded::Embedded;
use platform::{Change, Due, Item, Key, Message, SystemClock, Write};
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("three arguments: folder, first number, tasks");
    let folder = PathBuf::from(argument()?);
    let next = Arc::new(AtomicI64::new(argument()?.parse()?));
    let tasks: usize = argument()?.parse()?;

    let platform = Embedded::open(&folder, Arc::new(SystemClock))?.platform();
    let mut writing: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..tasks {
        let (platform, next) = (platform.clone(), Arc::clone(&next));
        writing.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let mut item = Item::new(Key::new(format!("n-{n}"), "s")).with("padding", "x".repeat(500));
                item.due = Some(Due { bucket: 0, at_ms: n });
                let writes = vec![
                    Write::put(A, item),
                    Write::put(B, Item::new(Key::new("log", format!("{n:09}")))),
                    Write::update(B, Key::new("count", "s"), vec![Change::add("n", 1)]),
                ];
                platform.commit(writes, vec![Message::new(WORK, n.to_string())]).await?;
                let mut out = std::io::stdout().lock();
                writeln!(out, "{n}")?;
                out.flush()?;
            }
        });
    }
    while let Some(ended) = writing.join_next().await {
        ended??;
    }
    Ok(())
}
