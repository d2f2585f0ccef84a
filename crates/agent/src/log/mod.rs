//! The log of a program that hosts an agent: its warnings and what it does, for whoever looks for a fault later. It goes to standard
//! error, and is kept in one place: the file of the home, readable by its owner alone and bounded. The last lines are also in memory, from where the API shows them.
//!
//! What is said before an agent has its home is kept until it has one. A disk that is full costs lines of the file, and nothing else.

mod file;
mod layer;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

pub use file::{Tail, read};

use crate::api::{Level, LogLine, LogPage};
use crate::home::Home;
use crate::limits;
use file::LogFile;
use layer::Keep;

/// Chooses what is logged, in the syntax of `tracing`: `info`, `edgesync_agent=debug`.
pub const LOG_VARIABLE: &str = "EDGESYNC_LOG";

/// The log of this process.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Kept>>);

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    file: Option<LogFile>,
    lines: VecDeque<(LogLine, usize)>,
    /// The bytes of all lines in memory.
    bytes: usize,
    /// How many lines were forgotten since the start.
    forgotten: u64,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Begins the log of this process. What goes to standard error is at least as bad as `shown`, what is kept tells what the agent
    /// does; [`LOG_VARIABLE`] has both say more or less. A second log of one process would keep nothing.
    pub fn begin(shown: Level) -> Self {
        let log = Self::default();
        let filter = |least: Level| {
            EnvFilter::builder()
                .with_env_var(LOG_VARIABLE)
                .with_default_directive(LevelFilter::from(least).into())
                .from_env_lossy()
        };
        let to_stderr = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .with_filter(filter(shown));
        let kept = Keep::new(log.clone()).with_filter(filter(Level::Info));
        // Fails only where a log was begun before, which goes on.
        let _ = tracing_subscriber::registry()
            .with(to_stderr)
            .with(kept)
            .try_init();
        log
    }

    /// Keeps the log in the file of `home` from here on, with what was said so far; what earlier runs said stands before it.
    pub(crate) fn keep_in(&self, home: &Home) {
        let older = file::recent(home, limits::LOG_MEMORY_BYTES as u64).unwrap_or_default();
        let mut file = match LogFile::open(home.log_file()) {
            Ok(file) => file,
            Err(error) => {
                let path = home.log_file();
                tracing::warn!("the log is not kept: {}: {error}", path.display());
                return;
            }
        };
        let mut kept = self.lock();
        for (line, _) in &kept.lines {
            file.append(line);
        }
        kept.file = Some(file);
        let said: Vec<_> = kept.lines.drain(..).collect();
        kept.bytes = 0;
        for line in older.into_iter().chain(said.into_iter().map(|it| it.0)) {
            kept.remember(line);
        }
    }

    /// Returns the lines after the one with the number `after`. A number that no line has had yet is of an earlier run.
    pub(crate) fn page(&self, after: u64) -> LogPage {
        let kept = self.lock();
        let count = kept.lines.len() as u64;
        let last = kept.forgotten + count;
        let after = if after > last { 0 } else { after };
        let skip = after.saturating_sub(kept.forgotten);
        let lines = kept
            .lines
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX));
        LogPage {
            file: kept.file.as_ref().map(|file| file.path().to_path_buf()),
            first: kept.forgotten + skip + 1,
            lines: lines.map(|(line, _)| line.clone()).collect(),
        }
    }

    fn take(&self, line: LogLine) {
        let mut kept = self.lock();
        if let Some(file) = &mut kept.file {
            file.append(&line);
        }
        kept.remember(line);
    }

    /// A panic elsewhere leaves no line half taken.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Level> for LevelFilter {
    fn from(least: Level) -> Self {
        match least {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl Kept {
    fn remember(&mut self, line: LogLine) {
        let bytes = size_of(&line);
        self.bytes += bytes;
        self.lines.push_back((line, bytes));
        while self.lines.len() > limits::LOG_LINES || self.bytes > limits::LOG_MEMORY_BYTES {
            let Some((_, bytes)) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            self.forgotten += 1;
        }
    }
}

/// Returns about how many bytes a line takes in memory.
fn size_of(line: &LogLine) -> usize {
    let fields = line.fields.iter();
    let fields: usize = fields
        .map(|(name, value)| name.len() + value.len() + 64)
        .sum();
    size_of_val(line) + line.target.len() + line.message.len() + fields
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Says something within a log of its own.
    fn saying(log: &Log, say: impl FnOnce()) {
        let subscriber = tracing_subscriber::registry().with(Keep::new(log.clone()));
        tracing::subscriber::with_default(subscriber, say);
    }

    fn messages(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.message.as_str()).collect()
    }

    #[test]
    fn what_is_said_before_the_home_is_known_is_kept_too_and_stands_after_earlier_runs() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path()).unwrap();
        let first = Log::default();
        saying(&first, || tracing::info!("one"));
        first.keep_in(&home);
        saying(&first, || tracing::warn!(repository = "a\nb", "two"));
        let second = Log::default();
        saying(&second, || tracing::error!("three"));
        second.keep_in(&home);
        let read = read(&home).unwrap();
        assert_eq!(messages(&read), ["one", "two", "three"]);
        assert_eq!(read[1].level, Level::Warn);
        assert_eq!(read[1].fields["repository"], "a\nb");
        assert_eq!(second.page(0).lines, read);
        assert_eq!(second.page(0).file, Some(home.log_file()));
    }

    #[test]
    fn a_page_has_what_came_after_the_last_one_and_says_where_it_begins() {
        let log = Log::default();
        saying(&log, || {
            (1..=3).for_each(|number| tracing::info!("{number}"));
        });
        let page = log.page(2);
        assert_eq!((page.first, messages(&page.lines)), (3, vec!["3"]));
        let page = log.page(3);
        assert_eq!((page.first, page.lines.len()), (4, 0));
        assert_eq!(log.page(99).lines.len(), 3, "a number of an earlier run");
    }

    #[test]
    fn memory_holds_the_last_lines_and_the_file_stays_within_its_bounds() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path()).unwrap();
        let log = Log::default();
        log.keep_in(&home);
        let filler = "x".repeat(1000);
        let count = 3 * limits::LOG_FILE_BYTES / 1000;
        saying(&log, || {
            (0..count).for_each(|number| tracing::info!("{number} {filler}"));
        });
        let page = log.page(0);
        assert!(page.lines.len() <= limits::LOG_LINES && page.first > 1);
        let last = format!("{} {filler}", count - 1);
        assert_eq!(page.lines.last().unwrap().message, last);
        let sizes = fs::read_dir(place.path()).unwrap();
        let sizes: Vec<u64> = sizes
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 2, "the file, and the one before it");
        assert!(
            sizes.iter().all(|size| *size <= limits::LOG_FILE_BYTES),
            "{sizes:?}"
        );
        assert_eq!(read(&home).unwrap().last().unwrap().message, last);
    }

    #[test]
    fn a_long_line_is_cut() {
        let log = Log::default();
        let long = "é".repeat(limits::LOG_TEXT_BYTES);
        saying(&log, || tracing::info!(long, "{long}"));
        let line = log.page(0).lines.remove(0);
        assert!(line.message.len() <= limits::LOG_TEXT_BYTES + '…'.len_utf8());
        assert!(line.message.ends_with('…') && line.fields["long"].ends_with('…'));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path()).unwrap();
        fs::write(home.log_file(), "").unwrap();
        fs::set_permissions(home.log_file(), fs::Permissions::from_mode(0o644)).unwrap();
        Log::default().keep_in(&home);
        let mode = fs::metadata(home.log_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
