//! An SMTP server for tests and benchmarks: it takes messages, records whose they were, and fails on demand.
//!
//! It is strict where real servers are: a second MAIL in a transaction is refused, commands that come early without
//! PIPELINING are counted as violations.

mod faults;
mod options;
mod record;
mod session;
mod tls;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use options::{Fault, FaultKind, Keep, Queued, SinkOptions, SinkTls};
pub use record::Received;
use record::Record;
use tls::Identity;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// How often lines are pushed out to the log file.
const LOG_EVERY: Duration = Duration::from_millis(50);

/// A running server; it ends, and its connections with it, when dropped.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    options: SinkOptions,
    identity: Option<Identity>,
    record: Record,
    counts: Counters,
    /// How many steps of the protocol were made, over all connections.
    steps: AtomicU64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    ended: AtomicU64,
    offered: AtomicU64,
    accepted: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    violations: AtomicU64,
    faults: AtomicU64,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were opened.
    pub connections: u64,
    /// Connections that are over.
    pub ended: u64,
    /// Messages that came in whole.
    pub offered: u64,
    /// Messages that were taken, those among them whose 250 was held back.
    pub accepted: u64,
    /// Bytes of the messages taken, dot-stuffed.
    pub bytes: u64,
    /// Senders, recipients and messages refused by an option, throttling apart.
    pub refused: u64,
    /// Messages refused because they came too fast.
    pub throttled: u64,
    /// What a client must not do: MAIL within a transaction, commands before a reply without PIPELINING, stray line ends.
    pub violations: u64,
    /// How often the fault was played.
    pub faults: u64,
}

impl Sink {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where there is no port, the log can't be opened, or no certificate can be made.
    pub async fn start(options: SinkOptions) -> io::Result<Self> {
        Self::start_on(options, 0).await
    }

    /// Starts a server on `port` of 127.0.0.1.
    ///
    /// # Errors
    /// As [`Sink::start`].
    pub async fn start_on(options: SinkOptions, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let identity = match options.tls {
            SinkTls::None => None,
            SinkTls::StartTls | SinkTls::Implicit => Some(Identity::new().map_err(io::Error::other)?),
        };
        let record = Record::new(options.keep, options.log.as_deref())?;
        let shared = Arc::new(Shared {
            options,
            identity,
            record,
            counts: Counters::default(),
            steps: AtomicU64::new(0),
        });
        let mut tasks = vec![tokio::spawn(listen(listener, Arc::clone(&shared)))];
        if shared.options.log.is_some() {
            let shared = Arc::clone(&shared);
            tasks.push(tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LOG_EVERY).await;
                    shared.record.flush();
                }
            }));
        }
        Ok(Self { shared, address, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that a client must trust, in PEM. `None` without TLS.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.shared.identity.as_ref().map(|identity| identity.pem.as_str())
    }

    /// What was taken, in order, one a recipient; empty with [`Keep::Nothing`].
    pub fn messages(&self) -> Vec<Received> {
        self.shared.record.all()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        let counts = &self.shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&counts.connections),
            ended: read(&counts.ended),
            offered: read(&counts.offered),
            accepted: read(&counts.accepted),
            bytes: read(&counts.bytes),
            refused: read(&counts.refused),
            throttled: read(&counts.throttled),
            violations: read(&counts.violations),
            faults: read(&counts.faults),
        }
    }

    /// Brings the log file up to date.
    pub fn flush_log(&self) {
        self.shared.record.flush();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.record.flush();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    shared.counts.connections.fetch_add(1, Ordering::Relaxed);
                    sessions.spawn(session::serve(tcp, Arc::clone(&shared)));
                }
                // Out of file descriptors, or a connection gone before it was taken: others may fare better.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = sessions.join_next() => {
                shared.counts.ended.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
