//! A stand-in for the panel: owns the tray's service on the session bus, reads the menu of the icon that registers, and clicks
//! its entries the way a panel does.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use zbus::message::Header;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, interface};

use super::process::GRACE;

type Properties = HashMap<String, OwnedVariant>;

/// Where an icon answers: its owner's name on the bus, and its object's path.
type Place = (String, String);

/// The tray's service.
struct Watcher {
    items: watch::Sender<Option<Place>>,
    has_panel: bool,
}

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the macro hands the header over"
    )]
    fn register_status_notifier_item(&self, #[zbus(header)] header: Header<'_>, service: String) {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        // An item announces its object's path, or its name on the bus.
        let place = if service.starts_with('/') {
            (sender, service)
        } else {
            (service, "/StatusNotifierItem".to_owned())
        };
        self.items.send_replace(Some(place));
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        self.has_panel
    }
}

/// A tray for one icon.
pub(super) struct TrayHost {
    bus: Connection,
    items: watch::Receiver<Option<Place>>,
}

impl TrayHost {
    /// Takes the tray's name on the bus at `address`.
    pub(super) async fn start(address: &str) -> Result<Self> {
        let (sender, items) = watch::channel(None);
        let bus = zbus::connection::Builder::address(address)
            .serve_at(
                "/StatusNotifierWatcher",
                Watcher {
                    items: sender,
                    has_panel: true,
                },
            )
            .name("org.kde.StatusNotifierWatcher")
            .build()
            .await?;
        Ok(Self { bus, items })
    }

    /// Waits for the icon.
    pub(super) async fn icon(&self) -> Result<Icon> {
        self.icon_after(None).await
    }

    /// Waits for the icon of a program that comes after the one with the icon `old`.
    pub(super) async fn icon_after(&self, old: Option<&Icon>) -> Result<Icon> {
        let mut items = self.items.clone();
        let is_new = |place: &Option<Place>| {
            place
                .as_ref()
                .is_some_and(|(owner, _)| old.is_none_or(|old| old.owner != *owner))
        };
        let place = tokio::time::timeout(GRACE, items.wait_for(is_new))
            .await
            .context("no icon came")??
            .clone();
        let (owner, path) = place.context("it came")?;
        let mut icon = Icon {
            bus: self.bus.clone(),
            owner,
            path,
            menu: String::new(),
        };
        icon.menu = OwnedObjectPath::try_from(icon.property("Menu").await?)?.to_string();
        Ok(icon)
    }
}

/// The app's icon in the tray.
pub(super) struct Icon {
    bus: Connection,
    owner: String,
    path: String,
    menu: String,
}

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    id: i32,
    /// Its text; empty for a line between entries.
    pub(super) label: String,
    /// Whether it can be clicked.
    pub(super) enabled: bool,
    /// Whether it has a check mark.
    pub(super) checked: bool,
    /// What opens beside it.
    pub(super) entries: Vec<Entry>,
}

impl Icon {
    /// Returns a property of the icon that is text.
    pub(super) async fn text(&self, name: &str) -> Result<String> {
        Ok(String::try_from(self.property(name).await?)?)
    }

    /// Returns the file of the picture that the icon shows now.
    pub(super) async fn picture(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.text("IconName").await?))
    }

    /// Waits until the icon shows a picture other than `old`, and returns it.
    pub(super) async fn other_picture(&self, old: &[u8]) -> Result<Vec<u8>> {
        let mut changes = self
            .signals("org.kde.StatusNotifierItem", "NewIcon")
            .await?;
        let wait = async {
            loop {
                // Between two pictures there may be none.
                if let Ok(new) = std::fs::read(self.picture().await?)
                    && new != old
                {
                    return Ok(new);
                }
                changes.next().await.context("the bus is gone")??;
            }
        };
        tokio::time::timeout(GRACE, wait)
            .await
            .context("the icon did not change")?
    }

    async fn property(&self, name: &str) -> Result<OwnedVariant> {
        let reply = self
            .bus
            .call_method(
                Some(self.owner.as_str()),
                self.path.as_str(),
                Some("org.freedesktop.DBus.Properties"),
                "Get",
                &("org.kde.StatusNotifierItem", name),
            )
            .await?;
        Ok(reply.body().deserialize()?)
    }

    /// Returns the menu's entries from top to bottom.
    pub(super) async fn menu(&self) -> Result<Vec<Entry>> {
        let reply = self
            .call_menu("GetLayout", &(0i32, -1i32, Vec::<&str>::new()))
            .await?;
        let body = reply.body();
        let (_revision, (_root, _properties, children)): (
            u32,
            (i32, Properties, Vec<OwnedVariant>),
        ) = body.deserialize()?;
        children.into_iter().map(entry).collect()
    }

    /// Waits for an entry with this label in the menu itself, and returns it.
    pub(super) async fn entry(&self, label: &str) -> Result<Entry> {
        let find = |menu: &[Entry]| menu.iter().find(|entry| entry.label == label).cloned();
        let menu = self.menu_when(label, |menu| find(menu).is_some()).await?;
        find(&menu).context("it was seen")
    }

    /// Clicks the entry with this label, also one that opens beside another.
    pub(super) async fn click(&self, label: &str) -> Result<()> {
        let menu = self.menu().await?;
        let all = menu
            .iter()
            .flat_map(|entry| std::iter::once(entry).chain(&entry.entries));
        self.click_one_of(all, label).await
    }

    /// Clicks the entry with this label that opens beside the one called `above`.
    pub(super) async fn click_in(&self, above: &str, label: &str) -> Result<()> {
        let above = self.entry(above).await?;
        self.click_one_of(above.entries.iter(), label).await
    }

    async fn click_one_of(
        &self,
        mut entries: impl Iterator<Item = &Entry>,
        label: &str,
    ) -> Result<()> {
        let entry = entries
            .find(|entry| entry.label == label)
            .with_context(|| format!("no {label:?}"))?;
        ensure!(entry.enabled, "{label:?} is not enabled");
        self.call_menu("Event", &(entry.id, "clicked", Variant::from(0i32), 0u32))
            .await?;
        Ok(())
    }

    /// Waits until the menu is as `wanted`, and returns it.
    pub(super) async fn menu_when(
        &self,
        what: &str,
        wanted: impl Fn(&[Entry]) -> bool,
    ) -> Result<Vec<Entry>> {
        // Listen first, then look: a change in between is not missed.
        let mut changes = futures_util::stream::select(
            self.signals("com.canonical.dbusmenu", "ItemsPropertiesUpdated")
                .await?,
            self.signals("com.canonical.dbusmenu", "LayoutUpdated")
                .await?,
        );
        let mut last = Vec::new();
        let wait = async {
            loop {
                last = self.menu().await?;
                if wanted(&last) {
                    return Ok(());
                }
                changes.next().await.context("the bus is gone")??;
            }
        };
        match tokio::time::timeout(GRACE, wait).await {
            Ok(Ok(())) => Ok(last),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => anyhow::bail!("in vain: {what}; the menu is {last:#?}"),
        }
    }

    /// Waits until the menu's first line starts with `start`, and returns the line.
    pub(super) async fn status_line(&self, start: &str) -> Result<String> {
        let first = |menu: &[Entry]| {
            menu.first()
                .map(|entry| entry.label.clone())
                .unwrap_or_default()
        };
        let menu = self
            .menu_when(start, |menu| first(menu).starts_with(start))
            .await?;
        Ok(first(&menu))
    }

    async fn signals(
        &self,
        interface: &'static str,
        name: &'static str,
    ) -> Result<zbus::MessageStream> {
        let rule = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(self.owner.clone())
            .interface(interface)
            .member(name)
            .build()?;
        Ok(zbus::MessageStream::for_match_rule(rule, &self.bus, None).await?)
    }

    async fn call_menu<B>(&self, method: &str, body: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::Type,
    {
        self.bus
            .call_method(
                Some(self.owner.as_str()),
                self.menu.as_str(),
                Some("com.canonical.dbusmenu"),
                method,
                body,
            )
            .await
    }
}

fn entry(node: OwnedVariant) -> Result<Entry> {
    let (id, mut properties, children) = <(i32, Properties, Vec<OwnedVariant>)>::try_from(node)?;
    let label = properties
        .remove("label")
        .map(String::try_from)
        .transpose()?
        .unwrap_or_default();
    // A single underscore marks a key, two are shown as one.
    let label = label.replace("__", "_");
    let enabled = properties
        .remove("enabled")
        .map(bool::try_from)
        .transpose()?
        .unwrap_or(true);
    let state = properties.remove("toggle-state").map(i32::try_from);
    Ok(Entry {
        id,
        label,
        enabled,
        checked: state.transpose()? == Some(1),
        entries: children.into_iter().map(entry).collect::<Result<_>>()?,
    })
}
