//! What people look at in a repository: timeline, check-ins, files, differences, as the API shows them. Everything here reads,
//! blocks on the file, and keeps within a budget of size and time.

use std::time::Instant;

use bytes::Bytes;
use libfossil::db::{Error as FileError, Repository, Rid};
use libfossil::history::{self, ChangedFile, VersionError};
use libfossil::name::{HashName, RepoPath};

use super::file_error;
use crate::api::{
    CheckIn, Code, Diff, Error, FileChange, FileContent, FileEntry, FileList, Timeline,
};
use crate::diff::{self, Comparison};
use crate::limits;

/// Returns one page of a timeline.
pub(crate) fn timeline_page(
    repository: &Repository,
    timeline: &history::Timeline,
    offset: usize,
    limit: usize,
) -> Result<Timeline, Error> {
    let rows = timeline
        .page(repository, offset, limit.min(limits::TIMELINE_ROWS))
        .map_err(|error| file_error(&error))?;
    Ok(Timeline {
        total: timeline.len() as u64,
        offset: offset as u64,
        lanes: timeline.lanes(),
        rows: rows.into_iter().map(Into::into).collect(),
    })
}

/// Returns a check-in with the files that it changed.
///
/// # Errors
/// [`Code::NotFound`] when `version` names none, others when the repository cannot be read.
pub fn check_in(repository: &Repository, version: &str) -> Result<CheckIn, Error> {
    let details = describe(repository, version)?;
    let (changed, total) = details
        .changed_files(repository, 0, limits::CHECK_IN_FILES)
        .map_err(|error| file_error(&error))?;
    let started = Instant::now();
    let files = changed
        .into_iter()
        .map(|file| file_change(repository, file, started))
        .collect::<Result<_, _>>()?;
    let tags = details.tags();
    Ok(CheckIn {
        hash: details.name.to_string(),
        time: details.time.into(),
        user: details.user,
        comment: details.comment,
        branch: details.branch,
        tags,
        parents: details.parents.into_iter().map(Into::into).collect(),
        children: details.children.into_iter().map(Into::into).collect(),
        files,
        files_total: total as u64,
    })
}

/// Returns what the API shows of a changed file. Lines are counted while the time since `started` is within the budget.
fn file_change(
    repository: &Repository,
    file: ChangedFile,
    started: Instant,
) -> Result<FileChange, Error> {
    let budget = limits::COUNT_DEADLINE.saturating_sub(started.elapsed());
    let small = file
        .size
        .is_none_or(|size| size <= limits::DIFF_BYTES as u64);
    let (mut binary, mut counts) = (false, None);
    if !budget.is_zero() && small {
        let (old, new) = (
            content_or_empty(repository, file.old_name)?,
            content_or_empty(repository, file.name)?,
        );
        binary = diff::is_binary(&old) || diff::is_binary(&new);
        counts = diff::count(&old, &new, budget);
    }
    Ok(FileChange {
        change: file.change.into(),
        permissions: file.permission.into(),
        path: file.path,
        old_path: file.old_path,
        hash: file.name.map(|name| name.to_string()),
        old_hash: file.old_name.map(|name| name.to_string()),
        size: file.size.unwrap_or(0),
        binary,
        additions: counts.map(|counts| counts.additions),
        deletions: counts.map(|counts| counts.deletions),
    })
}

/// Returns how a check-in changed the file at `path`.
pub(crate) fn file_diff(repository: &Repository, version: &str, path: &str) -> Result<Diff, Error> {
    let details = describe(repository, version)?;
    let (changed, _) = details
        .changed_files(repository, 0, usize::MAX)
        .map_err(|error| file_error(&error))?;
    let Some(file) = changed.into_iter().find(|file| file.path == path) else {
        return Err(Error::not_found(format!(
            "{} does not change {path}",
            details.name.short()
        )));
    };
    let comparison = if file
        .size
        .is_some_and(|size| size > limits::DIFF_BYTES as u64)
    {
        Comparison {
            truncated: true,
            ..Comparison::default()
        }
    } else {
        diff::compare(
            &content_or_empty(repository, file.old_name)?,
            &content_or_empty(repository, file.name)?,
        )
    };
    let Comparison {
        binary,
        truncated,
        hunks,
    } = comparison;
    Ok(Diff {
        path: file.path,
        old_path: file.old_path,
        binary,
        truncated,
        hunks,
    })
}

/// Returns the files of a version.
pub(crate) fn files(repository: &Repository, version: &str) -> Result<FileList, Error> {
    let rid = resolve(repository, version)?;
    let name = repository.name(rid).map_err(|error| file_error(&error))?;
    let files = history::files(repository, rid).map_err(|error| file_error(&error))?;
    let files = files
        .iter()
        .map(|file| FileEntry::read(repository, file))
        .collect::<Result<_, FileError>>()
        .map_err(|error| file_error(&error))?;
    Ok(FileList {
        hash: name.to_string(),
        files,
    })
}

/// Returns the file at `path` of a version, as text where it is text.
pub(crate) fn file(
    repository: &Repository,
    version: &str,
    path: &str,
) -> Result<FileContent, Error> {
    let rid = resolve(repository, version)?;
    let wish = RepoPath::new(path.as_bytes())
        .map_err(|error| Error::bad_request(format!("{path:?} is no path of a file: {error}")))?;
    let found = history::file(repository, rid, &wish).map_err(|error| file_error(&error))?;
    let Some((file, content)) = found else {
        return Err(Error::not_found(format!("there is no {path} in {version}")));
    };
    let binary = diff::is_binary(&content);
    let shown = (!binary).then(|| shown_text(&content));
    let truncated = shown.as_ref().is_some_and(|(_, truncated)| *truncated);
    Ok(FileContent {
        path: file.path.to_str_lossy().into_owned(),
        hash: file.name.to_string(),
        size: content.len() as u64,
        permissions: file.permission.into(),
        binary,
        text: shown.map(|(text, _)| text),
        truncated,
    })
}

/// Returns the content of an artifact.
pub(crate) fn artifact(repository: &Repository, hash: &str) -> Result<Bytes, Error> {
    let name = HashName::parse(hash.as_bytes())
        .map_err(|_| Error::bad_request("this is no whole hash of an artifact"))?;
    let rid = repository.rid(&name).map_err(|error| file_error(&error))?;
    let rid = rid.ok_or_else(|| Error::not_found(format!("there is no artifact {name}")))?;
    repository.content(rid).map_err(|error| file_error(&error))
}

/// Returns the part of a text that is shown, and whether that is not all of it.
fn shown_text(content: &[u8]) -> (String, bool) {
    if content.len() <= limits::TEXT_BYTES {
        return (diff::as_text(content).into_owned(), false);
    }
    // A letter that the cut goes through is left out.
    let is_inside = |end: &usize| {
        content
            .get(*end)
            .is_some_and(|byte| (0x80..0xc0).contains(byte))
    };
    let cut = (0..4)
        .map(|back| limits::TEXT_BYTES - back)
        .find(|end| !is_inside(end))
        .unwrap_or(limits::TEXT_BYTES);
    (
        diff::as_text(content.get(..cut).unwrap_or(content)).into_owned(),
        true,
    )
}

fn content_or_empty(repository: &Repository, name: Option<HashName>) -> Result<Bytes, Error> {
    let Some(name) = name else {
        return Ok(Bytes::new());
    };
    let rid = repository.rid(&name).map_err(|error| file_error(&error))?;
    match rid.map(|rid| repository.content(rid)) {
        None | Some(Err(FileError::Missing { .. })) => Ok(Bytes::new()),
        Some(content) => content.map_err(|error| file_error(&error)),
    }
}

fn describe(repository: &Repository, version: &str) -> Result<history::CheckInDetails, Error> {
    let rid = resolve(repository, version)?;
    history::describe(repository, rid).map_err(|error| version_error(&error))
}

fn resolve(repository: &Repository, version: &str) -> Result<Rid, Error> {
    if version.len() > limits::TEXT_FIELD_BYTES {
        return Err(Error::bad_request("the version's name is too long"));
    }
    history::resolve(repository, version).map_err(|error| version_error(&error))
}

fn version_error(error: &VersionError) -> Error {
    match error {
        VersionError::Repository(error) => file_error(error),
        VersionError::Ambiguous { .. } => {
            Error::new(Code::BadRequest, error.to_string()).with_hint("Give more digits.")
        }
        _ => Error::not_found(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_letters() {
        let (text, truncated) = shown_text("é".as_bytes());
        assert_eq!((text.as_str(), truncated), ("é", false));
        let mut long = "x".repeat(limits::TEXT_BYTES - 1).into_bytes();
        long.extend_from_slice("é…".as_bytes());
        let (text, truncated) = shown_text(&long);
        assert_eq!(text.len(), limits::TEXT_BYTES - 1);
        assert!(truncated);
    }
}
