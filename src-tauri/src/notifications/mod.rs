//! Notifications as this system has them. What is shown and when is the agent's; here it is carried to the screen, and what a
//! person does there is carried back.

mod freedesktop;

use std::sync::Arc;

use edgesync_agent::{Heard, Notifier};
use tokio::sync::mpsc::UnboundedReceiver;

/// Returns who shows notifications here, and what comes from the screen. Needs a runtime around it.
pub(crate) fn of_this_system() -> (Arc<dyn Notifier>, UnboundedReceiver<Heard>) {
    let (notifier, heard) = freedesktop::Freedesktop::start();
    (Arc::new(notifier), heard)
}
