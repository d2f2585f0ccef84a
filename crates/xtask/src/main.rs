//! Chores of this repository: `cargo xtask bench repo` measures EdgeSync beside stock Fossil.

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
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Bench {
            subject: Subject::Repo(options),
        } => bench::repo(&options),
    }
}
