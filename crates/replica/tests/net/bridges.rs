//! A bridge stores nothing: the others bring to its server what is new, and take from it what changed there.

use std::time::Duration;

use edgesync_replica::{Peer, Source};

use crate::net::{Faults, Net};

const HOUR: Duration = Duration::from_secs(3600);

/// A mesh without polls that has met; its last node is a bridge.
fn mesh(seed: u64, count: usize) -> Net {
    let mut net = Net::new(seed, count);
    net.nodes.iter_mut().for_each(|node| node.poll = HOUR);
    net.nodes[count - 1].bridge = true;
    net.start_all();
    net.run(Duration::from_secs(1));
    net.count_anew();
    net
}

fn bridge(index: usize) -> Source {
    Source::Bridge(Peer::parse(&format!("peer-{index}")).expect("a name"))
}

#[test]
fn what_is_committed_at_an_agent_is_at_the_server_within_a_second_and_then_there_is_silence() {
    let mut net = mesh(1, 3);
    net.commit(0, 1);
    net.run(Duration::from_secs(1));
    assert!(net.all_equal());
    let with_bridge = net.pulls.iter().filter(|(_, source)| *source == bridge(2));
    // Who committed brings it, and each agent looks at what the bridge then announces; again, if something came meanwhile.
    assert!((3..=4).contains(&with_bridge.count()), "{:?}", net.pulls);
    assert!(
        net.pulls.iter().all(|(node, _)| *node != 2),
        "it asks nobody"
    );
    net.count_anew();
    net.run(HOUR);
    assert_eq!(net.pulls, []);
}

#[test]
fn what_changes_at_the_server_is_at_every_agent_within_a_second() {
    let mut net = mesh(2, 4);
    net.commit(3, 1);
    net.run(Duration::from_secs(1));
    assert!(net.all_equal());
    for node in 0..3 {
        let view = net.peers(node);
        let bridges = view.iter().filter(|peer| peer.peer.as_str() == "peer-3");
        let stand: Vec<_> = bridges.map(|peer| (peer.bridge, peer.equal)).collect();
        assert_eq!(stand, [(true, Some(true))]);
    }
}

#[test]
fn what_is_committed_during_an_exchange_with_the_bridge_is_brought_by_the_next() {
    let mut net = mesh(4, 2);
    net.commit(1, 1);
    while net.pulls.is_empty() {
        net.run(Duration::from_millis(1));
    }
    net.commit_unseen(0, 2);
    net.run(Duration::from_secs(1));
    assert!(net.all_equal(), "{:?}", net.pulls);
}

#[test]
fn what_could_not_be_brought_is_brought_after_the_bridge_is_heard_again() {
    let mut net = mesh(3, 3);
    net.part(0, 1);
    net.commit(0, 1);
    net.run(Duration::from_secs(200));
    assert!(!net.nodes[2].set.contains(&1));
    net.heal(false);
    net.run(Duration::from_secs(60));
    assert!(net.all_equal());
}

#[test]
fn agents_and_the_server_hold_the_same_after_loss_doubling_and_failures() {
    for seed in 0..50 {
        let mut net = mesh(seed, 4);
        net.faults = Faults::MANY;
        for member in 0..60 {
            let node = net.dice.pick(4);
            net.commit(node, member);
            let pause = net.dice.below(2000);
            net.run(Duration::from_millis(pause));
        }
        net.faults = Faults::NONE;
        net.run(HOUR);
        assert!(net.all_equal(), "seed {seed} did not converge");
    }
}
