//! Two servers as one bus: what becomes of what is heard when one of them is away, ends, or the listener has heard enough.

use std::net::SocketAddr;
use std::sync::Arc;

use edgesync_bus::{
    Both, Bus, Connection, Nats, Publish, RequestError, SharedBus, Subscription, Trouble,
};
use tokio::net::TcpSocket;
use tokio::sync::watch;

use super::stock::{PATIENCE, StockServer, TOKEN, ask};

async fn say(from: &(impl Bus + ?Sized), text: &'static str) {
    let publish = Publish::new("news", text);
    from.publish(publish).await.expect("published");
    from.flush().await.expect("flushed");
}

async fn hear(heard: &mut Subscription) -> bytes::Bytes {
    let next = tokio::time::timeout(PATIENCE, heard.next()).await;
    next.expect("in time").expect("a message").payload
}

async fn nobody_listens(bus: Nats) {
    let bus: SharedBus = Arc::new(bus);
    let asked = bus.request(ask(&bus, "news", PATIENCE)).await;
    assert_eq!(asked, Err(RequestError::NoResponders));
}

#[tokio::test]
async fn a_subscription_that_is_drained_hears_what_both_have_said_and_then_neither() {
    let (here, there) = (StockServer::start().await, StockServer::start().await);
    let both = here.join_beside(&there).await;
    let (near, far) = (here.join().await, there.join().await);
    let mut heard = both.subscribe("news", None).await.expect("subscribed");
    both.flush().await.expect("flushed");
    for (bus, texts) in [(&near, ["near 1", "near 2"]), (&far, ["far 1", "far 2"])] {
        for text in texts {
            say(bus, text).await;
        }
    }
    both.flush().await.expect("flushed");
    heard.drain().await;
    let mut texts = Vec::new();
    for _ in 0..4 {
        texts.push(hear(&mut heard).await);
    }
    texts.sort();
    assert_eq!(texts, ["far 1", "far 2", "near 1", "near 2"]);
    let end = tokio::time::timeout(PATIENCE, heard.next()).await;
    assert_eq!(end, Ok(None));
    nobody_listens(near).await;
    nobody_listens(far).await;
}

#[tokio::test]
async fn a_subscription_is_drained_though_the_other_server_was_never_there() {
    let here = StockServer::start().await;
    let alone = Alone::at(&here).await;
    let both = &alone.both;
    let near = here.join().await;
    let mut heard = both.subscribe("news", None).await.expect("subscribed");
    both.flush().await.expect("flushed");
    say(&near, "near").await;
    both.flush().await.expect("flushed");
    heard.drain().await;
    assert_eq!(hear(&mut heard).await, "near");
    let end = tokio::time::timeout(PATIENCE, heard.next()).await;
    assert_eq!(end, Ok(None));
    nobody_listens(near).await;
}

#[tokio::test]
async fn when_one_server_ends_the_other_is_heard_on() {
    for own_ends in [false, true] {
        let (here, there) = (StockServer::start().await, StockServer::start().await);
        let both = here.join_beside(&there).await;
        let mut heard = both.subscribe("news", None).await.expect("subscribed");
        both.flush().await.expect("flushed");
        let (stays, ends) = if own_ends {
            (there, here)
        } else {
            (here, there)
        };
        let speaker = stays.join().await;
        say(&ends.join().await, "of the one that ends").await;
        assert_eq!(hear(&mut heard).await, "of the one that ends");
        drop(ends);
        say(&speaker, "of the one that stays").await;
        assert_eq!(hear(&mut heard).await, "of the one that stays");
        // The listener who has heard enough does not wait for the one that is gone.
        heard.drain().await;
        // It fails for the one that is gone, after it was done for the other.
        let _ = both.flush().await;
        nobody_listens(speaker).await;
    }
}

/// A bus over a server and an address where nobody is yet.
struct Alone {
    both: Both,
    /// What the connection to the other one meets with.
    trouble: watch::Receiver<Option<Trouble>>,
    /// Bound and not listening, so that nobody is given the port by chance.
    _reserved: TcpSocket,
    port: u16,
}

impl Alone {
    async fn at(here: &StockServer) -> Self {
        let reserved = TcpSocket::new_v4().expect("a socket");
        reserved.set_reuseaddr(true).expect("an option");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        reserved.bind(any).expect("a port");
        let address = reserved.local_addr().expect("an address");
        let away = Connection {
            urls: vec![format!("nats://{address}")],
            ..here.connection(Some(TOKEN))
        };
        let own = here.join().await;
        let other = own.beside(&away).await.expect("opened");
        let trouble = other.trouble();
        Self {
            both: Both::new(own, other),
            trouble,
            _reserved: reserved,
            port: address.port(),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_takes_nothing_from_the_other_and_is_heard_when_it_comes() {
    let here = StockServer::start().await;
    let mut alone = Alone::at(&here).await;
    let mut heard = alone
        .both
        .subscribe("news", None)
        .await
        .expect("subscribed");
    alone.both.flush().await.expect("flushed");
    let near = here.join().await;
    say(&near, "near").await;
    assert_eq!(hear(&mut heard).await, "near");
    let met = alone.trouble.wait_for(Option::is_some).await;
    let met = met.expect("told").clone();
    assert!(matches!(met, Some(Trouble::Failed(_))), "{met:?}");

    let there = StockServer::start_at(&alone.port.to_string()).await;
    let far: SharedBus = Arc::new(there.join().await);
    let hearing = tokio::spawn(async move { hear(&mut heard).await });
    // It is subscribed there a moment after it is connected.
    while !hearing.is_finished() {
        say(&*far, "far").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(hearing.await.expect("heard"), "far");
}

#[tokio::test]
async fn a_server_beside_that_refuses_us_is_told_apart() {
    let (here, there) = (StockServer::start().await, StockServer::start().await);
    let own = here.join().await;
    let other = own.beside(&there.connection(Some("another"))).await;
    let other = other.expect("opened");
    let mut trouble = other.trouble();
    let met = trouble
        .wait_for(Option::is_some)
        .await
        .expect("told")
        .clone();
    assert_eq!(met, Some(Trouble::Refused));
}
