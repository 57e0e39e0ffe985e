//! The Lambda function behind the HTTP API.

use std::process::ExitCode;

#[tokio::main]
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
    let context = api::Context::from_environment().await?;
    let router = api::router(context);
    runtime::gateway::run(router, api::RequestId::from).await.map_err(|error| anyhow::anyhow!(error))
}
