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

use edgesync_agent::{Heard, Notifier};
use tokio::sync::mpsc::UnboundedReceiver;

/// Returns who shows notifications here, and what comes from the screen. Needs a runtime around it.
pub(crate) fn of_this_system() -> (Arc<dyn Notifier>, UnboundedReceiver<Heard>) {
    #[cfg(target_os = "linux")]
    let (notifier, heard) = freedesktop::Freedesktop::start();
    #[cfg(target_os = "macos")]
    let (notifier, heard) = numbered::Numbered::start(macos::Center::new);
    #[cfg(windows)]
    let (notifier, heard) = numbered::Numbered::start(windows::Toasts::new);
    (Arc::new(notifier), heard)
}
