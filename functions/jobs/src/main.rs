//! The Lambda function behind the jobs' queue.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(jobs::Context::from_environment, jobs::handle)
}
