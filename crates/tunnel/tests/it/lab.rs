//! What the tests share: endpoints that answer with what they hear, and a relay.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgesync_tunnel::{
    Admission, Arrival, Config, Event, PeerId, Protocol, StreamError, Ticket, Tunnel, Verdict,
};
use iroh_relay::server::{RelayConfig, Server, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

/// Long enough for any machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An endpoint, and whom it lets in.
pub(crate) struct Member {
    pub(crate) tunnel: Tunnel,
    pub(crate) lets_in: Arc<Mutex<Vec<PeerId>>>,
    /// Whom it has let in once and tells that this is over.
    pub(crate) unpaired: Arc<Mutex<Vec<PeerId>>>,
}

/// Returns a configuration on the loopback interface.
pub(crate) fn config(seed: u8) -> Config {
    Config {
        secret: [seed; 32],
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        ..Config::default()
    }
}

impl Member {
    /// Opens an endpoint that sends back whatever comes over its streams.
    pub(crate) async fn open(config: Config) -> Self {
        let lets_in = Arc::new(Mutex::new(Vec::new()));
        let unpaired = Arc::new(Mutex::new(Vec::new()));
        let lists = [Arc::clone(&lets_in), Arc::clone(&unpaired)];
        let admits = move |peer: &PeerId, _: Protocol| {
            let has = |list: &Mutex<Vec<PeerId>>| list.lock().expect("a list").contains(peer);
            match lists.each_ref().map(|list| has(list)) {
                [_, true] => Verdict::Unpaired,
                [is_in, false] => Verdict::from(is_in),
            }
        };
        let admits: Admission = Arc::new(admits);
        let open = async {
            loop {
                match Tunnel::open(config.clone(), Arc::clone(&admits)).await {
                    Ok(opened) => return opened,
                    // The port of one that was closed may take a moment to be free.
                    Err(_) if config.listen.iter().any(|it| it.port() > 0) => {
                        sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("no endpoint: {error}"),
                }
            }
        };
        let (tunnel, mut arrivals) = timeout(PATIENCE, open).await.expect("an endpoint");
        tokio::spawn(async move {
            while let Some(Arrival { mut stream, .. }) = arrivals.recv().await {
                tokio::spawn(async move {
                    let mut bytes = [0; 1024];
                    while let Ok(read) = stream.read(&mut bytes).await {
                        let Some(heard) = bytes.get(..read).filter(|heard| !heard.is_empty())
                        else {
                            let _ = stream.shutdown().await;
                            break;
                        };
                        if stream.write_all(heard).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            tunnel,
            lets_in,
            unpaired,
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.tunnel.id()
    }

    /// Lets somebody in.
    pub(crate) fn lets_in(&self, peer: &Self) {
        self.lets_in.lock().expect("a list").push(peer.id());
    }

    pub(crate) async fn ticket(&self) -> Ticket {
        self.tunnel.ticket_soon(PATIENCE).await
    }

    /// Sends some bytes and hears them again, once.
    pub(crate) async fn echo(&self, peer: PeerId, protocol: Protocol) -> Result<(), String> {
        let stream = self.tunnel.stream(peer, protocol).await;
        let mut stream = stream.map_err(|error: StreamError| error.to_string())?;
        let said = b"is anybody there";
        let mut heard = [0; 16];
        let exchange = async {
            stream.write_all(said).await?;
            stream.read_exact(&mut heard).await?;
            stream.shutdown().await
        };
        exchange.await.map_err(|error| error.to_string())?;
        assert_eq!(&heard, said);
        Ok(())
    }

    /// Tries until the other end answers.
    pub(crate) async fn reaches(&self, peer: PeerId, protocol: Protocol) {
        let mut last = String::new();
        let tries = async {
            while let Err(why) = self.echo(peer, protocol).await {
                last = why;
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, tries).await.is_err() {
            panic!("no answer: {last}");
        }
    }
}

/// Returns the next event that fits.
pub(crate) async fn heard(
    events: &mut broadcast::Receiver<Event>,
    fits: impl Fn(&Event) -> bool,
) -> Event {
    let wait = async {
        loop {
            let event = events.recv().await.expect("events");
            if fits(&event) {
                return event;
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("the event comes")
}

/// Starts a relay on the loopback interface, on this port if one is given.
pub(crate) async fn relay(port: u16) -> Server {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let start = async {
        loop {
            let mut config = ServerConfig::default();
            config.relay = Some(RelayConfig::new(address));
            // The port of one that was stopped may take a moment to be free.
            match Server::spawn(config).await {
                Ok(server) => return server,
                Err(_) if port > 0 => sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("no relay: {error:#}"),
            }
        }
    };
    timeout(PATIENCE, start).await.expect("a relay")
}

/// Returns the relay's address.
pub(crate) fn url(relay: &Server) -> String {
    format!("http://{}", relay.http_addr().expect("it listens"))
}
