//! The life of the app: start the agent or hand over to the one that runs, put the icon into the tray, open the window when it
//! is wanted, and stop the agent when the person quits or the system asks.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use edgesync_agent::api::Time;
use edgesync_agent::log::Log;
use edgesync_agent::{Agent, Home, StartError};
use tauri::{App, AppHandle, RunEvent, WindowEvent};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::arguments::Arguments;
use crate::host::{Host, Wish};
use crate::shell::Desktop;
use crate::tray::Tray;
use crate::view::View;
use crate::window::{self, Page};
use crate::{handover, lines, tray_host};

/// Runs the app until it is asked to quit.
///
/// # Errors
/// When there is no screen, the agent can't start, or the desktop refuses the app.
pub(crate) fn run(arguments: &Arguments, log: Log) -> anyhow::Result<()> {
    require_screen()?;
    let runtime = Runtime::new().context("no threads to run on")?;
    tauri::async_runtime::set(runtime.handle().clone());

    let home = Home::from_env()?;
    let desktop = Arc::new(Desktop::default());
    let mut config = arguments.config(home.clone());
    config.log = Some(log);
    let agent = match runtime.block_on(Agent::start(config, Arc::clone(&desktop) as _)) {
        Ok(agent) => agent,
        Err(StartError::AlreadyRunning { runtime: running }) => {
            runtime.block_on(handover::ask(&running))?;
            anyhow::ensure!(
                !arguments.ask_for_something(),
                "EdgeSync runs already (process {}) and keeps the flags that it was started with; add a repository in its window, or quit it first",
                running.pid
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };

    let (wish, wishes) = mpsc::unbounded_channel();
    let front = match Front::new(&agent, &desktop, &home.data().join("desktop"), &wish) {
        Ok(front) => front,
        Err(error) => {
            runtime.block_on(agent.stop());
            return Err(error);
        }
    };
    show_notifications(&runtime, &agent);
    front.run(&runtime, agent, arguments.hidden, (wish, wishes))
}

/// Puts the agent's questions and messages onto the screen.
fn show_notifications(runtime: &Runtime, agent: &Agent) {
    let _within = runtime.enter();
    let (notifier, heard) = crate::notifications::of_this_system();
    agent.notify_by(notifier, heard);
}

/// What the person sees: the main loop with tray and window.
struct Front {
    app: App,
    tray: Arc<Tray>,
    shown: View,
    page: Page,
}

impl Front {
    /// Connects to the desktop and puts the icon into the tray. `files` is the front's own folder.
    fn new(
        agent: &Agent,
        desktop: &Desktop,
        files: &Path,
        wish: &UnboundedSender<Wish>,
    ) -> anyhow::Result<Self> {
        let page = Page {
            url: agent.page_url().parse()?,
            files: files.join("webview"),
            is_wanted: false,
        };
        let app = tauri::Builder::default()
            .build(tauri::generate_context!())
            .context("the desktop refuses the app")?;
        let (shown, _) = View::of(&agent.status(), agent.mesh().as_ref(), &[], Time::now());
        let tray = Tray::new(
            app.handle(),
            &shown,
            &files.join("tray"),
            &page,
            wish.clone(),
        )
        .context("the tray refuses the icon")?;
        desktop.attach(app.handle().clone(), page.clone());
        Ok(Self {
            app,
            tray,
            shown,
            page,
        })
    }

    /// Runs the main loop until the app exits, then sees the agent out.
    fn run(
        self,
        runtime: &Runtime,
        agent: Agent,
        hidden: bool,
        (wish, wishes): (UnboundedSender<Wish>, UnboundedReceiver<Wish>),
    ) -> anyhow::Result<()> {
        let app = self.app.handle();
        lines::print(&format!("ready {}", agent.runtime().api));
        let status = agent.status();
        let has_none = status.repositories.iter().all(|it| it.notify);
        let wanted = !hidden && has_none;
        runtime.spawn(first_window(app.clone(), self.page.clone(), wanted, hidden));
        let host = Host::new(agent, (app.clone(), self.page), self.tray, self.shown);
        let hosting = runtime.spawn(host.run(wishes));

        self.app.run_return(|_app, event| match event {
            // The last window was closed, nobody quit: the app lives on in the tray.
            RunEvent::ExitRequested {
                code: None, api, ..
            } => api.prevent_exit(),
            RunEvent::WindowEvent {
                event: WindowEvent::Destroyed,
                ..
            } => lines::print("window closed"),
            _ => {}
        });

        // It may have ended already, by an error of its own; the next line tells.
        let _ = wish.send(Wish::Stop);
        runtime.block_on(hosting).context("the agent broke off")?;
        lines::print("stopped");
        Ok(())
    }
}

/// Opens the window at start when it is `wanted`, or when there is no tray that could show the icon; `hidden` means that the
/// person wants no window in any case.
async fn first_window(app: AppHandle, page: Page, wanted: bool, hidden: bool) {
    if wanted {
        window::show_or_log(&app, &page);
    }
    if tray_host::is_present().await {
        return;
    }
    tracing::warn!("this desktop has no tray; starting EdgeSync again brings its window back");
    lines::print("no tray");
    if !hidden {
        if !wanted {
            window::show_or_log(&app, &page);
        }
        window::tell_no_tray(&app);
    }
}

/// Refuses early, in words, where GTK would abort.
#[cfg(target_os = "linux")]
fn require_screen() -> anyhow::Result<()> {
    let is_set = |variable| {
        std::env::var_os(variable).is_some_and(|value: std::ffi::OsString| !value.is_empty())
    };
    anyhow::ensure!(
        is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
        "there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set); `edgesync sync start` runs the agent without one"
    );
    Ok(())
}

/// Other systems always have a screen, or never start the app.
#[cfg(not(target_os = "linux"))]
fn require_screen() -> anyhow::Result<()> {
    Ok(())
}
