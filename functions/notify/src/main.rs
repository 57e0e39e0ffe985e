//! The Lambda function that tells callers what became of their messages.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(notify::Context::from_environment, notify::handle)
}
