//! Envoi in one process: the API, the event sources and the timers over the embedded engine.

mod backup;
pub mod config;
mod event_source;
mod node;
mod secret;

pub use backup::{BackupError, backup};
pub use config::Config;
pub use node::{Node, StartError};
pub use secret::SecretError;
