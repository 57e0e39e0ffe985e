//! The AWS engines under the contract, on MiniStack. Time can't be set there, so it really passes; the checks of a module
//! run side by side to make up for it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::Timestamp;
use platform::aws::{Aws, Names, S3, Schedules};
use platform::{Blob, Clock, Queue, QueueName, Scheduler, Source, SystemClock, Table, TableName};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{A, B, CHECKS, Engine, MAX_RECEIVES, OTHER, WAKE_UPS, WORK};
use crate::ministack;

/// What comes on top of every wait: the emulator looks at its schedules once a second.
const SLACK: Duration = Duration::from_millis(1500);
/// From how far off wake-ups are schedules here; ninety seconds in earnest.
const NEAR: Duration = Duration::from_secs(4);
/// How many checks run side by side.
const SIDE_BY_SIDE: usize = 16;

/// Tables, queues, a schedule group and, once it is asked for, a bucket of its own, on the emulator.
pub struct AwsEngine {
    aws: Aws,
    config: SdkConfig,
    bucket: String,
}

impl AwsEngine {
    /// One whose tables and queues are new.
    ///
    /// # Panics
    /// Where the emulator is not there or refuses to make them.
    pub async fn fresh() -> Self {
        static ENGINES: AtomicU32 = AtomicU32::new(0);
        let ministack = ministack::shared().await;
        let config = ministack.sdk_config("test").await;
        let prefix = format!("c{}-", ENGINES.fetch_add(1, Ordering::Relaxed));
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let sqs = aws_sdk_sqs::Client::new(&config);
        let scheduler = aws_sdk_scheduler::Client::new(&config);

        let mut names = Names::default();
        for table in [A, B] {
            names = names.table(table, create_table(&dynamodb, &prefix, table).await);
        }
        for queue in [WORK, OTHER, WAKE_UPS] {
            let (url, dead_letters) = create_queues(&sqs, &prefix, queue).await;
            names = names.queue(queue.0, url).queue(&format!("{}-dlq", queue.0), dead_letters);
        }
        let group = format!("{prefix}group");
        scheduler.create_schedule_group().name(&group).send().await.expect("a schedule group");
        names = names.schedules(Schedules {
            group,
            role_arn: "arn:aws:iam::000000000000:role/scheduler".to_owned(),
            queue_arn: arn(&prefix, WAKE_UPS.0),
            queue_url: url(&sqs, &format!("{prefix}{}", WAKE_UPS.0)).await,
            dead_letter_arn: Some(arn(&prefix, &format!("{}-dlq", WAKE_UPS.0))),
            near: NEAR,
        });
        Self {
            aws: Aws::connect(&config, names, Arc::new(SystemClock)),
            config,
            bucket: format!("{prefix}files"),
        }
    }
}

/// Makes a table as the template does.
pub async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, prefix: &str, table: TableName) -> String {
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("complete")
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete")
    };
    let due = GlobalSecondaryIndex::builder()
        .index_name("due")
        .key_schema(key("due_b", KeyType::Hash))
        .key_schema(key("due_at", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let name = format!("{prefix}{}", table.0);
    dynamodb
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
        .attribute_definitions(attribute("due_b", ScalarAttributeType::N))
        .attribute_definitions(attribute("due_at", ScalarAttributeType::N))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(due.build().expect("complete"))
        .send()
        .await
        .expect("a table");
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("ttl").build();
    dynamodb
        .update_time_to_live()
        .table_name(&name)
        .time_to_live_specification(ttl.expect("complete"))
        .send()
        .await
        .expect("a TTL");
    name
}

/// Makes a queue and the one of its dead letters; their URLs.
pub async fn create_queues(sqs: &aws_sdk_sqs::Client, prefix: &str, queue: QueueName) -> (String, String) {
    let name = format!("{prefix}{}", queue.0);
    sqs.create_queue().queue_name(format!("{name}-dlq")).send().await.expect("a queue");
    let redrive = format!(
        "{{\"deadLetterTargetArn\":\"{}-dlq\",\"maxReceiveCount\":{MAX_RECEIVES}}}",
        arn(prefix, queue.0)
    );
    sqs.create_queue()
        .queue_name(&name)
        .attributes(QueueAttributeName::RedrivePolicy, redrive)
        .send()
        .await
        .expect("a queue");
    (url(sqs, &name).await, url(sqs, &format!("{name}-dlq")).await)
}

async fn url(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    let output = sqs.get_queue_url().queue_name(name).send().await.expect("the queue is there");
    output.queue_url.expect("it has a URL")
}

fn arn(prefix: &str, queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{prefix}{queue}")
}

#[async_trait]
impl Engine for AwsEngine {
    fn table(&self) -> Arc<dyn Table> {
        Arc::new(self.aws.clone())
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.aws.clone())
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.aws.clone())
    }

    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(self.aws.clone())
    }

    async fn blob(&self) -> Arc<dyn Blob> {
        let path_style = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(path_style);
        s3.create_bucket().bucket(&self.bucket).send().await.expect("a bucket");
        Arc::new(S3::new(&self.config, self.bucket.as_str()))
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn far(&self) -> Duration {
        NEAR + Duration::from_secs(1)
    }

    async fn advance(&self, by: Duration) {
        SystemClock.sleep(by + SLACK).await;
    }
}

/// Runs every check of a module, each on an engine of its own.
///
/// # Panics
/// Names the checks that failed; what each said stands above.
pub async fn run_module(module: &str) {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    for check in CHECKS.iter().filter(|check| check.name.split("::").next() == Some(module)) {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire_owned().await.expect("nobody closes it");
            let task = tokio::spawn(async { (check.run)(&AwsEngine::fresh().await).await });
            (check.name, task.await)
        });
    }
    assert!(!running.is_empty(), "there is no module {module:?}");
    let mut failed = String::new();
    for (name, outcome) in running.join_all().await {
        if let Err(error) = outcome {
            // Writing to a string can't fail.
            let _ = writeln!(failed, "{name}: {error}");
        }
    }
    assert!(failed.is_empty(), "these checks failed on the AWS engines:\n{failed}");
}
