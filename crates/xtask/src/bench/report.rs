//! The table, as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::measure::{self, Cost};

/// What one work cost each side, one right after the other.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) stock: Cost,
    pub(crate) ours: Cost,
}

/// One work and what it cost each side, by the median of the rounds.
pub(crate) struct Row {
    name: String,
    stock: Cost,
    ours: Cost,
    wall_ratio: f64,
    cpu_ratio: f64,
}

impl Row {
    /// Returns the row for some rounds. A ratio is taken within each round first: what else the machine was doing then met both
    /// sides.
    pub(crate) fn new(name: &str, rounds: &[Round]) -> Self {
        let side =
            |of: fn(&Round) -> Cost| measure::median(&rounds.iter().map(of).collect::<Vec<_>>());
        let ratio = |of: fn(&Cost) -> Duration| {
            let mut ratios: Vec<f64> = rounds
                .iter()
                .map(|round| {
                    of(&round.ours).as_secs_f64() / of(&round.stock).as_secs_f64().max(0.001)
                })
                .collect();
            ratios.sort_by(f64::total_cmp);
            ratios.swap_remove(ratios.len() / 2)
        };
        Self {
            name: name.to_owned(),
            stock: side(|round| round.stock),
            ours: side(|round| round.ours),
            wall_ratio: ratio(|cost| cost.wall),
            cpu_ratio: ratio(|cost| cost.cpu),
        }
    }
}

/// Returns the table with what it was measured on.
pub(crate) fn markdown(machine: &str, subject: &str, rounds: u16, rows: &[Row]) -> String {
    let mut text = format!(
        "Repository: {subject}. Machine: {machine}. Medians of {rounds} rounds, in each of which both take their turn; ratio = EdgeSync / Fossil, the median of the rounds' own.\n\n\
         | work | Fossil wall | EdgeSync wall | ratio | Fossil CPU | EdgeSync CPU | ratio | Fossil peak | EdgeSync peak |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let Row {
            name, stock, ours, ..
        } = row;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {} | **{}** | {} | {} | {} | {} | {} |",
            seconds(stock.wall),
            seconds(ours.wall),
            ratio(row.wall_ratio),
            seconds(stock.cpu),
            seconds(ours.cpu),
            ratio(row.cpu_ratio),
            mib(stock.peak),
            mib(ours.peak),
        );
    }
    text
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1_000.0)
    } else {
        format!("{seconds:.2} s")
    }
}

fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cost, Round, Row, markdown};

    fn cost(ms: u64) -> Cost {
        Cost {
            wall: Duration::from_millis(ms),
            cpu: Duration::from_millis(ms),
            peak: ms << 20,
        }
    }

    #[test]
    fn a_row_shows_both_sides_and_their_ratio() {
        let rows = [Row::new(
            "clone",
            &[Round {
                stock: cost(2_000),
                ours: cost(500),
            }],
        )];
        let row = "| clone | 2.00 s | 500 ms | **0.25** | 2.00 s | 500 ms | 0.25 | 2000 MiB | 500 MiB |\n";
        assert!(markdown("m", "s", 3, &rows).ends_with(row));
    }

    #[test]
    fn a_busy_moment_that_meets_both_sides_leaves_the_ratio_alone() {
        let rounds = [(1_000, 500), (9_000, 4_500), (1_000, 500)];
        let rounds = rounds.map(|(stock, ours)| Round {
            stock: cost(stock),
            ours: cost(ours),
        });
        let row = Row::new("clone", &rounds);
        assert_eq!((row.wall_ratio, row.cpu_ratio), (0.5, 0.5));
    }
}
