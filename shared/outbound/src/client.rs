//! One call and its answer.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use platform::{Clock, SystemClock};
use thiserror::Error as ThisError;
use tokio::time::{Instant, timeout_at};

use crate::connect::Connector;
use crate::policy::{Policy, Refusal, Target};

/// The longest head of an answer.
const LARGEST_HEAD: usize = 64 << 10;

/// What a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection: finding where the name leads, and TLS, included.
    pub connect: Duration,
    /// For the whole call, from connecting to the answer's last byte.
    pub call: Duration,
    /// How long a connection may be at rest and be used again. The shorter, the rarer a call meets one that is being closed
    /// at the other end, which leaves in doubt whether the call was taken. Zero: none is kept, for whoever calls more hosts
    /// than connections can be open to.
    pub rest: Duration,
    /// The longest answer, in bytes, without its head. Of what is longer the rest is not read, and the connection is closed.
    pub answer: usize,
}

impl Default for Limits {
    /// 5 s to connect, 15 s in all, 20 s at rest, 64 KiB.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(15),
            rest: Duration::from_secs(20),
            answer: 64 << 10,
        }
    }
}

/// Why a call has no whole answer.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The policy does not allow the address.
    #[error("the address is refused: {0}")]
    Refused(Refusal),
    /// There was no connection, so nobody has the request.
    #[error("there was no connection")]
    NotConnected(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke after the request may have been taken.
    #[error("the connection broke before the whole answer was there")]
    Broken {
        /// The answer's status, if it came so far.
        status: Option<StatusCode>,
        /// What broke it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The time was up after the request may have been taken.
    #[error("the whole answer was not there within {within:?}")]
    Late {
        /// The answer's status, if it came so far.
        status: Option<StatusCode>,
        /// The time it had.
        within: Duration,
    },
    /// The answer is longer than the limit.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The answer's status.
        status: StatusCode,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Error {
    /// Whether nobody can have taken the request, so that it can be sent again without doing anything twice.
    pub const fn is_surely_not_taken(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::NotConnected(_))
    }

    /// The answer's status, where at least its head was there: for whom that is enough.
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(_) | Self::NotConnected(_) => None,
            Self::Broken { status, .. } | Self::Late { status, .. } => *status,
            Self::TooLarge { status, .. } => Some(*status),
        }
    }
}

/// Calls addresses that users configure, over connections that are kept. Clones are cheap and share them.
///
/// What has rested for long is left behind. Connections know that by themselves, but a process may be frozen between two
/// calls, as a function is, and its own clock with it; a request written to a connection that has died meanwhile is in doubt,
/// although nobody has read it. So the wall clock decides.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    limits: Limits,
}

/// Connections, and when they were last used, in milliseconds since the Unix epoch.
struct Kept {
    pool: Pool<Connector, Full<Bytes>>,
    used_ms: i64,
}

/// How long connections may rest and be used again, in milliseconds by the wall clock.
const LONGEST_REST_MS: i64 = 20_000;

impl Client {
    /// A client with connections of its own, to what `policy` allows.
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self::over(Connector::new(policy.clone(), limits.connect), policy, limits)
    }

    pub(crate) fn over(connector: Connector, policy: Policy, limits: Limits) -> Self {
        let clock = Arc::new(SystemClock);
        let kept = Kept { pool: pool(connector.clone(), limits), used_ms: clock.now().as_millisecond() };
        Self { connector, kept: Arc::new(Mutex::new(kept)), clock, policy, limits }
    }

    /// The same client, by another wall clock.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Self {
        self.kept().used_ms = clock.now().as_millisecond();
        Self { clock, ..self }
    }

    /// The connections to use now.
    fn pool(&self) -> Pool<Connector, Full<Bytes>> {
        let now_ms = self.clock.now().as_millisecond();
        let mut kept = self.kept();
        // A clock that was set back says nothing about the rest.
        if !(0..=LONGEST_REST_MS).contains(&(now_ms - kept.used_ms)) {
            kept.pool = pool(self.connector.clone(), self.limits);
        }
        kept.used_ms = now_ms;
        kept.pool.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same client, over the same connections, whose calls may take so long.
    #[must_use]
    pub fn within(&self, call: Duration) -> Self {
        Self { limits: Limits { call, ..self.limits }, ..self.clone() }
    }

    /// What the client may call.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends a request to its address, which is a whole one (`https://host/path`), and reads the whole answer, whatever its
    /// status: a redirect is an answer like any other, and not followed. `Host` and `Content-Length` need not be set.
    ///
    /// # Errors
    /// [`Error`] tells apart what surely was not taken.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.send_within(request, self.limits.call).await
    }

    /// As [`send`](Self::send), for whoever has less time than the limits give a call.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_within(
        &self,
        request: Request<Bytes>,
        within: Duration,
    ) -> Result<Response<Bytes>, Error> {
        let response = self.call(request, within.min(self.limits.call)).await;
        // However long it took, that was no rest.
        self.kept().used_ms = self.clock.now().as_millisecond();
        response
    }

    async fn call(&self, request: Request<Bytes>, within: Duration) -> Result<Response<Bytes>, Error> {
        Target::read(request.uri()).map_err(Error::Refused)?;
        let deadline = Instant::now() + within;
        let mut request = request.map(Full::new);
        let connection = capture_connection(&mut request);
        let response = match timeout_at(deadline, self.pool().request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(error)),
            Err(late) if connection.connection_metadata().is_none() => {
                return Err(Error::NotConnected(late.into()));
            }
            Err(_) => return Err(Error::Late { status: None, within }),
        };
        let (head, body) = response.into_parts();
        let status = head.status;
        match timeout_at(deadline, self.read(body, status)).await {
            Ok(body) => Ok(Response::from_parts(head, body?)),
            Err(_) => Err(Error::Late { status: Some(status), within }),
        }
    }

    /// The body is dropped with what was not read of it, and its connection with it.
    async fn read(&self, mut body: Incoming, status: StatusCode) -> Result<Bytes, Error> {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Error::Broken { status: Some(status), source: error.into() })?;
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > self.limits.answer {
                    return Err(Error::TooLarge { status, limit: self.limits.answer });
                }
                bytes.extend_from_slice(data);
            }
        }
        Ok(bytes.freeze())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn pool(connector: Connector, limits: Limits) -> Pool<Connector, Full<Bytes>> {
    Pool::builder(TokioExecutor::new())
        .pool_max_idle_per_host(if limits.rest.is_zero() { 0 } else { usize::MAX })
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits.rest)
        .http1_max_buf_size(LARGEST_HEAD)
        .build(connector)
}

fn failure(error: hyper_util::client::legacy::Error) -> Error {
    if !error.is_connect() {
        return Error::Broken { status: None, source: error.into() };
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(next) = cause {
        if let Some(refusal) = next.downcast_ref::<Refusal>() {
            return Error::Refused(*refusal);
        }
        cause = next.source();
    }
    Error::NotConnected(error.into())
}

#[cfg(test)]
mod tests;
