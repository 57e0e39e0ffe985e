//! Logs go to standard error: as lines for people on a terminal, as JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Envoi;

/// Starts logging. `ENVOI_LOG` says what (`info`, `warn,delivery=debug`...).
pub(crate) fn start(command: &Envoi) {
    let filter = EnvFilter::try_from_env("ENVOI_LOG").unwrap_or_else(|_| EnvFilter::new(command.log_level()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
