//! Whether a new file can be made at a path, and why not: the same words wherever a repository is created or cloned.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::api::{Code, Error};

/// Looks whether a new file may be made at `path`.
///
/// # Errors
/// `conflict` when something is there, `bad_request` when its folder is not, `repository` when that may not be looked into.
pub fn check(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => {
            return Err(
                Error::new(Code::Conflict, format!("{} is a folder", path.display()))
                    .with_hint("Name a file in it."),
            );
        }
        Ok(_) => {
            let words = format!("{} is there already", path.display());
            return Err(Error::new(Code::Conflict, words)
                .with_hint("Choose another name, or move that file away."));
        }
        Err(_) if names_folder(path) => {
            let words = format!("{} names a folder", path.display());
            return Err(
                Error::bad_request(words).with_hint("Name a file, without a separator at the end.")
            );
        }
        Err(_) => {}
    }
    let Some(folder) = folder(path) else {
        return Err(Error::bad_request("the path names no file"));
    };
    let cannot = |reason: &str| {
        let words = format!("{} cannot be made: {reason}", path.display());
        Error::bad_request(words)
    };
    match fs::metadata(folder) {
        Ok(there) if there.is_dir() => Ok(()),
        Ok(_) => Err(cannot(&format!("{} is not a folder", folder.display()))
            .with_hint("Choose another place.")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(refused(path, &error)),
        Err(_) => Err(cannot(&format!("there is no folder {}", folder.display()))
            .with_hint("Make the folder first, or choose another place.")),
    }
}

/// Whether the text of a path ends as only that of a folder may.
fn names_folder(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last();
    last.is_some_and(|last| std::path::is_separator(char::from(*last)))
}

/// Returns what to say when a new file was not to be made at `path`, with the system's own reason.
pub fn not_made(path: &Path) -> Error {
    if let Err(error) = check(path) {
        return error;
    }
    match File::create_new(path) {
        Err(error) => refused(path, &error),
        Ok(_) => {
            // What was asked of the system was the reason alone.
            let _ = fs::remove_file(path);
            let words = format!("{} cannot be made", path.display());
            Error::new(Code::Repository, words).with_hint("Choose another place.")
        }
    }
}

/// Returns what to say when the system refuses a file in the folder of `path`.
pub(crate) fn refused(path: &Path, error: &io::Error) -> Error {
    let folder = folder(path).unwrap_or(path).display();
    let words = format!("{} cannot be made in its folder: {error}", path.display());
    Error::new(Code::Repository, words).with_hint(format!(
        "You have to be allowed to write in {folder}; or choose another place."
    ))
}

fn folder(path: &Path) -> Option<&Path> {
    let folder = path.parent()?;
    Some(match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    })
}
