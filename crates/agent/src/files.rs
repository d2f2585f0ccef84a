//! Private files and folders: readable by their owner alone, and replaced whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Creates `path` and its parents, readable by the owner alone. A folder that exists is left as it is.
///
/// # Errors
/// When a folder cannot be made.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces the content of `path` with `content`, readable by the owner alone, through a temporary file and a rename:
/// a reader sees the old file or the new one.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    private_file(path, |file| file.write_all(content)).map(drop)
}

/// Replaces `path` with a file that `fill` fills, in the same way, and returns it as it stays open.
///
/// # Errors
/// When the folder cannot be written, or `fill` fails.
pub(crate) fn private_file(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // A leftover of a killed process with our number; nothing else has this name.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || -> io::Result<File> {
        let mut file = private_options().create_new(true).open(&temporary)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        Ok(file)
    };
    let written = write();
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    let file = written?;
    sync_parent(path)?;
    Ok(file)
}

/// Makes sure that nobody but the user can put something into the folder.
///
/// # Errors
/// When others could, or it is no folder.
pub(crate) fn check_private(folder: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(folder)?;
    let open = || io::Error::other("others may write there");
    if !meta.is_dir() {
        return Err(open());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let parent = folder.parent().map(fs::metadata).transpose()?;
        let alike = parent.is_none_or(|parent| parent.uid() == meta.uid());
        if meta.mode() & 0o077 != 0 || !alike {
            return Err(open());
        }
    }
    Ok(())
}

/// Returns what is in a file at whose path a process holds a lock on it, at most `max_bytes`; nothing of one that a process left behind
/// which was killed.
pub(crate) fn read_while_held(path: &Path, max_bytes: u64) -> Option<Vec<u8>> {
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut text = Vec::new();
    file.take(max_bytes).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Opens `path` for writing, creating it readable by the owner alone; what is in it stays.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    private_options().create(true).truncate(false).open(path)
}

/// Opens `path` for adding to its end, creating it readable by the owner alone; one that others could read is closed to them.
pub(crate) fn append_private(path: &Path) -> io::Result<File> {
    let file = private_options().append(true).create(true).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a rename in the parent folder of `path` durable, where the system can do that.
fn sync_parent(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path
            .parent()
            .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
