//! Serves HTTP/1 on a listener for both of the agent's doors, with a bound on everything a stranger may hold: connections, the
//! time for a request's head, and the time that a connection may take in all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits;
use crate::request_head::Heads;
use crate::share::Shares;

/// How long answers under way may take when the agent stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Returns an address at which this machine reaches a listener, also where it listens on all of them.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Returns an address at which others reach a listener, as far as this machine can know: where it listens on all of them, the first of
/// [`addresses`] of the same kind.
pub(crate) fn for_others(address: SocketAddr) -> SocketAddr {
    let same_kind = |ip: &IpAddr| ip.is_ipv4() == address.is_ipv4();
    let own = || addresses().into_iter().find(same_kind);
    match address.ip().is_unspecified().then(own).flatten() {
        Some(ip) => SocketAddr::new(ip, address.port()),
        None => reachable(address),
    }
}

/// Returns this machine's addresses that others on its networks reach, those of usual home networks first.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces
        .iter()
        .filter(|it| !it.is_loopback() && !it.is_link_local())
        .map(if_addrs::Interface::ip)
        .collect();
    let rank = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) if v4.is_private() => 0,
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    };
    addresses.sort_by_key(|ip| (rank(ip), *ip));
    addresses.dedup();
    addresses
}

/// What a listener allows its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// Names the listener in the log.
    pub name: &'static str,
    /// Time for a connection in all; `None` where streams live as long as the listener.
    pub lifetime: Option<Duration>,
}

/// Accepts connections until `stopped`, and serves each with `router`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    door: Door,
    stopped: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let shares = Shares::new(limits::CONNECTIONS_OF_ONE);
    let connections = TaskTracker::new();
    let router = router.layer(middleware::from_fn(close_after_chunks));
    while let Some((stream, peer)) = accept(&listener, door, &stopped).await {
        let Some(share) = shares.take(peer.ip()) else {
            tracing::debug!(door = door.name, %peer, "too many connections from one address");
            continue;
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let router = router.clone().layer(Extension(ConnectInfo(peer)));
        let stopped = stopped.clone();
        connections.spawn(async move {
            let _held = (place, share);
            if let Err(error) = converse(stream, router, door, stopped).await {
                tracing::debug!(door = door.name, %error, "a connection ended early");
            }
        });
    }
    // Nobody is kept waiting who comes now, and the address is free again.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Makes a request in chunks the last of its connection: where it ends, and so where another begins, [`Heads`] does not see.
async fn close_after_chunks(request: Request, next: Next) -> Response {
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if chunked {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Returns the next connection, or `None` when stopped. Failures of one connection, or of the whole system for a while (no
/// descriptors left), do not end the listener.
async fn accept(
    listener: &TcpListener,
    door: Door,
    stopped: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped.cancelled() => return None,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it a reply's last segment may wait; that it cannot be set is no reason to refuse.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer));
            }
            Err(error) => {
                tracing::warn!(door = door.name, %error, "a connection cannot be accepted");
                if !matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    router: Router,
    door: Door,
    stopped: CancellationToken,
) -> Result<(), String> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_DEADLINE)
        .max_buf_size(limits::HEAD_BYTES)
        // Stock clients before 2.27 compare some names with their capitals.
        .title_case_headers(true)
        // A client that closes its sending half after the request still wants the answer.
        .half_close(true)
        .serve_connection(
            TokioIo::new(Heads::new(stream)),
            TowerToHyperService::new(router),
        );
    let mut connection = std::pin::pin!(connection);
    let lifetime = async {
        match door.lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(|error| error.to_string()),
        () = lifetime => return Err("it took too long".to_owned()),
        () = stopped.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    match tokio::time::timeout(FAREWELL, connection).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("it was cut because the agent stops".to_owned()),
    }
}
