//! `edgesync logs`: what the agent of this folder has said, also after it has ended.

use std::time::Duration;

use clap::{Args, ValueEnum};
use edgesync_agent::api::{Level, LogLine, Time};
use edgesync_agent::log::Tail;
use edgesync_agent::notify::text::shown_on_a_line;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::agent::{home, runtime};
use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::units::parse_duration;

/// How often a log that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Show the log of the agent and the tray app
#[derive(Args)]
pub(crate) struct Logs {
    /// Go on with what is said from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Show the last lines, this many at most
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100)]
    lines: usize,

    /// Show what was said within the last 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,

    /// Show what is at least this bad
    #[arg(long, value_name = "LEVEL", default_value = "trace")]
    level: Least,
}

/// The least that is shown.
#[derive(Clone, Copy, ValueEnum)]
enum Least {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Least> for Level {
    fn from(least: Least) -> Self {
        match least {
            Least::Error => Self::Error,
            Least::Warn => Self::Warn,
            Least::Info => Self::Info,
            Least::Debug => Self::Debug,
            Least::Trace => Self::Trace,
        }
    }
}

impl Logs {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let home = home()?;
        let file = home.log_file();
        let mut tail = Tail::of(&home);
        let read = |tail: &mut Tail| tail.more().or_fail(Kind::Failed, file.display());
        let all = read(&mut tail)?;
        if !self.follow && !file.exists() {
            let message = format!("there is no log yet: {}", file.display());
            return Err(Failure::new(Kind::NotFound, message)
                .hint("an agent writes one: edgesync sync start -R FILE"));
        }
        let shown: Vec<_> = all.iter().filter(|line| self.shows(line)).collect();
        for line in shown.iter().skip(shown.len().saturating_sub(self.lines)) {
            print(line, out)?;
        }
        if !self.follow {
            return Ok(());
        }
        runtime()?.block_on(async {
            let mut look = tokio::time::interval(LOOK_EVERY);
            let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
            loop {
                tokio::select! {
                    stop = &mut stop => return stop.or_fail(Kind::Failed, "signals"),
                    _ = look.tick() => {}
                }
                for line in read(&mut tail)?.iter().filter(|line| self.shows(line)) {
                    print(line, out)?;
                }
            }
        })
    }

    fn shows(&self, line: &LogLine) -> bool {
        let age_ms = Time::now().unix_millis() - line.at.unix_millis();
        let is_recent =
            |since: Duration| age_ms <= i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        line.level <= self.level.into() && self.since.is_none_or(is_recent)
    }
}

fn print(line: &LogLine, out: Output) -> Result<(), Failure> {
    if out.json {
        out.json_line(line)
    } else {
        out.line(words(line, &TimeZone::system()))
    }
}

/// Returns a line for people. What others wrote may be in it, and must not reach the terminal as commands.
fn words(line: &LogLine, zone: &TimeZone) -> String {
    let instant = Timestamp::from_millisecond(line.at.unix_millis()).unwrap_or_default();
    let time = instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    let level = match line.level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    };
    let mut text = line.message.clone();
    for (name, value) in &line.fields {
        text.push_str(&format!(" {name}={value}"));
    }
    format!("{time} {level:<5} {}", shown_on_a_line(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_no_command_for_the_terminal() {
        let line = LogLine {
            at: Time::from_unix_millis(1_700_000_000_000),
            level: Level::Warn,
            target: "edgesync_agent".into(),
            message: "two\nlines \u{1b}[31m".into(),
            fields: [("repository".to_owned(), "demo".to_owned())].into(),
        };
        let text = words(&line, &TimeZone::UTC);
        assert!(
            text.starts_with("2023-11-14 22:13:20 WARN  two lines "),
            "{text}"
        );
        assert!(text.ends_with(" repository=demo"), "{text}");
        assert!(!text.contains(char::is_control), "{text}");
    }
}
