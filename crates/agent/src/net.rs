//! Serves HTTP/1 on a listener for both of the agent's doors, with a bound on everything a stranger may hold: connections, the
//! time for a request's head, and the time that a connection may take in all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
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
use crate::turns::{Turn, Turns};

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
    serve_within(listener, router, door, limits::HEAD_DEADLINE, stopped).await;
}

/// Does the same, with another time for each request's head.
async fn serve_within(
    listener: TcpListener,
    router: Router,
    door: Door,
    head: Duration,
    stopped: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let shares = Shares::new(limits::CONNECTIONS_OF_ONE);
    let connections = TaskTracker::new();
    let turns = Turns::default();
    let router = router.layer(middleware::from_fn(close_after_chunks));
    while let Some((stream, peer)) = accept(&listener, door, &stopped).await {
        let Some(share) = shares.take(peer.ip()) else {
            tracing::debug!(door = door.name, %peer, "too many connections from one address");
            continue;
        };
        let Some(place) = turns.place(&places).await else {
            break;
        };
        let turn = turns.join();
        let router = router
            .clone()
            .layer(Extension(ConnectInfo(peer)))
            .layer(middleware::from_fn_with_state(turn.clone(), in_turn));
        let stopped = stopped.clone();
        connections.spawn(async move {
            let _held = (place, share);
            let ended = tokio::select! {
                ended = converse(stream, router, (door, head), turn.clone(), stopped) => ended,
                () = turn.given_way() => Err("it gave way to another".to_owned()),
            };
            if let Err(error) = ended {
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

/// Keeps a connection from giving way until a request was answered. Who reads the request's body may see to it that it does.
async fn in_turn(State(turn): State<Turn>, mut request: Request, next: Next) -> Response {
    let answering = turn.answering();
    request.extensions_mut().insert(turn);
    next.run(request).await.map(|body| answering.body(body))
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
    (door, head): (Door, Duration),
    turn: Turn,
    stopped: CancellationToken,
) -> Result<(), String> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(limits::HEAD_BYTES)
        // Stock clients before 2.27 compare some names with their capitals.
        .title_case_headers(true)
        // A client that closes its sending half after the request still wants the answer.
        .half_close(true)
        .serve_connection(
            TokioIo::new(Heads::new(stream, turn)),
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

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Sends `text` on a new connection.
    async fn connect(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn connections_that_ask_nothing_keep_nobody_out_and_cut_nobody_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", post(|body: String| async move { body }));
        let door = Door {
            name: "test",
            lifetime: None,
        };
        let stop = CancellationToken::new();
        // Nobody leaves by being too slow.
        let patience = Duration::from_secs(86_400);
        let serving = serve_within(listener, router, door, patience, stop.clone());
        let serving = tokio::spawn(serving);
        let post = "POST / HTTP/1.1\r\nHost: x\r\n";
        let whole = format!("{post}Connection: close\r\nContent-Length: 2\r\n\r\nhi");
        let mut busy = connect(
            address,
            &format!("{post}Connection: close\r\nContent-Length: 4\r\n\r\nwo"),
        )
        .await;
        let mut idle = connect(address, &format!("{post}Content-Length: 0\r\n\r\n")).await;
        idle.read_u8().await.expect("an answer");
        let mut silent = Vec::new();
        for at in 0..2 * limits::CONNECTIONS {
            let begun = if at % 2 == 0 { "" } else { post };
            silent.push(connect(address, begun).await);
        }
        for _ in 0..3 {
            let mut asking = connect(address, &whole).await;
            let answer = answer(&mut asking).await;
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nhi"),
                "{answer}"
            );
        }
        // The oldest went, the one that was answered before among them; the newest is still there.
        for gone in silent
            .iter_mut()
            .take(limits::CONNECTIONS)
            .chain([&mut idle])
        {
            while gone.read_u8().await.is_ok() {}
        }
        let newest = silent.last().expect("some").try_read(&mut [0]);
        let waits = newest.expect_err("nothing was said");
        assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
        busy.write_all(b"rd").await.expect("sent");
        let answer = answer(&mut busy).await;
        assert!(answer.ends_with("\r\n\r\nword"), "{answer}");
        drop(silent);
        stop.cancel();
        serving.await.expect("no panic");
    }
}
