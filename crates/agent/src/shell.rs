//! What only a desktop can do, behind a small trait that the tray app implements.

use std::path::Path;

/// The desktop that hosts an agent.
pub trait Shell: Send + Sync + 'static {
    /// Shows the app's window.
    ///
    /// # Errors
    /// [`ShellError`] when there is no window to show.
    fn open_window(&self) -> Result<(), ShellError>;

    /// Shows the app's window with its inbox, or with one thread of it.
    ///
    /// # Errors
    /// [`ShellError`] when there is no window to show.
    fn open_inbox(&self, thread: Option<&str>) -> Result<(), ShellError>;

    /// Shows `path` in the file manager.
    ///
    /// # Errors
    /// [`ShellError`] when there is no file manager.
    fn reveal(&self, path: &Path) -> Result<(), ShellError>;

    /// Whether a desktop is attached.
    fn is_desktop(&self) -> bool;
}

/// The desktop did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// No desktop is attached.
    #[error("no desktop is attached to this agent")]
    Unsupported,
    /// It tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// An agent without a desktop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headless;

impl Shell for Headless {
    fn open_window(&self) -> Result<(), ShellError> {
        Err(ShellError::Unsupported)
    }

    fn open_inbox(&self, _thread: Option<&str>) -> Result<(), ShellError> {
        Err(ShellError::Unsupported)
    }

    fn reveal(&self, _path: &Path) -> Result<(), ShellError> {
        Err(ShellError::Unsupported)
    }

    fn is_desktop(&self) -> bool {
        false
    }
}
