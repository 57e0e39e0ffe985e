//! The processes of functions.

use std::fs;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// Ends every running process of a function as `kill -9` does; how many there were.
pub(super) fn kill(function: &str, endpoint: &str) -> anyhow::Result<usize> {
    let processes = all(function, endpoint)?;
    for (id, _) in &processes {
        kill_process(Pid::from_raw(*id).context("a process has an id")?, Signal::KILL)?;
    }
    Ok(processes.len())
}

/// What a running process of a function has in that variable.
pub(super) fn variable(function: &str, endpoint: &str, name: &str) -> anyhow::Result<String> {
    let processes = all(function, endpoint)?;
    let (_, environment) = processes.first().with_context(|| format!("no process of {function} runs"))?;
    let mut values = environment.iter().filter_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
    values.next().map(str::to_owned).with_context(|| format!("{name} is not set"))
}

/// The processes of a function of the emulator there, by their ids, with their environments.
fn all(function: &str, endpoint: &str) -> anyhow::Result<Vec<(i32, Vec<String>)>> {
    let theirs = [format!("AWS_LAMBDA_FUNCTION_NAME={function}"), format!("AWS_ENDPOINT_URL={endpoint}")];
    let mut processes = Vec::new();
    for process in fs::read_dir("/proc").context("processes are not to be seen")? {
        let process = process?;
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be gone, or somebody else's.
        let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
        let entries = environment.split(|byte| *byte == 0);
        let environment: Vec<_> = entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
        if theirs.iter().all(|variable| environment.contains(variable)) {
            processes.push((id, environment));
        }
    }
    Ok(processes)
}
