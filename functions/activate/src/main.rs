//! The Lambda function behind the wake-up queue.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).init();
    let context = activate::Context::from_environment()?;
    run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, Error>(activate::handle(&context, event.payload).await)
    }))
    .await
}
