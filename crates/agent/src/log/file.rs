//! The log's file: lines of JSON, readable by the owner alone. When it is full it takes the place of the one before it, and a new one
//! begins; both together are the log.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::api::LogLine;
use crate::files::append_private;
use crate::home::Home;
use crate::limits;

/// The file that the log goes into.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = append_private(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. Where that fails nothing is said of it: it would have to be said here.
    pub(super) fn append(&mut self, line: &LogLine) {
        let Ok(mut text) = serde_json::to_vec(line) else {
            return;
        };
        text.push(b'\n');
        let more = text.len() as u64;
        if self.size + more > limits::LOG_FILE_BYTES && self.begin_anew().is_err() {
            return;
        }
        if self.file.write_all(&text).is_ok() {
            self.size += more;
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        fs::rename(&self.path, earlier(&self.path))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

/// Returns the file that the one at `path` becomes when it is full.
fn earlier(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Returns every line of the log of `home`, oldest first; what is no line of a log is left out.
///
/// # Errors
/// When a file is there and can't be read.
pub fn read(home: &Home) -> io::Result<Vec<LogLine>> {
    Tail::of(home).more()
}

/// Returns the last lines of the log's file, from about so many bytes of it.
pub(super) fn recent(home: &Home, bytes: u64) -> io::Result<Vec<LogLine>> {
    let path = home.log_file();
    let size = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        other => other?.len(),
    };
    let mut text = Vec::new();
    read_from(&path, size.saturating_sub(bytes), &mut text)?;
    Ok(lines(&text))
}

/// Returns the lines in `text`. What is none, such as the end of a line, is left out.
fn lines(text: &[u8]) -> Vec<LogLine> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// The end of a log that somebody else writes.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// How much of the file was read.
    read: u64,
    /// Whether the file before it was read as well.
    begun: bool,
    /// The start of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    /// Returns the log of `home`, of which nothing was read yet.
    pub fn of(home: &Home) -> Self {
        Self {
            path: home.log_file(),
            read: 0,
            begun: false,
            rest: Vec::new(),
        }
    }

    /// Returns the lines that were added since the last call, the first time all of them. A log that is not there has none.
    ///
    /// # Errors
    /// When a file is there and can't be read.
    pub fn more(&mut self) -> io::Result<Vec<LogLine>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let size = match fs::metadata(&self.path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if !self.begun || size < self.read {
            // A new file has begun: the rest of the one that we knew is in the one before it.
            read_from(&earlier(&self.path), self.read, &mut bytes)?;
            self.read = 0;
            self.begun = true;
        }
        self.read += read_from(&self.path, self.read, &mut bytes)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        self.rest = bytes.split_off(end.map_or(0, |end| end + 1));
        Ok(lines(&bytes))
    }
}

/// Adds what is in a file from `start` on, and returns how much that was. A file that is not there is empty.
fn read_from(path: &Path, start: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    file.seek(SeekFrom::Start(start))?;
    // A file that somebody else put there may be of any size.
    let read = file.take(2 * limits::LOG_FILE_BYTES).read_to_end(bytes)?;
    Ok(read as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Level, Time};

    fn line(number: usize) -> LogLine {
        LogLine {
            at: Time::from_unix_millis(0),
            level: Level::Info,
            target: "test".into(),
            message: format!("{number} {}", "x".repeat(500)),
            fields: [].into(),
        }
    }

    #[test]
    fn whoever_follows_sees_each_line_once_also_when_a_new_file_begins() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path()).unwrap();
        let mut tail = Tail::of(&home);
        assert_eq!(tail.more().unwrap(), []);
        let mut file = LogFile::open(home.log_file()).unwrap();
        let count = usize::try_from(limits::LOG_FILE_BYTES).unwrap() / 300;
        let mut seen = Vec::new();
        for number in 0..count {
            file.append(&line(number));
            if number % 700 == 0 {
                seen.extend(tail.more().unwrap());
            }
        }
        seen.extend(tail.more().unwrap());
        assert!(earlier(file.path()).exists(), "a new file has begun");
        assert_eq!(seen.len(), count);
        assert!(
            seen.iter()
                .enumerate()
                .all(|(number, seen)| *seen == line(number))
        );
    }

    #[test]
    fn half_a_line_waits_for_its_end_and_what_is_no_line_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path()).unwrap();
        let text = serde_json::to_string(&line(1)).unwrap();
        let (start, end) = text.split_at(20);
        let mut tail = Tail::of(&home);
        fs::write(home.log_file(), format!("nonsense\n\u{0}\n{start}")).unwrap();
        assert_eq!(tail.more().unwrap(), []);
        let mut file = append_private(&home.log_file()).unwrap();
        file.write_all(format!("{end}\n").as_bytes()).unwrap();
        assert_eq!(tail.more().unwrap(), [line(1)]);
        assert_eq!(tail.more().unwrap(), []);
    }
}
