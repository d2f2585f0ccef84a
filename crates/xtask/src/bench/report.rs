//! The table, as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::measure::Cost;

/// One work and what it cost each side.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) stock: Cost,
    pub(crate) ours: Cost,
}

/// Returns the table with what it was measured on.
pub(crate) fn markdown(machine: &str, subject: &str, rounds: u16, rows: &[Row]) -> String {
    let mut text = format!(
        "Repository: {subject}. Machine: {machine}. Medians of {rounds} runs, taken in turns; ratio = EdgeSync / Fossil.\n\n\
         | work | Fossil wall | EdgeSync wall | ratio | Fossil CPU | EdgeSync CPU | ratio | Fossil peak | EdgeSync peak |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for Row { name, stock, ours } in rows {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {} | **{}** | {} | {} | {} | {} | {} |",
            seconds(stock.wall),
            seconds(ours.wall),
            ratio(stock.wall, ours.wall),
            seconds(stock.cpu),
            seconds(ours.cpu),
            ratio(stock.cpu, ours.cpu),
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

fn ratio(stock: Duration, ours: Duration) -> String {
    format!("{:.2}", ours.as_secs_f64() / stock.as_secs_f64().max(0.001))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cost, Row, markdown};

    #[test]
    fn a_row_shows_both_sides_and_their_ratio() {
        let cost = |ms| Cost {
            wall: Duration::from_millis(ms),
            cpu: Duration::from_millis(ms),
            peak: ms << 20,
        };
        let rows = [Row {
            name: "clone".to_owned(),
            stock: cost(2_000),
            ours: cost(500),
        }];
        let row = "| clone | 2.00 s | 500 ms | **0.25** | 2.00 s | 500 ms | 0.25 | 2000 MiB | 500 MiB |\n";
        assert!(markdown("m", "s", 3, &rows).ends_with(row));
    }
}
