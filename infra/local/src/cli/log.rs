//! Logs go to standard error: as lines for people on a terminal, as JSON elsewhere.

use std::io::IsTerminal;

use runtime::logs;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::Envoi;

/// Starts logging. `ENVOI_LOG` says what (`info`, `warn,delivery=debug`...).
pub(crate) fn start(command: &Envoi) {
    let (filter, problem) = logs::from_environment(command.log_level());
    let lines = fmt::layer::<Registry>().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() {
        lines.boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    tracing_subscriber::registry().with(lines).with(filter).init();
    logs::panics();
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
}
