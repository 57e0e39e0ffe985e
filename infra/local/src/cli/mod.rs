//! The command line.

mod backup;
mod client;
mod demo;
mod key;
pub(crate) mod log;
mod report;
mod serve;

use clap::{Parser, Subcommand};

/// Campaigns that account for every recipient: one content, one audience, several channels at the same time.
#[derive(Debug, Parser)]
#[command(name = "envoi", version)]
pub(crate) struct Envoi {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the API and everything behind it in this process, until it is told to stop.
    Serve(Box<serve::Serve>),
    /// Sends a campaign to ten thousand invented people, into a folder, and shows the report.
    Demo(demo::Demo),
    /// Copies the data folder into a new one, also while a server works in it.
    Backup(backup::Backup),
    /// Makes an API key where no other is at hand, and prints it. The server must be stopped.
    Key(key::Key),
}

impl Envoi {
    /// Does what was asked.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(serve) => serve.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Backup(backup) => backup.run(),
            Command::Key(key) => key.run().await,
        }
    }

    /// What is logged where the environment does not say.
    fn log_level(&self) -> &'static str {
        match self.command {
            Command::Serve(_) => "info",
            Command::Demo(_) | Command::Backup(_) | Command::Key(_) => "error",
        }
    }
}
