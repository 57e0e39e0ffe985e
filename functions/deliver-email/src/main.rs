//! The Lambda function behind the queue of email chunks; on the queue of proofs, it sends those.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(deliver_email::Context::from_environment, deliver_email::handle_event)
}
