//! The panel of XFCE, a real tray: a person finds the icon in it, opens the menu with the mouse, and chooses with the keyboard.

use anyhow::{Context as _, Result};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, MapState,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::app::App;
use super::process::{Program, until};
use super::screen::{Desktop, SCREEN};
use super::stock::new_repository;

/// A panel with nothing but a tray, at the bottom of the screen, where no window covers it.
const SETTINGS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=10;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="HEIGHT"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
"#;

/// The panel's height in pixels.
const HEIGHT: u16 = 32;

/// Key symbols of X.
const DOWN: u32 = 0xff54;
const END: u32 = 0xff57;
const RETURN: u32 = 0xff0d;

/// The panel's part of the screen, and hands for the person before it.
struct Panel {
    x: RustConnection,
    /// What it looks like without an icon.
    empty: Vec<u8>,
    _programs: [Program; 2],
}

impl Panel {
    /// Starts it, and returns when it waits for icons.
    async fn start(desktop: &Desktop) -> Result<Self> {
        let settings = desktop.path("config/xfce4/xfconf/xfce-perchannel-xml");
        std::fs::create_dir_all(&settings)?;
        std::fs::write(
            settings.join("xfce4-panel.xml"),
            SETTINGS.replace("HEIGHT", &HEIGHT.to_string()),
        )?;
        let bus = desktop.bus().await?;
        let keeper = Program::start(&mut desktop.command(keeper_of_settings()?)?)?;
        owned(&bus, "org.xfce.Xfconf").await?;
        let panel = Program::start(&mut desktop.command("xfce4-panel")?)?;
        owned(&bus, "org.kde.StatusNotifierWatcher").await?;
        let mut panel = Self {
            x: desktop.screen()?,
            empty: Vec::new(),
            _programs: [keeper, panel],
        };
        let mut last = Vec::new();
        until("the panel is painted", || {
            let now = panel.picture().unwrap_or_default();
            let is_painted = now.chunks_exact(4).any(|it| it != [0, 0, 0, 0]);
            let done = is_painted && now == last;
            last = now;
            done
        })
        .await?;
        panel.empty = last;
        Ok(panel)
    }

    fn picture(&self) -> Result<Vec<u8>> {
        let root = self.x.setup().roots.first().context("a screen")?.root;
        let top = i16::try_from(SCREEN.1 - HEIGHT)?;
        let image = self.x.get_image(
            ImageFormat::Z_PIXMAP,
            root,
            0,
            top,
            SCREEN.0,
            HEIGHT,
            u32::MAX,
        )?;
        Ok(image.reply()?.data)
    }

    /// Returns the middle of what has come into the panel, in pixels from the left, when it is no wider than an icon.
    fn icon(&self) -> Result<Option<usize>> {
        let now = self.picture()?;
        let pixels = now.chunks_exact(4).zip(self.empty.chunks_exact(4));
        let columns = pixels
            .enumerate()
            .filter(|(_, (new, old))| new != old)
            .map(|(at, _)| at % usize::from(SCREEN.0));
        let Some((left, right)) = columns.fold(None, |ends, at| {
            let (left, right) = ends.unwrap_or((at, at));
            Some((at.min(left), at.max(right)))
        }) else {
            return Ok(None);
        };
        Ok((right - left < usize::from(HEIGHT)).then_some(left.midpoint(right)))
    }

    /// Opens the menu of the icon.
    async fn open_menu(&self, icon: usize) -> Result<()> {
        let before = self.windows()?;
        let (x, y) = (i16::try_from(icon)?, i16::try_from(SCREEN.1 - HEIGHT / 2)?);
        self.input(MOTION_NOTIFY_EVENT, 0, (x, y))?;
        self.input(BUTTON_PRESS_EVENT, 1, (0, 0))?;
        self.input(BUTTON_RELEASE_EVENT, 1, (0, 0))?;
        until("the menu is open", || {
            self.windows().is_ok_and(|now| now > before)
        })
        .await
    }

    /// Presses a key.
    fn press(&self, symbol: u32) -> Result<()> {
        let (first, last) = (self.x.setup().min_keycode, self.x.setup().max_keycode);
        let keys = self.x.get_keyboard_mapping(first, last - first + 1)?;
        let keys = keys.reply()?;
        let mut rows = keys
            .keysyms
            .chunks_exact(usize::from(keys.keysyms_per_keycode));
        let at = rows.position(|row| row.contains(&symbol));
        let key = first + u8::try_from(at.context("a key")?)?;
        self.input(KEY_PRESS_EVENT, key, (0, 0))?;
        self.input(KEY_RELEASE_EVENT, key, (0, 0))
    }

    fn input(&self, kind: u8, detail: u8, (x, y): (i16, i16)) -> Result<()> {
        let root = self.x.setup().roots.first().context("a screen")?.root;
        self.x
            .xtest_fake_input(kind, detail, 0, root, x, y, 0)?
            .check()?;
        Ok(())
    }

    /// How many windows and menus are on the screen.
    fn windows(&self) -> Result<usize> {
        let root = self.x.setup().roots.first().context("a screen")?.root;
        let mut shown = 0;
        for window in self.x.query_tree(root)?.reply()?.children {
            // A window may go while it is looked at.
            let attributes = self.x.get_window_attributes(window)?.reply();
            if attributes.is_ok_and(|it| it.map_state == MapState::VIEWABLE) {
                shown += 1;
            }
        }
        Ok(shown)
    }
}

/// Returns the program that keeps XFCE's settings, which no PATH leads to: where the bus would find it.
fn keeper_of_settings() -> Result<String> {
    let service = std::fs::read_to_string("/usr/share/dbus-1/services/org.xfce.Xfconf.service")
        .context("the panel of XFCE is installed")?;
    let program = service.lines().find_map(|line| line.strip_prefix("Exec="));
    Ok(program.context("its service names a program")?.to_owned())
}

/// Waits until somebody has this name on the bus.
async fn owned(bus: &zbus::Connection, name: &'static str) -> Result<()> {
    let names = zbus::fdo::DBusProxy::new(bus).await?;
    let mut changes = names
        .receive_name_owner_changed_with_args(&[(0, name)])
        .await?;
    let wait = async {
        while !names.name_has_owner(name.try_into()?).await? {
            futures_util::StreamExt::next(&mut changes)
                .await
                .context("the bus is gone")?;
        }
        Ok(())
    };
    tokio::time::timeout(super::process::GRACE, wait)
        .await
        .with_context(|| format!("{name} did not come"))?
}

#[tokio::test]
async fn in_a_real_panel_the_icon_is_seen_and_its_menu_clicked() -> Result<()> {
    let desktop = Desktop::start().await?;
    let panel = Panel::start(&desktop).await?;
    let repository = new_repository(&desktop, "notes")?;
    let mut command = desktop.app()?;
    let app = App::start(
        command.arg("--hidden").arg("-R").arg(&repository),
        &desktop.path("home"),
    )
    .await?;
    let mut icon = None;
    until("the icon is in the panel", || {
        icon = panel.icon().ok().flatten();
        icon.is_some()
    })
    .await?;
    let icon = icon.context("it was seen")?;

    // What can't be chosen is passed over: the state, and a sync without a remote.
    panel.open_menu(icon).await?;
    for key in [DOWN, DOWN, RETURN] {
        panel.press(key)?;
    }
    app.program.line("window opened").await?;
    app.program.line("page loaded").await?;

    panel.open_menu(icon).await?;
    desktop.picture("panel").await?;
    panel.press(END)?;
    panel.press(RETURN)?;
    app.program.line("stopped").await?;
    Ok(())
}
