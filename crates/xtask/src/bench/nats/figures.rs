//! What a work gives: cells with a unit, and rows that set the medians of both sides side by side.

use anyhow::{Context, ensure};

/// In what a figure is counted, and so how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Processor time of the server for one message, in microseconds.
    CpuMicros,
    /// Messages in a second of wall time; the only unit of which more is better.
    PerSecond,
    /// A time that a client waited, in microseconds.
    WaitMicros,
    /// Memory of the server, in KiB.
    Kib,
}

/// One figure of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// What is measured, within the work.
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) value: f64,
}

/// One figure of a work, from both sides.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) work: String,
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) stock: f64,
    pub(super) ours: f64,
}

/// Returns one row for each cell of a work, with the medians of each side's rounds.
///
/// # Errors
/// When the rounds do not all have the same cells.
pub(super) fn rows(
    work: &str,
    stock: &[Vec<Cell>],
    ours: &[Vec<Cell>],
) -> anyhow::Result<Vec<Row>> {
    let first = stock.first().context("at least one round")?;
    let median = |rounds: &[Vec<Cell>], at: usize| {
        let mut values = Vec::new();
        for round in rounds {
            ensure!(
                round.len() == first.len(),
                "each round gives the same cells"
            );
            values.push(round[at].value);
        }
        values.sort_by(f64::total_cmp);
        Ok(values[values.len() / 2])
    };
    let row = |(at, cell): (usize, &Cell)| {
        Ok(Row {
            work: work.to_owned(),
            name: cell.name,
            unit: cell.unit,
            stock: median(stock, at)?,
            ours: median(ours, at)?,
        })
    };
    first.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::{Cell, Unit, rows};

    #[test]
    fn a_row_holds_the_median_of_each_side() {
        let round = |value| {
            vec![Cell {
                name: "wait",
                unit: Unit::WaitMicros,
                value,
            }]
        };
        let stock = [round(9.0), round(1.0), round(2.0)];
        let ours = [round(3.0), round(5.0), round(4.0)];
        let rows = rows("request", &stock, &ours).expect("equal cells");
        assert_eq!((rows[0].stock, rows[0].ours), (2.0, 4.0));
    }
}
