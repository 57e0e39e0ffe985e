//! The function `api`: HTTP through API Gateway.

use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("ENVOI_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(false).init();
    let context = api::Context::from_environment()?;
    lambda_http::run(api::router(context)).await.map_err(|error| anyhow::anyhow!(error))
}
