//! A machine that sleeps and wakes: agents whose system bus has a stand-in for logind, which sends the signal that a real one sends, make their
//! links anew at once. Nobody slept here.

use anyhow::Result;
use serde_json::Value;
use zbus::Connection;

use crate::mesh::{Agent, Place, wait};
use crate::private_bus::PrivateBus;
use crate::tunnel::peer;

/// The name that a real logind has on the system bus.
const LOGIND: &str = "org.freedesktop.login1";

/// Sends the signal by which logind tells that the machine is about to sleep, or has woken.
async fn signal(bus: &Connection, about_to_sleep: bool) -> Result<()> {
    let (path, interface) = ("/org/freedesktop/login1", "org.freedesktop.login1.Manager");
    let sent = bus.emit_signal(
        None::<&str>,
        path,
        interface,
        "PrepareForSleep",
        &about_to_sleep,
    );
    Ok(sent.await?)
}

/// Starts an agent on this system bus that says in its log what it does.
fn start(place: &Place, bus: &PrivateBus, number: usize, flags: &[&str]) -> Agent {
    let mut command = place.edgesync(number);
    command
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env("EDGESYNC_LOG", "debug");
    place.start_by(command, &["sync", "start"], number, flags)
}

/// How many lines with these words are in an agent's log.
fn says(place: &Place, number: usize, words: &str) -> usize {
    let log = std::fs::read_to_string(place.home(number).join("edgesync.log"));
    let log = log.unwrap_or_default();
    log.lines().filter(|line| line.contains(words)).count()
}

/// How the join by TCP stands, and since when.
fn by_address(agent: &Agent) -> Value {
    let mesh = agent.mesh();
    let mut joins = mesh["joins"].as_array().expect("joins").iter();
    let of_address = |it: &&Value| {
        it["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("nats-"))
    };
    joins.find(of_address).expect("the join")["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_anew_at_once_when_the_system_says_that_the_machine_has_woken() -> Result<()>
{
    let bus = PrivateBus::start().await?;
    let (logind, stranger) = (bus.connect().await?, bus.connect().await?);
    logind.request_name(LOGIND).await?;
    let place = Place::new(3);
    let ids = &place.ids;
    let tunnel = ["--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0"];
    let host = place.start(0, &[&tunnel[..], &["--iroh-peer", &ids[1]]].concat());
    let by_tcp = place.start(2, &[]);
    let joins = [
        "--iroh-peer",
        host.address("ticket"),
        "--join",
        by_tcp.address("leaf"),
    ];
    let laptop = start(&place, &bus, 1, &[&tunnel[..], &joins].concat());
    laptop.meets(2);
    wait(|| peer(&laptop, &ids[0])["tunnel"].is_object());
    wait(|| says(&place, 1, "the system tells when the machine sleeps") == 1);

    // Neither before it sleeps, nor when somebody else says it.
    let anew = "the tunnel was made anew: the machine has woken";
    let tcp_before = by_address(&laptop);
    signal(&logind, true).await?;
    signal(&stranger, false).await?;
    place.commit(0, "still-the-old-links");
    laptop.receives("still-the-old-links");
    assert_eq!(says(&place, 1, anew), 0);
    assert_eq!(by_address(&laptop), tcp_before);

    signal(&logind, false).await?;
    wait(|| says(&place, 1, anew) == 1);
    wait(|| {
        let now = by_address(&laptop);
        now["kind"] == "connected" && now != tcp_before
    });
    wait(|| peer(&laptop, &ids[0])["tunnel"].is_object());
    place.commit(0, "over-the-new-links");
    laptop.receives("over-the-new-links");
    by_tcp.receives("over-the-new-links");

    // It falls asleep again at once, and wakes.
    for about_to_sleep in [true, false, true, false] {
        signal(&logind, about_to_sleep).await?;
    }
    wait(|| says(&place, 1, anew) == 3);
    wait(|| peer(&laptop, &ids[0])["tunnel"].is_object());
    place.commit(0, "over-the-newest-links");
    laptop.receives("over-the-newest-links");
    Ok(())
}
