//! `envoi`: campaigns in one process.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = cli::Envoi::from_command_line();
    cli::log::start(&command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("envoi: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("envoi: {error:#}");
            ExitCode::FAILURE
        }
    }
}
