//! `envoi serve`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::timeout;

use super::{Api, Child, GUARD, Usage, binary};

const LISTENS: &str = "Envoi listens on ";
const FIRST_KEY: &str = "The first admin key, shown this once: ";

/// A node in a process of its own: its data, its key, and, while it runs, its API.
#[derive(Debug)]
pub struct Envoi {
    data: PathBuf,
    smtp: SocketAddr,
    arguments: Vec<String>,
    child: Option<Child>,
    key: Option<String>,
    api: Option<Api>,
}

impl Envoi {
    /// A node that does not run yet, with its data in `data`, sending through the SMTP server at `smtp`, told these
    /// further arguments.
    pub fn new(data: impl Into<PathBuf>, smtp: SocketAddr, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { data: data.into(), smtp, arguments, child: None, key: None, api: None }
    }

    /// The same, in whose data `key` is known already.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Starts it, on a port that the system chooses, and returns at once: it is not ready yet.
    ///
    /// # Errors
    /// Where there is no process to be had.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        // The data folder itself is its own to make.
        fs::create_dir_all(self.data.parent().unwrap_or(&self.data))?;
        let mut command = Command::new(binary("envoi")?);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--smtp-tls", "none", "--data"])
            .arg(&self.data)
            .arg("--smtp-host")
            .arg(self.smtp.ip().to_string())
            .arg("--smtp-port")
            .arg(self.smtp.port().to_string())
            .args(&self.arguments)
            // What it logs would be the tester's business only where it fails.
            .env("ENVOI_LOG", "warn");
        self.api = None;
        self.child = Some(Child::start(command, Some(&self.log()))?);
        Ok(())
    }

    /// Starts it and waits until its API answers.
    ///
    /// # Errors
    /// Where it ends instead, with what it said.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Waits until the API of the node that was spawned answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let listens = self.line(LISTENS).await?;
        if self.key.is_none() {
            self.key = Some(self.line(FIRST_KEY).await?);
        }
        let key = self.key.as_deref().context("the key was just read")?;
        self.api = Some(Api::new(&listens, key));
        Ok(())
    }

    /// What stands behind `prefix` on the next line that begins so.
    async fn line(&mut self, prefix: &str) -> anyhow::Result<String> {
        let child = self.child.as_mut().context("it does not run")?;
        let found = timeout(GUARD, async {
            while let Some(line) = child.line().await {
                if let Some(rest) = line.strip_prefix(prefix) {
                    return Some(rest.to_owned());
                }
            }
            None
        });
        match found.await {
            Ok(Some(rest)) => Ok(rest),
            Ok(None) => bail!("envoi has ended: {}", self.said()),
            Err(_) => bail!("envoi prints no \"{prefix}\": {}", self.said()),
        }
    }

    /// Its API.
    ///
    /// # Errors
    /// Where it does not run or is not known to be ready.
    pub fn api(&self) -> anyhow::Result<&Api> {
        self.api.as_ref().context("envoi does not run")
    }

    /// What its processes have said on standard error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// What they have logged: warnings and errors, one JSON object a line.
    pub fn logged(&self) -> Vec<String> {
        self.said().lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
    }

    fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// How many bytes its database is, with its log.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn database_bytes(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.data)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("envoi.db") {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// Where it does not run, with what it said if it has ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.api = None;
        let mut child = self.child.take().context("envoi does not run")?;
        child.kill().with_context(|| self.said())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// Where it does not run, or not end `within` that time.
    pub async fn terminate(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.api = None;
        let mut child = self.child.take().context("envoi does not run")?;
        child.terminate()?;
        child.wait(within).await
    }

    /// What the running process has used so far.
    ///
    /// # Errors
    /// Where it does not run, or the system does not say.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        self.child.as_ref().context("envoi does not run")?.usage()
    }

    /// The id of the running process.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}
