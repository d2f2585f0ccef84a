//! The flags of `sync start` that are about the mesh.

use std::net::SocketAddr;

use clap::Args;
use clap::builder::{BoolishValueParser, FalseyValueParser};
use edgesync_agent::api::Role;
use edgesync_agent::{Config, EndpointId, JoinUrl};
use libfossil::name::ProjectCode;

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

    /// The id of an agent that may read and write here; may be given again [env: EDGESYNC_TRUST=, several separated by spaces]
    #[arg(long = "trust", value_name = "ID")]
    trusted: Vec<String>,

    /// What the subjects on the bus begin with
    #[arg(
        long,
        value_name = "PREFIX",
        env = "EDGESYNC_PREFIX",
        default_value = "fossil"
    )]
    prefix: String,

    /// The code of a project in which programs that do not sign may read and write; may be given again [env: EDGESYNC_ACCEPT_UNSIGNED=, several separated by spaces]
    #[arg(long = "accept-unsigned", value_name = "PROJECT")]
    accept_unsigned: Vec<String>,
}

impl MeshFlags {
    /// Puts the flags where the agent looks for them.
    pub(crate) fn fill(self, config: &mut Config) -> Result<(), Failure> {
        for text in list(self.trusted, "EDGESYNC_TRUST") {
            let id: EndpointId = text.parse().or_fail(Kind::Usage, "--trust")?;
            config.trust.push(id);
        }
        for text in list(self.accept_unsigned, "EDGESYNC_ACCEPT_UNSIGNED") {
            let code: ProjectCode = text.parse().or_fail(Kind::Usage, "--accept-unsigned")?;
            config.accept_unsigned.push(code);
        }
        let mesh = &mut config.mesh;
        for text in list(self.joins, "EDGESYNC_JOIN") {
            let url: JoinUrl = text.parse().or_fail(Kind::Usage, "--join")?;
            mesh.joins.push(url);
        }
        let odd = |token: &str| {
            token.is_empty()
                || !token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if self.prefix.split('.').any(odd) {
            return Err(Failure::new(
                Kind::Usage,
                "--prefix: letters, digits, - and _ are expected, with dots between",
            ));
        }
        mesh.prefix = self.prefix;
        mesh.role = self.nats_role;
        mesh.nats_listen = self.nats_listen;
        mesh.leaf_listen = self.leaf_listen;
        mesh.route_listen = self.route_listen;
        mesh.serve = self.serve_nats && !self.no_serve_nats;
        Ok(())
    }
}

/// Returns what a flag gives, or else the words of an environment variable.
fn list(given: Vec<String>, variable: &str) -> Vec<String> {
    if !given.is_empty() {
        return given;
    }
    let words = std::env::var(variable).unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}
