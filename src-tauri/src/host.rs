//! The one owner of the agent: carries the person's wishes to it, keeps the tray true to it, and stops it at the end.
//!
//! The tray follows the agent's events, and the clock only as often as a word of the menu changes.

use std::sync::Arc;
use std::time::Duration;

use edgesync_agent::Agent;
use edgesync_agent::api::{Event, NotifyMessage, ReplyNotify, Role, SetPause, Time};
use jiff::tz::TimeZone;
use tauri::AppHandle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::autostart::Autostart;
use crate::signals;
use crate::tray::Tray;
use crate::view::View;
use crate::window::{self, Page};
use crate::words;

/// What the rest of the app wants of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An exchange with every remote, now.
    SyncNow,
    /// No exchange for so long.
    Pause(Length),
    /// The end of the pause.
    Resume,
    /// Another role in the mesh.
    Role(Role),
    /// The other choice about the start at login than the tray shows.
    StartAtLogin,
    /// An answer to a question.
    Answer {
        /// The question's thread.
        thread: String,
        /// The question.
        question: String,
        /// The offered action.
        action: String,
    },
    /// The end.
    Stop,
}

/// How long a pause is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Half an hour.
    Briefly,
    /// Until the next morning.
    UntilTomorrow,
    /// Until a person ends it.
    UntilResumed,
}

impl Length {
    /// Returns the pause that begins at `now`.
    fn pause(self, now: Time) -> SetPause {
        let (for_ms, until) = match self {
            Self::Briefly => (Some(BRIEFLY_MS), None),
            Self::UntilTomorrow => (None, words::tomorrow(now, &TimeZone::system())),
            Self::UntilResumed => (None, None),
        };
        SetPause { for_ms, until }
    }
}

/// The short pause: as long as a call or a train ride through tunnels.
const BRIEFLY_MS: u64 = 30 * 60 * 1000;

/// A burst of events (a clone tells each step) redraws the menu at most this often.
const REDRAW_AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// How often the system is asked what starts at login: a desktop's own settings change it too, and tell nobody.
const LOOK_AT_LOGIN_EVERY: Duration = Duration::from_secs(5);

/// The owner of the agent.
pub(crate) struct Host {
    agent: Agent,
    app: AppHandle,
    page: Page,
    tray: Arc<Tray>,
    /// What the tray shows.
    shown: View,
    autostart: Option<Autostart>,
}

impl Host {
    /// Takes the agent, and the tray that shows `shown`.
    pub(crate) fn new(
        agent: Agent,
        (app, page): (AppHandle, Page),
        tray: Arc<Tray>,
        shown: View,
    ) -> Self {
        let autostart = Autostart::of_this_app();
        Self {
            agent,
            app,
            page,
            tray,
            shown,
            autostart: autostart
                .inspect_err(|error| tracing::warn!("no start at login: {error:#}"))
                .ok(),
        }
    }

    /// Runs until it is wished to stop, then stops the agent. When the system or somebody at the API asks the app to end, it
    /// ends the main loop, from where that wish comes.
    pub(crate) async fn run(mut self, mut wishes: UnboundedReceiver<Wish>) {
        let mut signalled = std::pin::pin!(signals::end_wanted());
        let mut is_ending = false;
        let mut events = self.agent.subscribe();
        let mut questions = Vec::new();
        loop {
            let (view, stale_after) = self.look(&questions);
            let stale_at = stale_after.map(|after| Instant::now() + after);
            if view != self.shown {
                let before = std::mem::replace(&mut self.shown, view.clone());
                redraw(&self.app, &self.tray, before, view);
                tokio::time::sleep(REDRAW_AT_MOST_EVERY).await;
            }
            tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(Wish::Stop) | None => break,
                    Some(wish) => self.carry_out(wish).await,
                },
                () = end_wanted(&self.agent, signalled.as_mut()), if !is_ending => {
                    is_ending = true;
                    self.app.exit(0);
                }
                event = events.next() => match event {
                    // The status is read whole whichever event it was; the questions, when it may be about them.
                    Some(event) => if let Some(read) = questions_after(&event, &self.agent).await {
                        questions = read;
                    },
                    None => break,
                },
                () = reached(stale_at) => {}
            }
        }
        self.agent.stop().await;
    }

    /// Returns what the tray is to show, and how long it stays true.
    fn look(&self, questions: &[NotifyMessage]) -> (View, Option<Duration>) {
        let mesh = self.agent.mesh();
        let (mut view, mut stale_after) =
            View::of(&self.agent.status(), mesh.as_ref(), questions, Time::now());
        if let Some(autostart) = &self.autostart {
            view.starts_at_login = Some(autostart.is_on());
            stale_after = stale_after.into_iter().chain([LOOK_AT_LOGIN_EVERY]).min();
        }
        (view, stale_after)
    }

    /// Does what is wished.
    async fn carry_out(&mut self, wish: Wish) {
        match wish {
            Wish::SyncNow => {
                if let Err(error) = self.agent.sync_now(None) {
                    tracing::warn!("nothing is synced: {error}");
                }
            }
            Wish::Pause(length) => {
                let pause = || self.agent.pause(length.pause(Time::now()));
                if let Err(error) = tokio::task::block_in_place(pause) {
                    tracing::warn!("the agent is not paused: {error}");
                }
            }
            Wish::Resume => {
                if let Err(error) = tokio::task::block_in_place(|| self.agent.resume()) {
                    tracing::warn!("the agent is still paused: {error}");
                }
            }
            Wish::Role(role) => {
                if let Err(error) = self.agent.set_role(role).await {
                    tracing::warn!("the role is as it was: {error}");
                }
                // The click has moved the check mark already; it is set anew by what holds now.
                self.shown.mesh = None;
            }
            Wish::StartAtLogin => {
                let on = self.shown.starts_at_login != Some(true);
                if let Some(autostart) = &self.autostart
                    && let Err(error) = autostart.set(on)
                {
                    tracing::error!("the start at login is as it was: {error:#}");
                    window::show_or_log(&self.app, &self.page.of_log());
                }
                // As above.
                self.shown.starts_at_login = None;
            }
            Wish::Answer {
                thread,
                question,
                action,
            } => {
                if let Err(error) = answer(&self.agent, &thread, question, action).await {
                    // The window tells what has become of the question.
                    tracing::warn!("the answer was not sent: {error}");
                    window::show_or_log(&self.app, &self.page.of_inbox(Some(&thread)));
                }
            }
            // The loop ends before it comes here.
            Wish::Stop => {}
        }
    }
}

/// Answers a question the way the API does.
async fn answer(
    agent: &Agent,
    thread: &str,
    question: String,
    action: String,
) -> Result<(), edgesync_agent::api::Error> {
    let wish = ReplyNotify {
        to: Some(question),
        action: Some(action),
        ..ReplyNotify::default()
    };
    agent.reply(thread.to_owned(), wish).await
}

/// Returns the questions that wait, if `event` may have changed them. The first event of all, and the one after a gap, is the status.
async fn questions_after(event: &Event, agent: &Agent) -> Option<Vec<NotifyMessage>> {
    match event {
        Event::Status(_)
        | Event::Message { .. }
        | Event::Question { .. }
        | Event::Thread { .. }
        | Event::NotifySettings { .. } => match agent.questions().await {
            Ok(questions) => Some(questions),
            Err(error) => {
                tracing::warn!("the questions that wait can't be read: {error}");
                None
            }
        },
        _ => None,
    }
}

/// Waits until somebody at the API, or the system, asks for the end.
async fn end_wanted(agent: &Agent, signalled: impl Future<Output = ()>) {
    tokio::select! {
        () = agent.quit_requested() => {}
        () = signalled => {}
    }
}

/// Has the main thread change what differs between the views `before` and `now`.
fn redraw(app: &AppHandle, tray: &Arc<Tray>, before: View, now: View) {
    let tray = Arc::clone(tray);
    let posted = app.run_on_main_thread(move || {
        if let Err(error) = tray.update(&before, &now) {
            tracing::warn!("the tray can't be updated: {error}");
        }
    });
    if let Err(error) = posted {
        tracing::debug!("the main loop is gone: {error}");
    }
}

/// Waits until `instant`; for ever when there is none.
async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
