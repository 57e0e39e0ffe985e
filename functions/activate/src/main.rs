//! The Lambda function behind the wake-up queue.

use std::process::ExitCode;

use runtime::Handled;

fn main() -> ExitCode {
    runtime::run(activate::Context::from_environment, async |context, event, deadline| {
        let (response, metrics) = activate::handle_counting(context, event, deadline).await;
        Handled::counted(response, &[("OccurrencesMissed", metrics.missed)])
    })
}
