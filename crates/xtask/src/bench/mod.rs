//! `cargo xtask bench repo`: what EdgeSync and stock Fossil take for the same work on the same repository, in one run.
//!
//! Both sides take turns, so that a busy moment of the machine meets both; each figure is the median of the rounds. Work
//! that only looks done does not count: after a clone, push or rebuild the result must hold as many artifacts as it should.

mod build;
mod history;
pub(crate) mod latency;
mod measure;
pub(crate) mod nats;
mod page;
mod process;
mod programs;
mod report;
mod work;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use programs::Programs;
use work::{Bench, Work};

/// Options of `bench repo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Check-ins of the made-up history
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    check_ins: u64,
    /// Check-ins to push on top of it
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    push: u64,
    /// Measure on a copy of this repository instead (then nothing is pushed)
    #[arg(long, value_name = "FILE")]
    repo: Option<PathBuf>,
    /// Runs of each work; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Measure this work only; may be given again
    #[arg(long, value_name = "WORK", conflicts_with = "write")]
    work: Vec<Work>,
    /// The `edgesync` to measure; without it the release build of this tree is made
    #[arg(long, value_name = "PROGRAM")]
    edgesync: Option<PathBuf>,
    /// Replace the table in docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Measures and prints the table.
///
/// # Errors
/// When a program fails or does not do its work.
pub(crate) fn repo(options: &Options) -> anyhow::Result<()> {
    let programs = Programs::find(options.edgesync.as_deref())?;
    let folder = tempfile::Builder::new()
        .prefix("edgesync-bench-")
        .tempdir()?;
    let bench = match &options.repo {
        Some(file) => Bench::on_copy_of(file, folder.path(), &programs, options.rounds),
        None => Bench::on_history(
            options.check_ins,
            options.push,
            folder.path(),
            &programs,
            options.rounds,
        ),
    }
    .context("cannot prepare the repository")?;
    let all = Work::value_variants();
    let rows = bench.measure(if options.work.is_empty() {
        all
    } else {
        &options.work
    })?;
    let report = report::markdown(&programs.machine()?, &bench.subject, options.rounds, &rows);
    println!("{report}");
    if options.write {
        page::write("repo", &report)?;
    }
    Ok(())
}
