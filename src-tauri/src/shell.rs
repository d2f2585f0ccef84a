//! What the agent can ask of this desktop: the `Shell` that makes the API's desktop routes work.

use std::path::Path;
use std::sync::OnceLock;

use edgesync_agent::{Shell, ShellError};
use tauri::AppHandle;

use crate::window::{self, Page};

/// The desktop as the agent sees it. The agent starts first and the main loop after it, so there is a short time in which
/// the API is there and the window is not.
#[derive(Default)]
pub(crate) struct Desktop {
    attached: OnceLock<(AppHandle, Page)>,
}

impl Desktop {
    /// Gives the desktop its main loop and the page to show. Later calls change nothing.
    pub(crate) fn attach(&self, app: AppHandle, page: Page) {
        let _ = self.attached.set((app, page));
    }
}

impl Desktop {
    /// Shows the window at the place that `place` makes of the page's start.
    fn show(&self, place: impl FnOnce(&Page) -> Page) -> Result<(), ShellError> {
        let (app, page) = self
            .attached
            .get()
            .ok_or_else(|| ShellError::Failed("the app is still starting".into()))?;
        window::show(app, &place(page))
            .map_err(|error| ShellError::Failed(format!("the window can't be opened: {error}")))
    }
}

impl Shell for Desktop {
    fn open_window(&self) -> Result<(), ShellError> {
        self.show(Page::clone)
    }

    fn open_inbox(&self, thread: Option<&str>) -> Result<(), ShellError> {
        self.show(|page| page.of_inbox(thread))
    }

    fn reveal(&self, path: &Path) -> Result<(), ShellError> {
        // A file's folder, not the file: that would start whatever program the system has for it.
        let folder = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        };
        open::that_detached(folder).map_err(|error| {
            ShellError::Failed(format!("{} can't be opened: {error}", folder.display()))
        })
    }

    fn is_desktop(&self) -> bool {
        true
    }
}
