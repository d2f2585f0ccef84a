//! Whether the app is started when the person logs in. The system keeps the choice, and other programs change it too, so it is read
//! anew whenever it is shown. At login the app starts without a window, and with none of the flags that this run was given.

#[cfg(target_os = "linux")]
mod freedesktop;
#[cfg(not(target_os = "linux"))]
mod launcher;

use std::path::PathBuf;

use anyhow::Context as _;

#[cfg(target_os = "linux")]
use freedesktop::Entry;
#[cfg(not(target_os = "linux"))]
use launcher::Entry;

/// What the app is started with at login.
const ARGUMENT: &str = "--hidden";

/// The app's place among what is started at login.
#[derive(Debug)]
pub(crate) struct Autostart(Entry);

impl Autostart {
    /// Returns the place of this very program.
    ///
    /// # Errors
    /// When the program does not know where it lies, or the person has no place for such choices.
    pub(crate) fn of_this_app() -> anyhow::Result<Self> {
        Entry::of(&program()?).map(Self)
    }

    /// Whether this program is started at login.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on()
    }

    /// Has the program started at login, or no longer.
    ///
    /// # Errors
    /// When the system refuses the change.
    pub(crate) fn set(&self, on: bool) -> anyhow::Result<()> {
        if on { self.0.put() } else { self.0.remove() }
    }
}

/// Returns the file to start: an `AppImage` runs from a folder that is gone at the next login, and says where it lies itself.
fn program() -> anyhow::Result<String> {
    let image = std::env::var_os("APPIMAGE").filter(|_| cfg!(target_os = "linux"));
    let file = match image {
        Some(image) => PathBuf::from(image),
        None => std::env::current_exe().context("this program does not know its file")?,
    };
    file.into_os_string()
        .into_string()
        .map_err(|file| anyhow::anyhow!("the path {} is not UTF-8", file.display()))
}
