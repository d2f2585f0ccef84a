//! The doctor: looks at everything that has to be right around an agent, and says how to right what is not. The command line asks it
//! from outside, also when no agent runs; the API has the running agent look at itself. It changes nothing.

mod checks;

use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use crate::api::{Check, Checkup, Devices, Mesh, NotifierInfo, Status, Time, Verdict};
use crate::core::Core;
use crate::home::Home;
use crate::http;
use crate::runtime::Runtime;
use crate::text::error_chain;

/// What was found where an agent should be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found {
    /// One runs and answers.
    Running(Box<Running>),
    /// None runs.
    Nobody,
    /// Something is wrong with it.
    Broken {
        /// What, in one line.
        message: String,
        /// The command or act that rights it.
        fix: String,
    },
}

/// What a running agent says of itself.
#[derive(Debug)]
pub struct Running {
    /// Where it answers.
    pub runtime: Runtime,
    /// What it does.
    pub status: Status,
    /// Whether the app's page is in it.
    pub has_page: bool,
    /// Who shows its notifications.
    pub notifier: Option<NotifierInfo>,
    /// Its part of the mesh; nothing where it has no bus.
    pub mesh: Option<Mesh>,
    /// Where it listens for phones.
    pub door: Option<String>,
}

/// Looks at everything: the agent's folder, the agent as it was `found`, its repositories and those that are `named`, and what they need.
pub async fn examine(home: &Home, found: Found, named: &[PathBuf]) -> Checkup {
    let mut checks = vec![checks::home_is_writable(home), checks::agent(&found)];
    let running = match &found {
        Found::Running(running) => Some(&**running),
        Found::Nobody | Found::Broken { .. } => None,
    };
    let hosted = running.map_or(&[][..], |it| &it.status.repositories);
    let mut repositories = named.to_vec();
    let others = hosted.iter().map(|it| it.path.clone());
    repositories.extend(others.filter(|path| !named.contains(path)));
    checks.extend(files(home.data(), repositories).await);
    if let Some(running) = running {
        checks.extend(checks::listeners(running));
        if let Some(mesh) = &running.mesh {
            checks.extend(mesh.twins().iter().map(|it| checks::twin(it)));
            checks.extend(checks::links(mesh, Time::now()));
        }
        checks.push(checks::page(running.has_page));
        checks.extend(checks::notifications(running));
    }
    let remotes = hosted.iter().filter_map(|it| it.remote.as_ref());
    checks.extend(join_all(remotes.map(|it| checks::clock(&it.url))).await);
    #[cfg(target_os = "linux")]
    checks.push(checks::tray_host().await);
    let ok = checks.iter().all(|it| it.verdict != Verdict::Fail);
    Checkup { ok, checks }
}

/// Has the running agent look at itself.
pub(crate) async fn examine_itself(core: &Core) -> Checkup {
    let found = match Runtime::read_file(&core.home) {
        Ok(Some(runtime)) => Found::Running(Box::new(Running {
            runtime,
            status: core.status(),
            has_page: http::has_page(),
            notifier: core.notifications.get().and_then(|it| it.service()),
            mesh: core.mesh().ok().map(|mesh| mesh.show()),
            door: core
                .phones
                .get()
                .and_then(|phones| listening(&phones.show())),
        })),
        Ok(None) => Found::Broken {
            message: "the runtime file is gone; other programs do not find the agent".into(),
            fix: "quit EdgeSync and start it again".into(),
        },
        Err(error) => Found::Broken {
            message: format!("the runtime file can't be read: {}", error_chain(&error)),
            fix: "quit EdgeSync and start it again".into(),
        },
    };
    examine(&core.home, found, &[]).await
}

/// Returns where an agent listens for phones, if it does.
pub fn listening(devices: &Devices) -> Option<String> {
    let door = devices.door.as_ref().filter(|door| door.error.is_none())?;
    Some(door.listen.clone())
}

/// Looks at files, which takes a while for large ones, and at programs.
async fn files(home: &Path, repositories: Vec<PathBuf>) -> Vec<Check> {
    let home = home.to_path_buf();
    let look = move || {
        let mut found: Vec<Check> = repositories
            .iter()
            .map(|path| checks::repository(path))
            .collect();
        found.extend(checks::hosted_twice(&home, &repositories));
        found.extend(checks::disk_space(&home, &repositories));
        found.push(checks::stock_fossil());
        found
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(found) => found,
        Err(error) => vec![Check::fail(
            "repository",
            format!("the look at the files broke off: {error}"),
            "look at one alone: edgesync verify -R FILE",
        )],
    }
}
