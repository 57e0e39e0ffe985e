//! How quickly the functions start on Lambda, and how large they are: built as they are deployed, started by hand against a
//! stub of the runtime API that never has an event.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use platform::{Clock, SystemClock};
use serde_json::json;

use crate::report::{Report, mib};

/// The functions, and how large they may be in bytes, zipped.
const FUNCTIONS: [(&str, u64); 11] = [
    ("api", 4_000_000),
    ("activate", 3_000_000),
    ("fanout", 3_000_000),
    ("deliver-email", 3_000_000),
    ("deliver-push", 3_000_000),
    ("deliver-sms", 3_000_000),
    ("deliver-webhook", 3_000_000),
    ("jobs", 3_000_000),
    ("notify", 3_000_000),
    ("track", 3_000_000),
    ("feedback", 3_000_000),
];
/// How long a start may take, in milliseconds.
const BUDGET_MS: f64 = 10.0;
/// What a function asks the runtime for.
const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";
/// How long a program may take until its first poll, before it counts as hanging.
const GUARD: Duration = Duration::from_secs(30);
/// What the template sets, and Lambda itself. Nothing listens anywhere: a start must not need the network.
const ENVIRONMENT: [(&str, &str); 27] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("ENVOI_TABLE_CONTROL", "envoi-control"),
    ("ENVOI_TABLE_PROFILES", "envoi-profiles"),
    ("ENVOI_TABLE_AUDIENCE", "envoi-audience"),
    ("ENVOI_TABLE_LEDGER", "envoi-ledger"),
    ("ENVOI_QUEUE_WAKE_UP", "https://sqs.eu-west-1.amazonaws.com/1/wake-up"),
    ("ENVOI_QUEUE_FAN_OUT", "https://sqs.eu-west-1.amazonaws.com/1/fan-out"),
    ("ENVOI_QUEUE_DELIVER_EMAIL", "https://sqs.eu-west-1.amazonaws.com/1/deliver-email"),
    ("ENVOI_QUEUE_DELIVER_EMAIL_PRIORITY", "https://sqs.eu-west-1.amazonaws.com/1/deliver-email-priority"),
    ("ENVOI_QUEUE_JOBS", "https://sqs.eu-west-1.amazonaws.com/1/jobs"),
    ("ENVOI_SCHEDULE_GROUP", "envoi"),
    ("ENVOI_SCHEDULE_ROLE_ARN", "arn:aws:iam::123456789012:role/envoi"),
    ("ENVOI_SCHEDULE_QUEUE_ARN", "arn:aws:sqs:eu-west-1:123456789012:wake-up"),
    ("ENVOI_KMS_KEY", "arn:aws:kms:eu-west-1:123456789012:key/1"),
    ("ENVOI_BUCKET", "envoi"),
    ("ENVOI_SES_CONFIGURATION_SET", ""),
    ("ENVOI_LOG", "info"),
];
/// Zips a file as a deployment does: argument 1 into argument 2.
const ZIP: &str = "\
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED) as z:
    z.write(sys.argv[1], 'bootstrap')
";

/// How it is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often each function is started.
    #[arg(long, default_value = "20")]
    runs: usize,
    /// The functions to measure; all where absent.
    #[arg(long)]
    function: Vec<String>,
    /// A folder with the functions' programs, such as `target/lambda` after a deployment; they are built where it is
    /// absent.
    #[arg(long)]
    built: Option<PathBuf>,
}

/// One start.
struct Start {
    ms: f64,
    /// How long processors were busy with it: on a machine that others use too, this says more.
    busy_ms: f64,
    resident_kib: u64,
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    ensure!(options.runs > 0, "what is never started takes no time");
    let wanted =
        |name: &&str| options.function.is_empty() || options.function.iter().any(|asked| asked == name);
    let mut report = Report::default();
    for (name, budget) in FUNCTIONS.iter().filter(|(name, _)| wanted(name)) {
        let program = match &options.built {
            Some(folder) => program_in(folder, name),
            None => build(name)?,
        };
        let zipped = zipped(&program)?;
        // The first one reads the program from the disk.
        start(&program)?;
        let mut starts = (0..options.runs).map(|_| start(&program)).collect::<anyhow::Result<Vec<_>>>()?;
        starts.sort_by(|one, other| one.ms.total_cmp(&other.ms));
        let median = &starts[starts.len() / 2];
        report.line(
            &format!("start {name}"),
            &json!({
                "runs": options.runs,
                "first_poll_ms_min": starts[0].ms,
                "first_poll_ms_median": median.ms,
                "first_poll_ms_max": starts[starts.len() - 1].ms,
                "processor_ms_median": median.busy_ms,
                "resident_mib": mib(median.resident_kib),
                "program_bytes": fs::metadata(&program)?.len(),
                "zipped_bytes": zipped,
                "zipped_bytes_budget": budget,
                "within_budget": median.ms <= BUDGET_MS && zipped <= *budget,
            }),
        );
    }
    report.print();
    Ok(())
}

/// A function's program as cargo leaves it, or `cargo lambda`.
fn program_in(folder: &Path, name: &str) -> PathBuf {
    let program = folder.join(name);
    if program.is_dir() { program.join("bootstrap") } else { program }
}

/// Builds a function as it is deployed, but by this machine's own linker.
fn build(name: &str) -> anyhow::Result<PathBuf> {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this package lies in the workspace")?;
    let mut command = Command::new(workspace.join("infra/build.sh"));
    // What cargo told this program about its own package, build scripts would take for theirs, and run again.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    let built = command.args(["--with", "cargo", name]).status().context("infra/build.sh does not start")?;
    ensure!(built.success(), "{name} does not build");
    Ok(program_in(&workspace.join("target/lambda"), name))
}

fn zipped(program: &Path) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("zip");
    let done = Command::new("python3").args(["-c", ZIP]).arg(program).arg(&file).status();
    ensure!(done.context("Python 3 is not there")?.success(), "{} can't be zipped", program.display());
    Ok(fs::metadata(&file)?.len())
}

/// Starts a program and waits until it asks for its first event.
fn start(program: &Path) -> anyhow::Result<Start> {
    let runtime = TcpListener::bind(("127.0.0.1", 0))?;
    runtime.set_nonblocking(true)?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(ENVIRONMENT)
        .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr()?.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let started = SystemClock.monotonic();
    let mut process =
        Running(command.spawn().with_context(|| format!("{} does not start", program.display()))?);
    let connection = loop {
        match runtime.accept() {
            Ok((connection, _)) => break connection,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = process.0.try_wait()? {
            bail!("{} ended before it asked for an event: {status}", program.display());
        }
        ensure!(SystemClock.monotonic() - started < GUARD, "{} never asks for an event", program.display());
        std::thread::sleep(Duration::from_micros(50));
    };
    let asked = first_line(&connection)?;
    let ms = (SystemClock.monotonic() - started).as_secs_f64() * 1000.0;
    ensure!(asked.starts_with(NEXT), "{} asks for {asked:?} first", program.display());
    Ok(Start { ms, busy_ms: busy_ms(process.0.id())?, resident_kib: resident_kib(process.0.id())? })
}

fn first_line(connection: &TcpStream) -> anyhow::Result<String> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(GUARD))?;
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line)?;
    Ok(line)
}

fn busy_ms(process: u32) -> anyhow::Result<f64> {
    let mut busy_ns = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedule = fs::read_to_string(thread?.path().join("schedstat"))?;
        busy_ns +=
            schedule.split_whitespace().next().context("schedstat has another form")?.parse::<u64>()?;
    }
    Ok(busy_ns as f64 / 1e6)
}

fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("status has another form")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// A program that does not outlive its measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
