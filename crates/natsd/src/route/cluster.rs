//! The name of the cluster, on which its members have to agree.
//!
//! A name that was given stands. Of two made-up ones the greater stands, and the other end takes it over. A member that changes its
//! name so tells those that it has routes to; they follow without losing a message. Only reference servers, which do not listen to
//! that, are closed and dial again. Hubs keep by name which of their leafnodes are one cluster, so as soon as a server is not alone in
//! its cluster, links to hubs that know it by another name are made anew.
//!
//! Who is alone for long enough is in a cluster of its own again, under a name that nobody else has. Until then it keeps the old one: others
//! that are started anew find the cluster as it was.

use std::sync::Arc;
use std::time::SystemTime;

use crate::conn::{Close, Conn};
use crate::link;
use crate::proto::{Info, Kind};
use crate::server::{Cluster, Shared};

impl Shared {
    /// Puts the server into a cluster if it is in none: into one whose name nobody else has.
    pub(crate) fn enter_cluster(&self) {
        self.cluster
            .write()
            .get_or_insert_with(|| self.own_cluster());
    }

    /// Returns a cluster of the server's own. Its name is made of the server's, which nobody else has, and of the time, in such a way that of
    /// the names that one server makes up the oldest is the greatest. So one that is started anew takes over the name that the others have
    /// kept, and changes nothing for them; and it is no namesake of theirs if it comes back another way.
    fn own_cluster(&self) -> Cluster {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX);
        Cluster {
            name: format!("{}-{:016x}", self.server_name, u64::MAX - now),
            given: false,
            dynamic: true,
            shared: false,
        }
    }

    /// Gives the name up that was shared with others, unless it was given or there is a route, or was one a moment ago.
    fn leave_the_absent(&self) {
        let patience = self.route_options.keep_name;
        {
            let mut cluster = self.cluster.write();
            // A route that comes up now finds the new name when it is one, and agrees on it.
            let alone = self.members.alone_for(patience);
            let Some(ours) = cluster.as_mut().filter(|ours| !ours.given && alone) else {
                return;
            };
            *ours = self.own_cluster();
            tracing::info!(target: "natsd", name = ours.name, "nobody else is in the cluster any more");
        }
        self.renamed.notify_waiters();
        self.part_from_hubs();
    }

    /// Gives the cluster's name up, if nobody comes back in time to the last of whom a route was lost.
    pub(super) fn await_members(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(shared.route_options.keep_name) => shared.leave_the_absent(),
            }
        });
    }

    /// Notes that there is another member.
    pub(super) fn share_cluster(&self) {
        if let Some(cluster) = &mut *self.cluster.write() {
            cluster.shared = true;
        }
        self.part_from_hubs();
    }

    /// Whether a made-up name of the other end gives way to ours.
    pub(super) fn outranks(&self, theirs: &str) -> bool {
        let ours = self.cluster.read();
        ours.as_ref()
            .is_some_and(|ours| !ours.dynamic || *ours.name > *theirs)
    }

    /// Returns on which name both ends will agree, and whether it was made up; nothing when this server is in no cluster.
    pub(super) fn agreed(&self, theirs: &Info) -> Option<(String, bool)> {
        let ours = self.cluster.read().clone()?;
        match &theirs.cluster {
            Some(name) if ours.dynamic && !(theirs.cluster_dynamic && ours.name > *name) => {
                Some((name.clone(), theirs.cluster_dynamic))
            }
            _ => Some((ours.name, ours.dynamic)),
        }
    }

    /// Takes over the other end's name where a made-up one gives way: to one that was given, or to the greater of two. Names
    /// that stay different are an error, which is our name; so is having left the cluster meanwhile.
    pub(crate) fn agree_on_cluster(
        self: &Arc<Self>,
        theirs: &str,
        dynamic: bool,
    ) -> Result<(), String> {
        {
            let mut cluster = self.cluster.write();
            match &*cluster {
                Some(ours) if ours.name == theirs => return Ok(()),
                Some(ours) if !ours.dynamic || (dynamic && *ours.name > *theirs) => {
                    return Err(ours.name.clone());
                }
                None => return Err(String::new()),
                Some(_) => {
                    let name = theirs.to_owned();
                    *cluster = Some(Cluster {
                        name,
                        given: false,
                        dynamic,
                        shared: true,
                    });
                }
            }
        }
        self.renamed.notify_waiters();
        self.part_from_hubs();
        tracing::info!(target: "natsd", name = theirs, "took over the cluster's name");
        for conn in self.members.stubborn() {
            self.part(&conn, Close::ClusterNameConflict);
        }
        self.tell_members();
        Ok(())
    }

    /// Gives the cluster another name. Routes that others dialled, and those to members of which others told, are closed, since they
    /// belong to the cluster of the old name; those that this side keeps up stay until their handles are dropped. Without a name the
    /// server leaves its cluster: all routes are closed.
    pub(crate) fn rename_cluster(&self, name: Option<&str>) {
        let named = |name: &str| Cluster {
            name: name.to_owned(),
            given: true,
            dynamic: false,
            shared: true,
        };
        let cluster = name.map(named);
        let before = std::mem::replace(&mut *self.cluster.write(), cluster.clone());
        if before == cluster {
            return;
        }
        self.renamed.notify_waiters();
        if cluster.is_some() || before.is_some_and(|cluster| cluster.shared) {
            self.part_from_hubs();
        }
        self.members.forget_learned();
        for conn in self.links_of(Kind::Route) {
            if name.is_none() || conn.link.as_ref().is_some_and(|link| !link.dialled) {
                self.part(&conn, Close::ClusterNameConflict);
            }
        }
    }

    /// Makes leafnode links anew whose other ends know another name of the cluster, and closes those to its own members.
    fn part_from_hubs(&self) {
        let name = self
            .cluster
            .read()
            .as_ref()
            .map(|cluster| cluster.name.clone());
        for conn in self.links_of(Kind::Leaf) {
            let Some(link) = &conn.link else { continue };
            if link.dialled {
                if link.told_cluster() != name {
                    self.part(&conn, Close::ClusterRenamed);
                }
            } else if name.is_some() && link.remote().cluster == name {
                self.part(&conn, Close::SameClusterName);
            }
        }
    }

    /// Closes leafnode links to a server that has become a member of our cluster: everything would arrive twice.
    pub(super) fn part_leaves(&self, server_id: &str) {
        for conn in self.links_of(Kind::Leaf) {
            let remote = conn.link.as_ref().map(|link| link.remote().server_id);
            if remote.as_deref() == Some(server_id) {
                self.part(&conn, Close::SameClusterName);
            }
        }
    }

    /// Closes a link over which nothing may go from now on.
    pub(super) fn part(&self, conn: &Arc<Conn>, why: Close) {
        conn.close(why);
        link::close(self, conn);
    }

    fn links_of(&self, kind: Kind) -> Vec<Arc<Conn>> {
        let conns = self.conns.lock();
        let of_kind = conns.values().filter(|conn| conn.kind == kind);
        of_kind.cloned().collect()
    }
}
