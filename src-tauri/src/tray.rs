//! The tray icon and its menu. Everything the app can do from the tray is a menu entry: on Linux neither clicks on the icon
//! nor tooltips arrive.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tauri::image::Image;
use tauri::include_image;
use tauri::menu::{Menu, MenuEvent, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry};

use crate::view::{Shape, View};
use crate::window::{self, Page};

/// Part of the tray item's address on the session bus.
const ID: &str = "edgesync";

/// The menu's entries that do something.
mod entry {
    pub(super) const OPEN: &str = "open";
    pub(super) const QUIT: &str = "quit";
}

/// How many entries stand before the repositories' lines.
const BEFORE_REPOSITORIES: usize = 1;

/// The tray: handles to what changes in it.
pub(crate) struct Tray {
    icon: TrayIcon,
    menu: Menu<Wry>,
    status: MenuItem<Wry>,
    repositories: Mutex<Vec<MenuItem<Wry>>>,
}

impl Tray {
    /// Puts the icon into the tray, showing `view`. Runs on the main thread. Panels on Linux read the icon from a file; it
    /// is written into the folder `pictures`.
    ///
    /// # Errors
    /// When the system refuses the icon or the menu.
    pub(crate) fn new(
        app: &AppHandle,
        view: &View,
        pictures: &Path,
        page: &Page,
    ) -> tauri::Result<Arc<Self>> {
        let status = MenuItem::new(app, literal(&view.status), false, None::<&str>)?;
        let open = MenuItem::with_id(app, entry::OPEN, "Open EdgeSync", true, None::<&str>)?;
        let quit = MenuItem::with_id(app, entry::QUIT, "Quit", true, None::<&str>)?;
        let (above, below) = (
            PredefinedMenuItem::separator(app)?,
            PredefinedMenuItem::separator(app)?,
        );
        let menu = Menu::with_items(app, &[&status, &above, &open, &below, &quit])?;

        let page = page.clone();
        let icon = TrayIconBuilder::with_id(ID)
            .icon(picture(view.shape))
            .icon_as_template(cfg!(target_os = "macos"))
            .menu(&menu)
            .temp_dir_path(pictures)
            .on_menu_event(move |app, event| chosen(app, &event, &page))
            .build(app)?;
        let tray = Self {
            icon,
            menu,
            status,
            repositories: Mutex::default(),
        };
        tray.list(&view.repositories)?;
        Ok(Arc::new(tray))
    }

    /// Changes what differs between `shown` and `view`. Runs on the main thread.
    ///
    /// # Errors
    /// When the system refuses a change.
    pub(crate) fn update(&self, shown: &View, view: &View) -> tauri::Result<()> {
        if view.shape != shown.shape {
            self.icon.set_icon(Some(picture(view.shape)))?;
        }
        if view.status != shown.status {
            self.status.set_text(literal(&view.status))?;
        }
        if view.repositories != shown.repositories {
            self.list(&view.repositories)?;
        }
        Ok(())
    }

    /// Makes the repositories' lines say `lines`, adding and removing entries only when their number changed: a menu that is
    /// rebuilt while it is open closes under the person's hand.
    fn list(&self, lines: &[String]) -> tauri::Result<()> {
        let mut items = self
            .repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while items.len() > lines.len() {
            if let Some(item) = items.pop() {
                self.menu.remove(&item)?;
            }
        }
        for (item, line) in items.iter().zip(lines) {
            item.set_text(literal(line))?;
        }
        for line in lines.iter().skip(items.len()) {
            let item = MenuItem::new(self.menu.app_handle(), literal(line), false, None::<&str>)?;
            self.menu.insert(&item, BEFORE_REPOSITORIES + items.len())?;
            items.push(item);
        }
        Ok(())
    }
}

/// Does what the chosen entry says.
fn chosen(app: &AppHandle, event: &MenuEvent, page: &Page) {
    match event.id().as_ref() {
        entry::OPEN => window::show_or_log(app, page),
        entry::QUIT => app.exit(0),
        _ => {}
    }
}

/// Returns the picture for `shape`: one that macOS colours by itself, or one that reads on dark and light panels.
fn picture(shape: Shape) -> Image<'static> {
    match (shape, cfg!(target_os = "macos")) {
        (Shape::Ring, false) => include_image!("../icons/tray/up-to-date.panel.png"),
        (Shape::Ring, true) => include_image!("../icons/tray/up-to-date.template.png"),
        (Shape::Arrow, false) => include_image!("../icons/tray/syncing.panel.png"),
        (Shape::Arrow, true) => include_image!("../icons/tray/syncing.template.png"),
        (Shape::Broken, false) => include_image!("../icons/tray/error.panel.png"),
        (Shape::Broken, true) => include_image!("../icons/tray/error.template.png"),
    }
}

/// Returns `text` for a menu that takes `&` for the mark of a mnemonic.
fn literal(text: &str) -> String {
    text.replace('&', "&&")
}
