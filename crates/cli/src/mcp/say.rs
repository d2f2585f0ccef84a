//! The tool `notify`.

use edgesync_agent::api::{self, NotifyMessage, SendNotify};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::error::Failure;
use crate::notify::place::answering_agent;

/// What is to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// What to tell, as plain text. The first line is what people see first.
    message: String,
    /// What it is about, usually the name of the project: letters, digits, - and _.
    project: Option<String>,
    /// The conversation to go on with, as an earlier call returned it. Without it, a new one begins.
    thread: Option<String>,
    /// How much it matters; `info` unless it says otherwise.
    priority: Option<Priority>,
    /// An http or https address for more.
    link: Option<String>,
}

/// How much a message matters.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Priority {
    /// Good to know.
    Info,
    /// Somebody waits.
    ActionRequired,
    /// Somebody waits, and not for long.
    Urgent,
}

impl From<Priority> for api::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Info => Self::Info,
            Priority::ActionRequired => Self::ActionRequired,
            Priority::Urgent => Self::Urgent,
        }
    }
}

/// What was said.
#[derive(Serialize, JsonSchema)]
pub(super) struct Said {
    /// The message.
    id: String,
    /// Its conversation.
    thread: String,
}

impl Desk {
    /// Sends a message.
    pub(super) async fn say(
        &self,
        wish: Wish,
        context: &RequestContext<RoleServer>,
    ) -> Result<Said, Failure> {
        let wish = SendNotify {
            project: self.project(wish.project)?,
            body: wish.message,
            thread: wish.thread,
            priority: wish.priority.map(Into::into),
            from_name: self.sender(context),
            click: wish.link,
            ..SendNotify::default()
        };
        let sent: NotifyMessage = answering_agent()?.post_json("notify/send", &wish).await?;
        Ok(Said {
            id: sent.id,
            thread: sent.thread,
        })
    }
}
