//! The Lambda function behind the queues of email.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(deliver_email::Context::from_environment, deliver_email::handle_event)
}
