//! Runs a program and says what it cost.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use wait4::Wait4;

/// What one run of a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// On all cores, in user and system mode, with the children it waited for.
    pub(crate) cpu: Duration,
    /// The most memory it held at once, in bytes.
    pub(crate) peak: u64,
}

/// Runs `command` to its end and returns its cost.
///
/// # Errors
/// When it cannot be started, or fails: its output is in the error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Cost> {
    let shown = format!("{command:?}");
    let log = tempfile::NamedTempFile::new()?;
    command
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?);
    let start = Instant::now();
    let used = command
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?
        .wait4()?;
    let wall = start.elapsed();
    let output = || std::fs::read_to_string(log.path()).unwrap_or_default();
    ensure!(
        used.status.success(),
        "{shown} failed ({}):\n{}",
        used.status,
        output()
    );
    Ok(Cost {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
    })
}

/// Returns the median of each figure of some runs.
///
/// # Panics
/// Without a run.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    Cost {
        wall: middle(costs, |cost| cost.wall),
        cpu: middle(costs, |cost| cost.cpu),
        peak: middle(costs, |cost| cost.peak),
    }
}

fn middle<T: Ord>(costs: &[Cost], figure: impl Fn(&Cost) -> T) -> T {
    let mut figures: Vec<T> = costs.iter().map(figure).collect();
    figures.sort();
    figures.swap_remove(costs.len() / 2)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{Cost, median, run};

    #[test]
    fn a_failing_program_is_an_error_with_its_output() {
        let error = run(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"]))
            .expect_err("it failed");
        assert!(error.to_string().contains("no such luck"), "{error}");
    }

    #[test]
    fn memory_and_time_of_a_program_are_counted() {
        let cost = run(
            Command::new("sh").args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
        );
        let cost = cost.expect("the loop ends");
        assert!(cost.cpu > Duration::ZERO && cost.wall > Duration::ZERO);
        assert!(
            (100_000..1_000_000_000).contains(&cost.peak),
            "{} bytes",
            cost.peak
        );
    }

    #[test]
    fn a_median_is_taken_figure_by_figure() {
        let cost = |wall, cpu, peak| Cost {
            wall: Duration::from_secs(wall),
            cpu: Duration::from_secs(cpu),
            peak,
        };
        let median = median(&[cost(1, 9, 5), cost(2, 8, 6), cost(3, 7, 4)]);
        assert_eq!(
            (median.wall.as_secs(), median.cpu.as_secs(), median.peak),
            (2, 8, 5)
        );
    }
}
