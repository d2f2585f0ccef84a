//! The path of a file inside a check-in or among the unversioned files.
//!
//! The rules are those of stock Fossil for `F` cards: relative, separated by `/`, no empty part, no `.` or `..`, not one of
//! the files in which Fossil keeps its own state. Other bytes are free, even bytes that are no UTF-8 (old histories hold
//! such names); whoever writes to a disk or shows a name has further rules of its own.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::limits::MAX_PATH_BYTES;

/// A path that is safe to join to a directory, as far as its text can tell. Orders bytewise, as `F` cards do.
///
/// [`fmt::Display`] is for people: control characters, marks that turn the reading direction and bytes that are no UTF-8
/// appear as escapes. Programs take [`RepoPath::as_bytes`] or [`RepoPath::to_str`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath<'a>(Cow<'a, [u8]>);

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing at all, or nothing between two slashes or after the last.
    #[error("a part of the path is empty")]
    Empty,
    /// A leading slash.
    #[error("the path is absolute")]
    Absolute,
    /// A part that is `.` or `..`.
    #[error("a part of the path is '.' or '..'")]
    Dots,
    /// A NUL byte, which ends a name for stock Fossil and every operating system.
    #[error("the path holds a NUL byte")]
    Nul,
    /// A file in which Fossil keeps the state of a check-out.
    #[error("the path is one of Fossil's own files")]
    Reserved,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
}

impl<'a> RepoPath<'a> {
    /// Takes `path` if it obeys the rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn new(path: impl Into<Cow<'a, [u8]>>) -> Result<Self, PathError> {
        let path = path.into();
        check_simple(&path)?;
        if is_reserved(&path) {
            return Err(PathError::Reserved);
        }
        Ok(Self(path))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path as UTF-8, if it is.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the path as UTF-8, with replacement characters where it is not.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns the parts between the slashes.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// Returns the same path, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> RepoPath<'static> {
        RepoPath(Cow::Owned(self.0.into_owned()))
    }
}

/// Checks every rule but that of reserved names.
fn check_simple(path: &[u8]) -> Result<(), PathError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if path.first() == Some(&b'/') {
        return Err(PathError::Absolute);
    }
    if memchr::memchr(0, path).is_some() {
        return Err(PathError::Nul);
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" => return Err(PathError::Empty),
            b"." | b".." => return Err(PathError::Dots),
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether the last part of `path` is a file in which Fossil keeps the state of a check-out: `.fslckout` or
/// `_FOSSIL_`, or their SQLite companions, in any case.
///
/// Stock Fossil leaves such files out when it reads a check-in, wherever they are.
#[must_use]
pub fn is_reserved(path: &[u8]) -> bool {
    let start = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    let name = path.get(start..).unwrap_or_default();
    let base = [&b"-wal"[..], b"-shm", b"-journal"]
        .into_iter()
        .find_map(|suffix| {
            let (base, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
            end.eq_ignore_ascii_case(suffix).then_some(base)
        })
        .unwrap_or(name);
    base.eq_ignore_ascii_case(b".fslckout") || base.eq_ignore_ascii_case(b"_FOSSIL_")
}

/// Returns whether `c` would change how the text around it is read.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for RepoPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if misleads(c) {
                    write!(f, "{}", c.escape_unicode())?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RepoPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl FromStr for RepoPath<'static> {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path.as_bytes().to_vec())
    }
}

impl<'a> TryFrom<&'a str> for RepoPath<'a> {
    type Error = PathError;

    fn try_from(path: &'a str) -> Result<Self, PathError> {
        Self::new(path.as_bytes())
    }
}

impl ToSql for RepoPath<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

impl FromSql for RepoPath<'static> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::new(value.as_bytes()?.to_vec()).map_err(FromSqlError::other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_leave_their_directory_or_hold_empty_parts_are_refused() {
        for (path, error) in [
            ("", PathError::Empty),
            ("/x", PathError::Absolute),
            ("../x", PathError::Dots),
            ("a/../../b", PathError::Dots),
            ("./a", PathError::Dots),
            ("a/.", PathError::Dots),
            ("..", PathError::Dots),
            ("a//b", PathError::Empty),
            ("a/", PathError::Empty),
            ("a\0b", PathError::Nul),
        ] {
            assert_eq!(RepoPath::try_from(path), Err(error), "{path:?}");
        }
        assert_eq!(
            RepoPath::new(vec![b'a'; MAX_PATH_BYTES + 1]),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn fossils_own_files_are_refused_in_any_case_and_at_any_depth() {
        for path in [
            "_FOSSIL_",
            ".fslckout",
            "a/.FSLCKOUT",
            "_fossil_-wal",
            "a/b/.fslckout-SHM",
            ".fslckout-journal",
        ] {
            assert_eq!(RepoPath::try_from(path), Err(PathError::Reserved), "{path}");
        }
    }

    #[test]
    fn unusual_but_harmless_paths_are_taken() {
        for path in [
            "...",
            ".hidden",
            "a..b",
            "_FOSSIL_/x",
            ".fslckout2",
            "-wal",
            "con",
            "a b/ü\n",
            "C:x",
            "a\\b",
            ".git/x",
        ] {
            assert!(RepoPath::try_from(path).is_ok(), "{path}");
        }
        assert!(RepoPath::new(&b"caf\xe9"[..]).is_ok());
    }

    #[test]
    fn what_could_mislead_a_reader_is_shown_escaped() {
        let path = RepoPath::new(&b"a\x1b[2J\xe2\x80\xaetxt\xff ok"[..]).expect("storable");
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\u{202e}txt\\xff ok");
    }

    proptest! {
        #[test]
        fn any_accepted_path_stays_below_its_directory(bytes in prop::collection::vec(prop::sample::select(b"a./\0\\".to_vec()), 0..12)) {
            if let Ok(path) = RepoPath::new(bytes) {
                prop_assert!(path.parts().all(|part| !part.is_empty() && part != b"." && part != b".."));
            }
        }
    }
}
