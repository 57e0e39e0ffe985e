//! One connection: writing with every byte accounted for, reading reply by reply.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout_at},
};

use super::{
    reply::{Extensions, Inbox, Reply},
    stream::Stream,
};
use crate::{Answer, NotAccepted};

/// Bodies above this size are handed to TLS in two parts, the end-of-data dot alone in the second.
const TLS_SPLIT_BYTES: usize = 16 * 1024;
/// Buffers grown beyond this by a large message are not kept.
const KEEP_BYTES: usize = 256 * 1024;

/// Why no reply could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The connection is gone.
    Closed,
    /// Nothing whole came in time.
    TimedOut,
    /// What came is not SMTP.
    Nonsense,
}

impl ReadError {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Closed => "the server closed the connection",
            Self::TimedOut => "no reply in time",
            Self::Nonsense => "the reply made no sense",
        }
    }
}

/// A connection that can't be used any further. Messages without an answer were not handed over whole.
#[derive(Debug)]
pub(super) struct Broken {
    /// The answer for every message that has none.
    pub(super) answer: Answer,
    /// Whether another connection might do better right now: the server only ended this one.
    pub(super) new_connection_may_help: bool,
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self {
            answer: Answer::not_accepted(NotAccepted::Unreachable, error.describe()),
            new_connection_may_help: error == ReadError::Closed,
        }
    }
}

/// A write that did not go through.
#[derive(Debug)]
pub(super) struct WriteError {
    /// How many bytes may have gone out.
    pub(super) handed: usize,
    pub(super) error: ReadError,
}

/// A connection after its handshake.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) inbox: Inbox,
    /// What is written next; kept for its memory.
    pub(super) out: Vec<u8>,
    pub(super) extensions: Extensions,
    /// To whom the message goes that the server is asked about.
    pub(super) recipient: String,
    /// Final replies to messages, over its life.
    pub(super) served: u32,
    /// Messages the server gave an answer to, at whatever step, over its life.
    pub(super) settled: u32,
    /// Whether a transaction may be left open, in which another MAIL would be refused.
    pub(super) needs_reset: bool,
    /// How long the last final reply took.
    pub(super) last_wait: Duration,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            inbox: Inbox::new(),
            out: Vec::with_capacity(8 * 1024),
            extensions: Extensions::default(),
            recipient: String::new(),
            served: 0,
            settled: 0,
            needs_reset: false,
            last_wait: Duration::ZERO,
        }
    }

    /// The next reply.
    pub(super) async fn read_reply(&mut self, deadline: Instant) -> Result<Reply, ReadError> {
        loop {
            match self.inbox.next() {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(_) => return Err(ReadError::Nonsense),
            }
            match timeout_at(deadline, self.stream.read(self.inbox.space())).await {
                Err(_) => return Err(ReadError::TimedOut),
                Ok(Ok(0) | Err(_)) => return Err(ReadError::Closed),
                Ok(Ok(count)) => self.inbox.received(count),
            }
        }
    }

    /// Writes all of `out`, whose end-of-data dot, if it has one, is at `dot`.
    ///
    /// On plain TCP, what counts as handed over is exactly what the kernel took. TLS may hold bytes back and fail later,
    /// so there it is all that TLS was ever given; a large body is therefore flushed before its dot is given.
    pub(super) async fn write_out(
        &mut self,
        dot: Option<usize>,
        deadline: Instant,
    ) -> Result<(), WriteError> {
        let first = match dot {
            Some(dot) if self.stream.is_tls() && dot > TLS_SPLIT_BYTES => dot,
            _ => self.out.len(),
        };
        let mut handed = 0;
        let written = timeout_at(deadline, async {
            for end in [first, self.out.len()] {
                while handed < end {
                    let before = handed;
                    if self.stream.is_tls() {
                        handed = end;
                    }
                    let count = self.stream.write(&self.out[before..end]).await?;
                    if count == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    handed = before + count;
                }
                if self.stream.is_tls() {
                    // Until the flush is through, TLS owns the bytes and so does the count.
                    self.stream.flush().await?;
                }
            }
            Ok::<(), io::Error>(())
        })
        .await;
        if self.out.capacity() > KEEP_BYTES {
            self.out = Vec::with_capacity(8 * 1024);
        } else {
            self.out.clear();
        }
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WriteError { handed, error: ReadError::Closed }),
            Err(_) => Err(WriteError { handed, error: ReadError::TimedOut }),
        }
    }

    /// Writes one command and reads its reply.
    pub(super) async fn command(&mut self, command: &[u8], deadline: Instant) -> Result<Reply, ReadError> {
        self.out.clear();
        self.out.extend_from_slice(command);
        self.write_out(None, deadline).await.map_err(|failed| failed.error)?;
        self.read_reply(deadline).await
    }

    /// Whether an unused connection still looks alive: nothing was said and nobody hung up.
    pub(super) fn is_quiet(&mut self) -> bool {
        if !self.inbox.is_empty() {
            return false;
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        matches!(Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer), Poll::Pending)
    }

    /// Says goodbye without waiting for an answer.
    pub(super) async fn quit(mut self) {
        let deadline = Instant::now() + Duration::from_millis(100);
        self.out.clear();
        self.out.extend_from_slice(b"QUIT\r\n");
        if self.write_out(None, deadline).await.is_ok() {
            // Whatever becomes of it, no message depends on it.
            let _ = timeout_at(deadline, self.stream.shutdown()).await;
        }
    }
}
