//! The name of the cluster, on which its members have to agree.

use std::sync::Arc;

use crate::conn::{Close, Conn};
use crate::proto::Kind;
use crate::server::{Cluster, Shared};

impl Shared {
    /// Returns the cluster's name; one that nobody else has if none was given.
    pub(crate) fn cluster_name(&self) -> Cluster {
        let made_up = || Cluster {
            name: self.server_id.clone(),
            dynamic: true,
        };
        self.cluster.write().get_or_insert_with(made_up).clone()
    }

    /// Whether a made-up name of the other end gives way to ours.
    pub(crate) fn outranks(&self, theirs: &str) -> bool {
        let ours = self.cluster_name();
        !ours.dynamic || *ours.name > *theirs
    }

    /// Takes over the other end's name where a made-up one gives way: to one that was given, or to the greater of two. Names
    /// that stay different are an error, which is our name.
    pub(crate) fn agree_on_cluster(
        &self,
        theirs: &str,
        dynamic: bool,
        conn: &Arc<Conn>,
    ) -> Result<(), String> {
        let ours = self.cluster_name();
        if ours.name == theirs {
            return Ok(());
        }
        if !ours.dynamic || (dynamic && self.outranks(theirs)) {
            return Err(ours.name);
        }
        *self.cluster.write() = Some(Cluster {
            name: theirs.to_owned(),
            dynamic,
        });
        tracing::info!(target: "natsd", name = theirs, "took over the cluster's name");
        self.close_routes(|other| !Arc::ptr_eq(other, conn));
        Ok(())
    }

    /// Gives the cluster another name. Routes that others dialled are closed, since they belong to the cluster of the old name;
    /// those that this side keeps up stay until their handles are dropped.
    pub(crate) fn rename_cluster(&self, name: Option<String>) {
        let named = |name| Cluster {
            name,
            dynamic: false,
        };
        let cluster = name.map(named);
        let before = std::mem::replace(&mut *self.cluster.write(), cluster.clone());
        if before != cluster {
            self.close_routes(|conn| conn.link.as_ref().is_some_and(|link| !link.dialled));
        }
    }

    fn close_routes(&self, which: impl Fn(&Arc<Conn>) -> bool) {
        let conns: Vec<_> = self.conns.lock().values().cloned().collect();
        for conn in conns {
            if conn.kind == Kind::Route && which(&conn) {
                conn.close(Close::ClusterNameConflict);
            }
        }
    }
}
