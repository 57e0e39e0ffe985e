//! The functions as Lambda runs them: their own programs, one event after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campaign::model::Actor;
use campaign::{Outcome, Status};
use envoi_tests::lambda::invoke;
use envoi_tests::sim::furnish;
use platform::embedded::Embedded;
use platform::{QueueName, Source, SystemClock};
use serde_json::{Value, json};
use store::{HashKey, Store, tables};

const HASH_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn open(folder: &Path) -> (Embedded, Store) {
    let engine = Embedded::open(folder, Arc::new(SystemClock)).unwrap();
    let store = Store::new(engine.platform(), HashKey([7; 32]));
    (engine, store)
}

/// The next message of a queue, as the event source mapping would send it.
async fn event_of(folder: &Path, queue: QueueName) -> Value {
    let (engine, _) = open(folder);
    let received = engine.receive(queue, 1, Duration::from_secs(600), 10).await.unwrap().remove(0);
    Source::delete(&engine, queue, vec![received.receipt.clone()]).await.unwrap();
    engine.shutdown().await.unwrap();
    json!({ "Records": [{
        "messageId": received.id,
        "receiptHandle": received.receipt,
        "body": received.body,
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{}", queue.0),
        "awsRegion": "eu-west-1",
        "attributes": {},
        "messageAttributes": {},
    }] })
}

#[tokio::test]
async fn a_campaign_goes_through_the_functions_own_programs() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let variables = [
        ("ENVOI_DATA", folder.path().to_str().unwrap()),
        ("ENVOI_HASH_KEY", HASH_KEY),
        ("ENVOI_OUTBOX", outbox.to_str().unwrap()),
    ];
    let campaign = {
        let (engine, store) = open(folder.path());
        let campaign = furnish(&store, 7).await;
        validation::ask_activation(&store, campaign, &Actor::envoi(), |_| Ok(())).await.unwrap();
        engine.shutdown().await.unwrap();
        campaign
    };
    let nothing_failed = json!({ "batchItemFailures": [] });
    for (function, queue) in
        [("activate", tables::WAKE_UP), ("fanout", tables::FAN_OUT), ("deliver-email", tables::DELIVER_EMAIL)]
    {
        let event = event_of(folder.path(), queue).await;
        assert_eq!(invoke(function, &variables, event).await.unwrap(), nothing_failed, "{function}");
    }
    assert_eq!(std::fs::read_dir(&outbox).unwrap().count(), 7);
    let sweep = json!({ "Records": [{ "messageId": "1", "body": "{\"wake_up\":\"sweep\"}" }] });
    assert_eq!(invoke("activate", &variables, sweep).await.unwrap(), nothing_failed);
    let (_engine, store) = open(folder.path());
    assert_eq!(store.campaigns.get(campaign).await.unwrap().status, Status::Completed);
    let (executions, _) = store.ledger.executions(campaign, None, 10).await.unwrap();
    assert_eq!(executions[0].counts[0].outcome(Outcome::Sent), 7);
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_reported_as_failed_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("ENVOI_DATA", folder.path().to_str().unwrap()), ("ENVOI_HASH_KEY", HASH_KEY)];
    let event = json!({ "Records": [
        { "messageId": "bad", "body": "nonsense" },
        { "messageId": "good", "body": "{\"wake_up\":\"sweep\"}" },
    ] });
    let answer = invoke("activate", &variables, event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "bad" }] }));
}

#[tokio::test]
async fn the_api_answers_an_http_api_event() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("ENVOI_DATA", folder.path().to_str().unwrap()), ("ENVOI_HASH_KEY", HASH_KEY)];
    let event = |path: &str| {
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": { "host": "api.example.com" },
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com",
                "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
                "requestId": "id", "routeKey": "$default", "stage": "$default", "timeEpoch": 1,
            },
            "isBase64Encoded": false,
        })
    };
    let health = invoke("api", &variables, event("/health")).await.unwrap();
    assert_eq!(health["statusCode"], 200);
    let campaigns = invoke("api", &variables, event("/campaigns")).await.unwrap();
    assert_eq!(campaigns["statusCode"], 401);
}
