//! The Lambda function behind the queues of push notifications.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(deliver_push::Context::from_environment, deliver_push::handle_event)
}
