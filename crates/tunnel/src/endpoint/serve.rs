//! The connections that peers make, and the streams that they open on them.

use std::sync::Arc;

use iroh::Endpoint;
use iroh::endpoint::{Connection, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Arrival, DONE, Inner};
use crate::info::Event;
use crate::limits;
use crate::peer::PeerId;
use crate::preamble;
use crate::protocol::Protocol;
use crate::stream::Stream;

/// Takes in connections until the endpoint ends.
pub(super) async fn accept(inner: Arc<Inner>, endpoint: Endpoint) {
    loop {
        let incoming = tokio::select! {
            () = inner.stop.cancelled() => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let Ok(place) = Arc::clone(&inner.handshakes).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let handshake = Arc::clone(&inner);
        inner.tasks.spawn(async move {
            let connection = shaken(incoming).await;
            drop(place);
            if let Some((connection, protocol)) = connection {
                serve(handshake, connection, protocol).await;
            }
        });
    }
}

/// Returns the connection after its handshake; nothing when it fails, or the gate refused it.
async fn shaken(incoming: Incoming) -> Option<(Connection, Protocol)> {
    let connection = match timeout(limits::HANDSHAKE, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(target: "edgesync_tunnel", %error, "a handshake failed");
            return None;
        }
        Err(_) => return None,
    };
    let protocol = Protocol::of_alpn(connection.alpn())?;
    Some((connection, protocol))
}

/// Hands on the streams of one connection until it ends.
async fn serve(inner: Arc<Inner>, connection: Connection, protocol: Protocol) {
    let peer = PeerId::from(connection.remote_id());
    let pairs = |_: PeerId, what: Protocol, dialled: bool| what == Protocol::Pair && !dialled;
    if protocol == Protocol::Pair && inner.connections.matching(pairs).len() >= limits::MAX_PAIRING
    {
        connection.close(VarInt::from_u32(DONE), b"too many");
        return;
    }
    let number = inner.connections.add(connection.clone(), protocol, false);
    for older in inner.connections.replaced_by(number) {
        older.close(VarInt::from_u32(DONE), b"dialled again");
    }
    inner.tell(Event::Up {
        peer,
        protocol,
        dialled: false,
    });
    // Held by each stream, and here.
    let open = Arc::new(());
    let why = loop {
        let accepted = match protocol {
            Protocol::Pair => tokio::select! {
                accepted = connection.accept_bi() => accepted,
                () = tokio::time::sleep(limits::PAIR_IDLE) => {
                    if Arc::strong_count(&open) == 1 {
                        connection.close(VarInt::from_u32(DONE), b"idle");
                    }
                    continue;
                }
            },
            _ => connection.accept_bi().await,
        };
        match accepted {
            Ok((send, receive)) => {
                let arriving = arrive(
                    inner.arrivals.clone(),
                    connection.clone(),
                    protocol,
                    (send, receive),
                    Arc::clone(&open),
                );
                inner.tasks.spawn(arriving);
            }
            Err(why) => break why,
        }
    };
    inner.ended(number, peer, protocol, &why);
}

/// Reads the first bytes of a stream and hands it on. One that begins wrongly is dropped, which tells its opener.
async fn arrive(
    arrivals: mpsc::Sender<Arrival>,
    connection: Connection,
    protocol: Protocol,
    (send, mut receive): (SendStream, RecvStream),
    open: Arc<()>,
) {
    let peer = PeerId::from(connection.remote_id());
    let first = timeout(limits::PREAMBLE, preamble::read(&mut receive, protocol)).await;
    let (good, first) = match first {
        Ok(Ok(first)) => (true, first),
        _ => (false, Vec::new()),
    };
    let ours = first.is_empty();
    let stream = Stream::new(connection, send, receive, first).holding(open);
    let arrival = Arrival {
        peer,
        protocol,
        ours,
        stream,
    };
    if good {
        // When nobody takes streams any more, this one ends with them.
        let _ = arrivals.send(arrival).await;
    }
}
