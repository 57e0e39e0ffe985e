//! A process that does not outlive its owner.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use platform::{Clock, SystemClock};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// A running process, its standard output read line by line. It is killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Child {
    /// Starts `command`; its standard error goes to the end of the file `log`, or else where this process's own goes.
    ///
    /// # Errors
    /// Where it can't be started or the file can't be opened.
    pub fn start(mut command: Command, log: Option<&Path>) -> anyhow::Result<Self> {
        let log = match log {
            Some(path) => File::options()
                .create(true)
                .append(true)
                .open(path)
                .context("the log can't be opened")?
                .into(),
            None => Stdio::inherit(),
        };
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        let stdout = process.stdout.take().context("its output was asked for")?;
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The rest is read all the same, so that the process never waits for its reader.
                drop(sender.send(line));
            }
        });
        Ok(Self { process, lines })
    }

    /// The next line it prints; `None` once it has closed its output.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as `kill -9` does, and returns when it is gone.
    ///
    /// # Errors
    /// Where it had ended by itself before, which a test that kills it must not take for its own doing.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("it had ended by itself: {status}");
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// Where it can't be signalled.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("it has no id")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Where it has not ended `within` that time.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let until = SystemClock.monotonic() + within;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            if SystemClock.monotonic() > until {
                bail!("it has not ended within {within:?}");
            }
            SystemClock.sleep(LOOK).await;
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// Where the system does not say: the process is gone, or there is no `/proc`.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.id())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time in its own code, of all its threads.
    pub user_seconds: f64,
    /// Processor time in the kernel.
    pub system_seconds: f64,
    /// The most memory it was resident with, in KiB.
    pub peak_kib: u64,
    /// The memory it is resident with, in KiB.
    pub resident_kib: u64,
    /// What it has made the system write to disks, in bytes.
    pub written_bytes: u64,
}

impl Usage {
    /// What a process has used so far, by its id.
    ///
    /// # Errors
    /// Where the system does not say: the process is gone, or there is no `/proc`.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/{process}/{name}")).with_context(|| format!("no {name}"))
        };
        let (stat, status) = (file("stat")?, file("status")?);
        // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
        let (_, fields) = stat.rsplit_once(')').context("stat has another form")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut seconds = || -> anyhow::Result<f64> {
            let ticks = times.next().context("stat is short")??;
            Ok(ticks as f64 / clock_ticks_per_second() as f64)
        };
        let (user, system) = (seconds()?, seconds()?);
        let kib = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("status is short")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        let written = file("io").ok().and_then(|io| {
            io.lines()
                .find_map(|line| line.strip_prefix("write_bytes: ").and_then(|bytes| bytes.parse().ok()))
        });
        Ok(Self {
            user_seconds: user,
            system_seconds: system,
            peak_kib: kib("VmHWM")?,
            resident_kib: kib("VmRSS")?,
            written_bytes: written.unwrap_or(0),
        })
    }

    /// All processor time.
    pub fn seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}
