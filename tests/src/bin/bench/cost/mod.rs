//! What a campaign costs on AWS: the real functions over the AWS engines on the emulator, every request counted.
//!
//! Requests, sizes and capacity units are real, by DynamoDB's rules. Time is a model's: the emulator's says nothing about
//! AWS, and what a function asks for depends on it, where a rate makes it wait.

mod account;
mod mailroom;
mod model;
mod postman;
mod recorder;
mod time;
mod units;
mod world;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use campaign::chunk::CHUNK;
use clap::{Args, ValueEnum};
use envoi_tests::ministack::Ministack;
use model::Model;
use world::World;

/// Of which campaign, and under which assumptions.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many get the campaign.
    #[arg(long, default_value = "10000")]
    recipients: u64,
    /// How the audience is told.
    #[arg(long, default_value = "list")]
    audience: Audience,
    /// The configuration's rate in messages a second; 0 for none.
    #[arg(long, default_value = "200")]
    rate: u32,
    /// The memory of the functions, in MB.
    #[arg(long, default_value = "256")]
    memory: u32,
    /// How many chunks are delivered at once at most.
    #[arg(long, default_value = "10")]
    concurrency: usize,
    /// How long the provider takes for a message, in milliseconds.
    #[arg(long, default_value = "80")]
    provider_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Audience {
    /// As a list of members.
    List,
    /// By a rule that is true of everybody.
    Rule,
}

impl Options {
    fn model(&self) -> Model {
        Model {
            memory_mb: self.memory,
            provider: Duration::from_millis(self.provider_ms),
            concurrency: self.concurrency,
        }
    }
}

/// Runs the campaign and prints its account: a line of JSON to standard output, a table to standard error.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    ensure!(options.recipients > 0, "a campaign to nobody costs nothing");
    ensure!(options.concurrency > 0 && options.memory > 0, "somebody must do the work");
    let ministack = Ministack::start().await?;
    let world = Arc::new(World::new(&ministack, options).await?);
    let lasted = world.run().await?;
    world.check(options.recipients).await?;
    let model = options.model();
    let bill =
        world.recorder.account(|account| account.bill(options.recipients, CHUNK as u64, lasted, &model));
    println!("{}", bill.json);
    eprintln!(
        "{} recipients by {:?} at {} a second, sent in {:.1} s; units a chunk of {CHUNK}, dollars for 1,000,000\n{}",
        options.recipients,
        options.audience,
        options.rate,
        lasted.as_secs_f64(),
        bill.table
    );
    for assumption in model.assumptions() {
        eprintln!("- {assumption}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use envoi_tests::ministack;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    /// How often a function did this to such an item.
    fn times(bill: &serde_json::Value, function: &str, operation: &str, item: &str) -> u64 {
        let lines = bill["units"].as_array().unwrap().iter();
        let wanted = lines.filter(|line| {
            line["function"] == function && line["operation"] == operation && line["item"] == item
        });
        wanted.map(|line| line["items"].as_u64().unwrap()).sum()
    }

    #[tokio::test]
    async fn every_request_of_a_campaign_is_in_its_account() {
        let options = Arguments::parse_from(["cost", "--recipients", "120", "--audience", "rule"]).options;
        let world = Arc::new(World::new(ministack::shared().await, &options).await.unwrap());
        let lasted = world.run().await.unwrap();
        world.check(options.recipients).await.unwrap();
        let bill = world.recorder.account(|account| account.bill(120, 50, lasted, &options.model())).json;
        // Three chunks: each is written once, claimed and settled, and everybody's profile is read for it; with the suppressed
        // addresses come the suppressed domains and the allowed list.
        assert_eq!(times(&bill, "fan-out", "TransactWriteItems", "chunk"), 3);
        assert_eq!(times(&bill, "deliver-email", "TransactWriteItems", "counters"), 3);
        assert_eq!(times(&bill, "deliver-email", "BatchGetItem", "profile"), 120);
        assert_eq!(times(&bill, "deliver-email", "BatchGetItem", "suppression"), 120 + 3 + 3);
        // One window each began with 10 at most: 5, 5 and 2 of them, after the claim.
        assert_eq!(times(&bill, "deliver-email", "UpdateItem", "chunk"), 3 + 5 + 5 + 2);
    }
}
