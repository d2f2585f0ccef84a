//! One line on standard output per event, for people who start the app from a terminal and for programs that wait for it.

use std::io::Write as _;

/// Prints `line` at once. Nobody may be reading (a desktop starts apps with a closed output), and that is fine.
pub(crate) fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
