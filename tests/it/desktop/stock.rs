//! What stock `fossil` does for these tests: it makes repositories.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::screen::Desktop;

/// What the repositories made here have in the file `README`.
pub(super) const README: &str = "The lighthouse keeps its light.\n";

/// Makes a repository with one check-in that adds the file `README`, and returns its file.
pub(super) fn new_repository(desktop: &Desktop, name: &str) -> Result<PathBuf> {
    let file = desktop.path(&format!("{name}.fossil"));
    let checkout = desktop.path(&format!("{name}.checkout"));
    std::fs::create_dir(&checkout)?;
    let path = file.to_str().context("the path is text")?;
    fossil(desktop, &checkout, &["new", "--admin-user", "ada", path])?;
    fossil(desktop, &checkout, &["open", "--user", "ada", path])?;
    std::fs::write(checkout.join("README"), README)?;
    fossil(desktop, &checkout, &["add", "README"])?;
    fossil(
        desktop,
        &checkout,
        &["commit", "--user-override", "ada", "-m", "Light the lamp"],
    )?;
    fossil(desktop, &checkout, &["close"])?;
    Ok(file)
}

/// Clones the repository `file` and returns the clone's file.
pub(super) fn clone_of(desktop: &Desktop, file: &Path, name: &str) -> Result<PathBuf> {
    let clone = desktop.path(&format!("{name}.fossil"));
    let (from, to) = (
        file.to_str().context("the path is text")?,
        clone.to_str().context("the path is text")?,
    );
    fossil(desktop, desktop.folder(), &["clone", "--once", from, to])?;
    Ok(clone)
}

fn fossil(desktop: &Desktop, folder: &Path, arguments: &[&str]) -> Result<()> {
    let done = edgesync_tests::fossil(folder)
        .args(arguments)
        .env("FOSSIL_HOME", desktop.folder())
        .output()
        .context("stock `fossil` is installed")?;
    ensure!(
        done.status.success(),
        "fossil {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
