//! Several servers, ours and stock ones, linked as a table says, with a stock client at each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt;
use natsd::leaf::LeafRemote;
use natsd::{Link, Listeners, Options, Server, Target};
use tokio::time::{Instant, timeout};

use super::stock::Stock;
use super::wire::{PATIENCE, Reserved};

/// How long to wait before a probe that did not arrive is sent again.
const PROBE_AGAIN: Duration = Duration::from_millis(20);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(1 << 20);

/// Whose server a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Stock,
}

/// How a node is linked to one that the table names before it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// As a leafnode of it.
    Leaf(&'static str),
    /// As a member of its cluster.
    Route(&'static str),
}

/// A node of a topology.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) cluster: Option<&'static str>,
    pub(crate) links: &'static [To],
}

/// Where a node listens, as `host:port`.
#[derive(Clone, Debug, Default)]
struct Addresses {
    clients: String,
    leaves: String,
    routes: Option<String>,
}

/// A server that runs.
enum Running {
    // Held for what their dropping ends.
    Ours(Box<Server>, Vec<Link>, Arc<[Reserved; 3]>),
    Stock(Box<Stock>),
}

/// A node that runs, with its client.
struct Place {
    node: Node,
    running: Running,
    addresses: Addresses,
    client: Client,
    all: Subscriber,
    jobs: Subscriber,
}

/// All nodes of a topology.
pub(crate) struct Mesh {
    places: Vec<Place>,
}

impl Mesh {
    /// Starts the nodes in the order of the table and waits until everybody hears everybody.
    pub(crate) async fn start(nodes: &[Node]) -> Self {
        let mut addresses = HashMap::new();
        let mut places = Vec::new();
        for node in nodes {
            let ports = Arc::new(std::array::from_fn(|_| Reserved::new()));
            let running = start(node, &addresses, ports).await;
            let at = running.addresses();
            addresses.insert(node.name, at.clone());
            places.push(place(*node, running, at).await);
        }
        let mut mesh = Self { places };
        mesh.await_reach().await;
        mesh
    }

    /// Ends a node without a word and starts it again where it was.
    pub(crate) async fn restart(&mut self, name: &str) {
        let at = self.at(name);
        let mut addresses = HashMap::new();
        for place in &self.places {
            addresses.insert(place.node.name, place.addresses.clone());
        }
        let old = self.places.remove(at);
        let (node, kept) = (old.node, old.addresses);
        let running = match old.running {
            Running::Stock(stock) => Running::Stock(Box::new(stock.restart().await)),
            Running::Ours(server, links, ports) => {
                drop(links);
                server.shutdown().await;
                start(&node, &addresses, ports).await
            }
        };
        self.places.insert(at, place(node, running, kept).await);
    }

    /// What the stock servers have logged, each under its name.
    fn logs(&self) -> String {
        let log = |place: &Place| match &place.running {
            Running::Stock(stock) => format!("\n{}:\n{}", place.node.name, stock.log()),
            Running::Ours(..) => String::new(),
        };
        self.places.iter().map(log).collect()
    }

    fn at(&self, name: &str) -> usize {
        let found = self.places.iter().position(|place| place.node.name == name);
        found.expect("the table names it")
    }

    /// Waits until what each node says reaches all, and forgets what was said for it.
    pub(crate) async fn await_reach(&mut self) {
        let started = Instant::now();
        for from in 0..self.places.len() {
            let name = self.places[from].node.name;
            let probe = format!("all.probe.{name}");
            for to in 0..self.places.len() {
                loop {
                    self.publish(from, &probe, "").await;
                    let place = &mut self.places[to];
                    let arrived = async { while next(&mut place.all).await.0 != probe {} };
                    if timeout(PROBE_AGAIN, arrived).await.is_ok() {
                        break;
                    }
                    let there = place.node.name;
                    assert!(
                        started.elapsed() < PATIENCE,
                        "{name} does not reach {there}{}",
                        self.logs()
                    );
                }
            }
        }
        self.drain().await;
    }

    /// Waits until all that was published has arrived, and returns what each node got of `all.data` since the last time.
    pub(crate) async fn drain(&mut self) -> HashMap<&'static str, Vec<String>> {
        for from in 0..self.places.len() {
            let fence = format!("all.fence.{}", self.places[from].node.name);
            self.publish(from, &fence, "").await;
        }
        let nodes = self.places.len();
        let mut got = HashMap::new();
        for place in &mut self.places {
            let mut data = Vec::new();
            let mut fences = 0;
            while fences < nodes {
                let (subject, payload) = timeout(PATIENCE, next(&mut place.all))
                    .await
                    .unwrap_or_else(|_| panic!("{} waits for a message", place.node.name));
                match subject.as_str() {
                    "all.data" => data.push(payload),
                    fence if fence.starts_with("all.fence.") => fences += 1,
                    _ => {}
                }
            }
            got.insert(place.node.name, data);
        }
        got
    }

    /// Publishes at each node and checks that everything arrives once everywhere, that a group gets each job once, and that
    /// each request is answered once.
    pub(crate) async fn check(&mut self) {
        let mut expected = Vec::new();
        for from in 0..self.places.len() {
            for number in 0..20 {
                let payload = format!("{} {number}", self.places[from].node.name);
                self.publish(from, "all.data", &payload).await;
                self.publish(from, "jobs", &payload).await;
                expected.push(payload);
            }
        }
        expected.sort();
        for (name, mut data) in self.drain().await {
            data.sort();
            assert_eq!(data, expected, "what arrived at {name}");
        }
        let mut jobs = Vec::new();
        while jobs.len() < expected.len() {
            let waiting = self
                .places
                .iter_mut()
                .map(|place| Box::pin(next(&mut place.jobs)));
            let first = timeout(PATIENCE, futures_util::future::select_all(waiting)).await;
            let ((_, payload), _, _) = first.expect("every job is done");
            jobs.push(payload);
        }
        jobs.sort();
        assert_eq!(jobs, expected, "jobs");
        self.check_requests().await;
    }

    async fn check_requests(&mut self) {
        for from in &self.places {
            for to in &self.places {
                let inbox = from.client.new_inbox();
                let mut answers = from
                    .client
                    .subscribe(inbox.clone())
                    .await
                    .expect("subscribed");
                let subject = format!("ask.{}", to.node.name);
                let asked = from.client.publish_with_reply(subject, inbox, "?".into());
                asked.await.expect("published");
                let answer = timeout(PATIENCE, answers.next()).await;
                let answer = answer
                    .unwrap_or_else(|_| {
                        panic!(
                            "{} does not answer {}{}",
                            to.node.name,
                            from.node.name,
                            self.logs()
                        )
                    })
                    .expect("subscribed");
                assert_eq!(answer.payload, to.node.name);
                // A second answer would be behind the first on the way of this request, which goes last.
                let subject = format!("ask.{}", to.node.name);
                let again = timeout(PATIENCE, from.client.request(subject, "?".into())).await;
                again.expect("in time").expect("an answer");
                let more = futures_util::FutureExt::now_or_never(answers.next());
                assert!(
                    more.is_none(),
                    "one answer from {} to {}, not {more:?}{}",
                    to.node.name,
                    from.node.name,
                    self.logs()
                );
            }
        }
    }

    /// Publishes at a node and waits until its server has it.
    async fn publish(&self, from: usize, subject: &str, payload: &str) {
        let client = &self.places[from].client;
        let payload = payload.to_owned().into();
        client
            .publish(subject.to_owned(), payload)
            .await
            .expect("published");
        client.flush().await.expect("flushed");
    }

    /// Returns the client at a node.
    pub(crate) fn client(&self, name: &str) -> Client {
        self.places[self.at(name)].client.clone()
    }
}

impl Running {
    fn addresses(&self) -> Addresses {
        let text = |address: std::net::SocketAddr| address.to_string();
        match self {
            Self::Ours(server, ..) => {
                let at = server.addresses();
                Addresses {
                    clients: at.clients.map(text).expect("a client listener"),
                    leaves: at.leaves.map(text).expect("a leafnode listener"),
                    routes: at.routes.map(text),
                }
            }
            Self::Stock(stock) => Addresses {
                clients: stock.clients().to_owned(),
                leaves: stock.leafs().to_owned(),
                routes: stock.routes().map(str::to_owned),
            },
        }
    }
}

/// Starts one node; one of ours on these ports.
async fn start(
    node: &Node,
    others: &HashMap<&'static str, Addresses>,
    ports: Arc<[Reserved; 3]>,
) -> Running {
    let leaf = |name: &str| others[name].leaves.clone();
    let route = |name: &str| others[name].routes.clone().expect("a member of a cluster");
    if node.program == Program::Stock {
        let (mut remotes, mut routes) = (Vec::new(), Vec::new());
        for link in node.links {
            match link {
                To::Leaf(name) => {
                    remotes.push(format!("{{ url: \"nats-leaf://{}\" }}", leaf(name)));
                }
                To::Route(name) => routes.push(format!("\"nats-route://{}\"", route(name))),
            }
        }
        let mut config = format!(
            "server_name: {}\nleafnodes {{ listen: \"@leaf\", remotes: [ {} ] }}\n",
            node.name,
            remotes.join(", ")
        );
        if let Some(cluster) = node.cluster {
            config += &format!(
                "cluster {{ name: {cluster}, listen: \"@route\", routes: [ {} ] }}\n",
                routes.join(", ")
            );
        }
        return Running::Stock(Box::new(Stock::start(&config).await));
    }
    let [clients, leaves, routes] = &*ports;
    let options = Options {
        server_name: Some(node.name.to_owned()),
        cluster_name: node.cluster.map(str::to_owned),
        listeners: Listeners {
            clients: Some(clients.address),
            leaves: Some(leaves.address),
            routes: node.cluster.map(|_| routes.address),
        },
        ..Options::default()
    };
    let server = Server::start(options).await.expect("a server");
    let links = node.links.iter().map(|link| match link {
        To::Leaf(name) => server.dial_leaf(LeafRemote::tcp(&[leaf(name)]).expect("an address")),
        To::Route(name) => server.dial_route(Target::Tcp(route(name))),
    });
    let links = links.collect();
    Running::Ours(Box::new(server), links, ports)
}

/// Connects a client that ends with its server: it would come back to whoever has the port by then, and answer there.
async fn connect(address: &str) -> Client {
    let connected = AtomicBool::new(false);
    let pause = move |_| match connected.swap(true, Ordering::Relaxed) {
        false => Duration::ZERO,
        true => NEVER,
    };
    let options = ConnectOptions::new().reconnect_delay_callback(pause);
    let client = options.connect(format!("nats://{address}")).await;
    client.expect("connected")
}

/// Connects a client that listens and answers.
async fn place(node: Node, running: Running, addresses: Addresses) -> Place {
    if let Running::Stock(stock) = &running {
        // What a stock server's client wants at the moment at which its leafnode link comes up it tells nobody, for ever.
        let leaf = |link: &&To| matches!(link, To::Leaf(_));
        stock
            .says("->> [LS+ $LDS.", node.links.iter().filter(leaf).count())
            .await;
    }
    let client = connect(&addresses.clients).await;
    let all = client.subscribe("all.>").await.expect("subscribed");
    let jobs = client.queue_subscribe("jobs", "workers".to_owned());
    let jobs = jobs.await.expect("subscribed");
    let subject = format!("ask.{}", node.name);
    let mut questions = client.subscribe(subject).await.expect("subscribed");
    let answering = client.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            if let Some(reply) = question.reply {
                // Whoever asked notices when this fails.
                let _ = answering.publish(reply, node.name.into()).await;
            }
        }
    });
    client.flush().await.expect("flushed");
    Place {
        node,
        running,
        addresses,
        client,
        all,
        jobs,
    }
}

async fn next(subscriber: &mut Subscriber) -> (String, String) {
    let message = subscriber.next().await.expect("the client lives");
    let payload = String::from_utf8(message.payload.to_vec()).expect("text");
    (message.subject.to_string(), payload)
}
