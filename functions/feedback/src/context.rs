use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campaign::{Category, Code, ExecutionId, Outcome};
use delivery::Listeners;
#[cfg(any(feature = "aws", feature = "embedded"))]
use store::environment::{self, EnvironmentError};
use store::ledger::Books;
use store::messages::ChunkKey;
use store::{Store, StoreError};

use crate::sns::Sns;

/// The most executions and chunks that are remembered; beyond it all are forgotten.
const MOST: usize = 20_000;
/// How long a member is taken to be sent: one that was rejected may be sent again.
const SENT_FOR: Duration = Duration::from_secs(60);

/// What the function needs.
#[derive(Debug)]
pub struct Context {
    pub(crate) store: Store,
    /// Which topics of SNS are listened to.
    pub(crate) sns: Sns,
    pub(crate) listeners: Listeners,
    executions: Mutex<HashMap<ExecutionId, Option<Execution>>>,
    /// Members that are known to be sent, one bit each, so that nothing of them need be read for a while; until when, on the
    /// monotonic clock.
    sent: Mutex<HashMap<ChunkKey, (u64, Duration)>>,
}

/// What is remembered of an execution; none of it ever changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    pub(crate) books: Books,
    pub(crate) category: Category,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) started_ms: i64,
}

impl Context {
    /// Over this store. Of HTTP calls by SNS, those are heeded that `sns` allows.
    pub fn new(store: Store, sns: Sns) -> Self {
        Self {
            store,
            sns,
            listeners: Listeners::default(),
            executions: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    /// An execution; `None` where the ledger has forgotten it.
    pub(crate) async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreError> {
        if let Some(known) = lock(&self.executions).get(&id) {
            return Ok(*known);
        }
        let head = self.store.ledger.head(id).await?;
        let found = head.map(|head| Execution {
            books: head.books(),
            category: head.category,
            started_ms: head.started_at.as_millisecond(),
        });
        // One that is not there yet may come.
        if found.is_some() {
            remember(&mut lock(&self.executions), id, found);
        }
        Ok(found)
    }

    /// Whether all of these members were known to be sent a moment ago.
    pub(crate) fn are_sent(&self, chunk: &ChunkKey, mut members: impl Iterator<Item = usize>) -> bool {
        let now = self.store.platform.clock.monotonic();
        let known =
            lock(&self.sent).get(chunk).filter(|(_, until)| now < *until).map_or(0, |(bits, _)| *bits);
        members.all(|member| known & bit(member) != 0)
    }

    /// Notes which members of a chunk are sent.
    pub(crate) fn note_sent(&self, chunk: ChunkKey, codes: &[Code]) {
        let sent = codes.iter().enumerate().filter(|(_, code)| code.outcome() == Outcome::Sent);
        let bits = sent.fold(0, |bits, (member, _)| bits | bit(member));
        let until = self.store.platform.clock.monotonic() + SENT_FOR;
        remember(&mut lock(&self.sent), chunk, (bits, until));
    }
}

fn bit(member: usize) -> u64 {
    u32::try_from(member).ok().and_then(|member| 1_u64.checked_shl(member)).unwrap_or(0)
}

fn remember<K: std::hash::Hash + Eq, V>(kept: &mut HashMap<K, V>, key: K, value: V) {
    if kept.len() >= MOST {
        kept.clear();
    }
    kept.insert(key, value);
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(any(feature = "aws", feature = "embedded"))]
impl Context {
    /// From the function's environment: [`store::environment`].
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn from_environment() -> Result<Self, EnvironmentError> {
        Ok(Self::new(environment::store().await?, sns()?))
    }

    /// From the environment of the function behind the paths that are posted to: [`store::environment`], without secrets;
    /// `ENVOI_SNS_TOPICS`, the ARNs of the topics of SNS that may post, separated by commas; `ENVOI_SNS_URL`, what stands in
    /// place of SNS, such as an emulator; and `ENVOI_OUTBOUND_ALLOW`, what may be called beside the public Internet
    /// ([`outbound::Policy::allowing`]).
    ///
    /// # Errors
    /// Where a variable is missing or wrong, or the data can't be opened.
    pub async fn for_http() -> Result<Self, EnvironmentError> {
        Ok(Self::new(environment::store_without_secrets().await?, sns()?))
    }
}

#[cfg(any(feature = "aws", feature = "embedded"))]
fn sns() -> Result<Sns, EnvironmentError> {
    let name = "ENVOI_OUTBOUND_ALLOW";
    let policy = outbound::Policy::allowing(&environment::variable(name).unwrap_or_default())
        .map_err(|error| EnvironmentError::Invalid { name, why: error.to_string() })?;
    let client = outbound::Client::new(policy, outbound::Limits::default());
    let topics = environment::variable("ENVOI_SNS_TOPICS").unwrap_or_default();
    Ok(Sns::new(client, &topics, environment::variable("ENVOI_SNS_URL").as_deref()))
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use jiff::Timestamp;
    use platform::Clock;
    use platform::embedded::Embedded;
    use store::HashKey;

    use super::*;

    #[derive(Debug, Default)]
    struct TestClock(Mutex<Duration>);

    #[async_trait]
    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + self.monotonic()
        }

        fn monotonic(&self) -> Duration {
            *lock(&self.0)
        }

        async fn sleep(&self, duration: Duration) {
            *lock(&self.0) += duration;
        }
    }

    /// One that was rejected, and is sent again, is looked at anew.
    #[tokio::test]
    async fn that_members_are_sent_is_remembered_for_a_while() {
        let clock = Arc::new(TestClock::default());
        let engine = Embedded::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let client = outbound::Client::new(outbound::Policy::public_only(), outbound::Limits::default());
        let context =
            Context::new(Store::new(engine.platform(), HashKey([7; 32])), Sns::new(client, "", None));
        let chunk = ChunkKey { execution: ExecutionId::random(), shard: 0, action: 0, number: 0 };
        context.note_sent(chunk, &[Code::Sent, Code::Refused]);
        clock.sleep(SENT_FOR / 2).await;
        assert!(context.are_sent(&chunk, [0].into_iter()));
        assert!(!context.are_sent(&chunk, [0, 1].into_iter()));
        clock.sleep(SENT_FOR / 2).await;
        assert!(!context.are_sent(&chunk, [0].into_iter()));
    }
}
