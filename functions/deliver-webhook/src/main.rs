//! The Lambda function behind the queues of webhooks.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(deliver_webhook::Context::from_environment, deliver_webhook::handle_event)
}
