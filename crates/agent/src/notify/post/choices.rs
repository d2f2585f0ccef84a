//! What a person chose about notifications, and the questions that wait for one.

use std::sync::{Arc, Mutex};

use super::{Post, Setting, joined, locked, mark};
use crate::api::{Error, Event, NotifyMessage, NotifySettings, QuestionState, QuietHours};
use edgesync_notify::name::Project;

/// The choices as they are in `agent.db`.
#[derive(Debug)]
pub(super) struct Choices(Mutex<NotifySettings>);

impl Choices {
    /// Reads what was chosen earlier.
    pub(super) async fn read(setting: &Setting) -> Result<Self, Error> {
        let state = Arc::clone(&setting.state);
        let read = move || {
            Ok(NotifySettings {
                quiet: state.notify_quiet()?,
                muted: state.notify_muted()?,
                notifier: None,
            })
        };
        let read = joined(tokio::task::spawn_blocking(read).await)?;
        Ok(Self(Mutex::new(read)))
    }
}

impl Post {
    /// Returns what a person chose. Who shows notifications is not known here.
    pub(crate) fn settings(&self) -> NotifySettings {
        locked(&self.choices.0).clone()
    }

    /// Sets the quiet hours, or that there are none.
    ///
    /// # Errors
    /// `bad_request` for hours that begin when they end, `internal` when `agent.db` cannot be written.
    pub(crate) async fn set_quiet(&self, quiet: Option<QuietHours>) -> Result<(), Error> {
        if quiet.is_some_and(|hours| hours.from == hours.until) {
            return Err(Error::bad_request(
                "quiet hours begin and end at different times",
            ));
        }
        let state = Arc::clone(&self.setting.state);
        joined(tokio::task::spawn_blocking(move || state.set_notify_quiet(quiet)).await)?;
        self.chosen(|settings| settings.quiet = quiet);
        Ok(())
    }

    /// Has nothing of a project shown outside the inbox, or all.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be written.
    pub(crate) async fn set_muted(&self, project: Project, muted: bool) -> Result<(), Error> {
        let state = Arc::clone(&self.setting.state);
        let name = project.to_string();
        let set = move || state.set_notify_muted(&name, muted);
        joined(tokio::task::spawn_blocking(set).await)?;
        let name = project.to_string();
        self.chosen(|settings| {
            settings.muted.retain(|known| *known != name);
            if muted {
                settings.muted.push(name);
                settings.muted.sort();
            }
        });
        Ok(())
    }

    fn chosen(&self, change: impl FnOnce(&mut NotifySettings)) {
        change(&mut locked(&self.choices.0));
        let settings = self.settings();
        self.setting
            .events
            .publish(Event::NotifySettings { settings });
    }

    /// Returns the questions that a person can answer now, oldest first, without those of threads that were put away.
    ///
    /// # Errors
    /// `repository`, and `internal` when `agent.db` cannot be read.
    pub(crate) async fn questions(&self) -> Result<Vec<NotifyMessage>, Error> {
        let found = self.read(|office, _| Ok(office.questions())).await?;
        let done = self.done().await?;
        let mut questions = Vec::new();
        for (mut thread, mut open) in found {
            mark(&mut thread, &done);
            if !thread.done {
                open.retain(|question| question.question == Some(QuestionState::Open));
                questions.extend(open);
            }
        }
        questions.sort_by_key(|question| question.time);
        Ok(questions)
    }
}
