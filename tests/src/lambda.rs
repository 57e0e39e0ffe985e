//! A stub of Lambda's runtime API: hands a function's program one event and takes its answer.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use platform::{Clock, SystemClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::process::{Child, GUARD, binary};

struct Stub {
    event: Mutex<Option<Value>>,
    answer: Mutex<Option<oneshot::Sender<Value>>>,
}

/// The request id of every event.
pub const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// What came of one event.
#[derive(Debug)]
pub struct Invocation {
    /// The answer.
    pub answer: Value,
    /// What the program printed, line by line: its log, and behind it whatever went to standard error.
    pub printed: Vec<String>,
}

/// Starts the function's program `name` with these variables, lets it handle one event, and ends it; its answer.
///
/// # Errors
/// Where the program does not start, or answers with an error or not at all.
pub async fn invoke(name: &str, variables: &[(&str, &str)], event: Value) -> anyhow::Result<Value> {
    run(name, variables, event, None).await.map(|invocation| invocation.answer)
}

/// As [`invoke`], with what the program printed.
///
/// # Errors
/// As [`invoke`]'s.
pub async fn invoke_and_listen(
    name: &str,
    variables: &[(&str, &str)],
    event: Value,
) -> anyhow::Result<Invocation> {
    let folder = tempfile::tempdir()?;
    let errors = folder.path().join("stderr");
    let mut invocation = run(name, variables, event, Some(&errors)).await?;
    invocation.printed.extend(std::fs::read_to_string(&errors)?.lines().map(str::to_owned));
    Ok(invocation)
}

async fn run(
    name: &str,
    variables: &[(&str, &str)],
    event: Value,
    errors: Option<&Path>,
) -> anyhow::Result<Invocation> {
    let (answer, answered) = oneshot::channel();
    let stub = Arc::new(Stub { event: Mutex::new(Some(event)), answer: Mutex::new(Some(answer)) });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(response))
        .with_state(stub);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(binary(name)?);
    command
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", name)
        .env("AWS_LAMBDA_LOG_STREAM_NAME", name)
        .envs(variables.iter().copied());
    let mut function = Child::start(command, errors)?;
    let mut printed = Vec::new();
    let answer = tokio::time::timeout(GUARD, until_answered(&mut function, answered, &mut printed)).await;
    let answer = answer.with_context(|| format!("the function does not answer: {printed:?}"))??;
    server.abort();
    function.kill()?;
    while let Some(line) = function.line().await {
        printed.push(line);
    }
    Ok(Invocation { answer, printed })
}

async fn until_answered(
    function: &mut Child,
    mut answered: oneshot::Receiver<Value>,
    printed: &mut Vec<String>,
) -> anyhow::Result<Value> {
    loop {
        tokio::select! {
            answer = &mut answered => return Ok(answer?),
            line = function.line() => match line {
                Some(line) => printed.push(line),
                None => bail!("the function has ended: {printed:?}"),
            }
        }
    }
}

async fn next(State(stub): State<Arc<Stub>>) -> impl IntoResponse {
    let event = stub.event.lock().unwrap().take();
    let Some(event) = event else {
        // The function asks for more; it is ended before there is any.
        std::future::pending::<()>().await;
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemClock.now() + Duration::from_secs(60);
    let headers = [
        ("lambda-runtime-aws-request-id", REQUEST_ID.to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millisecond().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:123456789012:function:envoi".to_owned(),
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn response(State(stub): State<Arc<Stub>>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if let Some(waiting) = stub.answer.lock().unwrap().take() {
        // Nobody waits any more where the test has failed already.
        drop(waiting.send(answer));
    }
    StatusCode::ACCEPTED
}
