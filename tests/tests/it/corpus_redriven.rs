//! Messages that come again once the ledger has forgotten what they are about: nobody gets anything for it.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use campaign::{CampaignType, Category, ExecutionId};
use envoi_tests::sim::{Fate, Faults, Options, Person, World};
use platform::Clock;
use serde_json::json;
use store::tables::LEDGER_TTL_SECONDS;

/// How far around the instant at which the first of the ledger's items is forgotten it is looked, in seconds.
const AROUND: i64 = 300;

fn people(number: u8) -> Vec<Person> {
    (1..=number).map(|number| Person::new(number, Fate::Taken)).collect()
}

/// Delivers everything again, has the sweep come, and lets an operator ask for a resend.
async fn everything_again(world: &World, execution: ExecutionId) -> StatusCode {
    assert!(world.redrive().await > 1);
    let resend = json!({ "outcomes": ["failed", "unknown"] });
    let answer = world.request(Method::POST, &format!("/executions/{execution}/resend"), &resend).await;
    world.run().await;
    answer.status
}

/// Has everything come again at once, at every minute around the one in which the ledger forgets, since not all of it is
/// forgotten in one moment, and long after.
async fn assert_nobody_gets_more(world: &World, execution: ExecutionId, resent: StatusCode) {
    let sent = world.provider.total();
    assert_eq!(everything_again(world, execution).await, resent);
    let ended = world.clock().now().as_second();
    for after in (-AROUND..=AROUND).step_by(60).chain([LEDGER_TTL_SECONDS]) {
        let at = ended + LEDGER_TTL_SECONDS + after;
        let wait = at - world.clock().now().as_second();
        world.clock().advance(Duration::from_secs(u64::try_from(wait).unwrap_or_default()));
        everything_again(world, execution).await;
        assert_eq!(world.provider.total(), sent, "{after} seconds after the ledger has forgotten");
    }
    assert!(world.store.ledger.head(execution).await.unwrap().is_none(), "it is forgotten");
    assert_eq!(everything_again(world, execution).await, StatusCode::NOT_FOUND);
    assert_eq!(world.provider.total(), sent);
}

#[tokio::test]
async fn messages_of_a_campaign_that_the_ledger_has_forgotten_reach_nobody() {
    // Corpus A12.
    let world = World::new(people(60), Options::default(), Faults::new(None)).await;
    world.activate().await;
    world.run().await;
    assert_eq!(world.provider.total(), 60);
    assert_nobody_gets_more(&world, world.execution().await, StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn messages_of_a_call_that_the_ledger_has_forgotten_reach_nobody() {
    let options = Options {
        kind: CampaignType::ApiTriggered,
        category: Category::Transactional,
        actions: 2,
        ..Options::default()
    };
    let world = World::new(people(1), options, Faults::new(None)).await;
    world.go_live().await;
    let recipient = json!({ "type": "aep", "userId": world.people[0].id.to_string(), "namespace": "ecid" });
    let execution = world.call("r1", &[recipient]).await;
    world.run().await;
    assert_eq!(world.provider.total(), 2);
    assert_nobody_gets_more(&world, execution, StatusCode::CONFLICT).await;
}
