//! The tables, as Markdown.

use std::fmt::Write;

use super::figures::{Row, Unit};

/// Returns the tables with what they were measured on.
pub(super) fn markdown(machine: &str, rounds: u16, rows: &[Row]) -> String {
    let mut text = format!(
        "Machine: {machine}. Medians of {rounds} runs, taken in turns; ratio = EdgeSync / stock.\n"
    );
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\n| work | figure | stock | EdgeSync | ratio |\n|---|---|--:|--:|--:|\n"
    );
    let mut last = "";
    for row in rows {
        let work = if row.work == last { "" } else { &row.work };
        last = &row.work;
        let ratio = row.ours / row.stock.max(f64::MIN_POSITIVE);
        let _ = writeln!(
            text,
            "| {work} | {} | {} | {} | **{ratio:.2}** |",
            row.name,
            shown(row.unit, row.stock),
            shown(row.unit, row.ours),
        );
    }
    text
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::CpuMicros => format!("{value:.2} µs"),
        Unit::WaitMicros => format!("{value:.0} µs"),
        Unit::PerSecond if value >= 10_000.0 => format!("{:.0} k/s", value / 1_000.0),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Kib if value >= 1_024.0 => format!("{:.1} MiB", value / 1_024.0),
        Unit::Kib => format!("{value:.1} KiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Unit, markdown};

    #[test]
    fn a_row_shows_both_sides_and_their_ratio_and_names_the_work_once() {
        let row = |name, unit, stock, ours| Row {
            work: "1 to 1".to_owned(),
            name,
            unit,
            stock,
            ours,
        };
        let rows = [
            row("server CPU", Unit::CpuMicros, 2.0, 1.5),
            row("messages", Unit::PerSecond, 900_000.0, 1_800_000.0),
        ];
        let expected = "| 1 to 1 | server CPU | 2.00 µs | 1.50 µs | **0.75** |\n\
                        |  | messages | 900 k/s | 1800 k/s | **2.00** |\n";
        assert!(markdown("m", 3, &rows).ends_with(expected));
    }
}
