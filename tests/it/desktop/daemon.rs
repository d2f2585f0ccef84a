//! A stand-in for the desktop's notification daemon: owns its service on the session bus, remembers what it was asked to show, and
//! sends the signals that a real one sends when a person presses a button.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedVariant, interface};

use super::process::GRACE;

const PATH: &str = "/org/freedesktop/Notifications";

/// The reason of a close because its time was over.
pub(super) const BY_ITSELF: u32 = 1;
/// The reason of a close that a person made.
pub(super) const DISMISSED: u32 = 2;
/// The reason of a close that the app asked for.
const BY_APP: u32 = 3;

/// A notification as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) id: u32,
    pub(super) summary: String,
    pub(super) body: String,
    /// Names and labels, in the order of the buttons.
    pub(super) actions: Vec<(String, String)>,
    /// In milliseconds; 0 is for ever, -1 as long as the daemon likes.
    pub(super) expiry: i32,
    pub(super) urgency: Option<u8>,
    /// Whether it is on the screen.
    pub(super) open: bool,
    /// How often it was asked for: a later one may take its place.
    pub(super) calls: u32,
}

impl Note {
    /// The labels of its buttons; the click beside them is none.
    pub(super) fn buttons(&self) -> Vec<&str> {
        let buttons = self.actions.iter().filter(|(name, _)| name != "default");
        buttons.map(|(_, label)| label.as_str()).collect()
    }
}

struct Server {
    name: &'static str,
    capabilities: Vec<String>,
    notes: watch::Sender<Vec<Note>>,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Server {
    fn get_capabilities(&self) -> Vec<String> {
        self.capabilities.clone()
    }

    fn get_server_information(&self) -> (&'static str, &'static str, &'static str, &'static str) {
        (self.name, "tests", "1", "1.2")
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    #[expect(clippy::needless_pass_by_value, reason = "the macro hands them over")]
    fn notify(
        &self,
        _app: String,
        replaces: u32,
        _icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedVariant>,
        expiry: i32,
    ) -> u32 {
        let urgency = hints.get("urgency").and_then(|it| u8::try_from(it).ok());
        let pairs = actions.chunks_exact(2);
        let mut id = replaces;
        self.notes.send_modify(|notes| {
            if id == 0 {
                id = u32::try_from(notes.len()).unwrap_or(u32::MAX - 1) + 1;
            }
            let before = notes.iter().find(|note| note.id == id);
            let calls = before.map_or(0, |note| note.calls) + 1;
            notes.retain(|note| note.id != id);
            notes.push(Note {
                id,
                summary,
                body,
                actions: pairs.map(|it| (it[0].clone(), it[1].clone())).collect(),
                expiry,
                urgency,
                open: true,
                calls,
            });
        });
        id
    }

    async fn close_notification(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        id: u32,
    ) {
        if self.close(id) {
            // Nobody may be listening.
            let _ = Self::notification_closed(&emitter, id, BY_APP).await;
        }
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, key: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn notification_closed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        reason: u32,
    ) -> zbus::Result<()>;
}

impl Server {
    /// Takes a notification off the screen. Returns whether it was there.
    fn close(&self, id: u32) -> bool {
        let is_it = |note: &&mut Note| note.id == id && note.open;
        self.notes
            .send_if_modified(|notes| match notes.iter_mut().find(is_it) {
                Some(note) => {
                    note.open = false;
                    true
                }
                None => false,
            })
    }
}

/// The daemon. It leaves the bus when this is dropped.
pub(super) struct Daemon {
    bus: Connection,
    notes: watch::Receiver<Vec<Note>>,
}

impl Daemon {
    /// Takes the service's name on the bus at `address`.
    pub(super) async fn start(address: &str, capabilities: &[&str]) -> Result<Self> {
        let (sender, notes) = watch::channel(Vec::new());
        let server = Server {
            name: "stand-in",
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
            notes: sender,
        };
        let bus = zbus::connection::Builder::address(address)
            .serve_at(PATH, server)
            .name("org.freedesktop.Notifications")
            .build()
            .await?;
        Ok(Self { bus, notes })
    }

    /// Leaves the bus at once, as a daemon does that ends.
    pub(super) async fn end(self) -> Result<()> {
        Ok(self.bus.close().await?)
    }

    /// Everything that was ever shown, oldest first.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }

    /// Waits until what is shown is as `wanted`, and returns it.
    pub(super) async fn notes_when(
        &self,
        what: &str,
        wanted: impl Fn(&[Note]) -> bool,
    ) -> Result<Vec<Note>> {
        let mut notes = self.notes.clone();
        let seen = tokio::time::timeout(GRACE, notes.wait_for(|notes| wanted(notes))).await;
        match seen {
            Ok(Ok(notes)) => Ok(notes.clone()),
            _ => anyhow::bail!("in vain: {what}; shown is {:#?}", self.notes()),
        }
    }

    /// Waits for a notification on the screen whose body starts with `start`.
    pub(super) async fn note(&self, start: &str) -> Result<Note> {
        let find = |notes: &[Note]| {
            let mut found = notes
                .iter()
                .filter(|it| it.open && it.body.starts_with(start));
            found.next_back().cloned()
        };
        let notes = self
            .notes_when(start, |notes| find(notes).is_some())
            .await?;
        find(&notes).context("it was seen")
    }

    /// Presses a button, or clicks beside them for `Open`'s own action. The notification closes then, as with real daemons.
    pub(super) async fn press(&self, note: &Note, label: &str) -> Result<()> {
        let mut actions = note.actions.iter();
        let (name, _) = actions
            .find(|(_, it)| it == label)
            .with_context(|| format!("no {label:?} in {note:?}"))?;
        self.signal_action(note.id, name).await
    }

    /// Says that an action was invoked, and that the notification closed.
    pub(super) async fn signal_action(&self, id: u32, name: &str) -> Result<()> {
        let server = self
            .bus
            .object_server()
            .interface::<_, Server>(PATH)
            .await?;
        Server::action_invoked(server.signal_emitter(), id, name).await?;
        self.close(id, DISMISSED).await
    }

    /// Closes a notification for a reason.
    pub(super) async fn close(&self, id: u32, reason: u32) -> Result<()> {
        let server = self
            .bus
            .object_server()
            .interface::<_, Server>(PATH)
            .await?;
        server.get().await.close(id);
        Ok(Server::notification_closed(server.signal_emitter(), id, reason).await?)
    }
}
