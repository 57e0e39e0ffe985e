//! What is assumed about AWS where the emulator says nothing: how long things take, and who polls.

use std::time::Duration;

/// The memory at which a Lambda function has a whole processor, in MB.
const WHOLE_PROCESSOR_MB: f64 = 1769.0;
/// Requests at once of an event source mapping that finds nothing, each waiting for 20 seconds.
pub(crate) const POLLERS: f64 = 5.0;
/// How many empty answers each of them gets in a minute.
pub(crate) const POLLS_A_MINUTE: f64 = 3.0;
/// The queues with an event source mapping: wake-up, fan-out, deliver-email, its priority queue, proofs, jobs.
pub(crate) const QUEUES: f64 = 6.0;
/// Calls of the API around one campaign: made, validated, proofed, activated, and looked at now and then.
pub(crate) const API_CALLS: f64 = 20.0;
/// What an invocation logs, in bytes: the platform's three lines, and a line of metrics.
pub(crate) const LOGGED_BYTES: f64 = 1500.0;

/// The assumptions that can be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    /// Of the functions, in MB.
    pub(crate) memory_mb: u32,
    /// How long the provider takes for one message; a window's are sent at the same time.
    pub(crate) provider: Duration,
    /// How many chunks are delivered at once at most.
    pub(crate) concurrency: usize,
}

impl Model {
    /// How long the answer to one request takes. A transaction has two rounds.
    pub(crate) fn dynamodb(&self, operation: &str) -> Duration {
        Duration::from_millis(match operation {
            "GetItem" => 3,
            "BatchGetItem" | "Query" | "Scan" => 8,
            "TransactWriteItems" => 15,
            _ => 5,
        })
    }

    /// How long SQS takes to answer.
    pub(crate) fn sqs(&self) -> Duration {
        Duration::from_millis(8)
    }

    /// How long the processor is busy with one AWS request: JSON, signature, TLS; 150 us of a whole one.
    pub(crate) fn request_work(&self) -> Duration {
        self.work(150)
    }

    /// How long the processor is busy with one message: rendering, MIME, and the request to the provider; 300 us of a whole
    /// one.
    pub(crate) fn message_work(&self) -> Duration {
        self.work(300)
    }

    fn work(&self, whole_us: u64) -> Duration {
        Duration::from_micros(whole_us).mul_f64((WHOLE_PROCESSOR_MB / f64::from(self.memory_mb)).max(1.0))
    }

    /// In words, for the report.
    pub(crate) fn assumptions(&self) -> Vec<String> {
        let Self { memory_mb, provider, concurrency } = self;
        vec![
            format!("functions of {memory_mb} MB on arm64, at most {concurrency} chunks at once, batch size 1"),
            format!("the provider answers in {provider:?}, 10 messages at once"),
            "DynamoDB answers in 3 ms (get), 5 ms (write), 8 ms (batch, query), 15 ms (transaction), SQS in 8 ms".to_owned(),
            format!(
                "the processor is busy {:?} a message and {:?} an AWS request (300 and 150 us of a whole one)",
                self.message_work(),
                self.request_work()
            ),
            format!(
                "each message is one receive and one delete; {QUEUES} mappings wait by {POLLERS} requests of 20 s while the campaign runs"
            ),
            format!("{API_CALLS} API calls and one schedule a campaign; starts of functions are not counted"),
            "not seen in a small run: a million has 16 shards, which the sweep looks at every 5 minutes, or each minute where \
             chunks wait for their rate; up to 160,000 read units, $0.02"
                .to_owned(),
            "no provider's fee, feedback, storage, backup (PITR), X-Ray, or traffic; logs stand beside".to_owned(),
        ]
    }
}
