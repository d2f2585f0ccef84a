//! Keys that were let in once and are so no more: their owners are told, whichever end dials, and nobody else hears of it.

use data_encoding::BASE64URL_NOPAD;
use natsd::auth::Credentials;
use natsd::leaf::LeafRemote;
use natsd::{Close, Event, Link, Server};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::route::{down, up};
use super::route_trust::{Friends, dial, keys, member, policy, public};
use super::wire::{PATIENCE, Wire};

fn leaf(from: &Server, seed: u8, to: &Server) -> Link {
    let address = to.addresses().leaves.expect("a leafnode listener");
    let mut remote = LeafRemote::tcp(&[address.to_string()]).expect("an address");
    remote.credentials = Credentials::nkey(keys(seed));
    from.dial_leaf(remote)
}

/// Waits until a server has heard from another that its key was revoked there.
async fn told_by(events: &mut Receiver<Event>, name: &str) {
    let told = async {
        loop {
            if let Event::Disconnected {
                why: Close::RevokedThere,
                server_name,
                ..
            } = events.recv().await.expect("an event")
                && server_name.as_deref() == Some(name)
            {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("it is told");
}

#[tokio::test]
async fn who_was_revoked_hears_so_when_its_link_is_cut_and_when_it_dials() {
    let (list, all) = (Friends::of(&[1, 2, 3]), Friends::of(&[1, 2, 3]));
    let (a, b, c) = (
        member(1, &list).await,
        member(2, &all).await,
        member(3, &all).await,
    );
    let (mut route, mut spoke) = (dial(&b, &a), leaf(&c, 3, &a));
    up(&mut route).await;
    up(&mut spoke).await;
    let mut cut = [b.events(), c.events()];
    list.revoke(2);
    list.revoke(3);
    a.set_policy(policy(&list));
    for events in &mut cut {
        told_by(events, "server-1").await;
    }
    assert_eq!(down(&mut route).await, Close::RevokedThere);
    assert_eq!(down(&mut spoke).await, Close::RevokedThere);
    // One that dials for the first time hears it as well.
    assert_eq!(down(&mut dial(&b, &a)).await, Close::RevokedThere);
    assert_eq!(down(&mut leaf(&c, 3, &a)).await, Close::RevokedThere);
}

#[tokio::test]
async fn who_was_revoked_hears_so_when_it_is_dialled() {
    let (list, all) = (Friends::of(&[1, 2]), Friends::of(&[1, 2]));
    let (a, b) = (member(1, &list).await, member(2, &all).await);
    let mut events = b.events();
    list.revoke(2);
    assert_eq!(down(&mut dial(&a, &b)).await, Close::Revoked);
    told_by(&mut events, "server-1").await;
    assert_eq!(a.stats().subscriptions + b.stats().subscriptions, 0);
}

#[tokio::test]
async fn only_who_proves_to_have_a_revoked_key_is_told() {
    let list = Friends::of(&[1, 2]);
    let a = member(1, &list).await;
    list.revoke(2);
    let addresses = a.addresses();
    for address in [addresses.leaves, addresses.routes] {
        let address = address.expect("a listener");
        for (shown, signs, told) in [
            (2, 2, "-ERR 'Authorization Violation: this key was revoked'"),
            // Another's signature, and a stranger.
            (2, 3, "-ERR 'Authorization Violation'"),
            (3, 3, "-ERR 'Authorization Violation'"),
        ] {
            let (mut wire, info) = Wire::dial(address).await;
            let nonce = info["nonce"].as_str().expect("a nonce");
            let signature = BASE64URL_NOPAD.encode(&keys(signs).sign(nonce.as_bytes()));
            let key = public(shown);
            wire.send(format!(
                "CONNECT {{\"nkey\":\"{key}\",\"sig\":\"{signature}\"}}\r\n"
            ))
            .await;
            wire.expect_end(told).await;
        }
    }
}
