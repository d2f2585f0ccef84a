//! Notifications as this system has them. What is shown and when is the agent's; here it is carried to the screen, and what a
//! person does there is carried back.

#[cfg(target_os = "linux")]
mod freedesktop;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(test, not(target_os = "linux")))]
mod numbered;
#[cfg(windows)]
mod windows;

use std::sync::Arc;

use edgesync_agent::{Heard, Notification, NotificationKey as Key, Notifier};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the agent wants.
enum Wish {
    Wake,
    Show(Notification),
    Withdraw(Key),
}

/// Hands wishes to the task that has the screen.
struct Wishes(UnboundedSender<Wish>);

impl Wishes {
    /// Returns these, and where they arrive.
    fn new() -> (Self, UnboundedReceiver<Wish>) {
        let (wishes, wished) = unbounded_channel();
        (Self(wishes), wished)
    }

    fn hand(&self, wish: Wish) {
        // Where the task has ended, for want of a session bus or because the app ends, nothing is shown.
        let _ = self.0.send(wish);
    }
}

impl Notifier for Wishes {
    fn wake(&self) {
        self.hand(Wish::Wake);
    }

    fn show(&self, notification: Notification) {
        self.hand(Wish::Show(notification));
    }

    fn withdraw(&self, key: &Key) {
        self.hand(Wish::Withdraw(key.clone()));
    }
}

/// Returns who shows notifications here, and what comes from the screen. Needs a runtime around it.
pub(crate) fn of_this_system() -> (Arc<dyn Notifier>, UnboundedReceiver<Heard>) {
    #[cfg(target_os = "linux")]
    let (notifier, heard) = freedesktop::start();
    #[cfg(target_os = "macos")]
    let (notifier, heard) = numbered::start(macos::Center::new);
    #[cfg(windows)]
    let (notifier, heard) = numbered::start(windows::Toasts::new);
    (Arc::new(notifier), heard)
}
