//! A node: everything that runs in the one process, from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campaign::Channel;
use deliver_email::Provider;
use deliver_email::outbox::{Outbox, OutboxError};
use deliver_email::smtp::{ConfigError, Credentials, SmtpPool};
use deliver_push::Fcm;
use delivery::{Delivery, Sender, Settings};
use outbound::{Client, Limits, Policy};
use platform::embedded::{BlobFolder, Embedded, OpenError};
use platform::{Clock, Deadline, SystemClock, batch};
use store::jobs::KEEP_SECONDS;
use store::keys::Role;
use store::ledger::{Tenancy, Worker};
use store::messages::{Priority, queue_of};
use store::{Store, StoreError, tables};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::config::{Config, Email, Work};
use crate::event_source::{self, Consume};
use crate::secret::{self, SecretError};

/// How long one run of a function may take.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How many shards are fanned out at once: more would only take the processor from the delivery.
const FAN_OUTS: usize = 2;
/// How many calls are delivered at once, beside the bulk. Each waits for the disk some five times, and those that wait at
/// the same time wait together.
const CALLS: usize = 64;
/// How long one slice of a job may take: a stop waits for it.
const JOB_TIMEOUT: Duration = Duration::from_secs(15);
/// How many messages for those who are told what became of messages are handled at once: each waits for answers.
const NOTIFIES: usize = 32;
/// How many batches of what providers tell are handled at once, and how many messages a batch has at most: those of the same
/// chunk are written together.
const FEEDBACKS: usize = 8;
const FEEDBACK_BATCH: usize = 50;
/// How many jobs are worked on at once: more would only take the processor from the delivery.
const JOBS: usize = 2;
/// For how long files are kept that no job removes: as long as the jobs themselves, and a day.
const KEEP_FILES: Duration = Duration::from_secs(KEEP_SECONDS.unsigned_abs() + 24 * 3600);
/// After so many rounds of tidying, an hour, the log is cut: it holds what was erased until then.
const CUT_LOG: u32 = 60;
/// The jobs' files in a data folder.
pub(crate) const FILES: &str = "files";
/// How many expired items one round of tidying removes.
const EXPIRED: usize = 1000;

/// Why a node can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder can't be opened.
    #[error(transparent)]
    Data(#[from] OpenError),
    /// The secret beside the database can't be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {}", why(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The outbox folder can't be used.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The SMTP settings make no sense.
    #[error("the SMTP settings can't be used")]
    Smtp(#[from] ConfigError),
    /// The database could not be read or written.
    #[error("the database can't be read or written")]
    Store(#[from] StoreError),
}

fn why(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses this port (choose one with --listen)",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => "this user may not use the port",
        _ => "the system refuses it",
    }
}

/// A running node.
pub struct Node {
    engine: Embedded,
    files: BlobFolder,
    store: Store,
    feedback: Arc<feedback::Context>,
    address: SocketAddr,
    first_key: Option<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Starts a node and returns once its API answers.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_by(Arc::new(SystemClock), config).await
    }

    /// The same, with this clock for what is kept: when it is due, and until when. Deadlines go by the system's.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_by(clock: Arc<dyn Clock>, config: Config) -> Result<Self, StartError> {
        let engine = Embedded::open(&config.data, clock)?;
        let files = BlobFolder::open(&config.data.join(FILES))?;
        let key = secret::hash_key(&config.data, &engine.platform()).await?;
        let store = Store::new(engine.platform(), key);
        let provider = match config.email {
            Email::Smtp(mut smtp) => Provider::Smtp(if smtp.credentials.is_some() {
                SmtpPool::new(*smtp)?
            } else {
                smtp.credentials = stored_credentials(&store).await?;
                SmtpPool::with_kept(*smtp, Arc::new(store.secrets.clone()))?
            }),
            Email::Outbox(folder) => Provider::Outbox(Outbox::new(folder)?),
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        let public_url = config.public_url.unwrap_or_else(|| format!("http://{address}"));
        let store = store.with_public_url(&public_url);
        let (stop, stopped) = watch::channel(false);
        let client = Client::new(config.outbound.clone(), Limits::default());
        let sns = feedback::sns::Sns::new(client, &config.sns_topics, config.sns_url.as_deref());
        let feedback = Arc::new(feedback::Context::new(store.clone(), sns));
        let tasks = JoinSet::new();
        let mut node = Self { engine, files, store, feedback, address, first_key: None, stop, tasks };
        let outbound = config.outbound.clone();
        let fcm = Fcm::new(config.outbound.clone(), config.fcm_url.as_deref());
        if config.work == Work::Done {
            node.consume(provider, fcm, config.concurrency, config.sweep_every, outbound, &stopped).await?;
        }
        node.serve(listener, config.outbound, stopped);
        // Last: a key that nobody gets to see, since the start failed after it, would be the only one there is.
        node.first_key = first_key(&node.store).await?;
        Ok(node)
    }

    /// Where the API listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first admin key, where this start has made it: it can't be had again.
    pub fn first_key(&self) -> Option<&str> {
        self.first_key.as_deref()
    }

    /// The repositories.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Takes no more work, finishes what is in hand, and closes the database.
    ///
    /// # Errors
    /// Where the database can't be closed; nothing is lost then.
    pub async fn stop(mut self) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        Ok(self.engine.shutdown().await?)
    }

    async fn consume(
        &mut self,
        provider: Provider,
        fcm: Fcm,
        concurrency: usize,
        sweep_every: Duration,
        outbound: Policy,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), StartError> {
        let store = &self.store;
        let worker = Worker::new(Tenancy::Sole);
        let activate = Arc::new(activate::Context { store: store.clone(), sweep_every });
        let fanout = Arc::new(fanout::Context { store: store.clone(), worker });
        let email =
            deliver_email::Context::new(store.clone(), worker, provider, Settings::default()).delivery;
        let how = |queue, concurrency| Consume { queue, concurrency, batch: 1, timeout: FUNCTION_TIMEOUT };
        let jobs = Arc::new(jobs::Context {
            store: store.clone(),
            blob: Arc::new(self.files.clone()),
            worker,
            pace: jobs::Pace::default(),
            longest: FUNCTION_TIMEOUT,
        });
        // Whoever held these is gone: the folder's lock says that no other process lives.
        for queue in [tables::WAKE_UP, tables::FAN_OUT, tables::JOBS, tables::NOTIFY, tables::FEEDBACK] {
            self.engine.recover(queue).await.map_err(StoreError::from)?;
        }
        let context = Arc::clone(&activate);
        let wake_ups = move |event, deadline| {
            let context = Arc::clone(&context);
            async move { activate::handle(&context, event, deadline).await }
        };
        self.source(how(tables::WAKE_UP, 2), wake_ups, stopped);
        let fan_outs = move |event, deadline| {
            let context = Arc::clone(&fanout);
            async move { fanout::handle(&context, event, deadline).await }
        };
        self.source(how(tables::FAN_OUT, FAN_OUTS), fan_outs, stopped);
        self.deliver(email, concurrency, stopped).await?;
        let (store, policy) = (self.store.clone(), outbound.clone());
        let webhook = deliver_webhook::Context::new(store, worker, policy, Settings::default()).delivery;
        self.deliver(webhook, concurrency, stopped).await?;
        let push = deliver_push::Context::new(self.store.clone(), worker, fcm, Settings::default()).delivery;
        self.deliver(push, concurrency, stopped).await?;
        let client = Client::new(outbound, Limits::default());
        let sms = deliver_sms::Context::new(self.store.clone(), worker, client.clone(), Settings::default())
            .delivery;
        self.deliver(sms, concurrency, stopped).await?;
        let notify = Arc::new(notify::Context::new(self.store.clone(), client, worker));
        let notifies = move |event, deadline| {
            let context = Arc::clone(&notify);
            async move { notify::handle(&context, event, deadline).await }
        };
        self.source(how(tables::NOTIFY, NOTIFIES), notifies, stopped);
        let context = Arc::clone(&self.feedback);
        let feedbacks = move |event, deadline| {
            let context = Arc::clone(&context);
            async move { feedback::handle(&context, event, deadline).await }
        };
        self.source(
            Consume { batch: FEEDBACK_BATCH, ..how(tables::FEEDBACK, FEEDBACKS) },
            feedbacks,
            stopped,
        );
        let slices = move |event, deadline| {
            let context = Arc::clone(&jobs);
            async move { jobs::handle(&context, event, deadline).await }
        };
        let how = Consume { queue: tables::JOBS, concurrency: JOBS, batch: 1, timeout: JOB_TIMEOUT };
        self.source(how, slices, stopped);
        self.tasks.spawn(fire(self.engine.clone(), stopped.clone()));
        self.tasks.spawn(sweep(activate, sweep_every, stopped.clone()));
        self.tasks.spawn(tidy(self.engine.clone(), self.files.clone(), stopped.clone()));
        Ok(())
    }

    /// Delivers what a channel's two queues ask for. Each channel has workers of its own: one that is slow keeps none of
    /// the others waiting.
    async fn deliver<S: Sender>(
        &mut self,
        delivery: Delivery<S>,
        concurrency: usize,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), StartError> {
        let delivery = Arc::new(delivery);
        for (priority, concurrency) in [(Priority::Bulk, concurrency), (Priority::Call, CALLS)] {
            let queue = queue_of(S::CHANNEL, priority);
            self.engine.recover(queue).await.map_err(StoreError::from)?;
            let delivery = Arc::clone(&delivery);
            let deliveries = move |event, deadline| {
                let delivery = Arc::clone(&delivery);
                async move { delivery.handle(event, deadline).await.0 }
            };
            let how = Consume { queue, concurrency, batch: 1, timeout: FUNCTION_TIMEOUT };
            self.source(how, deliveries, stopped);
        }
        Ok(())
    }

    fn source<F>(
        &mut self,
        how: Consume,
        function: impl Fn(aws_lambda_events::sqs::SqsEvent, Deadline) -> F + Send + Sync + 'static,
        stopped: &watch::Receiver<bool>,
    ) where
        F: Future<Output = aws_lambda_events::sqs::SqsBatchResponse> + Send + 'static,
    {
        self.tasks.spawn(event_source::run(self.engine.clone(), how, function, stopped.clone()));
    }

    fn serve(&mut self, listener: TcpListener, outbound: Policy, mut stopped: watch::Receiver<bool>) {
        let context = api::Context::new(self.store.clone(), Arc::new(self.files.clone()));
        let links = track::router(track::Context::new(self.store.clone()));
        let events = feedback::router(Arc::clone(&self.feedback));
        let router = api::router(context.with_outbound(outbound)).merge(links).merge(events);
        self.tasks.spawn(async move {
            let until = async move {
                // An error means that the node itself is gone.
                drop(stopped.wait_for(|stop| *stop).await);
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
                error!(%error, "the API has ended");
            }
        });
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Makes an admin key where there is no key at all.
async fn first_key(store: &Store) -> Result<Option<String>, StoreError> {
    let (keys, _) = store.keys.list(None, 1).await?;
    if !keys.is_empty() {
        return Ok(None);
    }
    Ok(Some(store.keys.create("first admin", Role::Admin).await?.0))
}

/// The credentials that were given to the API.
async fn stored_credentials(store: &Store) -> Result<Option<Credentials>, StoreError> {
    let stored = store.secrets.credentials(Channel::Email).await?;
    Ok(stored.map(|stored| Credentials { username: stored.username, password: stored.password }))
}

/// Waits for `duration` or the stop; true for the stop.
async fn wait(duration: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = SystemClock.sleep(duration) => false,
        _ = stopped.wait_for(|stop| *stop) => true,
    }
}

/// Fires wake-ups when their time has come.
async fn fire(engine: Embedded, mut stopped: watch::Receiver<bool>) {
    let mut changes = engine.schedule_changes();
    loop {
        changes.mark_unchanged();
        let pause = match fire_once(&engine).await {
            Ok(pause) => pause,
            Err(error) => {
                error!(error = %batch::chain(&error), "wake-ups can't be fired");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            stop = wait(pause, &mut stopped) => if stop { return },
            _ = changes.changed() => {}
        }
    }
}

/// Fires what is due and says how long until the next.
async fn fire_once(engine: &Embedded) -> Result<Duration, StoreError> {
    while engine.fire_due(tables::WAKE_UP).await? > 0 {}
    let longest = Duration::from_secs(3600);
    Ok(engine.next_wake_up().await?.map_or(longest, |next| {
        // Negative where it has just become due.
        Duration::try_from(next.duration_since(engine.platform().clock.now()))
            .unwrap_or_default()
            .min(longest)
    }))
}

/// Sweeps, again and again, whatever becomes of one sweep.
async fn sweep(context: Arc<activate::Context>, every: Duration, stopped: watch::Receiver<bool>) {
    let sweep = || activate::sweep(&context, Deadline::after(&SystemClock, FUNCTION_TIMEOUT));
    again_and_again(every, stopped, sweep).await;
}

async fn again_and_again<F: Future<Output = Result<usize, StoreError>>>(
    every: Duration,
    mut stopped: watch::Receiver<bool>,
    sweep: impl Fn() -> F,
) {
    while !wait(every, &mut stopped).await {
        match batch::caught(&sweep).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => error!(error = %batch::chain(&error), "the sweep failed"),
            None => error!("the sweep panicked"),
        }
    }
}

/// Removes what has expired, now and then.
async fn tidy(engine: Embedded, files: BlobFolder, mut stopped: watch::Receiver<bool>) {
    let mut rounds = 0_u32;
    while !wait(Duration::from_secs(60), &mut stopped).await {
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(CUT_LOG)
            && let Err(error) = engine.cut_log().await
        {
            error!(error = %batch::chain(&error), "the write-ahead log can't be cut");
        }
        if let Err(error) = files.remove_older_than(KEEP_FILES, &SystemClock).await {
            error!(error = %batch::chain(&error), "old files can't be removed");
        }
        loop {
            match engine.remove_expired(EXPIRED).await {
                Ok(EXPIRED) => {}
                Ok(_) => break,
                Err(error) => {
                    error!(error = %batch::chain(&error), "expired items can't be removed");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_sweep_that_panics_is_not_the_last() {
        let (stop, stopped) = watch::channel(false);
        let sweeps = AtomicUsize::new(0);
        let sweep = || async {
            match sweeps.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("as the test wants it"),
                1 => Err(StoreError::Contended { what: "as the test wants it" }),
                _ => {
                    stop.send_replace(true);
                    Ok(0)
                }
            }
        };
        again_and_again(Duration::from_millis(1), stopped, sweep).await;
        assert_eq!(sweeps.into_inner(), 3);
    }
}
