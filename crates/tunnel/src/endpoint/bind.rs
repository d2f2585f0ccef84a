//! iroh's side of making an endpoint.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use iroh::endpoint::{
    BindOpts, Builder, IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets,
};
use iroh::tls::{CaTlsConfig, default_provider};
use iroh::{Endpoint, RelayConfig, RelayMap, RelayMode, SecretKey, Watcher as _};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

use super::OpenError;
use crate::config::Config;
use crate::gate::{Admission, Gate};
use crate::info::{Event, RelayState};
use crate::limits;
use crate::protocol::Protocol;

/// Between two tries to have a port again.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes an endpoint; on any port when the preferred one is taken.
pub(super) async fn bind(
    config: &Config,
    admits: &Admission,
    events: &broadcast::Sender<Event>,
) -> Result<Endpoint, OpenError> {
    let builder = || builder(config, admits, events);
    let preferred = config.preferred_port.filter(|port| *port > 0);
    if !config.listen.is_empty() {
        if let Some(port) = preferred.filter(|_| leaves_port_open(config))
            && let Ok(endpoint) = at(builder(), &config.listen, port)?.bind().await
        {
            return Ok(endpoint);
        }
        let builder = at(builder(), &config.listen, 0)?;
        return builder.bind().await.map_err(refused);
    }
    if let Some(port) = preferred
        && let Ok(endpoint) = on_port(builder(), port)?.bind().await
    {
        return Ok(endpoint);
    }
    builder().bind().await.map_err(refused)
}

/// Whether any port will do, at one of the addresses at least.
fn leaves_port_open(config: &Config) -> bool {
    config.listen.is_empty() || config.listen.iter().any(|address| address.port() == 0)
}

/// Makes an endpoint where one has just ended: asks for its port again for a while.
pub(super) async fn bind_patiently(
    config: &Config,
    admits: &Admission,
    events: &broadcast::Sender<Event>,
) -> Result<Endpoint, OpenError> {
    let asked = Instant::now();
    loop {
        let made = bind(config, admits, events).await;
        let right = match &made {
            Ok(endpoint) => {
                !leaves_port_open(config)
                    || config
                        .preferred_port
                        .is_none_or(|port| ports(endpoint).contains(&port))
            }
            Err(_) => false,
        };
        if right || asked.elapsed() > limits::PORT {
            return made;
        }
        if let Ok(elsewhere) = made {
            elsewhere.close().await;
        }
        sleep(PAUSE).await;
    }
}

fn refused(error: impl std::fmt::Display) -> OpenError {
    OpenError::Listen(format!("{error:#}"))
}

/// Listens at these addresses, at this port where they name none.
fn at(builder: Builder, addresses: &[SocketAddr], port: u16) -> Result<Builder, OpenError> {
    let mut builder = builder.clear_ip_transports();
    for address in addresses {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(port);
        }
        builder = builder.bind_addr(address).map_err(refused)?;
    }
    Ok(builder)
}

fn on_port(builder: Builder, port: u16) -> Result<Builder, OpenError> {
    // A machine may have no IPv6.
    let if_there = BindOpts::default().set_is_required(false);
    builder
        .clear_ip_transports()
        .bind_addr(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        .map_err(refused)?
        .bind_addr_with_opts(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), if_there)
        .map_err(refused)
}

fn builder(config: &Config, admits: &Admission, events: &broadcast::Sender<Event>) -> Builder {
    let builder = if config.public {
        Endpoint::builder(presets::N0)
    } else {
        Endpoint::builder(presets::Minimal)
    };
    let relays = config.relays.iter().map(|relay| {
        let discovery = relay.is_secure().then(Default::default);
        RelayConfig::new(relay.url().clone(), discovery)
    });
    let relay_mode = match (config.relays.is_empty(), config.public) {
        (false, _) => Some(RelayMode::Custom(RelayMap::from_iter(relays))),
        (true, false) => Some(RelayMode::Disabled),
        (true, true) => None,
    };
    let builder = match relay_mode {
        Some(mode) => builder.relay_mode(mode),
        None => builder,
    };
    builder
        .secret_key(SecretKey::from_bytes(&config.secret))
        .ca_tls_config(authorities())
        .alpns(
            Protocol::ALL
                .map(|protocol| protocol.alpn().to_vec())
                .to_vec(),
        )
        // No questions to routers that nobody asked for.
        .portmapper_config(PortmapperConfig::Disabled)
        .transport_config(transport())
        .hooks(Gate {
            admits: admits.clone(),
            events: events.clone(),
        })
}

/// Returns whose signatures make a relay's certificate good: of those that the system trusts, or, where it knows none, of those that browsers trust.
fn authorities() -> CaTlsConfig {
    let of_system = CaTlsConfig::system();
    match of_system.server_cert_verifier(default_provider()) {
        Ok(_) => of_system,
        Err(_) => CaTlsConfig::embedded(),
    }
}

fn transport() -> QuicTransportConfig {
    let idle = IdleTimeout::try_from(limits::IDLE).ok();
    QuicTransportConfig::builder()
        .max_idle_timeout(idle)
        .keep_alive_interval(limits::KEEP_ALIVE)
        .default_path_max_idle_timeout(limits::IDLE)
        .default_path_keep_alive_interval(limits::KEEP_ALIVE)
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::MAX_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .build()
}

/// Waits until the endpoint knows an address of its own.
pub(super) async fn addressed(endpoint: &Endpoint, patience: Duration) {
    let mut watcher = endpoint.watch_addr();
    let wait = async {
        while watcher.get().is_empty() {
            if watcher.updated().await.is_err() {
                return;
            }
        }
    };
    // Without an address a ticket still tells whose it is.
    let _ = timeout(patience, wait).await;
}

/// Returns the UDP ports of the endpoint.
pub(super) fn ports(endpoint: &Endpoint) -> Vec<u16> {
    let mut ports: Vec<u16> = endpoint
        .bound_sockets()
        .iter()
        .map(SocketAddr::port)
        .collect();
    ports.dedup();
    ports
}

/// Returns the relays as they are now.
pub(super) fn relays(endpoint: &Endpoint) -> Vec<RelayState> {
    let states = endpoint.home_relay_status().get();
    let show = |state: &iroh::endpoint::RelayStatus| RelayState {
        url: state.url().to_string(),
        connected: state.is_connected(),
        error: state
            .auth_denied_reason()
            .map(str::to_owned)
            .or_else(|| state.last_error().map(|error| format!("{error:#}"))),
    };
    states.iter().map(show).collect()
}
