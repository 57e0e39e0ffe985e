//! MiniStack, an emulator of AWS, installed and run by the tests themselves: no account, no container, one Python 3.
//!
//! It is installed once into the build folder, in pinned versions, and started on a free port of this machine. It ends
//! with whoever started it, however that ends: it watches the pipe that this process holds.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
use platform::{Clock, SystemClock};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::python::Installation;

/// What is installed.
const MINISTACK: Installation = Installation {
    folder: "ministack-1.5.33",
    packages: "\
ministack==1.5.33
annotated-types==0.8.0
attrs==26.1.0
aws-sam-translator==1.115.0
boto3==1.43.106
botocore==1.43.106
defusedxml==0.7.1
graphql-core==3.2.12
h11==0.16.0
h2==4.4.1
hpack==4.2.0
Hypercorn==0.18.0
hyperframe==6.1.0
jmespath==1.1.0
jsonata-python==0.7.1
jsonschema==4.26.0
jsonschema-specifications==2025.9.1
priority==2.0.0
pydantic==2.13.5
pydantic_core==2.46.5
python-dateutil==2.9.0.post0
PyYAML==6.0.4
referencing==0.37.0
rpds-py==2026.9.1
s3transfer==0.19.3
six==1.17.0
typing-inspection==0.4.5
typing_extensions==4.16.0
urllib3==2.8.0
wsproto==1.3.2
",
};
/// How long it may take to answer after its start.
const START: Duration = Duration::from_secs(60);
/// How often is looked whether it answers.
const LOOK: Duration = Duration::from_millis(50);
/// How often another port is tried.
const PORTS: usize = 5;

/// Runs it in a folder of its own until standard input ends, then takes along whatever it has started. Its schedules and
/// rules are looked at once a second rather than every ten, so that tests need not wait for it.
const LAUNCHER: &str = r#"
import os, shutil, signal, sys, tempfile, threading

work = os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="envoi-ministack-")

def end_with_the_owner():
    sys.stdin.buffer.read()
    shutil.rmtree(work, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=end_with_the_owner, daemon=True).start()

from ministack.services import eventbridge, scheduler
assert scheduler._SCHEDULE_TICK_INTERVAL == eventbridge._SCHEDULER_TICK_INTERVAL == 10
scheduler._SCHEDULE_TICK_INTERVAL = eventbridge._SCHEDULER_TICK_INTERVAL = 1

from ministack.app import main
sys.argv = ["ministack"]
main()
"#;

/// A running emulator. Dropping it ends it.
#[derive(Debug)]
pub struct Ministack {
    process: Child,
    port: u16,
    /// The Python that it runs in.
    pub python: PathBuf,
    /// Its standard output and error.
    pub log: PathBuf,
}

/// The emulator of this test program, started when it is first asked for.
///
/// # Panics
/// Where it can't be installed or started; the message says what is missing.
pub async fn shared() -> &'static Ministack {
    // A failure is kept too: what is missing for one test is missing for the next.
    static SHARED: OnceCell<anyhow::Result<Ministack>> = OnceCell::const_new();
    match SHARED.get_or_init(Ministack::start).await {
        Ok(ministack) => ministack,
        Err(error) => panic!("MiniStack, which the tests of the AWS engines run on, is not there: {error:#}"),
    }
}

impl Ministack {
    /// Installs it where it is not installed yet, and starts one.
    ///
    /// # Errors
    /// Says what is missing where it can't be installed, and where the log is if it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[], "").await
    }

    /// As [`Ministack::start`], with these environment variables on top, which the functions that it runs have too, and
    /// with a piece of Python that runs before it.
    ///
    /// # Errors
    /// As [`Ministack::start`].
    pub async fn start_with(variables: &[(&str, String)], prelude: &str) -> anyhow::Result<Self> {
        let program = format!("{prelude}\n{LAUNCHER}");
        let python = tokio::task::spawn_blocking(|| MINISTACK.python()).await??;
        for _ in 0..PORTS {
            // Free now; whoever takes it before the emulator does, makes it end at once.
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            if let Some(ministack) = Self::start_on(&python, &program, port, variables).await? {
                return Ok(ministack);
            }
        }
        bail!("it found no free port in {PORTS} attempts")
    }

    /// How to call it, as the account whose number is the access key's id; any other is the default one.
    pub async fn sdk_config(&self, access_key: &str) -> SdkConfig {
        let credentials = Credentials::new(access_key, "test", None, None, "the emulator takes any");
        platform::aws::sdk_config()
            .await
            .into_builder()
            .endpoint_url(self.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// `None` where the port was taken.
    async fn start_on(
        python: &Path,
        program: &str,
        port: u16,
        variables: &[(&str, String)],
    ) -> anyhow::Result<Option<Self>> {
        let name = format!("{}-{port}", std::process::id());
        let log = python.parent().and_then(Path::parent).context("it lies in a folder")?.join("logs");
        fs::create_dir_all(&log)?;
        forget_old(&log)?;
        let log = log.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let process = Command::new(python)
            .args(["-c", program])
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("LOG_LEVEL", "WARNING")
            // By which is seen that it is this one that answers.
            .env("MINISTACK_EDITION", &name)
            // It and its functions have nothing to do with an account that this machine may know.
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            // Functions are told to call it, and not AWS itself.
            .env("AWS_ENDPOINT_URL", endpoint(port))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            // A group of its own, so that it can end together with the functions that it runs.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("it does not start")?;
        let mut ministack = Self { process, port, python: python.to_owned(), log };
        let until = SystemClock.monotonic() + START;
        loop {
            if ministack.answers_as(&name).await {
                return Ok(Some(ministack));
            }
            if let Some(status) = ministack.process.try_wait()? {
                let said = fs::read_to_string(&ministack.log)?;
                if said.contains("already in use") {
                    return Ok(None);
                }
                bail!("it ended while it started ({status}); see {}", ministack.log.display());
            }
            ensure!(
                SystemClock.monotonic() < until,
                "it has not answered within {START:?}; see {}",
                ministack.log.display()
            );
            SystemClock.sleep(LOOK).await;
        }
    }

    async fn answers_as(&self, name: &str) -> bool {
        let Ok(response) = reqwest::get(format!("{}/_ministack/health", self.endpoint())).await else {
            return false;
        };
        let Ok(health) = response.json::<Value>().await else {
            return false;
        };
        health["edition"] == name
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The end of its input ends it, and what it has started.
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Removes the logs of programs that have ended: the last one's stay until the next starts.
fn forget_old(logs: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(logs)? {
        let path = entry?.path();
        let owner = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            // Another program may have been quicker.
            drop(fs::remove_file(path));
        }
    }
    Ok(())
}
