//! The Lambda function behind the queue of what providers tell; and where `ENVOI_FEEDBACK_HTTP` is set, the one behind the
//! paths that they post to, which puts on that queue what it has checked, and needs no other right but to look up keys.

use std::process::ExitCode;
use std::sync::Arc;

use feedback::Context;

fn main() -> ExitCode {
    if store::environment::variable("ENVOI_FEEDBACK_HTTP").is_none() {
        return runtime::run(Context::from_environment, feedback::handle);
    }
    runtime::logs::start();
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve()),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the function can't run");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let context = Context::for_http().await?;
    let router = feedback::router(Arc::new(context));
    // The gateway's name for a request stands in Lambda's own lines; here nothing is said of what goes well.
    runtime::gateway::run(router, drop).await.map_err(|error| anyhow::anyhow!(error))
}
