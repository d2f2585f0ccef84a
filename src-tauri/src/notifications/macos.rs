//! Notifications on macOS: `UNUserNotificationCenter`, which wants the app to be a bundle and the person to have allowed it. Never run
//! so far.
//!
//! A notification that nobody clicked moves from the screen into the notification centre, where a click on it still counts while the app runs.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use edgesync_agent::Notification;
use edgesync_agent::api::{NotifierInfo, Priority};
use mac_usernotifications::{
    Action, CloseReason, InterruptionLevel, NotificationResponse, close_delivered, request_auth,
};
use tokio::task::JoinHandle;

use super::numbered::{Happened, System, Teller, name_of_button, press_of};

/// How long a notification that does not stay is kept in the notification centre.
const KEPT: Duration = Duration::from_secs(600);

/// What the button of a notification without answers is called: it does what a click beside it does.
const OPEN: &str = "open";

/// The notification centre.
pub(super) struct Center {
    teller: Teller,
    /// Who waits for what becomes of a notification, by its number.
    waiting: HashMap<u64, JoinHandle<()>>,
}

impl Center {
    /// Returns a screen without notifications, of which `teller` tells.
    pub(super) fn new(teller: Teller) -> Self {
        Self {
            teller,
            waiting: HashMap::new(),
        }
    }
}

impl System for Center {
    async fn begin(&mut self) -> anyhow::Result<NotifierInfo> {
        let is_allowed = request_auth()
            .await
            .context("macOS shows those of app bundles alone")?;
        ensure!(is_allowed, "they are switched off in macOS' settings");
        Ok(NotifierInfo {
            name: "macOS".into(),
            buttons: true,
        })
    }

    fn show(&mut self, number: u64, notification: &Notification) {
        let teller = self.teller.clone();
        let native = native(number, notification);
        let wait = tokio::spawn(async move {
            let happened = match watch(native).await {
                Ok(response) => meaning(&response),
                Err(error) => {
                    tracing::warn!("a notification is not shown: {error}");
                    Happened::Closed { by_person: false }
                }
            };
            // When nobody listens, the app is ending.
            let _ = teller.send((number, happened));
        });
        self.waiting.retain(|_, wait| !wait.is_finished());
        self.waiting.insert(number, wait);
    }

    fn take_down(&mut self, number: u64) {
        if let Some(wait) = self.waiting.remove(&number) {
            wait.abort();
        }
        // Done by the time the next one is shown; nobody has to wait for it.
        drop(close_delivered(&name(number)));
    }
}

/// Shows a notification, and returns what a person did with it.
async fn watch(
    native: mac_usernotifications::Notification,
) -> Result<NotificationResponse, mac_usernotifications::Error> {
    native.send().await?.response().await
}

/// Returns the notification in the form of the system.
fn native(number: u64, notification: &Notification) -> mac_usernotifications::Notification {
    let mut native = mac_usernotifications::Notification::new()
        .id(&name(number))
        .title(&notification.title)
        .message(&notification.text)
        .interruption_level(match notification.priority {
            Priority::Info => InterruptionLevel::Passive,
            Priority::ActionRequired => InterruptionLevel::Active,
            Priority::Urgent => InterruptionLevel::TimeSensitive,
        });
    if notification.priority != Priority::Info {
        native = native.default_sound();
    }
    if !notification.stays {
        native = native.timeout(KEPT);
    }
    for (place, label) in notification.buttons.iter().enumerate() {
        // The system keeps the labels of all buttons that were ever called the same, and shows the last: so the label is in the name.
        // It joins the names by commas; no text of ours has the sign that stands for one here.
        let said = label.replace(',', "\u{1}");
        let name = format!("{}{LABEL}{said}", name_of_button(place));
        native = native.action(Action::button(name, label));
    }
    if notification.stays && notification.buttons.is_empty() {
        // Without any, the system does not tell that it was taken away.
        native = native.action(Action::button(OPEN, "Open"));
    }
    native
}

/// Stands between a button's name and its label.
const LABEL: char = ' ';

/// Returns what a person meant.
fn meaning(response: &NotificationResponse) -> Happened {
    match response.close_reason {
        Some(CloseReason::Dismissed) => Happened::Closed { by_person: true },
        Some(CloseReason::Expired) => Happened::Closed { by_person: false },
        None => {
            let name = response.action_identifier.split(LABEL).next();
            press_of(name.unwrap_or_default())
        }
    }
}

/// Returns what the notification with this number is called in the system.
fn name(number: u64) -> String {
    format!("edgesync-{number}")
}
