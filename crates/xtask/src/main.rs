//! Chores of this repository: `cargo xtask bench repo` measures EdgeSync beside stock Fossil, `cargo xtask bench nats` our
//! NATS server beside the stock one, `cargo xtask bench latency` how soon a commit is elsewhere.

mod bench;

use clap::{Parser, Subcommand};

/// Chores of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measures EdgeSync beside the stock program, in the same run.
    Bench {
        #[command(subcommand)]
        subject: Subject,
    },
}

#[derive(Subcommand)]
enum Subject {
    /// Clone, rebuild, sync, push, commit and timeline of one repository.
    Repo(bench::Options),
    /// Messages, requests, links and idle cost of the NATS server.
    Nats(bench::nats::Options),
    /// How soon a stock commit is in another agent's repository, and what idle agents cost.
    Latency(bench::latency::Options),
}

fn main() -> anyhow::Result<()> {
    let Chore::Bench { subject } = Arguments::parse().chore;
    match subject {
        Subject::Repo(options) => bench::repo(&options),
        Subject::Nats(options) => bench::nats::run(&options),
        Subject::Latency(options) => bench::latency::run(&options),
    }
}
