//! The flags of `sync start` that are about the mesh.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{BoolishValueParser, FalseyValueParser};
use edgesync_agent::api::Role;
use edgesync_agent::{
    Config, JoinUrl, TunnelConfig, UpstreamUrl, UpstreamUrlError, neighbours_folder,
};

use crate::agent::bus_flags::{BusFlags, OnBus, list};
use crate::error::{Failure, Kind, OrFail};

/// Flags about the mesh.
#[derive(Args)]
pub(crate) struct MeshFlags {
    /// Answer sync requests on the bus (this is so unless --no-serve-nats is given)
    #[arg(long, env = "EDGESYNC_SERVE_NATS", overrides_with = "no_serve_nats", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", hide_default_value = true, hide_possible_values = true,
          value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    serve_nats: bool,

    /// Answer no sync requests on the bus
    #[arg(long, env = "EDGESYNC_NO_SERVE_NATS", value_parser = FalseyValueParser::new())]
    no_serve_nats: bool,

    /// What to be in the mesh: peer, hub or leaf; otherwise what was chosen in the app, at first peer
    #[arg(long, value_name = "ROLE", env = "EDGESYNC_NATS_ROLE")]
    nats_role: Option<Role>,

    /// Where programs join the bus, with the token of the runtime file
    #[arg(
        long,
        value_name = "ADDR",
        env = "EDGESYNC_NATS_LISTEN",
        default_value = "127.0.0.1:0"
    )]
    nats_listen: SocketAddr,

    /// Where leaves join, unless this agent is a leaf itself
    #[arg(
        long,
        value_name = "ADDR",
        env = "EDGESYNC_LEAF_LISTEN",
        default_value = "127.0.0.1:0"
    )]
    leaf_listen: SocketAddr,

    /// Where peers and hubs join, unless this agent is a leaf
    #[arg(
        long,
        value_name = "ADDR",
        env = "EDGESYNC_ROUTE_LISTEN",
        default_value = "127.0.0.1:0"
    )]
    route_listen: SocketAddr,

    /// Another agent to join, nats-leaf://HOST:PORT or nats-route://HOST:PORT; may be given again [env: EDGESYNC_JOIN=, several separated by spaces]
    #[arg(long = "join", value_name = "URL")]
    joins: Vec<String>,

    /// Neither tell agents of yours on this machine where this one is, nor join those of them that are trusted
    #[arg(long, env = "EDGESYNC_NO_NEIGHBOURS", value_parser = FalseyValueParser::new())]
    no_neighbours: bool,

    /// An existing NATS server to join as well: nats-leaf://HOST:7422 as its leafnode, nats://HOST:4222 as its client; USER:PASSWORD@ or TOKEN@
    /// before the host, commas between servers of one cluster
    #[arg(
        long,
        value_name = "URL",
        env = "EDGESYNC_NATS_UPSTREAM",
        hide_env_values = true
    )]
    nats_upstream: Option<String>,

    /// The file with the credentials for that server, as the clouds give them out
    #[arg(
        long,
        value_name = "FILE",
        env = "EDGESYNC_NATS_CREDS",
        requires = "nats_upstream"
    )]
    nats_creds: Option<PathBuf>,

    /// The certificates of the authorities of which one has to have signed that server's, instead of the system's; it must then speak TLS
    #[arg(
        long,
        value_name = "FILE",
        env = "EDGESYNC_NATS_CA",
        requires = "nats_upstream"
    )]
    nats_ca: Option<PathBuf>,

    #[command(flatten)]
    bus: BusFlags,

    /// Open the tunnel, by which agents reach each other by their keys, through NATs; otherwise what was chosen on the page, at first none
    #[arg(long, env = "EDGESYNC_IROH", value_parser = FalseyValueParser::new())]
    iroh: bool,

    /// The file of this agent's identity key, instead of the one in its folder
    #[arg(long, value_name = "FILE", env = "EDGESYNC_IROH_KEY")]
    iroh_key: Option<PathBuf>,

    /// The ticket or id of an agent to reach over the tunnel, which may then read and write here; may be given again [env: EDGESYNC_IROH_PEER=, several separated by spaces]
    #[arg(long = "iroh-peer", value_name = "TICKET|ID")]
    iroh_peers: Vec<String>,

    /// The UDP address of the tunnel, otherwise all interfaces; may be given again [env: EDGESYNC_IROH_LISTEN=, several separated by spaces]
    #[arg(long = "iroh-listen", value_name = "ADDR")]
    iroh_listen: Vec<String>,

    /// A relay at which agents meet that cannot reach each other; may be given again [env: EDGESYNC_RELAY_URL=, several separated by spaces]
    #[arg(long = "relay-url", value_name = "URL")]
    relays: Vec<String>,

    /// Use no relay (this is so unless --relay-url or --iroh-public is given)
    #[arg(long, env = "EDGESYNC_NO_RELAY", value_parser = FalseyValueParser::new())]
    no_relay: bool,

    /// Publish this agent's addresses in iroh's public lookup, and use its public relays
    #[arg(long, env = "EDGESYNC_IROH_PUBLIC", value_parser = FalseyValueParser::new())]
    iroh_public: bool,

    /// Tell the local network of this agent by mDNS, and join the agents there that are trusted
    #[arg(long, env = "EDGESYNC_IROH_LAN", value_parser = FalseyValueParser::new())]
    iroh_lan: bool,
}

impl MeshFlags {
    /// Puts the flags where the agent looks for them.
    pub(crate) fn fill(self, config: &mut Config) -> Result<(), Failure> {
        self.tunnel(config)?;
        config.mesh.upstream = self.upstream()?;
        let OnBus {
            trust,
            accept_unsigned,
            prefix,
        } = self.bus.read()?;
        config.trust.extend(trust);
        config.accept_unsigned = accept_unsigned;
        let mesh = &mut config.mesh;
        for text in list(self.joins, "EDGESYNC_JOIN") {
            let url: JoinUrl = text.parse().or_fail(Kind::Usage, "--join")?;
            mesh.joins.push(url);
        }
        if !self.no_neighbours {
            mesh.neighbours = neighbours_folder();
        }
        mesh.prefix = prefix;
        mesh.role = self.nats_role;
        mesh.nats_listen = self.nats_listen;
        mesh.leaf_listen = self.leaf_listen;
        mesh.route_listen = self.route_listen;
        mesh.serve = self.serve_nats && !self.no_serve_nats;
        Ok(())
    }

    /// Returns the server beside the mesh.
    fn upstream(&self) -> Result<Option<UpstreamUrl>, Failure> {
        let wrong = |what: &str, error: UpstreamUrlError| {
            Failure::new(Kind::Usage, format!("{what}: {error}")).hint(error.hint())
        };
        let Some(text) = &self.nats_upstream else {
            return Ok(None);
        };
        let mut url: UpstreamUrl = text
            .parse()
            .map_err(|error| wrong("--nats-upstream", error))?;
        if let Some(file) = &self.nats_ca {
            let what = format!("--nats-ca {}", file.display());
            let pem = std::fs::read(file).or_fail(Kind::Usage, &what)?;
            url = url
                .with_authorities(&pem)
                .map_err(|error| wrong(&what, error))?;
        }
        let Some(file) = &self.nats_creds else {
            return Ok(Some(url));
        };
        let what = format!("--nats-creds {}", file.display());
        let text = std::fs::read_to_string(file).or_fail(Kind::Usage, &what)?;
        let url = url.with_creds(text).map_err(|error| wrong(&what, error))?;
        Ok(Some(url))
    }

    /// Puts the flags about the tunnel where the agent looks for them.
    fn tunnel(&self, config: &mut Config) -> Result<(), Failure> {
        let peers = list(self.iroh_peers.clone(), "EDGESYNC_IROH_PEER");
        let relays = list(self.relays.clone(), "EDGESYNC_RELAY_URL");
        let listen = list(self.iroh_listen.clone(), "EDGESYNC_IROH_LISTEN");
        let asked = !peers.is_empty() || !relays.is_empty() || !listen.is_empty();
        if !self.iroh && (asked || self.no_relay || self.iroh_public || self.iroh_lan) {
            return Err(Failure::new(Kind::Usage, "the tunnel is off").hint("add --iroh"));
        }
        if self.no_relay && (!relays.is_empty() || self.iroh_public) {
            let both = "--no-relay stands against --relay-url and --iroh-public";
            return Err(Failure::new(Kind::Usage, both));
        }
        config.identity.clone_from(&self.iroh_key);
        for text in peers {
            let url = JoinUrl::over_tunnel(&text).or_fail(Kind::Usage, "--iroh-peer")?;
            config.trust.extend(url.peer());
            config.mesh.joins.push(url);
        }
        if self.iroh {
            let mut tunnel = TunnelConfig {
                public: self.iroh_public,
                lan: self.iroh_lan,
                ..TunnelConfig::default()
            };
            for text in relays {
                tunnel
                    .relays
                    .push(text.parse().or_fail(Kind::Usage, "--relay-url")?);
            }
            for text in listen {
                tunnel
                    .listen
                    .push(text.parse().or_fail(Kind::Usage, "--iroh-listen")?);
            }
            config.mesh.tunnel = Some(tunnel);
        }
        Ok(())
    }
}
