//! Files that are to be attached, read while nobody waits: the repository's own thread must not hang on a pipe or a slow disk.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use edgesync_notify::limits::{MAX_ATTACHMENT_BYTES, MAX_MEDIA};
use edgesync_notify::message::is_file_name;

use crate::api::Error;

/// A file's name and content.
pub(super) type Attached = (String, Vec<u8>);

/// Reads the files at `paths`, on a thread for what blocks.
///
/// # Errors
/// `bad_request` for what is no plain file within the limits, and for two files with one name; it names the file and says why.
pub(super) async fn read(paths: Vec<PathBuf>) -> Result<Vec<Attached>, Error> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let read = tokio::task::spawn_blocking(move || read_all(&paths));
    read.await
        .map_err(|error| Error::internal(error.to_string()))?
}

/// Returns the name under which the file at `path` is attached.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Attached>, Error> {
    if paths.len() > MAX_MEDIA {
        let count = paths.len();
        return Err(Error::bad_request(format!(
            "{count} attachments are too many; a message has at most {MAX_MEDIA}"
        )));
    }
    let mut files: Vec<Attached> = Vec::new();
    for path in paths {
        let name = name_of(path);
        if files.iter().any(|(other, _)| *other == name) {
            return Err(Error::bad_request(format!(
                "two of the attachments are called {name}"
            )));
        }
        files.push((name, read_one(path)?));
    }
    Ok(files)
}

fn read_one(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |why: &str| {
        let file = path.display();
        Error::bad_request(format!("{file} cannot be attached: {why}"))
    };
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => refused("there is no such file"),
        ErrorKind::PermissionDenied => refused("the agent may not read it"),
        _ => refused(&error.to_string()),
    };
    if !path.is_absolute() {
        return Err(refused("its path is not absolute"));
    }
    // Devices and pipes say that they are empty, and never end.
    let about = std::fs::metadata(path).map_err(failed)?;
    if about.is_dir() {
        return Err(refused("it is a folder"));
    }
    if !about.is_file() {
        return Err(refused("it is no plain file"));
    }
    if !is_file_name(&name_of(path)) {
        return Err(refused(
            "its name begins with a dot or a space, or has a colon, a backslash or a control character",
        ));
    }
    // It may grow while it is read, and some files of the system do not tell their length.
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_ATTACHMENT_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > MAX_ATTACHMENT_BYTES {
        let most = MAX_ATTACHMENT_BYTES >> 20;
        return Err(refused(&format!("it has more than {most} MiB")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(paths: &[&Path]) -> String {
        let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
        read_all(&paths).expect_err("refused").message
    }

    #[test]
    fn only_plain_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let small = folder.path().join("small");
        std::fs::write(&small, "all fine").expect("written");
        let large = folder.path().join("large");
        let sparse = File::create(&large).expect("made");
        sparse.set_len(MAX_ATTACHMENT_BYTES + 1).expect("grown");
        assert_eq!(
            read_all(std::slice::from_ref(&small)).expect("read"),
            [("small".to_owned(), b"all fine".to_vec())]
        );
        let hidden = folder.path().join(".profile");
        std::fs::write(&hidden, "mine").expect("written");
        for (path, why) in [
            (&*large, "it has more than 16 MiB"),
            (folder.path(), "it is a folder"),
            (Path::new("small"), "its path is not absolute"),
            (&folder.path().join("none"), "there is no such file"),
            (&hidden, "its name begins with a dot"),
        ] {
            let words = refusal(&[path]);
            let says = format!("{} cannot be attached: {why}", path.display());
            assert!(words.starts_with(&says), "{words}");
        }
        let words = refusal(&[&*small; MAX_MEDIA + 1]);
        assert_eq!(
            words,
            "17 attachments are too many; a message has at most 16"
        );
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_refused_unread() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        // Read, the one would never end and the other never begin.
        for path in [Path::new("/dev/zero"), &pipe] {
            assert!(refusal(&[path]).ends_with("cannot be attached: it is no plain file"));
        }
    }

    #[test]
    fn two_files_with_one_name_are_refused_because_one_would_be_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let in_both = ["a", "b"].map(|name| {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("made");
            std::fs::write(place.join("build.log"), name).expect("written");
            place.join("build.log")
        });
        let words = refusal(&[&in_both[0], &in_both[1]]);
        assert_eq!(words, "two of the attachments are called build.log");
    }
}
