//! `smtp-sink`.

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use platform::{Clock, SystemClock};
use serde_json::Value;

use super::{Child, GUARD, Usage, binary};

/// How often the log is looked at; it grows every 50 ms.
const LOOK: Duration = Duration::from_millis(5);

/// An SMTP server in a process of its own.
#[derive(Debug)]
pub struct SinkProcess {
    child: Child,
    address: SocketAddr,
    log: Option<Log>,
}

/// Whose messages it took, as far as it was read.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// What an SMTP server did.
#[derive(Debug)]
pub struct Taken {
    /// Its counters, by name.
    pub counts: Value,
    /// Recipient and Message-ID of each message, in order, where it kept a log.
    pub log: Vec<(String, String)>,
}

impl SinkProcess {
    /// Starts it with these further arguments; with a `log` it writes down whose messages it took.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(log: Option<&Path>, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary("smtp-sink")?);
        if let Some(path) = log {
            command.arg("--log").arg(path);
        }
        command.args(arguments);
        let mut child = Child::start(command, None)?;
        let line = tokio::time::timeout(GUARD, child.line()).await?.context("the sink has ended")?;
        let port: u16 =
            line.strip_prefix("listening on ").context("the sink says something else")?.parse()?;
        let log = match log {
            Some(path) => Some(Log { path: path.to_owned(), file: File::open(path)?, lines: 0 }),
            None => None,
        };
        Ok(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many messages its log says it took; the last twentieth of a second may be missing.
    ///
    /// # Errors
    /// Where there is no log or it can't be read.
    pub fn taken(&mut self) -> anyhow::Result<usize> {
        let log = self.log.as_mut().context("this sink keeps no log")?;
        let mut grown = Vec::new();
        log.file.read_to_end(&mut grown)?;
        log.lines += memchr::memchr_iter(b'\n', &grown).count();
        Ok(log.lines)
    }

    /// Waits until it took so many messages.
    ///
    /// # Errors
    /// As [`Self::taken`], and where the number stands still for very long.
    pub async fn until_taken(&mut self, count: usize) -> anyhow::Result<()> {
        let (mut last, mut since) = (0, SystemClock.monotonic());
        loop {
            let taken = self.taken()?;
            if taken >= count {
                return Ok(());
            }
            if taken != last {
                (last, since) = (taken, SystemClock.monotonic());
            }
            if SystemClock.monotonic() - since > GUARD {
                bail!("{taken} of {count} messages came, then none for {GUARD:?}");
            }
            SystemClock.sleep(LOOK).await;
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        self.child.usage()
    }

    /// Ends it; what it did.
    ///
    /// # Errors
    /// Where it does not end well, or its log can't be read.
    pub async fn finish(mut self) -> anyhow::Result<Taken> {
        self.child.terminate()?;
        let line = tokio::time::timeout(GUARD, self.child.line())
            .await?
            .context("the sink says nothing at its end")?;
        let status = self.child.wait(GUARD).await?;
        ensure!(status.success(), "the sink ends with {status}");
        let text = match &self.log {
            Some(log) => fs::read_to_string(&log.path)?,
            None => String::new(),
        };
        let entry = |line: &str| {
            let (recipient, id) =
                line.split_once('\t').context("a line of the sink's log has another form")?;
            Ok((recipient.to_owned(), id.to_owned()))
        };
        Ok(Taken {
            counts: serde_json::from_str(&line)?,
            log: text.lines().map(entry).collect::<anyhow::Result<_>>()?,
        })
    }
}
