//! `cargo xtask bench nats`: what our NATS server and the stock one take for the same messages, in one run.
//!
//! Each work runs against a fresh server of each side in turn; each figure is the median of the rounds. The first figure is
//! the server's own processor time for one message, because it hardly depends on what else the machine does; how many
//! messages went through in a second comes second. The load comes from one generator, the same for both.

mod figures;
mod load;
mod report;
mod server;
mod wire;
mod work;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::page;
use figures::{Cell, Row};
use server::{Servers, Side};
use work::Work;

/// Options of `bench nats`.
#[derive(Args)]
pub(crate) struct Options {
    /// Runs of each work; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Measure this work only; may be given again
    #[arg(long, value_name = "WORK", conflicts_with = "write")]
    work: Vec<Work>,
    /// Divide the number of messages by this
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000), conflicts_with = "write")]
    divide: u64,
    /// Our server; without it the release build of natsd's example is made
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// Replace the table in docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Measures and prints the tables.
///
/// # Errors
/// When a server does not start, ends early, or does not deliver what was sent.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let servers = Servers::find(options.server.as_deref())?;
    let all = Work::value_variants();
    let works = if options.work.is_empty() {
        all
    } else {
        &options.work
    };
    let mut rows = Vec::new();
    for work in works {
        eprintln!("{}", work.title());
        rows.extend(measure(*work, &servers, options)?);
    }
    let report = report::markdown(&servers.machine()?, options.rounds, &rows);
    println!("{report}");
    if options.write {
        page::write("nats", &report)?;
    }
    Ok(())
}

/// Runs a work on both sides in turns and returns its rows.
fn measure(work: Work, servers: &Servers, options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rounds: [Vec<Vec<Cell>>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..options.rounds {
        for (side, cells) in [Side::Stock, Side::Ours].into_iter().zip(&mut rounds) {
            cells.push(work.run(servers, side, options.divide)?);
        }
    }
    let [stock, ours] = rounds;
    figures::rows(&work.title(), &stock, &ours)
}
