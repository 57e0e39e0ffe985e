//! The Lambda function behind the queues of text messages.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(deliver_sms::Context::from_environment, deliver_sms::handle_event)
}
