//! From the configuration to the server's options and links.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, ensure};
use natsd::auth::{Credentials, Policy, Rules};
use natsd::config::{Authorization, Config, Listen};
use natsd::leaf::LeafRemote;
use natsd::nkey::KeyPair;
use natsd::{Advertise, Limits, Link, Listeners, Options, RouteOptions, Server, Target};

/// Where the reference listens unless told otherwise.
const HOST: &str = "0.0.0.0";
const CLIENT_PORT: u16 = 4222;
const LEAF_PORT: u16 = 7422;
const ROUTE_PORT: u16 = 6222;

/// Returns how the server is to be.
///
/// # Errors
/// When an address is none.
pub(crate) fn options(config: &Config) -> anyhow::Result<Options> {
    let leafnodes = config.leafnodes.as_ref();
    let leaves = leafnodes.and_then(|leafnodes| leafnodes.listen.as_ref());
    let cluster = config.cluster.as_ref();
    // As the reference does, it accepts members only where it is told to.
    let routes = cluster.map(|cluster| &cluster.listen);
    let routes = routes.filter(|listen| listen.port.is_some());
    let limits = limits(config);
    let (payload, pending) = (limits.max_payload, limits.max_pending);
    ensure!(
        payload <= pending,
        "max_payload ({payload}) cannot be higher than max_pending ({pending})"
    );
    let listeners = Listeners {
        clients: Some(address(&config.listen, CLIENT_PORT)?),
        leaves: leaves.map(|at| address(at, LEAF_PORT)).transpose()?,
        routes: routes.map(|at| address(at, ROUTE_PORT)).transpose()?,
    };
    Ok(Options {
        server_name: config.server_name.clone(),
        listeners,
        cluster_name: cluster.and_then(|cluster| cluster.name.clone()),
        policy: policy(config),
        limits,
        routes: route_options(config),
        isolate_leaves: leafnodes.is_some_and(|leafnodes| leafnodes.isolate_leafnode_interest),
        advertise: Advertise {
            leaves: leafnodes.and_then(|leafnodes| leafnodes.advertise.clone()),
            routes: cluster.and_then(|cluster| cluster.advertise.clone()),
            no_clients: cluster.is_some_and(|cluster| cluster.no_advertise),
        },
    })
}

/// Returns who may connect.
pub(crate) fn policy(config: &Config) -> Policy {
    let rules = |authorization: Option<&Authorization>| {
        authorization.map_or(Rules::Open, |authorization| authorization.rules.clone())
    };
    let leafnodes = config.leafnodes.as_ref();
    let cluster = config.cluster.as_ref();
    let clients = config.authorization.as_ref();
    let own = rules(leafnodes.and_then(|block| block.authorization.as_ref()));
    Policy {
        clients: rules(clients),
        leaves: match (own, clients) {
            // Who is nobody here may still be one of the clients.
            (Rules::Open, Some(clients)) => clients.leaves.clone(),
            (own, _) => own,
        },
        routes: rules(cluster.and_then(|block| block.authorization.as_ref())),
    }
}

fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    let set = |limit: &mut usize, value: Option<usize>| *limit = value.unwrap_or(*limit);
    set(&mut limits.max_payload, config.max_payload);
    set(&mut limits.max_pending, config.max_pending);
    set(&mut limits.max_control_line, config.max_control_line);
    set(&mut limits.max_connections, config.max_connections);
    set(&mut limits.max_subscriptions, config.max_subscriptions);
    limits.ping_interval = config.ping_interval.unwrap_or(limits.ping_interval);
    limits.ping_max = config.ping_max.unwrap_or(limits.ping_max);
    limits.write_deadline = config.write_deadline.unwrap_or(limits.write_deadline);
    let (leafnodes, cluster) = (config.leafnodes.as_ref(), config.cluster.as_ref());
    for (limit, block) in [
        (&mut limits.auth_timeout, config.authorization.as_ref()),
        (
            &mut limits.leaf_auth_timeout,
            leafnodes.and_then(|block| block.authorization.as_ref()),
        ),
        (
            &mut limits.route_auth_timeout,
            cluster.and_then(|block| block.authorization.as_ref()),
        ),
    ] {
        *limit = block.and_then(|block| block.timeout).unwrap_or(*limit);
    }
    limits
}

fn address(listen: &Listen, port: u16) -> anyhow::Result<SocketAddr> {
    let host = listen.host.as_deref().unwrap_or(HOST);
    let port = listen.port.unwrap_or(port);
    (host, port)
        .to_socket_addrs()
        .with_context(|| format!("{host}:{port}"))?
        .next()
        .with_context(|| format!("{host} has no address"))
}

/// Dials what the configuration says, and returns the handles that keep the links.
///
/// # Errors
/// When an address or a key is none.
pub(crate) fn dial(server: &Server, config: &Config) -> anyhow::Result<Vec<Link>> {
    let mut links = Vec::new();
    for url in config.cluster.iter().flat_map(|cluster| &cluster.routes) {
        let (_, address) = login(url);
        links.push(server.dial_route(Target::Tcp(address.to_owned())));
    }
    let leafnodes = config.leafnodes.as_ref();
    for remote in leafnodes.iter().flat_map(|block| &block.remotes) {
        let mut dialled = LeafRemote::tcp(&remote.urls)?;
        if let Some(file) = &remote.credentials {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            dialled.credentials =
                Credentials::from_creds(&text).with_context(|| file.display().to_string())?;
        }
        if let Some(nkey) = &remote.nkey {
            dialled.credentials = Credentials::nkey(key(nkey)?);
        }
        dialled.hub = remote.hub;
        dialled.deny_imports.clone_from(&remote.deny_imports);
        dialled.deny_exports.clone_from(&remote.deny_exports);
        dialled.reconnect = leafnodes.and_then(|block| block.reconnect);
        links.push(server.dial_leaf(dialled));
    }
    Ok(links)
}

/// Returns the key whose seed this is, or stands in the file of this name.
fn key(text: &str) -> anyhow::Result<KeyPair> {
    if let Ok(key) = KeyPair::from_seed_text(text) {
        return Ok(key);
    }
    // What is no file may be a mistyped seed, which is not repeated.
    let seed = fs::read_to_string(text).context("`nkey` is neither a seed nor a file")?;
    KeyPair::from_seed_text(seed.trim()).with_context(|| text.to_owned())
}

/// Returns how this server is with the members that it dials.
fn route_options(config: &Config) -> RouteOptions {
    let routes = config.cluster.iter().flat_map(|cluster| &cluster.routes);
    let credentials = routes
        .filter_map(|url| login(url).0?.split_once(':'))
        .map(|(user, password)| Credentials::User {
            name: user.to_owned(),
            password: password.to_owned(),
        })
        .next();
    RouteOptions {
        credentials: credentials.unwrap_or_default(),
        ..RouteOptions::default()
    }
}

/// Splits the URL of a member into user and password, if it has them, and `host:port`.
pub(crate) fn login(url: &str) -> (Option<&str>, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.trim_end_matches('/');
    match rest.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, rest),
    }
}
