//! Connections, kept and shared.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    KeptCredentials, Outgoing, SmtpConfig,
    config::ConfigError,
    connection::Connection,
    envelope,
    handshake::{NotConnected, connect},
    login::Login,
    stream::Protection,
    window::Limits,
};
use crate::{Answer, NotAccepted};

/// A day: what a call without a limit that makes sense is given.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A pool of connections to one server. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct SmtpPool {
    inner: Arc<Inner>,
}

struct Inner {
    config: SmtpConfig,
    login: Login,
    protection: Option<Protection>,
    /// One permit a connection that may be open; closed with the pool.
    permits: Semaphore,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Last used last.
    connections: Vec<(Connection, Instant)>,
    /// Whether a task is waiting to close what is unused for too long.
    is_watched: bool,
}

impl std::fmt::Debug for SmtpPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpPool").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl SmtpPool {
    /// A pool without connections yet; they are opened when needed.
    ///
    /// # Errors
    /// Where `config` could never work, or would send a password in plain text over a network.
    pub fn new(config: SmtpConfig) -> Result<Self, ConfigError> {
        Self::logging_in(config, None)
    }

    /// The same for credentials that are kept somewhere and may change: where the server refuses those of `config`, or there
    /// are none, they are read again, at most once a minute.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_kept(config: SmtpConfig, kept: Arc<dyn KeptCredentials>) -> Result<Self, ConfigError> {
        Self::logging_in(config, Some(kept))
    }

    fn logging_in(config: SmtpConfig, kept: Option<Arc<dyn KeptCredentials>>) -> Result<Self, ConfigError> {
        config.check()?;
        let protection = Protection::new(&config)?;
        let permits =
            Semaphore::new(config.max_connections.get().min(Semaphore::MAX_PERMITS as u32) as usize);
        let login = Login::new(config.credentials.clone(), kept);
        Ok(Self { inner: Arc::new(Inner { config, login, protection, permits, idle: Mutex::default() }) })
    }

    /// Hands over a window of messages on one connection, and says of each, in the same order, what became of it. Takes
    /// at most `until`, the waiting for a free connection included.
    ///
    /// Messages the server was not asked about are tried on a new connection where the old one was stale, or ended after
    /// it had taken or refused a message of this window: a server that closes after so many messages costs no retry.
    /// There is no other retry; a message that may have been taken is never tried again.
    ///
    /// A throttle does not end the window: each message gets the server's own answer.
    ///
    /// Dropping the future drops the connection; what was being sent is then in doubt.
    pub async fn send(&self, window: &[Outgoing<'_>], until: Duration) -> Vec<Answer> {
        let deadline = Instant::now() + until.min(LONGEST);
        let mut answers: Vec<Option<Answer>> =
            window.iter().map(|message| envelope::check(message).err()).collect();
        let rest = if answers.iter().all(Option::is_some) {
            None
        } else {
            self.inner.send(window, &mut answers, deadline).await.err()
        };
        let rest = rest.unwrap_or_else(|| Answer::not_accepted(NotAccepted::Transient, "not sent"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| rest.clone())).collect()
    }

    /// Says goodbye on all connections that are not in use and takes no more messages. Windows under way are finished,
    /// and their connections closed then.
    pub async fn close(&self) {
        self.inner.permits.close();
        let connections = std::mem::take(&mut self.inner.idle().connections);
        for (connection, _) in connections {
            connection.quit().await;
        }
    }
}

impl Inner {
    /// The error is the answer for the messages without one.
    async fn send(
        self: &Arc<Self>,
        window: &[Outgoing<'_>],
        answers: &mut [Option<Answer>],
        deadline: Instant,
    ) -> Result<(), Answer> {
        let _permit = match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => {
                return Err(Answer::not_accepted(NotAccepted::Unreachable, "the pool is closed"));
            }
            Err(_) => {
                return Err(Answer::not_accepted(NotAccepted::Transient, "no connection was free in time"));
            }
        };
        let limits = Limits {
            timeouts: &self.config.timeouts,
            deadline,
            max_messages: self.config.max_messages_per_connection,
        };
        let mut kept = self.take_idle();
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => {
                    let at = deadline.min(Instant::now() + self.config.timeouts.connect.min(LONGEST));
                    self.connect(at).await?
                }
            };
            let settled_before = connection.settled;
            let Err(broken) = connection.run(window, answers, &limits).await else {
                self.keep(connection).await;
                return Ok(());
            };
            // Ends: a new connection is opened once for a stale one, and then only after an answer more. One that left
            // a message in doubt was not stale, and going on without an answer might put the next one in doubt too.
            let is_stale =
                is_kept && !answers.iter().flatten().any(|answer| matches!(answer, Answer::Ambiguous { .. }));
            let may_go_on = is_stale || connection.settled > settled_before;
            if !may_go_on || !broken.new_connection_may_help {
                return Err(broken.answer);
            }
            if answers.iter().all(Option::is_some) {
                return Ok(());
            }
            tracing::debug!("the SMTP server ended a connection, going on with a new one");
        }
    }

    /// A new connection. Credentials that the server refuses may have been changed, so new ones are tried once.
    async fn connect(&self, deadline: Instant) -> Result<Connection, Answer> {
        let (config, protection) = (&self.config, self.protection.as_ref());
        let late = |_| Answer::NotAccepted {
            cause: NotAccepted::Unreachable,
            retry_after: None,
            detail: "the credentials could not be read in time".to_owned(),
        };
        let login = timeout_at(deadline, self.login.current(config)).await.map_err(late)?;
        let refused = match connect(config, login.as_ref(), protection, deadline).await {
            Err(NotConnected::LoginRefused(answer)) => answer,
            connected => return connected.map_err(NotConnected::into_answer),
        };
        match timeout_at(deadline, self.login.instead_of(login.as_ref(), config)).await.ok().flatten() {
            Some(login) => {
                connect(config, Some(&login), protection, deadline).await.map_err(NotConnected::into_answer)
            }
            None => Err(refused),
        }
    }

    /// A connection left by an earlier window that still looks alive.
    fn take_idle(&self) -> Option<Connection> {
        let idle_for = self.config.timeouts.idle;
        let mut idle = self.idle();
        while let Some((mut connection, since)) = idle.connections.pop() {
            if since.elapsed() < idle_for && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next window, unless it has carried its share.
    async fn keep(self: &Arc<Self>, connection: Connection) {
        let is_spent =
            self.config.max_messages_per_connection.is_some_and(|max| connection.served >= max.get());
        if is_spent || self.permits.is_closed() {
            connection.quit().await;
            return;
        }
        let mut idle = self.idle();
        idle.connections.push((connection, Instant::now()));
        if !idle.is_watched {
            idle.is_watched = true;
            drop(idle);
            tokio::spawn(watch(Arc::downgrade(self), self.config.timeouts.idle));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections once they are unused for `idle_for`; ends with the last of them, or with the pool.
async fn watch(pool: Weak<Inner>, idle_for: Duration) {
    loop {
        tokio::time::sleep(idle_for.clamp(Duration::from_millis(100), LONGEST)).await;
        let Some(pool) = pool.upgrade() else { return };
        let (old, is_over) = {
            let mut idle = pool.idle();
            // Last used last, so the old ones are in front.
            let fresh = idle.connections.partition_point(|(_, since)| since.elapsed() >= idle_for);
            let old: Vec<_> = idle.connections.drain(..fresh).collect();
            idle.is_watched = !idle.connections.is_empty();
            (old, !idle.is_watched)
        };
        for (connection, _) in old {
            connection.quit().await;
        }
        if is_over {
            return;
        }
    }
}
