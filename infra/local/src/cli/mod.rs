//! The command line.

mod backup;
mod client;
mod demo;
mod key;
pub(crate) mod log;
mod report;
mod serve;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    /// What is asked for by the arguments and the environment, in which a variable that is set to nothing is as if it were
    /// not set. Ends the process where that makes no sense.
    pub(crate) fn from_command_line() -> Self {
        let matches =
            Self::command().mut_subcommands(|command| command.mut_args(without_blank)).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

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

/// The same argument, without its variable where that is set to nothing, as a deployment's file of variables often has it.
fn without_blank(arg: Arg) -> Arg {
    let is_blank = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_blank { arg.env(Resettable::Reset) } else { arg }
}
