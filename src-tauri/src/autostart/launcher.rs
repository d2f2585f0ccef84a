//! Start at login on macOS (a launch agent of the person) and Windows (the person's `Run` key in the registry). Never run so far.

use std::io;

use anyhow::Context as _;
use auto_launch::{AutoLaunch, AutoLaunchBuilder, MacOSLaunchMode, WindowsEnableMode};

use super::ARGUMENT;

/// What the system calls the app.
const NAME: &str = "EdgeSync";

/// The app among what is started at login.
#[derive(Debug)]
pub(super) struct Entry(AutoLaunch);

impl Entry {
    /// Returns the entry that starts `program`.
    pub(super) fn of(program: &str) -> anyhow::Result<Self> {
        // Windows reads a command line there, and splits it at the space of "Program Files".
        let program = if cfg!(windows) {
            format!("\"{program}\"")
        } else {
            program.to_owned()
        };
        let entry = AutoLaunchBuilder::new()
            .set_app_name(NAME)
            .set_app_path(&program)
            .set_args(&[ARGUMENT])
            .set_macos_launch_mode(MacOSLaunchMode::LaunchAgent)
            .set_windows_enable_mode(WindowsEnableMode::CurrentUser)
            .build()?;
        Ok(Self(entry))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_enabled().unwrap_or_else(|error| {
            tracing::debug!("what starts at login can't be read: {error}");
            false
        })
    }

    pub(super) fn put(&self) -> anyhow::Result<()> {
        self.0
            .enable()
            .context("the system does not take the start at login")
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        match self.0.disable() {
            // It is off already.
            Err(auto_launch::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.context("the system keeps the start at login"),
        }
    }
}
