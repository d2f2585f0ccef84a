//! Other agents of this user on this machine. Each writes where its server is into one folder of the system's runtime directory, readable by
//! the user alone, and reads what the others wrote. That proves nothing: an agent joins those whom it trusts, and the link shows who they are.
//! A file counts as long as its writer holds a lock on it, which ends with the process however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use natsd::Addresses;
use notify::Watcher as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::join::{JoinUrl, Way};
use super::{Mesh, locked};
use crate::api::Role;
use crate::files::{check_private, create_private_dir, private_file, read_while_held};
use crate::limits;
use crate::net::reachable;
use crate::trust::EndpointId;
use crate::watch::is_change;

/// What files are called, behind the id of their writer.
const SUFFIX: &str = ".json";

/// How often the folder is looked at although nothing told of a change: the end of a process changes no file.
const LOOK: Duration = Duration::from_secs(30);

/// Returns the folder in which agents of this user tell where they are, where the system has one for what lives as long as a session.
pub fn neighbours_folder() -> Option<PathBuf> {
    let folders = directories::BaseDirs::new()?;
    Some(folders.runtime_dir()?.join("edgesync").join("agents"))
}

/// Where an agent's server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) role: Role,
    leaf: Option<SocketAddr>,
    route: Option<SocketAddr>,
}

impl Place {
    fn of(role: Role, addresses: Addresses) -> Self {
        Self {
            role,
            leaf: addresses.leaves.map(reachable),
            route: addresses.routes.map(reachable),
        }
    }

    /// Returns how an agent in this role joins it. Addresses of other machines are none: this is about this one.
    pub(super) fn url(&self, role: Role) -> Option<JoinUrl> {
        let (way, address) = match role {
            Role::Leaf => (Way::Leaf, self.leaf),
            Role::Peer | Role::Hub => (Way::Route, self.route),
        };
        let address = address.filter(|it| it.ip().is_loopback() && it.port() > 0)?;
        Some(JoinUrl::at(way, address))
    }
}

/// The agents on this machine.
#[derive(Debug)]
pub(super) struct Neighbours {
    folder: PathBuf,
    own: EndpointId,
    /// What is told of this agent, and the file, which is locked.
    told: Mutex<Option<(Place, File)>>,
    found: Mutex<BTreeMap<EndpointId, Place>>,
    stirred: Arc<Notify>,
}

impl Neighbours {
    /// Returns the agents that tell of themselves in `folder`; none is looked for yet.
    pub(super) fn new(folder: PathBuf, own: EndpointId) -> Self {
        Self {
            folder,
            own,
            told: Mutex::default(),
            found: Mutex::default(),
            stirred: Arc::default(),
        }
    }

    /// Has the folder looked at, and this agent's own file set right.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Returns who was there at the last look.
    pub(super) fn found(&self) -> BTreeMap<EndpointId, Place> {
        locked(&self.found).clone()
    }

    /// Whether an address is one of those who were there at the last look. Who is joined by a route cannot be joined as a leaf as well: both are
    /// in one cluster then.
    pub(super) fn has(&self, url: &JoinUrl) -> bool {
        let is = |it: Option<SocketAddr>| it.is_some_and(|it| it.to_string() == url.address());
        let found = locked(&self.found);
        found.values().any(|it| is(it.leaf) || is(it.route))
    }

    fn file_of(&self, id: &EndpointId) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    /// Tells where this agent is, or nothing any more. Blocks on files.
    ///
    /// # Errors
    /// When the folder is not the user's alone, or cannot be written.
    fn tell(&self, place: Option<Place>) -> io::Result<()> {
        let mut told = locked(&self.told);
        if told.as_ref().map(|(place, _)| *place) == place {
            return Ok(());
        }
        let Some(place) = place else {
            *told = None;
            return fs::remove_file(self.file_of(&self.own));
        };
        create_private_dir(&self.folder)?;
        check_private(&self.folder)?;
        let file = private_file(&self.file_of(&self.own), |file| {
            // Before anybody can see it: without the lock it would count as left behind.
            file.try_lock()?;
            Ok(serde_json::to_writer(file, &place)?)
        })?;
        *told = Some((place, file));
        Ok(())
    }

    /// Returns the other agents that are there now. Blocks on files.
    fn look(&self) -> BTreeMap<EndpointId, Place> {
        if check_private(&self.folder).is_err() {
            return BTreeMap::new();
        }
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).take(limits::NEIGHBOURS);
        paths
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                let id: EndpointId = name.strip_suffix(SUFFIX)?.parse().ok()?;
                (id != self.own).then_some((id, read(&path)?))
            })
            .collect()
    }
}

/// Whether another look is worth it. That somebody read the folder does not: each look would be followed by the next, of every agent here.
fn is_news(event: notify::Result<notify::Event>) -> bool {
    event.is_ok_and(|event| event.need_rescan() || is_change(event.kind))
}

/// Returns what a file says, if its writer lives.
fn read(path: &Path) -> Option<Place> {
    let text = read_while_held(path, limits::NEIGHBOUR_BYTES)?;
    serde_json::from_slice(&text).ok()
}

impl Mesh {
    /// Tells where this agent is, and joins those on this machine whom it trusts, until it stops.
    pub(super) async fn watch_neighbours(self: Arc<Self>) {
        let Some(neighbours) = self.neighbours.clone() else {
            return;
        };
        let stirred = Arc::clone(&neighbours.stirred);
        let told = Arc::clone(&stirred);
        let watcher = notify::recommended_watcher(move |event| {
            if is_news(event) {
                told.notify_one();
            }
        });
        let mut watcher = watcher
            .inspect_err(|error| tracing::debug!(%error, "neighbours are looked for by the clock"))
            .ok();
        let mut watched = false;
        loop {
            self.look_around(&neighbours).await;
            if let Some(watcher) = watcher.as_mut().filter(|_| !watched) {
                let mode = notify::RecursiveMode::NonRecursive;
                watched = watcher.watch(&neighbours.folder, mode).is_ok();
                if watched {
                    // What came before the watch is seen as well.
                    continue;
                }
            }
            tokio::select! {
                () = self.parts.stopped.cancelled() => break,
                () = stirred.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        // So that nobody dials who is going; a file that stays counts for nothing.
        let _ = tokio::task::spawn_blocking(move || neighbours.tell(None)).await;
    }

    async fn look_around(self: &Arc<Self>, neighbours: &Arc<Neighbours>) {
        let role = locked(&self.role).0;
        let second = role == Role::Leaf && self.has_leafnode_upstream();
        let apart = second || self.dialler.keeps_apart(role);
        let place = (!apart).then(|| Place::of(role, self.server.addresses()));
        let shared = Arc::clone(neighbours);
        let looked = tokio::task::spawn_blocking(move || {
            if let Err(error) = shared.tell(place) {
                let folder = shared.folder.display().to_string();
                tracing::warn!(folder, %error, "agents on this machine are not told of this one");
            }
            if apart {
                BTreeMap::new()
            } else {
                shared.look()
            }
        });
        let Ok(mut found) = looked.await else { return };
        found.retain(|id, _| self.parts.trust.register.knows(id));
        let changed = {
            let mut known = locked(&neighbours.found);
            let changed = *known != found;
            *known = found;
            changed
        };
        if changed {
            self.dial_again().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEWHERE: &str = r#"{"role":"peer","leaf":"127.0.0.1:1","route":"127.0.0.1:2"}"#;

    fn id(seed: u8) -> EndpointId {
        EndpointId::from([seed; 32])
    }

    fn place(role: Role) -> Place {
        Place {
            role,
            ..serde_json::from_str(SOMEWHERE).expect("a place")
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let runtime = tempfile::tempdir().expect("a folder");
        let folder = runtime.path().join("agents");
        (runtime, folder)
    }

    #[test]
    fn who_tells_of_itself_is_found_until_it_takes_that_back_or_is_gone() {
        let (_runtime, folder) = folder();
        let [one, other] = [1, 2].map(|seed| Neighbours::new(folder.clone(), id(seed)));
        one.tell(Some(place(Role::Peer))).expect("told");
        assert!(one.look().is_empty(), "not itself");
        assert_eq!(other.look(), [(id(1), place(Role::Peer))].into());
        *locked(&other.found) = other.look();
        for (url, is_there) in [
            ("nats-leaf://127.0.0.1:1", true),
            ("nats-route://127.0.0.1:2", true),
            ("nats-leaf://127.0.0.1:3", false),
        ] {
            assert_eq!(other.has(&url.parse().expect("a join")), is_there, "{url}");
        }
        one.tell(Some(place(Role::Hub))).expect("told");
        assert_eq!(other.look(), [(id(1), place(Role::Hub))].into());
        one.tell(None).expect("taken back");
        assert!(other.look().is_empty());
        one.tell(Some(place(Role::Hub))).expect("told");
        // Its file stays, as that of a process that was killed.
        drop(one);
        assert!(other.look().is_empty());
    }

    #[test]
    fn looking_around_is_no_reason_to_look_again() {
        let (_runtime, folder) = folder();
        let [one, other] = [1, 2].map(|seed| Neighbours::new(folder.clone(), id(seed)));
        one.tell(Some(place(Role::Peer))).expect("told");
        let (tell, told) = std::sync::mpsc::channel();
        let handler = move |event: notify::Result<notify::Event>| {
            let paths = event
                .as_ref()
                .map(|it| it.paths.clone())
                .unwrap_or_default();
            if is_news(event) {
                let _ = tell.send(paths);
            }
        };
        let mut watcher = notify::recommended_watcher(handler).expect("a watcher");
        let mode = notify::RecursiveMode::NonRecursive;
        watcher.watch(&folder, mode).expect("watched");
        assert_eq!(other.look().len(), 1);
        // What is heard first is what comes after the look.
        other.tell(Some(place(Role::Hub))).expect("told");
        let first = told.recv().expect("heard");
        let of_other = |path: &PathBuf| *path != one.file_of(&id(1)) && *path != folder;
        assert!(first.iter().all(of_other), "{first:?}");
    }

    #[test]
    fn what_a_killed_agent_left_and_what_is_no_file_of_an_agent_counts_for_nothing() {
        let (_runtime, folder) = folder();
        let looks = Neighbours::new(folder.clone(), id(1));
        looks.tell(Some(place(Role::Peer))).expect("told");
        let write = |name: String, text: &str| {
            std::fs::write(folder.join(name), text).expect("written");
        };
        write(format!("{}.json", id(2)), SOMEWHERE);
        write("x.json".to_owned(), SOMEWHERE);
        write(format!("{}.txt", id(3)), SOMEWHERE);
        let held = File::create(folder.join(format!("{}.json", id(4)))).expect("made");
        held.try_lock().expect("locked");
        assert!(looks.look().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_and_the_file_are_the_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_runtime, folder) = folder();
        let tells = Neighbours::new(folder.clone(), id(1));
        tells.tell(Some(place(Role::Peer))).expect("told");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&tells.file_of(&id(1))), 0o600);
        let looks = Neighbours::new(folder.clone(), id(2));
        assert_eq!(looks.look().len(), 1);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).expect("set");
        assert!(looks.look().is_empty() && looks.tell(Some(place(Role::Peer))).is_err());
    }

    #[test]
    fn only_addresses_of_this_machine_are_joined() {
        let at = |text: &str| place(Role::Peer).url(Role::Leaf).map(|_| text.to_owned());
        assert!(at("x").is_some());
        let far = SOMEWHERE.replace("127.0.0.1", "192.0.2.1");
        let far: Place = serde_json::from_str(&far).expect("a place");
        assert_eq!(far.url(Role::Leaf).or(far.url(Role::Peer)), None);
        let url = |role| place(Role::Peer).url(role).map(|it| it.to_string());
        assert_eq!(url(Role::Leaf).as_deref(), Some("nats-leaf://127.0.0.1:1"));
        assert_eq!(url(Role::Hub).as_deref(), Some("nats-route://127.0.0.1:2"));
    }
}
