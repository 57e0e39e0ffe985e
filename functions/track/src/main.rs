//! The Lambda function behind public links.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::logs::start();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the function can't run");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let context = track::Context::from_environment().await?;
    let router = track::router(context);
    runtime::gateway::run(router, track::RequestId::from).await.map_err(|error| anyhow::anyhow!(error))
}
