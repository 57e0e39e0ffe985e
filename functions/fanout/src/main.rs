//! The Lambda function behind the fan-out queue.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(fanout::Context::from_environment, fanout::handle)
}
