//! The Lambda function behind the HTTP API.

use std::process::ExitCode;

use api::RequestId;
use axum::extract::Request;
use axum::middleware::map_request;
use lambda_http::RequestExt;

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
    let router = api::router(context).layer(map_request(named));
    lambda_http::run(router).await.map_err(|error| anyhow::anyhow!(error))
}

/// The request under Lambda's name for it, which stands in Lambda's own log lines, too.
async fn named(mut request: Request) -> Request {
    if let Some(id) = request.lambda_context_ref().map(|context| RequestId::from(context.request_id.clone()))
    {
        request.extensions_mut().insert(id);
    }
    request
}
