//! Each function reaches what it needs, which the other scenarios show, and nothing else.

use envoi_tests::deployed::{Deployment, Sweeps, deployed};
use serde_json::{Value, json};

use super::audience::Audience;

/// Whether a function may read an item of a partition of the control table, delivery above all, which everybody's
/// messages go through.
const PARTITIONS: [(&str, &str, bool); 14] = [
    ("api", "keys", true),
    ("api", "secret#suppression", true),
    ("api", "secret#sms", true),
    ("activate", "campaigns", true),
    ("activate", "keys", false),
    ("activate", "secret#email", false),
    ("fanout", "keys", false),
    ("fanout", "campaigns", false),
    ("deliver-email", "configurations", true),
    ("deliver-email", "secret#email", true),
    ("deliver-email", "keys", false),
    ("deliver-email", "secret#links", true),
    ("deliver-email", "secret#endpoint", false),
    ("deliver-email", "secret#sms", false),
];

/// Whether a function may open what was sealed for a purpose.
const PURPOSES: [(&str, &str, bool); 8] = [
    ("api", "email", false),
    ("api", "suppression", true),
    ("api", "sms", false),
    ("api", "endpoint", false),
    ("fanout", "suppression", false),
    ("deliver-email", "suppression", true),
    ("deliver-email", "email", true),
    ("deliver-email", "sms", false),
];

/// Whether a function that runs may read an item of a partition of the control table.
pub(super) async fn reads(envoi: &Deployment, function: &str, partition: &str) -> bool {
    let key = json!({ "pk": { "S": partition }, "sk": { "S": "any" } });
    let get = json!({ "TableName": envoi.output("ControlTable").unwrap(), "Key": key });
    !envoi.denies(function, "dynamodb", "DynamoDB_20120810.GetItem", &get).await.unwrap()
}

/// Whether a function that runs may open what was sealed for a purpose.
pub(super) async fn opens(envoi: &Deployment, function: &str, purpose: &str) -> bool {
    let decrypt = json!({
        "KeyId": envoi.output("Key").unwrap(),
        "CiphertextBlob": "bm8gc3VjaCB0aGluZw==",
        "EncryptionContext": { "envoi": purpose },
    });
    !envoi.denies(function, "kms", "TrentService.Decrypt", &decrypt).await.unwrap()
}

pub(super) async fn a_function_reaches_what_it_needs_and_nothing_else() {
    deployed("roles", async |envoi| {
        // So that each of them runs.
        let audience = Audience::import(envoi, "roles.example", 3).await;
        let campaign = audience.campaign(envoi).await;
        envoi.api.activate(&campaign).await.unwrap();
        let execution = envoi.ended(&campaign, Sweeps::OnTop).await.unwrap();
        assert_eq!(audience.outcomes(envoi, &execution).await.sent.len(), 3, "{execution}");

        for (function, partition, may) in PARTITIONS {
            assert_eq!(reads(envoi, function, partition).await, may, "{function} reads {partition}");
        }
        for (function, purpose, may) in PURPOSES {
            assert_eq!(
                opens(envoi, function, purpose).await,
                may,
                "{function} opens what is sealed for {purpose}"
            );
        }
        let scan: Value = json!({ "TableName": envoi.output("ProfilesTable").unwrap() });
        let scans = async |function| {
            !envoi.denies(function, "dynamodb", "DynamoDB_20120810.Scan", &scan).await.unwrap()
        };
        assert!(scans("fanout").await);
        assert!(!scans("deliver-email").await, "it reads the profiles of its chunks and no others");
        let start = json!({
            "QueueUrl": envoi.output("WakeUpQueue").unwrap(),
            "MessageBody": "{\"wake_up\":\"sweep\"}",
        });
        for function in ["fanout", "deliver-email"] {
            let denied = envoi.denies(function, "sqs", "AmazonSQS.SendMessage", &start).await.unwrap();
            assert!(denied, "{function} starts nothing");
        }
    })
    .await;
}
