//! Benchmarks: of the one-process mode with `envoi serve` and an SMTP server as processes of their own, of what a campaign
//! costs on AWS, and of how quickly the functions start there.
//!
//! One line of JSON a measurement goes to standard output, a table to standard error. What measures time wants to be built
//! for release: `cargo run --release -p envoi-tests --bin bench -- campaign --recipients 100000`.

mod calls;
mod campaign;
mod clicks;
mod client;
mod cost;
mod feedback;
mod local;
mod machine;
mod people;
mod report;
mod segment;
mod start;

use clap::{Parser, Subcommand};

/// Measures Envoi on this machine.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    all: local::Options,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The import of the profiles.
    Import(local::Options),
    /// And the count of a rule segment over them.
    Segment(local::Options),
    /// The import, and a campaign to all of them.
    Campaign(local::Options),
    /// All of these; the default.
    All(local::Options),
    /// Calls to the execution API: how many a second, how soon they are answered, and how soon delivered.
    Calls(calls::Options),
    /// Clicks on links of a campaign's messages, and opens: how many a second, and how soon they are answered.
    Clicks(clicks::Options),
    /// What a campaign costs on AWS: requests and capacity, counted on the emulator.
    Cost(cost::Options),
    /// Events of a provider, through the queue and the function into the ledger: how many a second, and with how much memory.
    Feedback(feedback::Options),
    /// How quickly the functions start on Lambda, and how large they are.
    Start(start::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    match bench.what {
        None => local::measure(local::What::All, &bench.all).await,
        Some(What::Import(options)) => local::measure(local::What::Import, &options).await,
        Some(What::Segment(options)) => local::measure(local::What::Segment, &options).await,
        Some(What::Campaign(options)) => local::measure(local::What::Campaign, &options).await,
        Some(What::All(options)) => local::measure(local::What::All, &options).await,
        Some(What::Calls(options)) => calls::measure(&options).await,
        Some(What::Clicks(options)) => clicks::measure(&options).await,
        Some(What::Cost(options)) => cost::measure(&options).await,
        Some(What::Feedback(options)) => feedback::measure(&options).await,
        Some(What::Start(options)) => start::measure(&options).await,
    }
}
