//! The NATS server beside the mesh that this agent was told of: joined as its leafnode, or as a client for this agent's own subjects. Links are
//! made again for ever; why one does not come up is told with what to write instead.

mod advice;
mod tls;
mod url;

use std::sync::{Arc, Mutex};

use edgesync_bus::{Both, ConnectError, Connection, Nats, SharedBus, Trouble};
use natsd::leaf::LeafRemote;
use natsd::{Close, Link, LinkStatus, Target};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::advice::Advice;
pub(crate) use self::advice::no_bus;
pub(super) use self::advice::{host, leafnode_port, what};
pub(crate) use self::url::UpstreamWay;
pub use self::url::{UpstreamUrl, UpstreamUrlError};
use super::{Mesh, locked};
use crate::api::{self, Level, LinkState, Role, Time};
use crate::limits;

/// The server beside the mesh.
#[derive(Debug)]
pub(super) struct Upstream {
    url: UpstreamUrl,
    state: Mutex<LinkState>,
    /// Closes the leafnode link when dropped.
    link: Mutex<Option<DropGuard>>,
    /// What a client's connection tells of itself.
    client: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    connected: watch::Receiver<bool>,
    trouble: watch::Receiver<Option<Trouble>>,
}

impl Upstream {
    /// Returns the server beside the mesh, and the bus that reaches it as well, if that is the agent's own affair.
    pub(super) async fn open(
        url: &UpstreamUrl,
        own: Nats,
    ) -> Result<(Self, SharedBus), ConnectError> {
        let mut upstream = Self {
            url: url.clone(),
            state: Mutex::new(LinkState::Connecting { since: Time::now() }),
            link: Mutex::default(),
            client: None,
        };
        if url.way() == UpstreamWay::Leaf {
            return Ok((upstream, Arc::new(own)));
        }
        let connection = Connection {
            urls: url.urls(),
            login: url.login().clone(),
            tls: url.tls(),
            name: super::OWN_CLIENT.to_owned(),
        };
        let other = own.beside(&connection).await?;
        upstream.client = Some(Watched {
            connected: other.connected(),
            trouble: other.trouble(),
        });
        Ok((upstream, Arc::new(Both::new(own, other))))
    }

    /// Returns the server as the API shows it.
    pub(super) fn show(&self) -> api::Upstream {
        api::Upstream {
            url: self.url.to_string(),
            state: locked(&self.state).clone(),
        }
    }

    /// Whether a client's connection to it stands; a leafnode's link is one of the agent's own server.
    pub(super) fn is_there(&self) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|it| *it.connected.borrow())
    }

    fn is(&self, state: LinkState) {
        *locked(&self.state) = state;
    }
}

impl Mesh {
    /// Begins to follow the server beside the mesh.
    pub(super) fn begin_upstream(self: &Arc<Self>) {
        if self.upstream.as_ref().is_some_and(|it| it.client.is_some()) {
            let follower = Arc::clone(self).follow_upstream_client();
            self.parts.tasks.spawn(follower);
        }
    }

    /// Ends the leafnode link that an agent in this role does not have: a leaf that joins another agent has no second link.
    pub(super) fn retire_upstream(&self, role: Role) {
        let Some(upstream) = self.leafnode_upstream() else {
            return;
        };
        if role == Role::Leaf && self.dialler.has_leaf_join() {
            drop(locked(&upstream.link).take());
            upstream.is(LinkState::Unused {
                message: "a leaf has one link, and that leads to the agent that it joins"
                    .to_owned(),
            });
        }
    }

    /// Begins to dial, unless that is so already or this role does not.
    pub(super) fn dial_upstream(self: &Arc<Self>, role: Role) {
        let Some(upstream) = self.leafnode_upstream() else {
            return;
        };
        if role == Role::Leaf && self.dialler.has_leaf_join() {
            return;
        }
        let mut link = locked(&upstream.link);
        if link.is_some() {
            return;
        }
        let stop = self.parts.stopped.child_token();
        *link = Some(stop.clone().drop_guard());
        upstream.is(LinkState::Connecting { since: Time::now() });
        let Some(remote) = remote(&upstream.url) else {
            return;
        };
        let dialled = self.server.dial_leaf(remote);
        let follower = Arc::clone(self).follow_upstream_link(dialled, stop);
        self.parts.tasks.spawn(follower);
    }

    /// Whether this agent is to be a leafnode of a server beside the mesh.
    pub(super) fn has_leafnode_upstream(&self) -> bool {
        self.leafnode_upstream().is_some()
    }

    fn leafnode_upstream(&self) -> Option<&Upstream> {
        let upstream = self.upstream.as_ref();
        upstream.filter(|it| it.url.way() == UpstreamWay::Leaf)
    }

    /// Follows a leafnode link until nobody wants it.
    async fn follow_upstream_link(self: Arc<Self>, mut link: Link, stop: CancellationToken) {
        let mut known = None;
        let mut status = link.status();
        loop {
            match status {
                LinkStatus::Up { .. } => {
                    known = None;
                    self.upstream_stands();
                }
                LinkStatus::Down { why, close, .. } if known.as_ref() != Some(&why) => {
                    tokio::select! {
                        () = stop.cancelled() => return self.part_upstream().await,
                        up = comes_up(&mut link) => {
                            status = up;
                            continue;
                        }
                        advice = self.advise(&why, close) => self.upstream_failed(advice),
                    }
                    known = Some(why);
                }
                _ => {}
            }
            status = tokio::select! {
                biased;
                () = stop.cancelled() => return self.part_upstream().await,
                status = link.changed() => status,
            };
        }
    }

    /// Ends the link; when the agent stops, once others were told over it.
    async fn part_upstream(&self) {
        if self.parts.stopped.is_cancelled() {
            self.farewell().await;
        }
    }

    async fn advise(&self, why: &str, close: Close) -> Option<Advice> {
        let url = &self.upstream.as_ref()?.url;
        Some(match close {
            Close::Refused => advice::refused(url).await,
            Close::Handshake | Close::WrongPort => advice::look(url, why).await,
            _ => Advice {
                code: api::Code::Remote,
                message: why.to_owned(),
                hint: api::TRIED_AGAIN.to_owned(),
            },
        })
    }

    /// Follows the connection of a client until the agent stops.
    async fn follow_upstream_client(self: Arc<Self>) {
        let client = self.upstream.as_ref().and_then(|it| it.client.as_ref());
        let Some(client) = client else { return };
        let (mut connected, mut trouble) = (client.connected.clone(), client.trouble.clone());
        let (mut there, mut known) = (connected.clone(), None);
        let (mut quiet, mut looked) = (std::pin::pin!(self.look_ahead()), false);
        // What came before this is seen as well.
        connected.mark_changed();
        trouble.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = self.parts.stopped.cancelled() => return,
                changed = connected.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if *connected.borrow_and_update() {
                        (known, looked) = (None, true);
                        self.upstream_stands();
                        self.greet();
                    } else {
                        // Who was heard there is so no more.
                        self.publish();
                    }
                }
                changed = trouble.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let met = trouble.borrow_and_update().clone();
                    if met.is_none() || met == known {
                        continue;
                    }
                    looked = true;
                    let away = !*connected.borrow();
                    let advice = tokio::select! {
                        () = self.parts.stopped.cancelled() => return,
                        _ = there.wait_for(|there| *there), if away => continue,
                        advice = self.advise_client(met.as_ref()) => advice,
                    };
                    known = met;
                    self.upstream_failed(advice);
                }
                advice = &mut quiet, if !looked => {
                    looked = true;
                    self.upstream_failed(advice);
                }
            }
        }
    }

    /// Says what is wrong with what answers where nothing has come of the connection for a while: the client itself waits longer.
    async fn look_ahead(&self) -> Option<Advice> {
        tokio::time::sleep(limits::UPSTREAM_QUIET).await;
        advice::look_ahead(&self.upstream.as_ref()?.url).await
    }

    async fn advise_client(&self, trouble: Option<&Trouble>) -> Option<Advice> {
        let url = &self.upstream.as_ref()?.url;
        Some(match trouble? {
            Trouble::Refused => advice::refused(url).await,
            Trouble::Denied(text) => advice::denied(text, &self.config.prefix),
            Trouble::Failed(text) => advice::look(url, text).await,
            _ => return None,
        })
    }

    fn upstream_stands(&self) {
        let Some(upstream) = &self.upstream else {
            return;
        };
        upstream.is(LinkState::Connected { since: Time::now() });
        let text = format!("joined {}", upstream.url);
        self.parts.events.log(Level::Info, None, text);
        self.publish();
    }

    fn upstream_failed(&self, advice: Option<Advice>) {
        let Some((upstream, advice)) = self.upstream.as_ref().zip(advice) else {
            return;
        };
        let since = match &*locked(&upstream.state) {
            LinkState::Error { message, hint, .. }
                if *message == advice.message && hint.as_ref() == Some(&advice.hint) =>
            {
                return;
            }
            LinkState::Error { since, .. } => *since,
            _ => Time::now(),
        };
        let text = format!("{}: {}. {}", upstream.url, advice.message, advice.hint);
        self.parts.events.log(Level::Warn, None, text);
        upstream.is(LinkState::Error {
            code: advice.code,
            message: advice.message,
            hint: Some(advice.hint),
            since,
            // It is dialled again by itself, in seconds.
            retry_at: None,
        });
        self.publish();
    }
}

/// Returns the status with which a link stands, as soon as it does.
pub(super) async fn comes_up(link: &mut Link) -> LinkStatus {
    loop {
        let status = link.changed().await;
        if matches!(status, LinkStatus::Up { .. }) {
            return status;
        }
    }
}

/// Returns the leafnode port of an upstream, to be dialled.
fn remote(url: &UpstreamUrl) -> Option<LeafRemote> {
    let mut targets = url.servers().iter().cloned().map(Target::Tcp);
    let mut remote = LeafRemote::new(targets.next()?);
    remote.targets.extend(targets);
    remote.credentials = url.credentials();
    remote.tls = Some(tls::upgrade(url.tls()));
    Some(remote)
}
