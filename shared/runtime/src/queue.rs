//! The loop of a function that a queue feeds.

use std::io::Write;
use std::process::ExitCode;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use delivery::Metrics;
use lambda_runtime::{LambdaEvent, service_fn};
use platform::{Clock, Deadline, SystemClock};
use tracing::{Instrument, error, error_span};

use crate::{emf, logs};

/// What handling a batch came to.
#[derive(Debug)]
pub struct Handled {
    response: SqsBatchResponse,
    figures: Option<Figures>,
}

/// The figures of an invocation.
#[derive(Debug)]
enum Figures {
    Delivery(Metrics),
    Counts(Vec<(&'static str, u64)>),
}

impl Handled {
    /// With counts, each under its metric's name; see [`emf::counts`].
    pub fn counted(response: SqsBatchResponse, counts: &[(&'static str, u64)]) -> Self {
        Self { response, figures: Some(Figures::Counts(counts.to_vec())) }
    }
}

impl From<SqsBatchResponse> for Handled {
    fn from(response: SqsBatchResponse) -> Self {
        Self { response, figures: None }
    }
}

impl From<(SqsBatchResponse, Metrics)> for Handled {
    fn from((response, metrics): (SqsBatchResponse, Metrics)) -> Self {
        Self { response, figures: Some(Figures::Delivery(metrics)) }
    }
}

/// The whole program of a function that a queue feeds: starts logging, opens the context once, and handles one batch after
/// the other until Lambda ends the process, each by its deadline and in a span with its request id. After each, its
/// metrics go to the log, if there are any.
///
/// It returns only where the context can't be opened or Lambda can't be spoken to, and has logged why. A panic within one
/// message's handling fails that message (`platform::batch`); any other fails the invocation, and the process lives on.
pub fn run<C, E, A>(
    open: impl AsyncFnOnce() -> Result<C, E>,
    handle: impl AsyncFn(&C, SqsEvent, Deadline) -> A,
) -> ExitCode
where
    E: Into<anyhow::Error>,
    A: Into<Handled>,
{
    logs::start();
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(open, handle)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "the function can't run");
            ExitCode::FAILURE
        }
    }
}

async fn serve<C, E, A>(
    open: impl AsyncFnOnce() -> Result<C, E>,
    handle: impl AsyncFn(&C, SqsEvent, Deadline) -> A,
) -> anyhow::Result<()>
where
    E: Into<anyhow::Error>,
    A: Into<Handled>,
{
    let context = open().await.map_err(Into::into)?;
    let namespace = emf::namespace();
    let serve = service_fn(async |event: LambdaEvent<SqsEvent>| {
        let (event, invocation) = event.into_parts();
        let deadline = Deadline::at_epoch_ms(&SystemClock, invocation.deadline);
        let span = error_span!("invocation", request_id = invocation.request_id);
        let handled: Handled = handle(&context, event, deadline).instrument(span).await.into();
        if let Some(figures) = handled.figures {
            let invocation = emf::Invocation {
                namespace: &namespace,
                function: &invocation.env_config.function_name,
                request_id: &invocation.request_id,
                at_ms: SystemClock.now().as_millisecond(),
            };
            print(match figures {
                Figures::Delivery(metrics) => emf::line(&metrics, &invocation),
                Figures::Counts(counts) => emf::counts(&counts, &invocation),
            });
        }
        Ok::<_, lambda_runtime::Error>(handled.response)
    });
    lambda_runtime::run(serve).await.map_err(|error| anyhow::anyhow!(error))
}

/// Prints a line that must stand in the log as it is.
fn print(line: Option<String>) {
    if let Some(line) = line {
        // Where the log can't be written there is nobody to tell.
        drop(writeln!(std::io::stdout().lock(), "{line}"));
    }
}
