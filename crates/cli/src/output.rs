//! Where words go: results on standard output, errors and progress on standard error, and the JSON form of both.
//! A reader that closes the pipe early (`| head`) ends the output quietly.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::{Failure, Kind};
use crate::progress::Progress;

/// How this run talks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON object or array instead of words.
    pub(crate) json: bool,
    /// No progress.
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints one value as indented JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|error| Failure::new(Kind::Failed, error))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Prints one value as a single line of JSON and flushes it, for streams of events.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text =
            serde_json::to_vec(value).map_err(|error| Failure::new(Kind::Failed, error))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Prints one line of text.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.bytes(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Prints one line of text beside the result, on standard error. A reader that went away is none of the result's affair.
    #[expect(
        clippy::unused_self,
        reason = "every way to print is a method of the output"
    )]
    pub(crate) fn aside(self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }

    /// Prints `value` as JSON when asked for, and what `words` makes of it otherwise.
    pub(crate) fn print<T: Serialize>(
        self,
        value: &T,
        words: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.json(value)
        } else {
            self.bytes(words(value).as_bytes())
        }
    }

    /// Returns a QR code's lines as they are printed. On a terminal they say that what is drawn is white and the rest black: a terminal of dark
    /// letters on light would show the negative, which many cameras do not read.
    #[expect(
        clippy::unused_self,
        reason = "every way to print is a method of the output"
    )]
    pub(crate) fn code(self, lines: &str) -> String {
        if io::stdout().is_terminal() {
            on_black(lines)
        } else {
            lines.to_owned()
        }
    }

    /// Writes bytes to standard output as they are.
    #[expect(
        clippy::unused_self,
        reason = "every way to print is a method of the output"
    )]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::new(
                Kind::Failed,
                format!("standard output: {error}"),
            )),
        }
    }

    /// Prints a remark on standard error, unless `-q`.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            // Nothing is left to tell whom when standard error itself is gone.
            let _ = writeln!(io::stderr(), "{}", text.as_ref());
        }
    }

    /// Starts showing a piece of long work on standard error.
    pub(crate) fn progress(self, title: &str) -> Progress {
        Progress::start(title, self.quiet, io::stderr().is_terminal())
    }

    /// Reports the failure: `error:` and `hint:` on standard error, or one JSON object on standard output.
    pub(crate) fn failure(self, failure: &Failure) {
        if matches!(failure.kind, Kind::Told(_)) {
            return;
        }
        if self.json {
            // On one line, as what came before it may be a stream of such.
            // The exit code still tells when standard output is gone.
            let _ = self.json_line(&failure.to_json());
            return;
        }
        let mut text = format!("error: {}\n", failure.message);
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        // What a server or a file says may be part of it.
        let _ = io::stderr().write_all(printable(&text).as_bytes());
    }
}

/// Returns the text with every control character but the line feed shown as an escape, so that names and comments from
/// elsewhere cannot steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether printing the character would do something other than show it: control codes, and the marks that reverse the
/// direction of the text after them.
fn is_steering(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns each line in white on black, in the colours that every terminal has.
fn on_black(lines: &str) -> String {
    let line = |line: &str| format!("\u{1b}[97;40m{line}\u{1b}[0m");
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{on_black, printable};

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(
            printable("a\u{1b}[31mb\u{202e}c\n"),
            "a\\u{1b}[31mb\\u{202e}c\n"
        );
        assert_eq!(printable("größe ✓"), "größe ✓");
    }

    #[test]
    fn a_code_is_white_on_black_line_by_line() {
        assert_eq!(
            on_black("█▀\n ▄"),
            "\u{1b}[97;40m█▀\u{1b}[0m\n\u{1b}[97;40m ▄\u{1b}[0m"
        );
    }
}
