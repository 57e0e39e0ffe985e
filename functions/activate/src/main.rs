//! The Lambda function behind the wake-up queue.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use platform::Deadline;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).init();
    let context = activate::Context::from_environment()?;
    run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = Deadline::at_epoch_ms(&*context.store.platform.clock, event.context.deadline);
        Ok::<_, Error>(activate::handle(&context, event.payload, deadline).await)
    }))
    .await
}
