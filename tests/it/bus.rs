//! The agents' bus for programs: stock clients at the agents' ports, clones by the address of a bus, and what programs may not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::mesh::{Agent, PATIENCE, Place, run, wait};
use crate::news::bus_url;

const SUBJECT: &str = "ledger";

/// How many messages are under way at once.
const BATCH: u64 = 64;

/// How long to wait before a probe that did not arrive is sent again.
const PROBE_AGAIN: Duration = Duration::from_millis(20);

/// What probes say; the ledger's messages are numbers.
const PROBE: &str = "probe";

/// A client that takes note of what it hears.
struct Ledger {
    at: &'static str,
    heard: Subscriber,
    // Held for its connection.
    _client: Client,
}

impl Ledger {
    async fn open(at: &'static str, agent: &Agent) -> Self {
        let client = client(agent).await;
        let heard = client.subscribe(SUBJECT).await.expect("subscribed");
        client.flush().await.expect("flushed");
        Self {
            at,
            heard,
            _client: client,
        }
    }

    /// Waits until what `publisher` says is heard here.
    async fn listens(&mut self, publisher: &Client) {
        let heard = async {
            loop {
                say(publisher, PROBE).await;
                if timeout(PROBE_AGAIN, self.heard.next()).await.is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("it is reached");
    }

    /// Waits for the numbers from `first` on, each once and in order.
    async fn takes(&mut self, first: u64) {
        let mut next = first;
        while next < first + BATCH {
            let message = timeout(PATIENCE, self.heard.next()).await;
            let message = message.unwrap_or_else(|_| panic!("{} misses {next}", self.at));
            let message = message.expect("it stays connected");
            if message.payload != PROBE {
                assert_eq!(message.payload, next.to_string(), "at {}", self.at);
                next += 1;
            }
        }
    }
}

async fn client(agent: &Agent) -> Client {
    let options = ConnectOptions::with_token(agent.bus_token());
    let client = options.connect(agent.address("nats")).await;
    client.expect("connected")
}

async fn say(publisher: &Client, text: impl ToString) {
    let published = publisher.publish(SUBJECT, text.to_string().into());
    published.await.expect("published");
}

/// Publishes while `changing` takes one role after the other, and expects each number once and in order at each ledger.
async fn count_through(
    changing: Agent,
    roles: &'static [&'static str],
    publisher: &Client,
    ledgers: &mut [Ledger],
) -> Agent {
    let changes = std::thread::spawn(move || {
        for role in roles {
            let mesh = changing.api("PUT", "mesh/role", Some(&json!({ "role": role })));
            assert_eq!(mesh["role"], *role);
        }
        changing
    });
    let mut next = 0;
    loop {
        // The batch that begins after the last change shows what that one doubled.
        let last = changes.is_finished();
        for number in next..next + BATCH {
            say(publisher, number).await;
        }
        publisher.flush().await.expect("flushed");
        for ledger in &mut *ledgers {
            ledger.takes(next).await;
        }
        next += BATCH;
        if last {
            break;
        }
    }
    changes.join().expect("it changed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_changes_and_no_message_is_lost_or_doubled() {
    let place = Place::new(3);
    let hub = place.start(0, &["--nats-role", "hub"]);
    let changing = place.start(1, &["--join", hub.address("leaf")]);
    let staying = place.start(2, &["--join", hub.address("leaf")]);
    let publisher = client(&staying).await;
    let mut ledgers = [
        Ledger::open("the hub", &hub).await,
        Ledger::open("who changes its role", &changing).await,
        Ledger::open("who publishes", &staying).await,
    ];
    for ledger in &mut ledgers {
        ledger.listens(&publisher).await;
    }
    let roles = &["leaf", "peer", "leaf", "peer"];
    let changing = count_through(changing, roles, &publisher, &mut ledgers).await;
    assert_eq!(changing.mesh()["joins"][0]["state"]["kind"], "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_a_cluster_changes_its_role_and_the_others_miss_nothing() {
    let place = Place::new(3);
    let hub = place.start(0, &["--nats-role", "hub"]);
    let (route, leaf) = (hub.address("route"), hub.address("leaf"));
    let staying = place.start(2, &["--join", route]);
    // In each role it dials one of the two.
    let changing = place.start(1, &["--nats-role", "hub", "--join", route, "--join", leaf]);
    let publisher = client(&staying).await;
    let mut ledgers = [
        Ledger::open("the hub", &hub).await,
        Ledger::open("who publishes", &staying).await,
    ];
    let mut own = Ledger::open("who changes its role", &changing).await;
    for ledger in ledgers.iter_mut().chain([&mut own]) {
        ledger.listens(&publisher).await;
    }
    let roles = &["leaf", "hub", "leaf", "hub", "leaf"];
    let changing = count_through(changing, roles, &publisher, &mut ledgers).await;
    // Who changes its links may miss what is said meanwhile, but hears nothing twice, and what is said afterwards.
    say(&publisher, "end").await;
    let mut last = None;
    let heard = async {
        loop {
            let message = own.heard.next().await.expect("it stays connected");
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            match text.parse::<u64>() {
                Ok(number) => {
                    assert!(last < Some(number), "{number} after {last:?}");
                    last = Some(number);
                }
                Err(_) if text == "end" => return,
                Err(_) => {}
            }
        }
    };
    let ends = async {
        loop {
            tokio::time::sleep(PROBE_AGAIN).await;
            say(&publisher, "end").await;
        }
    };
    let heard = async {
        tokio::select! {
            () = heard => {}
            () = ends => {}
        }
    };
    timeout(PATIENCE, heard).await.expect("it hears again");
    let joins = changing.mesh()["joins"].clone();
    assert_eq!(joins[0]["state"]["kind"], "unused", "{joins}");
    assert_eq!(joins[1]["state"]["kind"], "connected", "{joins}");
}

/// Has an agent's process stand still, or go on.
fn signal(agent: &Agent, signal: &str) {
    let process = agent.process_id().to_string();
    run(Command::new("kill").args(["-s", signal, &process]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_reading_is_cut_and_has_everything_once_it_goes_on() {
    /// More than sockets hold.
    const FLOOD: usize = 32 << 20;
    const PIECE: usize = 256 << 10;
    let place = Place::new(2);
    let hub = place.start(0, &["--nats-role", "hub"]);
    let stops = place.start(1, &["--join", hub.address("leaf")]);
    hub.meets(1);
    stops.meets(1);
    let publisher = client(&hub).await;
    let mut near = Ledger::open("the hub", &hub).await;
    let mut far = Ledger::open("who stops", &stops).await;
    for ledger in [&mut near, &mut far] {
        ledger.listens(&publisher).await;
    }
    signal(&stops, "STOP");
    place.commit(0, "while-it-stood-still");
    for _ in 0..FLOOD / PIECE {
        let published = publisher.publish(SUBJECT, vec![b'x'; PIECE].into());
        published.await.expect("published");
    }
    for number in 0..BATCH {
        say(&publisher, number).await;
    }
    publisher.flush().await.expect("flushed");
    let cut = || hub.mesh()["counters"]["slow_consumers"] == 1;
    wait(cut);
    // Nobody else is.
    let mut heard = 0;
    while heard < BATCH {
        let message = timeout(PATIENCE, near.heard.next()).await;
        let message = message.expect("in time").expect("it stays connected");
        if message.payload == heard.to_string() {
            heard += 1;
        }
    }
    signal(&stops, "CONT");
    stops.receives("while-it-stood-still");
    wait(|| stops.mesh()["joins"][0]["state"]["kind"] == "connected");
}

#[test]
fn a_project_is_cloned_by_the_address_of_a_bus() {
    let place = Place::new(2);
    place.commit(0, "to-be-cloned");
    let agent = place.start(0, &[]);
    let file = place.home(1).join("clone.fossil");
    let url = bus_url(&agent);
    run(place.edgesync(1).args(["clone", &url]).arg(&file));
    let timeline = ["timeline", "-t", "ci", "-R"];
    let timeline = run(place.fossil().args(timeline).arg(&file));
    assert!(timeline.contains("to-be-cloned"), "{timeline}");
    run(place.fossil().arg("test-integrity").arg(&file));
}

/// Comes to a port for servers, shows this, and returns what it is told before it is cut.
fn told_there(address: &str, shown: &Value) -> String {
    let (_, address) = address.split_once("://").expect("a scheme");
    let mut stream = TcpStream::connect(address).expect("connected");
    let mut connect = json!({ "server_id": "S", "name": "s", "version": "2.9.10", "protocol": 1, "cluster": "c", "headers": true });
    let members = connect.as_object_mut().expect("members");
    members.extend(shown.as_object().expect("members").clone());
    // All at once, because who is refused is cut.
    let said = format!("CONNECT {connect}\r\nPING\r\n");
    stream.write_all(said.as_bytes()).expect("sent");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("text");
    let (info, told) = told.split_once("\r\n").expect("a greeting");
    assert!(info.starts_with("INFO "), "{info}");
    told.to_owned()
}

#[test]
fn who_knows_the_token_of_programs_and_no_key_is_let_in_by_no_port_for_servers() {
    let place = Place::new(1);
    for role in ["hub", "peer"] {
        let agent = place.start(0, &["--nats-role", role]);
        let token = agent.bus_token();
        for shown in [
            json!({}),
            json!({ "auth_token": token }),
            json!({ "user": token, "pass": token }),
            json!({ "jwt": token, "nkey": token, "sig": token }),
        ] {
            for port in ["leaf", "route"] {
                let told = told_there(agent.address(port), &shown);
                assert_eq!(told, "-ERR 'Authorization Violation'\r\n", "{role} {port}");
            }
        }
        agent.stop();
    }
}
