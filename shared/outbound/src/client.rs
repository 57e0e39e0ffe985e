//! One call and its answer.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
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
    /// at the other end, which leaves in doubt whether the call was taken.
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
#[derive(Clone)]
pub struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    policy: Policy,
    limits: Limits,
}

impl Client {
    /// A client with connections of its own, to what `policy` allows.
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self::over(Connector::new(policy.clone(), limits.connect), policy, limits)
    }

    pub(crate) fn over(connector: Connector, policy: Policy, limits: Limits) -> Self {
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.rest)
            .http1_max_buf_size(LARGEST_HEAD)
            .build(connector);
        Self { pool, policy, limits }
    }

    /// The same client, over the same connections, whose calls may take so long.
    #[must_use]
    pub fn within(&self, call: Duration) -> Self {
        Self { limits: Limits { call, ..self.limits }, ..self.clone() }
    }

    /// A client of the same kind with connections of its own, which leaves those of this one behind.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.policy.clone(), self.limits)
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
        Target::read(request.uri()).map_err(Error::Refused)?;
        let within = within.min(self.limits.call);
        let deadline = Instant::now() + within;
        let mut request = request.map(Full::new);
        let connection = capture_connection(&mut request);
        let response = match timeout_at(deadline, self.pool.request(request)).await {
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
