//! Follows the link of one join: shows how it stands, finds out what is amiss, and gives it up when the agent there is one that this mesh has unpaired.

use std::sync::{Arc, Mutex};

use natsd::{Close, Link, LinkStatus};
use tokio_util::sync::CancellationToken;

use super::dial::Seen;
use super::join::JoinUrl;
use super::upstream::comes_up;
use super::{Mesh, amiss, locked, twins};
use crate::api::{Code, Level, LinkState, Time};
use crate::trust::EndpointId;

/// Follows one link, as long as somebody wants it.
pub(super) struct Follower {
    pub(super) mesh: Arc<Mesh>,
    pub(super) id: String,
    pub(super) url: JoinUrl,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) stop: CancellationToken,
}

impl Follower {
    /// Follows the link until nobody wants it any more.
    pub(super) async fn follow(self, mut link: Link) {
        let mut known = None;
        let mut status = link.status();
        loop {
            if self.meets_who_is_out(&status) {
                return self.mesh.dial_again().await;
            }
            match status {
                LinkStatus::Connecting => self.connecting(),
                LinkStatus::Up { server_name, .. } => {
                    known = None;
                    self.stands(&server_name);
                }
                // Another connection is the link, which shows in a moment.
                LinkStatus::Down {
                    close: Close::Duplicate,
                    ..
                } => {}
                LinkStatus::Down {
                    server_name: Some(name),
                    server_id: Some(theirs),
                    ..
                } if name == self.mesh.parts.keys.id().to_string() => {
                    let ours = self.mesh.server.id();
                    let message = format!(
                        "the agent there has this agent's identity, {name}: the servers {ours} and {theirs}"
                    );
                    self.failed(Code::Conflict, message, Some(twins::HINT.to_owned()));
                    self.mesh.dialler.fail_over(&self.mesh, &self.id);
                }
                LinkStatus::Down {
                    why,
                    close,
                    server_name,
                    ..
                } => {
                    if known.as_ref() != Some(&why) {
                        let advice = amiss::look(&self.mesh, &self.url, &why, close, server_name);
                        tokio::select! {
                            () = self.stop.cancelled() => return self.part().await,
                            up = comes_up(&mut link) => {
                                status = up;
                                continue;
                            }
                            it = advice => self.failed(it.code, it.message, it.hint),
                        }
                        known = Some(why);
                    }
                    self.mesh.dialler.fail_over(&self.mesh, &self.id);
                }
                _ => {}
            }
            status = tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.part().await,
                status = link.changed() => status,
            };
        }
    }

    /// Whether it is an agent that answers which this mesh has unpaired: then nobody dials there any more.
    fn meets_who_is_out(&self, status: &LinkStatus) -> bool {
        let (LinkStatus::Up { server_name, .. }
        | LinkStatus::Down {
            server_name: Some(server_name),
            ..
        }) = status
        else {
            return false;
        };
        let peer = server_name.parse::<EndpointId>();
        let is_out = peer.is_ok_and(|peer| self.mesh.put_out(&peer).is_some());
        if is_out {
            locked(&self.seen).peer = Some(server_name.clone());
        }
        is_out
    }

    /// Ends the link; when the agent stops, once others were told over it.
    async fn part(&self) {
        if self.mesh.parts.stopped.is_cancelled() {
            self.mesh.farewell().await;
        }
    }

    fn connecting(&self) {
        let mut seen = locked(&self.seen);
        // A failure stays to be read until it is over.
        if !matches!(
            seen.state,
            LinkState::Error { .. } | LinkState::Connecting { .. }
        ) {
            seen.state = LinkState::Connecting { since: Time::now() };
            drop(seen);
            self.mesh.publish();
        }
    }

    fn stands(&self, server_name: &str) {
        let since = Time::now();
        *locked(&self.seen) = Seen {
            state: LinkState::Connected { since },
            peer: server_name
                .parse::<EndpointId>()
                .ok()
                .map(|id| id.to_string()),
        };
        self.mesh
            .parts
            .events
            .log(Level::Info, None, format!("joined {}", self.url));
        self.mesh.publish();
    }

    /// Shows why the link does not stand, and tells people when that is news.
    pub(super) fn failed(&self, code: Code, message: String, hint: Option<String>) {
        let now = Time::now();
        let (since, news) = match &locked(&self.seen).state {
            LinkState::Error {
                since,
                message: before,
                ..
            } => (*since, *before != message),
            _ => (now, true),
        };
        if news {
            let text = format!("{}: {message}", self.url);
            self.mesh.parts.events.log(Level::Warn, None, text);
        }
        *locked(&self.seen) = Seen {
            state: LinkState::Error {
                code,
                message,
                hint,
                since,
                // The server dials again by itself, in seconds.
                retry_at: None,
            },
            peer: None,
        };
        self.mesh.publish();
    }
}
