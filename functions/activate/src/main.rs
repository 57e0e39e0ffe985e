//! The Lambda function behind the wake-up queue.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(activate::Context::from_environment, activate::handle)
}
