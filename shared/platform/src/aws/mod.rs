//! Table on DynamoDB, queue on SQS, scheduler on EventBridge Scheduler.
//!
//! Region, endpoint and credentials come from the standard AWS variables alone (`AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_ACCESS_KEY_ID`...), what tables and queues are called from [`Names`].
//!
//! **What a table must be**: keys `pk` and `sk` of type S; a global secondary index `due` over `due_b` (N) and `due_at`
//! (N), projection `KEYS_ONLY`; TTL on `ttl`. The index holds keys only, since then it is written (one write unit of its
//! own, two where `due` moves) only when `due` changes, and not each time that anything else of a due item does.
//!
//! **What the calls cost**, in DynamoDB's units: a write one unit a KiB, in a transaction two; a strong read one a 4 KiB,
//! an eventual one half. A transaction of a single write that can be repeated without harm goes as a plain write, and one
//! of a single check as a strong read, at half the price. `query_due` reads the index eventually (half a unit where nothing
//! is due) and what is due strongly (one unit an item of 4 KiB). An update of an expired item costs a refused one first.
//!
//! **What a role must allow**: on a table `GetItem`, `BatchGetItem`, `PutItem`, `UpdateItem`, `DeleteItem`,
//! `BatchWriteItem`, `ConditionCheckItem`, `Query` (on `index/due` too), `Scan` and `DescribeTable`, as far as the function
//! calls them (a transaction needs the rights of its writes); `SendMessage` on queues; for wake-ups `CreateSchedule`,
//! `UpdateSchedule` and `DeleteSchedule` in the group, `PassRole` on the schedules' role, and `SendMessage` on the wake-up
//! queue.
//!
//! **Doubt**: the SDK repeats a call whose answer was lost. Transactions carry a token and are applied once. A repeated
//! conditional write may be refused by its own first try: the answer then is that it was refused, and the item shows who
//! wrote it. An `update` that adds without a condition may then be applied twice: what must be exact is a transaction.

mod batches;
mod blob;
mod connections;
mod expression;
mod failure;
mod handover;
mod http;
mod item;
mod names;
mod pages;
mod queue;
#[cfg(feature = "schedules")]
mod scheduler;
mod sweep_only;
mod table;
mod transact;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;

pub use self::blob::S3;
pub use self::connections::Connections;
pub use self::handover::{Handover, Reached};
pub use self::http::http_client;
pub use self::names::{Names, Schedules};
use self::sweep_only::SweepOnly;
pub use self::vault::KmsVault;
use crate::{Clock, Platform, PlatformError, Scheduler, SystemClock};

/// How long one attempt of a call may take; the services answer in milliseconds, and what hangs is quicker repeated.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may be at rest and be used again. What was closed meanwhile at the other end is noticed, and the
/// call repeated.
const CONNECTION_REST: Duration = Duration::from_secs(90);
/// How often a call is repeated that the service was too busy for.
const ATTEMPTS: u32 = 10;
/// The longest first pause between two attempts; each next may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The AWS engine: [`Table`](crate::Table), [`Queue`](crate::Queue), [`Source`](crate::Source) and
/// [`Scheduler`] in one. Clones are cheap and share its connections.
#[derive(Clone)]
pub struct Aws {
    inner: Arc<Inner>,
}

struct Inner {
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    #[cfg(feature = "schedules")]
    scheduler: aws_sdk_scheduler::Client,
    names: Names,
    clock: Arc<dyn Clock>,
}

/// What the standard AWS variables say, with our HTTP client and timeouts: for this engine and for other clients of the
/// same process, which then share its connections.
///
/// Region (`AWS_REGION`), credentials (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`) and, where it is
/// set, `AWS_ENDPOINT_URL`: what Lambda gives a function. Profiles, instance metadata and web identities, which the SDK
/// would look for besides, make every function a tenth larger and slower to start.
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .retry_config(RetryConfig::standard())
        .http_client(http_client(CONNECT_TIMEOUT, CONNECTION_REST))
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint("AWS_ENDPOINT_URL"));
    config.build()
}

/// An endpoint that a variable names; an empty one names none. That of a single service, such as `AWS_ENDPOINT_URL_SESV2`, goes
/// before that of all, and is for the client of that service to ask for.
pub fn endpoint(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}

impl Aws {
    /// The engine over the account of `config` (of [`sdk_config`]), with the names that the environment gives
    /// ([`Names::from_vars`]). It sends nothing yet.
    ///
    /// # Errors
    /// [`PlatformError::Invalid`] names a variable that is missing.
    pub fn of_environment(config: &SdkConfig) -> Result<Self, PlatformError> {
        // What is not UTF-8 is none of ours.
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let names = Names::from_vars(vars)?;
        if config.region().is_none() {
            return Err(PlatformError::Invalid("the variable AWS_REGION is missing".to_owned()));
        }
        Ok(Self::connect(config, names, Arc::new(SystemClock)))
    }

    /// The engine over an account. It sends nothing yet. The clock decides what is expired and which wake-ups are near.
    pub fn connect(config: &SdkConfig, names: Names, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                dynamodb: aws_sdk_dynamodb::Client::new(config),
                sqs: aws_sdk_sqs::Client::new(config),
                #[cfg(feature = "schedules")]
                scheduler: aws_sdk_scheduler::Client::new(config),
                names,
                clock,
            }),
        }
    }

    /// All ports of this engine, and its clock. Where no schedule group is named, or the build is without the feature
    /// `schedules`, what is far off is left to the sweep.
    pub fn platform(&self) -> Platform {
        let scheduler: Arc<dyn Scheduler> = match self.inner.names.has_schedules() {
            #[cfg(feature = "schedules")]
            true => Arc::new(self.clone()),
            _ => Arc::new(SweepOnly(self.clone())),
        };
        Platform {
            table: Arc::new(self.clone()),
            queue: Arc::new(self.clone()),
            scheduler,
            clock: Arc::clone(&self.inner.clock),
        }
    }

    /// The clock in whole seconds, as expiries are kept.
    fn now_seconds(&self) -> i64 {
        self.inner.clock.now().as_second()
    }

    /// Waits before the attempt after the `attempt`th, the first being 0: longer each time, and for everyone differently.
    async fn pause(&self, attempt: u32) {
        self.inner.clock.sleep(pause(attempt)).await;
    }
}

/// How long to wait before the attempt after the `attempt`th.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    longest.mul_f64(f64::from(random_byte()) / 255.0)
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without randomness the pause is as long as it may be.
    if getrandom::fill(&mut byte).is_ok() { byte[0] } else { u8::MAX }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("names", &self.inner.names).finish_non_exhaustive()
    }
}
