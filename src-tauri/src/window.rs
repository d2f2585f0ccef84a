//! The window: made when somebody wants to see it, destroyed when it is closed, so that no webview sits in memory unseen.
//!
//! It shows the agent's own page over loopback HTTP. That origin has no capability in `tauri.conf.json`, so the page can
//! reach the agent's API and nothing of Tauri. The window never leaves that origin: a link to elsewhere goes to the
//! person's browser.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tauri::webview::{DownloadEvent, NewWindowResponse, PageLoadEvent};
use tauri::{AppHandle, Manager as _, Url, WebviewUrl, WebviewWindowBuilder};

use crate::lines;

/// The label of the one window.
const LABEL: &str = "main";

/// The window's title.
const TITLE: &str = "EdgeSync";
/// The title where the person can't find the icon: closing the window must not look like losing the app.
const TITLE_WITHOUT_TRAY: &str =
    "EdgeSync (no tray on this desktop: start it again to see this window again)";

/// The window's size at first, in logical pixels.
const SIZE: (f64, f64) = (980.0, 680.0);
/// The smallest size at which the page's layout for large screens works, in logical pixels.
const MINIMUM_SIZE: (f64, f64) = (720.0, 480.0);

/// What the window shows, and where its webview may keep files.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The agent's page with the token in its fragment.
    pub(crate) url: Url,
    /// Whether the window goes there when it is open already, wherever the person is.
    pub(crate) is_wanted: bool,
    /// The webview's own folder (cache, local storage).
    pub(crate) files: PathBuf,
}

impl Page {
    /// Returns the place of one repository in this page.
    pub(crate) fn of_repository(&self, name: &str) -> Self {
        self.at(&["r", name, "timeline"])
    }

    /// Returns the place of the mesh in this page.
    pub(crate) fn of_mesh(&self) -> Self {
        self.at(&["mesh"])
    }

    /// Returns the place in this page where a phone is paired.
    pub(crate) fn of_pairing(&self) -> Self {
        self.at(&["devices", "pair"])
    }

    /// Returns the place of the log in this page.
    pub(crate) fn of_log(&self) -> Self {
        self.at(&["log"])
    }

    /// Returns the place of the doctor in this page.
    pub(crate) fn of_doctor(&self) -> Self {
        self.at(&["doctor"])
    }

    /// Returns the place of the inbox in this page, or of one thread in it.
    pub(crate) fn of_inbox(&self, thread: Option<&str>) -> Self {
        let mut segments = vec!["inbox"];
        segments.extend(thread);
        self.at(&segments)
    }

    fn at(&self, segments: &[&str]) -> Self {
        let mut page = self.clone();
        if let Ok(mut path) = page.url.path_segments_mut() {
            path.clear().extend(segments);
        }
        page.is_wanted = true;
        page
    }
}

/// Asks the main thread to bring the window to the front, making it first if there is none.
///
/// Everything about the window happens on the main thread, so two requests at once still give one window.
///
/// # Errors
/// When the main loop is gone, that is, when the app is quitting.
pub(crate) fn show(app: &AppHandle, page: &Page) -> tauri::Result<()> {
    let (handle, page) = (app.clone(), page.clone());
    app.run_on_main_thread(move || {
        if let Err(error) = raise(&handle, &page) {
            tracing::error!("the window can't be opened: {error:#}");
            lines::print("window failed");
        }
    })
}

/// Like [`show`], where nobody waits for an answer.
pub(crate) fn show_or_log(app: &AppHandle, page: &Page) {
    if let Err(error) = show(app, page) {
        tracing::error!("the window can't be opened: {error}");
    }
}

/// Says in the window's title that this desktop has no tray.
pub(crate) fn tell_no_tray(app: &AppHandle) {
    let handle = app.clone();
    // When the main loop is gone, so is the window.
    let _ = app.run_on_main_thread(move || {
        if let Some(window) = handle.get_webview_window(LABEL)
            && let Err(error) = window.set_title(TITLE_WITHOUT_TRAY)
        {
            tracing::warn!("the window's title can't be set: {error}");
        }
    });
}

/// Shows the window that is there, or makes one.
fn raise(app: &AppHandle, page: &Page) -> anyhow::Result<()> {
    if let Some(window) = app.get_webview_window(LABEL) {
        if page.is_wanted {
            window.navigate(page.url.clone())?;
        }
        window.unminimize()?;
        window.show()?;
        window.set_focus()?;
        lines::print("window raised");
        return Ok(());
    }
    build(app, page).context("the webview did not start")?;
    lines::print("window opened");
    Ok(())
}

/// Makes the window with its rules about where it may go.
fn build(app: &AppHandle, page: &Page) -> tauri::Result<()> {
    let home = page.url.clone();
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::External(page.url.clone()))
        .title(TITLE)
        .inner_size(SIZE.0, SIZE.1)
        .min_inner_size(MINIMUM_SIZE.0, MINIMUM_SIZE.1)
        .data_directory(page.files.clone())
        .on_navigation(move |target| {
            let allowed = is_same_origin(&home, target);
            if !allowed {
                open_elsewhere(target);
            }
            allowed
        })
        .on_new_window(|target, _features| {
            open_elsewhere(&target);
            NewWindowResponse::Deny
        })
        .on_download(|webview, event| download(webview.app_handle(), event))
        .on_page_load(|_window, load| {
            if load.event() == PageLoadEvent::Finished {
                lines::print("page loaded");
            }
        })
        .build()?;
    Ok(())
}

/// Lets a download go into the person's downloads folder, and nowhere else. Returns whether it may go on.
fn download(app: &AppHandle, event: DownloadEvent<'_>) -> bool {
    match event {
        DownloadEvent::Requested { destination, .. } => {
            let folder = app.path().download_dir().or_else(|_| app.path().home_dir());
            let (Ok(folder), Some(name)) = (folder, destination.file_name()) else {
                return false;
            };
            *destination = free_place(&folder, Path::new(name));
            true
        }
        DownloadEvent::Finished { success, .. } => {
            lines::print(if success {
                "download saved"
            } else {
                "download failed"
            });
            true
        }
        _ => true,
    }
}

/// Returns a path in `folder` that nobody uses: `name`, or `name` with a number before its extension.
fn free_place(folder: &Path, name: &Path) -> PathBuf {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let extension = name
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    let numbered = (1..).map(|number: u32| folder.join(format!("{stem} ({number}){extension}")));
    let mut places = std::iter::once(folder.join(name)).chain(numbered);
    places
        .find(|place| !place.exists())
        .unwrap_or_else(|| folder.join(name))
}

/// Returns whether `target` belongs to the agent's page. The origin of a `blob:` address is that of the page that made it,
/// which is how the page offers downloads.
fn is_same_origin(page: &Url, target: &Url) -> bool {
    target.origin() == page.origin()
}

/// Hands a link to the system's browser or mail program; other schemes are dropped.
fn open_elsewhere(target: &Url) {
    if !matches!(target.scheme(), "https" | "http" | "mailto") {
        tracing::warn!("the page tried to leave for a {}: address", target.scheme());
        return;
    }
    match open::that_detached(target.as_str()) {
        Ok(()) => lines::print("link opened in the browser"),
        Err(error) => tracing::warn!("{target} can't be opened in the browser: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_origin(target: &str) -> bool {
        let page = Url::parse("http://127.0.0.1:4100/#token=secret").unwrap();
        is_same_origin(&page, &Url::parse(target).unwrap())
    }

    #[test]
    fn a_repository_has_a_place_in_the_page() {
        let page = Page {
            url: Url::parse("http://127.0.0.1:4100/#token=secret").unwrap(),
            files: PathBuf::new(),
            is_wanted: false,
        };
        let place = page.of_repository("a/b c");
        assert_eq!(
            place.url.as_str(),
            "http://127.0.0.1:4100/r/a%2Fb%20c/timeline#token=secret"
        );
        let mesh = page.of_mesh();
        assert_eq!(mesh.url.as_str(), "http://127.0.0.1:4100/mesh#token=secret");
        let thread = page.of_inbox(Some("thread-0a"));
        assert_eq!(
            thread.url.as_str(),
            "http://127.0.0.1:4100/inbox/thread-0a#token=secret"
        );
    }

    #[test]
    fn a_download_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = || free_place(folder.path(), Path::new("notes.txt"));
        assert_eq!(place(), folder.path().join("notes.txt"));
        std::fs::write(place(), "").unwrap();
        assert_eq!(place(), folder.path().join("notes (1).txt"));
        std::fs::write(place(), "").unwrap();
        assert_eq!(place(), folder.path().join("notes (2).txt"));
        assert_eq!(
            free_place(folder.path(), Path::new(".profile")),
            folder.path().join(".profile")
        );
    }

    #[test]
    fn the_window_stays_on_the_agents_origin() {
        assert!(same_origin("http://127.0.0.1:4100/r/edgesync/timeline"));
        assert!(same_origin("blob:http://127.0.0.1:4100/3f0c"));
        for foreign in [
            "https://127.0.0.1:4100/",
            "http://127.0.0.1:4101/",
            "http://localhost:4100/",
            "http://127.0.0.1:4100@example.org/",
            "blob:https://example.org/3f0c",
            "file:///etc/passwd",
            "data:text/html,hello",
            "javascript:alert(1)",
            "tauri://localhost/",
        ] {
            assert!(!same_origin(foreign), "{foreign}");
        }
    }
}
