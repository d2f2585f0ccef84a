//! `cargo xtask bench latency`: how soon a stock commit in one agent's repository is in another agent's, and what two joined agents
//! cost while nothing happens.
//!
//! Beside them, in the same run, stock does what stock has for this: autosync to a `fossil server`. The three ways take turns commit
//! by commit, so that a busy moment of the machine meets all.

mod agents;
mod idle;
mod presence;
mod report;
mod way;

use std::path::PathBuf;

use clap::Args;

use super::page;
use super::programs::Programs;
use way::{Sample, Way};

/// Commits before the ones that count: the first ones meet agents that are still joining.
const WARM_UP: u16 = 3;

/// Options of `bench latency`.
#[derive(Args)]
pub(crate) struct Options {
    /// Commits of each way
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    commits: u16,
    /// Check-ins of the repository of the idle agents; each makes three to four artifacts
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    check_ins: u64,
    /// Seconds over which the idle agents' processor time is taken
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    idle: u64,
    /// The `edgesync` to measure; without it the release build of this tree is made
    #[arg(long, value_name = "PROGRAM")]
    edgesync: Option<PathBuf>,
    /// Replace the tables in docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Measures and prints the tables.
///
/// # Errors
/// When a program fails, or a commit does not arrive.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let programs = Programs::find(options.edgesync.as_deref())?;
    let folder = tempfile::Builder::new()
        .prefix("edgesync-bench-")
        .tempdir()?;
    let ways = commits(options, &programs, folder.path())?;
    let idle = idle::measure(options.check_ins, options.idle, &programs, folder.path())?;
    let report = report::markdown(&programs.machine()?, &ways, &idle);
    println!("{report}");
    if options.write {
        page::write("latency", &report)?;
    }
    Ok(())
}

fn commits(
    options: &Options,
    programs: &Programs,
    folder: &std::path::Path,
) -> anyhow::Result<Vec<(&'static str, Vec<Sample>)>> {
    eprintln!("{} commits of each way", options.commits);
    let mut ways = [
        Way::leaf_to_hub(programs, folder)?,
        Way::peer_to_peer(programs, folder)?,
        Way::autosync(programs, folder)?,
    ];
    let mut samples = ways.each_ref().map(|way| (way.title, Vec::new()));
    for number in 0..WARM_UP + options.commits {
        for (way, (_, samples)) in ways.iter_mut().zip(&mut samples) {
            let sample = way.commit(programs)?;
            if number >= WARM_UP {
                samples.push(sample);
            }
        }
    }
    Ok(samples.into())
}
