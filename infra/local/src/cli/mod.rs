//! The command line.

mod client;
mod demo;
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
}

impl Envoi {
    /// Does what was asked.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(serve) => serve.run().await,
            Command::Demo(demo) => demo.run().await,
        }
    }

    /// What is logged where the environment does not say.
    fn log_level(&self) -> &'static str {
        match self.command {
            Command::Serve(_) => "info",
            Command::Demo(_) => "error",
        }
    }
}
