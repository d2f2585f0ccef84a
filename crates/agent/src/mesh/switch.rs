//! Switches the tunnel on and off while traffic flows. Flags rule a start; without them counts what was chosen in the app, which is kept; a new
//! agent has none, because it is one more thing that can be reached from outside.

use std::sync::{Arc, Mutex};

use edgesync_tunnel::OpenError;

use super::tunnel::{Tunnel, TunnelConfig};
use super::{Mesh, MeshError, Parts, locked};
use crate::api::{self, Chosen, Code, Error, Level, SetTunnel};
use crate::limits;

/// The tunnel, while it is open, and how it was to be.
#[derive(Debug)]
pub(super) struct Switch {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    tunnel: Option<Arc<Tunnel>>,
    config: TunnelConfig,
    from: Chosen,
}

impl Switch {
    /// Opens the tunnel, where flags or the app want one. One that a person chose in the app and that cannot be opened is off, and the log
    /// says why: the agent is more than its tunnel.
    ///
    /// # Errors
    /// [`MeshError`] when `agent.db` cannot be read, or what flags want does not open.
    pub(super) async fn at_start(
        flags: Option<&TunnelConfig>,
        parts: &Parts,
    ) -> Result<Self, MeshError> {
        let chosen = parts.state.tunnel()?;
        let (wanted, config, from) = match (flags, chosen) {
            (Some(flags), _) => (true, flags.clone(), Chosen::Flag),
            (None, Some(wish)) => {
                let config = config(&wish, None).unwrap_or_default();
                (wish.on, config, Chosen::App)
            }
            (None, None) => (false, TunnelConfig::default(), Chosen::Default),
        };
        let opened = match wanted {
            true => Tunnel::open(&config, parts).await.map(Some),
            false => Ok(None),
        };
        let tunnel = match (opened, from) {
            (Err(error), Chosen::App) => {
                let words = format!("the tunnel could not be opened: {error}");
                parts.events.log(Level::Error, None, words);
                None
            }
            (opened, _) => opened?,
        };
        let inner = Inner {
            tunnel: tunnel.map(Arc::new),
            config,
            from,
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Returns the tunnel, if it is open.
    pub(super) fn now(&self) -> Option<Arc<Tunnel>> {
        locked(&self.inner).tunnel.clone()
    }

    /// Returns it as the API shows it.
    pub(super) fn show(&self) -> api::Tunnel {
        let inner = locked(&self.inner);
        api::Tunnel {
            on: inner.tunnel.is_some(),
            from: inner.from,
            public: inner.config.public,
            lan: inner.config.lan,
            relays: inner
                .config
                .relays
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    fn take(&self) -> Option<Arc<Tunnel>> {
        locked(&self.inner).tunnel.take()
    }

    async fn open(&self, config: TunnelConfig, parts: &Parts) -> Result<Arc<Tunnel>, OpenError> {
        let tunnel = Arc::new(Tunnel::open(&config, parts).await?);
        self.is(Some(Arc::clone(&tunnel)), config);
        Ok(tunnel)
    }

    /// A person wanted it so.
    fn is(&self, tunnel: Option<Arc<Tunnel>>, config: TunnelConfig) {
        *locked(&self.inner) = Inner {
            tunnel,
            config,
            from: Chosen::App,
        };
    }
}

impl Mesh {
    /// Opens the tunnel or closes it, now and after each start. One that is open and is to meet others elsewhere is made anew.
    ///
    /// # Errors
    /// `bad_request` for what is no relay, `conflict` when the tunnel does not open, `internal` when `agent.db` cannot be written.
    pub(crate) async fn set_tunnel(self: &Arc<Self>, wish: SetTunnel) -> Result<(), Error> {
        let config = config(&wish, self.config.tunnel.as_ref())?;
        let alone = self.changing.lock().await;
        let role = locked(&self.role).0;
        if let Some(before) = self.tunnel.take() {
            self.replication.use_tunnel(None);
            self.dial(role);
            // Its port is free for the next one only then.
            before.shut().await;
        }
        match wish.on {
            true => {
                let opened = self.tunnel.open(config, &self.parts).await;
                let opened = opened.map_err(|error| Error::new(Code::Conflict, error.to_string()));
                let tunnel = opened.inspect_err(|_| self.publish())?;
                self.begin_tunnel(&tunnel);
            }
            false => self.tunnel.is(None, config),
        }
        let state = Arc::clone(&self.parts.state);
        let kept = tokio::task::spawn_blocking(move || state.set_tunnel(&wish)).await;
        self.dial(role);
        drop(alone);
        self.publish();
        kept.map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| Error::internal(format!("agent.db: {error}")))
    }

    /// Makes sure that there is a tunnel.
    ///
    /// # Errors
    /// `conflict` when it is off.
    pub(crate) fn check_tunnel(&self) -> Result<(), Error> {
        match self.tunnel.now() {
            Some(_) => Ok(()),
            None => Err(Error::new(
                Code::Conflict,
                "the tunnel is off, over which agents are paired",
            )
            .with_hint("Switch it on under Mesh in the app, or start the agent with --iroh.")),
        }
    }

    /// Returns the ticket that goes into an offer.
    ///
    /// # Errors
    /// `conflict` when the tunnel is off.
    pub(crate) async fn pairing_ticket(&self) -> Result<String, Error> {
        self.check_tunnel()?;
        Ok(self.ticket_soon().await.unwrap_or_default())
    }
}

/// Returns how the tunnel is made that a person wants; where it listens is the flags' to say.
fn config(wish: &SetTunnel, flags: Option<&TunnelConfig>) -> Result<TunnelConfig, Error> {
    if wish.relays.len() > limits::RELAYS {
        return Err(Error::bad_request(format!(
            "name {} relays at most",
            limits::RELAYS
        )));
    }
    let relays = wish.relays.iter().map(|text| text.trim().parse());
    let relays = relays.collect::<Result<_, edgesync_tunnel::RelayUrlError>>();
    Ok(TunnelConfig {
        listen: flags.map(|it| it.listen.clone()).unwrap_or_default(),
        relays: relays.map_err(|error| Error::bad_request(error.to_string()))?,
        public: wish.public,
        lan: wish.lan,
    })
}
