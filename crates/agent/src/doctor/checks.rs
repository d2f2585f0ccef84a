//! The doctor's checks, each on its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libfossil::db::{Access, Error, Repository};

use super::{Found, Running};
use crate::api::{AddressKind, Check, Code, LinkState, Mesh, NotifierInfo, TRIED_AGAIN, Time};
use crate::clock;
use crate::home::Home;
use crate::hosting::{Host, hosting_folder, shared};
use crate::limits;
use crate::text::{error_chain, format_size, random, to_hex};

/// Less free space than this is worth a warning, in bytes.
const LITTLE_SPACE_BYTES: u64 = 500 * 1024 * 1024;

/// A difference to a remote's clock that is worth a warning.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(10);

/// How long a remote may take to tell its time.
const REMOTE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn home_is_writable(home: &Home) -> Check {
    let place = home.data().display();
    let written = home
        .create()
        .map_err(|error| error_chain(&error))
        .and_then(|()| {
            // Another look may be under way.
            let name = random::<8>().map_err(|error| error.to_string())?;
            let probe = home.data().join(format!(".doctor-{}", to_hex(&name)));
            std::fs::write(&probe, b"probe")
                .and_then(|()| std::fs::remove_file(&probe))
                .map_err(|error| error.to_string())
        });
    match written {
        Ok(()) => Check::pass("home", format!("{place} is writable")),
        Err(error) => Check::fail(
            "home",
            format!("{place}: {error}"),
            format!("make it yours: chown -R \"$USER\" '{place}'"),
        ),
    }
}

pub(super) fn agent(found: &Found) -> Check {
    match found {
        Found::Running(running) => {
            let pid = running.runtime.pid;
            Check::pass("agent", format!("process {pid} answers"))
        }
        Found::Nobody => Check::warn(
            "agent",
            "no agent is running",
            "edgesync sync start -R FILE",
        ),
        Found::Broken { message, fix } => Check::fail("agent", message, fix),
    }
}

pub(super) fn repository(path: &Path) -> Check {
    let place = path.display();
    let looked = Repository::open(path, Access::ReadOnly).and_then(|it| it.quick_check());
    match looked {
        Ok(complaints) if complaints.is_empty() => writing(path),
        Ok(complaints) => Check::fail(
            "repository",
            format!("{place}: {}", complaints.join("; ")),
            format!("get it anew: edgesync clone URL '{place}.new'"),
        ),
        Err(error) if error.is_damaged_file() => Check::fail(
            "repository",
            error_chain(&error),
            format!("get it anew: edgesync clone URL '{place}.new'"),
        ),
        Err(error @ Error::NotFound(_)) => Check::fail(
            "repository",
            error_chain(&error),
            "put the file back, or remove the repository from the list",
        ),
        Err(error) => Check::fail(
            "repository",
            error_chain(&error),
            format!("look at it: edgesync verify -R '{place}'"),
        ),
    }
}

/// A sound repository may still be one that nothing can be stored in.
fn writing(path: &Path) -> Check {
    let place = path.display();
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    let tried = Repository::open(path, Access::ReadWrite)
        .and_then(|mut repository| repository.try_writing(clock::now()));
    match tried {
        Err(error @ (Error::ReadOnly(_) | Error::DiskFull)) => Check::warn(
            "repository",
            format!(
                "{place} is sound, but can only be read: {}",
                error_chain(&error)
            ),
            match error {
                Error::DiskFull => "free some space".to_owned(),
                _ => format!(
                    "let yourself write in it and its folder: chmod u+w '{place}' '{folder}'"
                ),
            },
        ),
        // Somebody else is writing right now, or what failed is shown by other checks.
        Ok(()) | Err(_) => Check::pass("repository", format!("{place} is sound")),
    }
}

/// Names the repositories that an agent with another home hosts.
pub(super) fn hosted_twice(home: &Path, repositories: &[PathBuf]) -> Vec<Check> {
    let Some(folder) = hosting_folder() else {
        return Vec::new();
    };
    let canonical: Vec<PathBuf> = repositories
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let shared = shared(&folder, home, &canonical).into_iter();
    let check = |(path, other): (PathBuf, Host)| {
        Check::warn(
            "repository",
            format!("{}: {}", path.display(), other.words()),
            "let one agent have it: remove it from the list of the other, or quit that one",
        )
    };
    shared.map(check).collect()
}

pub(super) fn disk_space(home: &Path, repositories: &[PathBuf]) -> Vec<Check> {
    let folders = repositories
        .iter()
        .filter_map(|path| path.parent())
        .filter(|path| !path.as_os_str().is_empty());
    let mut places: Vec<&Path> = std::iter::once(home).chain(folders).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(space_at).collect()
}

fn space_at(folder: &Path) -> Check {
    let place = folder.display();
    match fs4::available_space(folder) {
        Ok(free) if free < limits::NO_SPACE_BYTES => Check::fail(
            "disk",
            format!("{} free at {place}", format_size(free)),
            format!("free some space at {place}"),
        ),
        Ok(free) if free < LITTLE_SPACE_BYTES => Check::warn(
            "disk",
            format!("only {} free at {place}", format_size(free)),
            format!("free some space at {place}"),
        ),
        Ok(free) => Check::pass("disk", format!("{} free at {place}", format_size(free))),
        Err(error) => Check::warn(
            "disk",
            format!("{place}: {error}"),
            format!("make the folder: mkdir -p '{place}'"),
        ),
    }
}

/// EdgeSync does without the stock program; people who also use it want to know which one they have.
pub(super) fn stock_fossil() -> Check {
    match std::process::Command::new("fossil").arg("version").output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let version = text
                .split_whitespace()
                .skip_while(|word| *word != "version")
                .nth(1)
                .unwrap_or("of an unknown version");
            Check::pass("fossil", format!("stock fossil {version} is there"))
        }
        Ok(output) => Check::warn(
            "fossil",
            format!("stock fossil does not run: {}", output.status),
            "reinstall the fossil package",
        ),
        Err(_) => Check::pass("fossil", "no stock fossil here, and none is needed"),
    }
}

/// Names everything that the agent listens on, with who is let in.
pub(super) fn listeners(running: &Running) -> Vec<Check> {
    let runtime = &running.runtime;
    let at = |url: &str, who: &str| Check::pass("listener", format!("{url}: {who}"));
    let mut checks = vec![at(&runtime.api, "API and page, for holders of the token")];
    checks.push(match &runtime.http_listen {
        Some(listen) => at(
            &format!("http://{listen}"),
            "Fossil clients, by their logins and rights",
        ),
        None => Check::pass(
            "listener",
            "Fossil clients are not served (--serve-http is off)",
        ),
    });
    let addresses = running.mesh.iter().flat_map(|mesh| &mesh.addresses);
    for address in addresses {
        let who = match address.kind {
            AddressKind::Client => "programs on the bus, for holders of the runtime file's token",
            AddressKind::Leaf => "leaves, by the keys of agents that are trusted",
            AddressKind::Route => "peers and hubs, by the keys of agents that are trusted",
            AddressKind::Tunnel => "the tunnel, by the keys of agents that are trusted",
            AddressKind::Lan => {
                "everybody on the local network, to learn where agents are; nobody is let in by it"
            }
        };
        let (scheme, _) = address.url.split_once("://").unwrap_or_default();
        checks.push(at(&format!("{scheme}://{}", address.listen), who));
    }
    if let Some(door) = &running.door {
        let who = "phones, by the session of each that was paired";
        checks.push(at(&format!("http://{door}"), who));
    }
    checks
}

/// Says of each agent that is joined, and of the NATS server beside them, how the link stands.
pub(super) fn links(mesh: &Mesh, now: Time) -> Vec<Check> {
    let joins = mesh.joins.iter().map(|it| ("join", &it.url, &it.state));
    let upstream = mesh.upstream.iter();
    let upstream = upstream.map(|it| ("upstream", &it.url, &it.state));
    let all = joins.chain(upstream);
    all.map(|(name, url, state)| link(name, url, state, now))
        .collect()
}

fn link(name: &str, url: &str, state: &LinkState, now: Time) -> Check {
    let message = format!("{url}: {}", state.words(now));
    match state {
        LinkState::Error { code, hint, .. } => {
            let fix = hint.as_deref().unwrap_or(TRIED_AGAIN);
            match code {
                // It stays so until somebody does something.
                Code::RemoteLogin | Code::RemoteAddress | Code::Unpaired | Code::Conflict => {
                    Check::fail(name, message, fix)
                }
                _ => Check::warn(name, message, fix),
            }
        }
        LinkState::Connecting { .. } => Check::warn(name, message, "look again in a moment"),
        _ => Check::pass(name, message),
    }
}

/// An identity that two agents have.
pub(super) fn twin(message: &str) -> Check {
    Check::fail(
        "identity",
        message,
        "stop one of the two, and start it with a home of its own: EDGESYNC_HOME",
    )
}

pub(super) fn page(is_built: bool) -> Check {
    if is_built {
        Check::pass("page", "the app's page is built in")
    } else {
        Check::warn(
            "page",
            "this program was built without the app's page",
            "npm run ui:build, then build again",
        )
    }
}

/// Where a desktop is attached and questions are kept, somebody should show them.
pub(super) fn notifications(running: &Running) -> Option<Check> {
    let agent = &running.status.agent;
    let is_wanted = agent.shell && agent.notify;
    is_wanted.then(|| match &running.notifier {
        Some(NotifierInfo { name, buttons }) => {
            let how = if *buttons { "with" } else { "without" };
            Check::pass(
                "notifications",
                format!("shown by {name}, {how} buttons for answers"),
            )
        }
        None => Check::warn(
            "notifications",
            "nothing on this desktop shows notifications",
            "start a notification daemon, such as dunst",
        ),
    })
}

/// Compares this machine's clock with the `Date` that a remote answers with.
pub(super) async fn clock(url: &str) -> Check {
    match remote_time(url).await {
        Ok(Some(remote)) => {
            let skew =
                Duration::from_millis(Time::now().unix_millis().abs_diff(remote.unix_millis()));
            let message = format!("{} s from the clock of {url}", skew.as_secs());
            if skew > CLOCK_SKEW_MAX {
                Check::warn(
                    "clock",
                    message,
                    "set the clock by the network: timedatectl set-ntp true",
                )
            } else {
                Check::pass("clock", message)
            }
        }
        Ok(None) => Check::pass("clock", format!("{url} does not tell its time")),
        Err(error) => Check::warn(
            "remote",
            format!("{url}: {error}"),
            "check the address and the network",
        ),
    }
}

async fn remote_time(url: &str) -> Result<Option<Time>, String> {
    // The provider is the process's; that somebody set it before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::Client::new()
        .get(url)
        .timeout(REMOTE_DEADLINE)
        .send()
        .await
        .map_err(|error| error_chain(&error.without_url()))?;
    let date = response
        .headers()
        .get("date")
        .and_then(|value| value.to_str().ok());
    let instant = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    Ok(instant.map(|instant| Time::from_unix_millis(instant.timestamp().as_millisecond())))
}

/// A tray icon needs somebody on the session bus to show it.
#[cfg(target_os = "linux")]
pub(super) async fn tray_host() -> Check {
    const WATCHER: &str = "org.kde.StatusNotifierWatcher";
    let asked = async {
        let bus = zbus::fdo::DBusProxy::new(&zbus::Connection::session().await?).await?;
        let name = zbus::names::BusName::try_from(WATCHER)?;
        Ok::<bool, zbus::Error>(bus.name_has_owner(name).await?)
    };
    match asked.await {
        Ok(true) => Check::pass("tray", "a tray host is there"),
        Ok(false) => Check::warn(
            "tray",
            "nothing on this desktop shows tray icons",
            "GNOME: install the AppIndicator extension",
        ),
        Err(_) => Check::pass("tray", "no desktop session here"),
    }
}
