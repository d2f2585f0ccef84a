//! A desktop for one test: an X screen, a session bus and folders of its own, so that tests do not meet each other or the
//! person's desktop.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, ImageFormat, MapState, Window,
};
use x11rb::rust_connection::RustConnection;

use super::daemon::Daemon;
use super::process::{Program, until};
use super::tray_host::TrayHost;
use crate::private_bus::PrivateBus;
use crate::workspace;

/// Stands in for the browser and the file manager: notes what it was asked to open.
const OPENER: &str = "#!/bin/sh\nprintf '%s\\n' \"$1\" >> \"$OPENED\"\n";

/// The screen's width and height in pixels.
pub(super) const SCREEN: (u16, u16) = (1280, 800);

/// The desktop, gone when this is dropped. Fields are dropped in order: whoever uses something goes before it.
pub(super) struct Desktop {
    display: String,
    bus: PrivateBus,
    _screen: Program,
    folder: TempDir,
}

impl Desktop {
    /// Starts an empty desktop.
    pub(super) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        for name in ["runtime", "config", "data", "cache", "bin", "Downloads"] {
            std::fs::create_dir(path(name))?;
        }
        let downloads = "XDG_DOWNLOAD_DIR=\"$HOME/Downloads\"\n";
        std::fs::write(path("config/user-dirs.dirs"), downloads)?;
        write_program(&path("bin/xdg-open"), OPENER)?;

        let screen = Program::start(Command::new("Xvfb").args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            &format!("{}x{}x24", SCREEN.0, SCREEN.1),
            "-nolisten",
            "tcp",
        ]))?;
        let bus = PrivateBus::start().await?;
        let display = format!(":{}", screen.line("").await?);
        Ok(Self {
            display,
            bus,
            _screen: screen,
            folder,
        })
    }

    /// Adds a tray to this desktop.
    pub(super) async fn tray(&self) -> Result<TrayHost> {
        TrayHost::start(self.bus.address()).await
    }

    /// Adds a notification daemon that can do this to the desktop.
    pub(super) async fn daemon(&self, capabilities: &[&str]) -> Result<Daemon> {
        Daemon::start(self.bus.address(), capabilities).await
    }

    /// Connects to this desktop's session bus.
    pub(super) async fn bus(&self) -> Result<zbus::Connection> {
        self.bus.connect().await
    }

    /// Connects to this desktop's screen.
    pub(super) fn screen(&self) -> Result<RustConnection> {
        Ok(RustConnection::connect(Some(&self.display))?.0)
    }

    /// Writes a program that others on this desktop find by its name, and returns its file.
    pub(super) fn write_program(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.path("bin").join(name);
        write_program(&file, text)?;
        Ok(file)
    }

    /// This desktop's own folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in this desktop's own folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the app, to be started on this desktop with its files in this desktop's folder.
    pub(super) fn app(&self) -> Result<Command> {
        self.program("edgesync-desktop")
    }

    /// Returns one of the project's programs, to be started on this desktop with its files in this desktop's folder.
    pub(super) fn program(&self, name: &str) -> Result<Command> {
        self.command(workspace::built(name))
    }

    /// Returns a program, to be started on this desktop with its files in this desktop's folder.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        let search = std::env::var("PATH").context("PATH is set")?;
        command
            .env("PATH", format!("{}:{search}", self.path("bin").display()))
            .env("OPENED", self.path("opened"))
            .env("EDGESYNC_HOME", self.path("home"))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("XAUTHORITY")
            // Paint without a graphics card, and leave out the accessibility bus, which would be started by the app.
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("GDK_BACKEND", "x11")
            .env("NO_AT_BRIDGE", "1");
        Ok(command)
    }

    /// Returns what the app has had opened by other programs, one a line.
    pub(super) fn opened(&self) -> String {
        std::fs::read_to_string(self.path("opened")).unwrap_or_default()
    }

    /// Returns the titles of the app's windows.
    pub(super) fn titles(&self) -> Result<Vec<String>> {
        Ok(self
            .windows()?
            .1
            .into_iter()
            .map(|(_, title)| title)
            .collect())
    }

    /// Closes the one window the way a window's close button does.
    pub(super) fn close_window(&self) -> Result<()> {
        let (x, windows) = self.windows()?;
        let [(window, _)] = windows[..] else {
            anyhow::bail!("not one window: {windows:?}")
        };
        let protocols = x.intern_atom(false, b"WM_PROTOCOLS")?.reply()?.atom;
        let delete = x.intern_atom(false, b"WM_DELETE_WINDOW")?.reply()?.atom;
        let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
        x.send_event(false, window, EventMask::NO_EVENT, message)?
            .check()?;
        Ok(())
    }

    /// Returns the visible windows with their titles. No window manager runs, so they are the root's children.
    fn windows(&self) -> Result<(RustConnection, Vec<(Window, String)>)> {
        let (x, screen) = RustConnection::connect(Some(&self.display))?;
        let root = x
            .setup()
            .roots
            .get(screen)
            .context("the screen has a root")?
            .root;
        let mut windows = Vec::new();
        let name = x.intern_atom(false, b"_NET_WM_NAME")?.reply()?.atom;
        for window in x.query_tree(root)?.reply()?.children {
            let attributes = x.get_window_attributes(window)?;
            let title = x.get_property(false, window, name, AtomEnum::ANY, 0, 1024)?;
            // A window may go while it is looked at.
            let (Ok(attributes), Ok(title)) = (attributes.reply(), title.reply()) else {
                continue;
            };
            if attributes.map_state == MapState::VIEWABLE && !title.value.is_empty() {
                windows.push((window, String::from_utf8(title.value)?));
            }
        }
        Ok((x, windows))
    }

    /// Takes a picture of the screen for people to look at, once something is painted: `test-results/desktop/NAME.png`.
    pub(super) async fn picture(&self, name: &str) -> Result<()> {
        let x = self.screen()?;
        until("something is painted", || is_painted(&x).unwrap_or(false)).await?;
        let folder = workspace::root().join("test-results/desktop");
        std::fs::create_dir_all(&folder)?;
        let taken = Command::new("import")
            .args(["-display", &self.display, "-window", "root"])
            .arg(folder.join(format!("{name}.png")))
            .status()
            .context("`import` of ImageMagick takes the picture")?;
        ensure!(taken.success(), "no picture: {taken}");
        Ok(())
    }
}

/// Whether the window's middle shows more than two colours: a page, and not just an empty window.
fn is_painted(x: &RustConnection) -> Result<bool> {
    let screen = x.setup().roots.first().context("there is a screen")?;
    let shown = x
        .get_image(ImageFormat::Z_PIXMAP, screen.root, 0, 0, 980, 680, u32::MAX)?
        .reply()?;
    let colours: HashSet<&[u8]> = shown.data.chunks_exact(4).collect();
    Ok(colours.len() > 2)
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
