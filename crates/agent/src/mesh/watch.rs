//! What the mesh does when something happens: a link comes or goes, a peer is heard, a member comes or is revoked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use edgesync_replica::Input;
use natsd::{Close, Event as ServerEvent};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use super::Mesh;
use crate::limits;
use crate::trust::EndpointId;

/// How long after a link came up the other end certainly has heard what is subscribed here, and this end what is there.
const INTEREST: Duration = Duration::from_millis(250);

impl Mesh {
    /// Waits for a change. Returns whether one came: the agent, or what tells of changes, may end instead.
    async fn changes<T>(&self, told: &mut watch::Receiver<T>) -> bool {
        tokio::select! {
            () = self.parts.stopped.cancelled() => false,
            changed = told.changed() => changed.is_ok(),
        }
    }

    /// Has hello said when a link comes up, and tells everyone of links that come and go.
    pub(super) async fn watch_links(self: Arc<Self>, mut events: broadcast::Receiver<ServerEvent>) {
        loop {
            let event = tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                event = events.recv() => event,
            };
            match event {
                Ok(ServerEvent::LinkUp { server_name, .. }) => {
                    self.has_link_to(&server_name);
                    self.linked_with(&server_name);
                    self.greet();
                    self.publish();
                }
                Ok(ServerEvent::MaxPayload { bytes }) => self.most.store(bytes, Ordering::Relaxed),
                Ok(ServerEvent::Disconnected {
                    kind,
                    why,
                    server_name,
                    ..
                }) => {
                    let name = server_name.filter(|_| why == Close::RevokedThere);
                    if let Some(Ok(id)) = name.map(|it| it.parse()) {
                        self.unpaired_by(id);
                    }
                    if kind != natsd::proto::Kind::Client {
                        self.publish();
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.most
                        .store(self.server.max_payload(), Ordering::Relaxed);
                    self.greet();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// A link stands only between two that let each other in, so the other keeps its pairing with this agent.
    fn has_link_to(self: &Arc<Self>, name: &str) {
        let Ok(id) = name.parse::<EndpointId>() else {
            return;
        };
        let members = Arc::clone(&self.parts.members);
        self.parts.tasks.spawn_blocking(move || {
            if let Err(error) = members.confirm(&id) {
                tracing::warn!(%id, %error, "that a member has confirmed its pairing is not kept");
            }
        });
    }

    /// Says hello over a link that has just come up, now and once more when both ends know what the other listens for.
    pub(super) fn greet(self: &Arc<Self>) {
        self.replication.tell(Input::Connected);
        self.ways.send_replace(true);
        let mesh = Arc::clone(self);
        self.parts.tasks.spawn(async move {
            tokio::select! {
                () = mesh.parts.stopped.cancelled() => {}
                () = tokio::time::sleep(INTEREST) => {
                    mesh.replication.tell(Input::Connected);
                    mesh.ways.send_replace(true);
                    mesh.spread.greet();
                }
            }
        });
    }

    /// Tells everyone of peers that come and go, and of exchanges with them.
    pub(super) async fn watch_peers(self: Arc<Self>) {
        let mut news = self.replication.news();
        while self.changes(&mut news).await {
            self.publish();
        }
    }

    /// Tells everyone how the bridges stand, as often as people can read.
    pub(super) async fn watch_bridges(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                () = self.bridges.news().notified() => {}
            }
            self.publish();
            tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                () = tokio::time::sleep(limits::BRIDGE_NEWS) => {}
            }
        }
    }

    /// Tells everyone what members tell of themselves, as what they offer to clone.
    pub(super) async fn watch_told(self: Arc<Self>) {
        let mut news = self.parts.members.news();
        while self.changes(&mut news).await {
            self.replication.show(None);
            self.publish();
        }
    }

    /// Lets in whom the mesh's records let in, and cuts those whom they revoke.
    pub(super) async fn watch_members(self: Arc<Self>) {
        let mut changes = self.parts.members.changes();
        self.leave_revoked().await;
        while self.changes(&mut changes).await {
            self.trust_changed();
            self.leave_revoked().await;
            self.dial_again().await;
        }
    }

    /// Forgets the addresses of those whom the mesh has revoked, whoever said so.
    async fn leave_revoked(self: &Arc<Self>) {
        let view = self.parts.members.view();
        for id in view.revoked.keys() {
            if let Err(error) = self.remove_joins_of(id).await {
                tracing::warn!(%id, %error, "the address of who was revoked is not forgotten");
            }
        }
    }

    /// Tells the replication whether the bus is there.
    pub(super) async fn watch_bus(self: Arc<Self>, mut connected: watch::Receiver<bool>) {
        while self.changes(&mut connected).await {
            let there = *connected.borrow_and_update();
            self.ways.send_replace(there);
            self.replication.tell(match there {
                true => Input::Connected,
                false => Input::Disconnected,
            });
        }
    }
}
