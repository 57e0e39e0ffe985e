//! The Lambda function behind the queue of email chunks; on the queue of proofs, it sends those.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use platform::Deadline;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).init();
    let context = deliver_email::Context::from_environment()?;
    run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = Deadline::at_epoch_ms(&*context.store.platform.clock, event.context.deadline);
        Ok::<_, Error>(deliver_email::handle_event(&context, event.payload, deadline).await)
    }))
    .await
}
