//! The life of campaigns under many hands: random commands through the API while the functions work, wake-ups go astray
//! and time jumps, held against a model that knows the product's rules and nothing of its code.

mod crowd;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use envoi_tests::sim::{Fate, Faults, Options, Person, World, chance};
use futures::FutureExt;
use futures::future::join_all;

use self::crowd::Crowd;

/// How many people press buttons at the same time, and how many buttons each.
const USERS: u64 = 5;
const COMMANDS: usize = 30;
/// How many times, each by other chances. With `ENVOI_SEEDS` it is as many as that says.
const SEEDS: u64 = 24;

/// What has to have happened for the test to mean anything: history's commands, and why others were refused.
const SEEN: [&str; 22] = [
    "create",
    "edit",
    "rename",
    "activate",
    "become_scheduled",
    "become_live",
    "replace",
    "fail_activation",
    "start",
    "complete",
    "discard_draft",
    "stop",
    "duplicate",
    "archive",
    "delete",
    "refused: status",
    "refused: has_run",
    "refused: no_draft",
    "refused: being_activated",
    "412",
    "404",
    "run on a later version",
];

async fn play(seed: u64) -> BTreeMap<String, usize> {
    let people = (1..=3).map(|number| Person::new(number, Fate::Taken)).collect();
    let world = World::new(people, Options::default(), Faults::new(None)).await;
    // Each call of a port takes its time, so that everybody gets between everybody's calls.
    world.interrupt(move |call| {
        Box::pin(async move {
            for _ in 0..chance(seed, call as u64) % 4 {
                tokio::task::yield_now().await;
            }
        })
    });
    let crowd = Crowd::new(world, seed).await;
    let users = async {
        join_all((0..USERS).map(|user| crowd.user(user, COMMANDS))).await;
        crowd.leave();
    };
    let workers = join_all((0..3).map(|worker| crowd.work(worker)));
    futures::join!(users, workers, crowd.sweep(), crowd.pass_time());
    crowd.settle().await;
    crowd.judge().await
}

#[tokio::test]
async fn every_history_is_a_path_of_the_model_whatever_happens_at_once() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let seeds = std::env::var("ENVOI_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        match AssertUnwindSafe(play(seed)).catch_unwind().await {
            Ok(happened) => {
                happened.into_iter().for_each(|(what, count)| *seen.entry(what).or_default() += count);
            }
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "these seeds failed, and said why above: {failed:?}");
    println!("{seen:#?}");
    let missing: BTreeSet<_> = SEEN.into_iter().filter(|what| !seen.contains_key(*what)).collect();
    assert!(missing.is_empty(), "these never happened: {missing:?} of {seen:?}");
}
