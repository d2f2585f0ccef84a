//! Notifications on Linux: the service `org.freedesktop.Notifications` on the session bus, by the Desktop Notifications
//! Specification 1.2.
//!
//! One connection, subscribed before anything is shown, so that no click is missed. A number that the daemon gave counts together with
//! the daemon's own name on the bus: after a restart the numbers begin anew, and an old click must not answer a new question. Signals
//! are read all the time and wait in a queue of ours, because a connection whose signals nobody takes stops reading answers too.

use std::collections::HashMap;
use std::time::Duration;

use edgesync_agent::api::{NotifierInfo, Priority};
use edgesync_agent::notify::text::{shown_in_markup, shown_on_a_line};
use edgesync_agent::{Heard, Notification, NotificationKey as Key};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, Variant};

use super::{Wish, Wishes};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// How long the daemon may take for an answer; one that hangs must not hold up what comes after.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a click beside the buttons is called.
const DEFAULT: &str = "default";
/// The name of a button: this and its place. The answers' own names could be the one above.
const BUTTON: &str = "answer-";

/// The reason for which a notification closes when a person takes it away.
const BY_PERSON: u32 = 2;

/// Starts the task. Needs a runtime around it.
pub(super) fn start() -> (Wishes, UnboundedReceiver<Heard>) {
    let (wishes, wished) = Wishes::new();
    let (heard, hearing) = unbounded_channel();
    tokio::spawn(async move {
        if let Err(error) = run(wished, heard).await {
            tracing::info!("no notifications: {error}");
        }
    });
    (wishes, hearing)
}

async fn run(
    mut wishes: UnboundedReceiver<Wish>,
    heard: UnboundedSender<Heard>,
) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let mut signals = listen(&bus).await?;
    let mut screen = Screen {
        bus,
        heard,
        daemon: None,
        shown: HashMap::new(),
        numbers: HashMap::new(),
    };
    screen.wake().await;
    loop {
        tokio::select! {
            signal = signals.recv() => match signal {
                Some(signal) => screen.hear(&signal).await,
                // The session is over.
                None => return Ok(()),
            },
            wish = wishes.recv() => match wish {
                Some(Wish::Wake) if screen.daemon.is_none() => screen.wake().await,
                Some(Wish::Wake) => {}
                Some(Wish::Show(notification)) => screen.show(notification).await,
                Some(Wish::Withdraw(key)) => screen.withdraw(&key).await,
                // The agent has stopped; what it showed goes with it.
                None => return Ok(()),
            },
        }
    }
}

/// Subscribes to the daemon's signals and to its coming and going. The signals of a daemon keep their order.
async fn listen(bus: &Connection) -> zbus::Result<UnboundedReceiver<Message>> {
    let of_daemon = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface(NAME)
        .path(PATH)
        .build()?;
    let of_bus = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .add_arg(NAME)
        .build()?;
    let mut signals = stream::select(
        MessageStream::for_match_rule(of_daemon, bus, None).await?,
        MessageStream::for_match_rule(of_bus, bus, None).await?,
    );
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(signal)) = signals.next().await {
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// A notification's number, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Number {
    daemon: String,
    id: u32,
}

/// The daemon that shows notifications.
struct Daemon {
    /// Its own name on the bus, which no later one has.
    unique: String,
    /// It reads markup.
    markup: bool,
    /// It shows more than the title.
    body: bool,
    /// It has buttons.
    buttons: bool,
}

/// What is on the screen.
struct Screen {
    bus: Connection,
    heard: UnboundedSender<Heard>,
    daemon: Option<Daemon>,
    /// Every number that the daemon has not closed yet.
    shown: HashMap<Number, Key>,
    /// The number that stands for a key now.
    numbers: HashMap<Key, Number>,
}

impl Screen {
    /// Asks for a daemon, which starts one where the system can, and tells the agent when there is one.
    async fn wake(&mut self) {
        let answer = self.call("GetCapabilities", &()).await;
        let daemon = answer.and_then(|answer| {
            let capabilities: Vec<String> = answer.body().deserialize()?;
            let has = |name: &str| capabilities.iter().any(|it| it == name);
            Ok(Daemon {
                unique: sender(&answer),
                markup: has("body-markup"),
                body: has("body"),
                buttons: has("actions"),
            })
        });
        let daemon = match daemon {
            Ok(daemon) => daemon,
            Err(error) => {
                tracing::debug!("nobody shows notifications: {error}");
                return;
            }
        };
        let name = match self.call("GetServerInformation", &()).await {
            Ok(answer) => {
                let told = answer
                    .body()
                    .deserialize::<(String, String, String, String)>();
                let (name, _vendor, version, _specification) = told.unwrap_or_default();
                let version = version.split_whitespace().next().unwrap_or_default();
                shown_on_a_line(&format!("{name} {version}"))
            }
            Err(_) => String::new(),
        };
        let service = NotifierInfo {
            name,
            buttons: daemon.buttons,
        };
        self.forget();
        self.daemon = Some(daemon);
        self.tell(Heard::Ready(service));
    }

    async fn show(&mut self, notification: Notification) {
        let Some(daemon) = &self.daemon else {
            // It has just gone. When one comes, the agent gives this again.
            return;
        };
        let Notification {
            key,
            title,
            text,
            buttons,
            priority,
            stays,
            in_place,
        } = notification;
        let title = if daemon.body {
            title
        } else {
            shown_on_a_line(&format!("{title}: {text}"))
        };
        let text = if daemon.markup {
            shown_in_markup(&text)
        } else {
            text
        };
        let mut actions = vec![DEFAULT.to_owned(), "Open".to_owned()];
        for (place, label) in buttons.into_iter().enumerate() {
            actions.extend([format!("{BUTTON}{place}"), label]);
        }
        let urgency: u8 = match priority {
            Priority::Info => 0,
            Priority::ActionRequired => 1,
            Priority::Urgent => 2,
        };
        let hints = HashMap::from([
            ("urgency", Variant::from(urgency)),
            ("desktop-entry", Variant::from("EdgeSync")),
        ]);
        // In milliseconds; 0 is for ever, -1 as long as the daemon finds right.
        let expiry = if stays { 0 } else { -1 };
        let there = self.numbers.get(&key).filter(|_| in_place);
        let replaces = there.map_or(0, |number| number.id);
        if replaces == 0 {
            // A new one instead of another text for the old one: only that is sure to be noticed.
            self.withdraw(&key).await;
        }
        let wish = (
            "EdgeSync", replaces, "edgesync", title, text, actions, hints, expiry,
        );
        let answer = self.call("Notify", &wish).await;
        let id = answer.and_then(|answer| {
            Ok(Number {
                daemon: sender(&answer),
                id: answer.body().deserialize()?,
            })
        });
        match id {
            Ok(number) => {
                self.shown.insert(number.clone(), key.clone());
                self.numbers.insert(key, number);
            }
            Err(error) => {
                tracing::warn!("a notification is not shown: {error}");
                self.tell(Heard::Closed {
                    key,
                    by_person: false,
                });
            }
        }
    }

    async fn withdraw(&mut self, key: &Key) {
        if let Some(number) = self.numbers.remove(key)
            && let Err(error) = self.call("CloseNotification", &(number.id)).await
        {
            // Some daemons say so of what is closed already.
            tracing::debug!("a notification is not closed: {error}");
        }
    }

    async fn hear(&mut self, signal: &Message) {
        let header = signal.header();
        let member = header.member().map(ToString::to_string);
        let heard = match member.as_deref() {
            Some("NameOwnerChanged") => self.owner_changed(signal).await,
            Some("ActionInvoked") => self.action_invoked(signal),
            Some("NotificationClosed") => self.closed(signal),
            _ => Ok(()),
        };
        if let Err(error) = heard {
            tracing::debug!("a signal of the notifications can't be read: {error}");
        }
    }

    async fn owner_changed(&mut self, signal: &Message) -> zbus::Result<()> {
        let (_name, _old, new): (String, String, String) = signal.body().deserialize()?;
        let known = self.daemon.as_ref().map(|daemon| daemon.unique.as_str());
        if known == Some(new.as_str()) {
            return Ok(());
        }
        if self.daemon.take().is_some() {
            self.forget();
            self.tell(Heard::Gone);
        }
        if !new.is_empty() {
            self.wake().await;
        }
        Ok(())
    }

    fn action_invoked(&mut self, signal: &Message) -> zbus::Result<()> {
        let (id, action): (u32, String) = signal.body().deserialize()?;
        let number = Number {
            daemon: sender(signal),
            id,
        };
        let Some(key) = self.shown.get(&number) else {
            return Ok(());
        };
        let place = action.strip_prefix(BUTTON).and_then(|it| it.parse().ok());
        match place {
            Some(place) => self.tell(Heard::Pressed(key.clone(), place)),
            None if action == DEFAULT => self.tell(Heard::Clicked(key.clone())),
            None => {}
        }
        Ok(())
    }

    fn closed(&mut self, signal: &Message) -> zbus::Result<()> {
        let (id, reason): (u32, u32) = signal.body().deserialize()?;
        let number = Number {
            daemon: sender(signal),
            id,
        };
        let Some(key) = self.shown.remove(&number) else {
            return Ok(());
        };
        // Another one may stand for the key by now.
        if self.numbers.get(&key) == Some(&number) {
            self.numbers.remove(&key);
            self.tell(Heard::Closed {
                key,
                by_person: reason == BY_PERSON,
            });
        }
        Ok(())
    }

    /// Forgets what an earlier daemon showed.
    fn forget(&mut self) {
        self.shown.clear();
        self.numbers.clear();
    }

    fn tell(&self, heard: Heard) {
        // An agent that has stopped wants to know nothing any more.
        let _ = self.heard.send(heard);
    }

    async fn call<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::Type,
    {
        let call = self
            .bus
            .call_method(Some(NAME), PATH, Some(NAME), method, body);
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(zbus::Error::Failure(format!("no answer to {method}"))),
        }
    }
}

/// Returns who sent a message, by the name that nobody else ever has.
fn sender(message: &Message) -> String {
    let header = message.header();
    header.sender().map(ToString::to_string).unwrap_or_default()
}
