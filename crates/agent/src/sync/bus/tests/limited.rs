//! Exchanges through a NATS server that takes no long message.

use std::sync::Arc;

use edgesync_bus::{Connection, Login, Nats, SharedBus};
use libfossil::db::{Access, Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::client::{Client, Goal, NewClone, Summary};
use natsd::{Limits, Listeners, Options, Server};
use tokio_util::sync::CancellationToken;

use super::super::{BusAddress, exchange_once as exchange};
use super::{Lab, keys, names, project, wire};
use crate::api::{Code, Error};
use crate::clock;
use crate::home::Home;
use crate::repository::Writer;
use crate::sync::bus::{Accepts, Line};
use crate::sync::clone::Target;
use crate::wire::Wire;

const MAX_PAYLOAD: usize = 64 * 1024;

const PULL: Goal = Goal {
    pull: true,
    push: false,
    private: false,
    unversioned: true,
    thorough: false,
};

async fn server() -> Server {
    let options = Options {
        listeners: Listeners {
            clients: Some(([127, 0, 0, 1], 0).into()),
            ..Listeners::default()
        },
        limits: Limits {
            max_payload: MAX_PAYLOAD,
            ..Limits::default()
        },
        ..Options::default()
    };
    Server::start(options).await.expect("a server")
}

fn url(server: &Server) -> String {
    format!("nats://{}", server.addresses().clients.expect("a port"))
}

async fn join(server: &Server, seed: u8, trusts: &[u8]) -> Wire {
    let connection = Connection {
        urls: vec![url(server)],
        login: Login::None,
        tls: None,
        name: format!("agent-{seed}"),
    };
    let bus: SharedBus = Arc::new(Nats::connect(&connection).await.expect("connected"));
    wire(bus, seed, trusts, false)
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Adds what does not fit in one message: many artifacts, and one of `bytes` bytes beside an unversioned file of as many.
fn fill(repository: &mut Repository, count: usize, bytes: usize) {
    let file = noise(2, bytes);
    let stored: libfossil::db::Result<()> = repository.write(clock::now(), |tx| {
        for number in 0..count {
            tx.store(
                format!("file {number}\n").repeat(20).as_bytes(),
                Visibility::Public,
            )?;
        }
        tx.store(&noise(1, bytes), Visibility::Public)?;
        tx.put_unversioned("large", 1000, &HashName::sha3_of(&file), &file)
    });
    stored.expect("stored");
}

/// Pulls until `enough` bytes have come, then breaks off; returns nothing then.
async fn pull(lab: &Lab, wire: &Wire, name: &str, enough: u64) -> Result<Option<Summary>, Error> {
    let writer = Writer::start(name, &lab.path(name)).expect("a thread");
    let peer = Some(keys(1).id().to_string());
    let line = Line::new(wire.clone(), project().to_string(), peer, Accepts::Writers);
    let stop = CancellationToken::new();
    let progress = |summary: &Summary| {
        if summary.received_bytes > enough {
            stop.cancel();
        }
    };
    let start = |_: &mut Repository| Ok(Client::new(PULL, None));
    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(None),
        outcome = line.exchange(&writer, start, progress) => outcome.map(Some),
    };
    writer.close().expect("a thread").join().expect("ended");
    outcome
}

/// Waits until the peer listens: its subscriptions are on their way.
async fn pull_when_served(lab: &Lab, wire: &Wire, enough: u64) -> Option<Summary> {
    loop {
        match pull(lab, wire, "b", enough).await {
            Err(error) if error.message.contains("does not listen") => {
                tokio::task::yield_now().await;
            }
            outcome => return outcome.expect("no error"),
        }
    }
}

#[tokio::test]
async fn much_and_long_content_arrives_whole_after_a_break_without_a_violation() {
    const BYTES: usize = 20_000_000;
    let (lab, server) = (Lab::new(), server().await);
    fill(&mut lab.repository("a", &[]), 3000, BYTES);
    drop(lab.repository("b", &[]));
    let (a, b) = (join(&server, 1, &[2]).await, join(&server, 2, &[1]).await);
    let _served = lab.serve(&a, "a").await;
    let broken = pull_when_served(&lab, &b, 25_000_000).await;
    assert_eq!(broken, None, "it was cut off");
    let rest = pull_when_served(&lab, &b, u64::MAX)
        .await
        .expect("complete");
    // What had come before the break did not come again.
    assert!(rest.received_bytes < 20_000_000, "{}", rest.received_bytes);
    assert_eq!(lab.artifacts("a"), lab.artifacts("b"));
    let file = Repository::open(lab.path("b"), Access::ReadOnly)
        .and_then(|repository| repository.unversioned_content("large"))
        .expect("read")
        .expect("arrived");
    assert!(file == noise(2, BYTES));
    let stats = server.stats();
    assert_eq!((stats.violations, stats.slow_consumers), (0, 0));
    assert!(!libfossil::pieces::path_beside(&lab.path("b")).exists());
}

#[tokio::test]
async fn a_person_clones_a_project_from_a_bus_by_its_address() {
    let (lab, server) = (Lab::new(), server().await);
    fill(&mut lab.repository("a", &["one"]), 200, 300_000);
    // Later there are clusters as well, which the clone makes for itself.
    let there = lab.artifacts("a");
    let home = Home::at(lab.path("home")).expect("a home");
    home.create().expect("a home");
    let cloner = crate::identity::Identity::of(&home).expect("an identity");
    let mut a = join(&server, 1, &[]).await;
    a.trust = Arc::new(crate::trust::Trust::new(crate::trust::Register::of_run(
        [cloner.keys().id()],
        [],
    )));
    let _served = lab.serve(&a, "a").await;
    let address: BusAddress = format!("{}/{}", url(&server), project())
        .parse()
        .expect("an address");
    let (target, other) = (lab.path("clone"), lab.path("none"));
    let clone = move |path: std::path::PathBuf, address: BusAddress| {
        let home = home.clone();
        let new = Target::new(path, "test").expect("a place");
        tokio::task::spawn_blocking(move || {
            new.prepare()?;
            let owner = NewClone {
                admin: "ada".to_owned(),
                password: "secret".to_owned(),
            };
            let goal = Goal {
                unversioned: true,
                ..Goal::default()
            };
            let start = move |repository: &mut Repository| {
                Client::clone_into(repository, goal, None, owner, clock::now())
            };
            let summary = exchange(&home, new.partial(), &address, start, |_| {})?;
            new.publish()?;
            Ok::<_, Error>(summary)
        })
    };
    let summary = loop {
        match clone(target.clone(), address.clone()).await.expect("ended") {
            Err(error) if error.message.contains("nobody on the bus") => {}
            cloned => break cloned.expect("cloned"),
        }
    };
    assert!(summary.artifacts_received > 200, "{summary:?}");
    let kept = names(&target);
    assert!(there.iter().all(|name| kept.contains(name)));
    assert_eq!(server.stats().violations, 0);

    let foreign: BusAddress = format!("{}/{}", url(&server), "9".repeat(40))
        .parse()
        .expect("an address");
    let error = clone(other, foreign)
        .await
        .expect("ended")
        .expect_err("nobody has it");
    assert_eq!(error.code, Code::NoPeer);
    assert!(
        error.message.contains("nobody on the bus has the project"),
        "{error}"
    );
}
