//! How a mesh behaves towards its members: soon when it can, sparing when it must.

use std::time::Duration;

use edgesync_replica::{Input, Peer, Source, Topic};

use crate::net::{Faults, Net, project};

const HOUR: Duration = Duration::from_secs(3600);

/// A mesh without polls that has met.
fn mesh(seed: u64, count: usize) -> Net {
    let mut net = Net::new(seed, count);
    net.nodes.iter_mut().for_each(|node| node.poll = HOUR);
    net.start_all();
    net.run(Duration::from_secs(1));
    net.count_anew();
    net
}

fn peer(index: usize) -> Peer {
    Peer::parse(&format!("peer-{index}")).expect("a name")
}

#[test]
fn a_commit_is_everywhere_within_a_burst_and_a_round_trip() {
    let mut net = mesh(1, 8);
    for member in 0..10 {
        net.commit(0, member);
        net.run(Duration::from_millis(1));
    }
    net.run(Duration::from_millis(50 + 2 + 50));
    assert!(net.all_equal());
    let from_first = net.published.iter().filter(|it| it.from == 0);
    assert_eq!(
        from_first.count(),
        2,
        "the first at once, the rest together"
    );
    assert!(net.pulls.len() <= 14, "each pulls twice at most");
    for node in 1..8 {
        assert!((1..=2).contains(&net.counters(node).arrivals.announce));
    }
    assert_eq!(net.counters(0).arrivals.watch, 10);
}

#[test]
fn a_lost_announcement_is_made_up_for_by_the_next_beat() {
    let mut net = mesh(2, 2);
    net.lose_next = 1;
    net.commit(0, 1);
    net.run(Duration::from_secs(1));
    assert!(!net.all_equal());
    net.run(Duration::from_secs(40));
    assert!(net.all_equal());
    let arrivals = net.counters(1).arrivals;
    assert_eq!(
        (arrivals.announce, arrivals.hello, arrivals.poll),
        (0, 1, 0)
    );
}

#[test]
fn a_lost_announcement_is_made_up_for_by_a_poll_and_counted_as_such() {
    let mut net = Net::new(3, 2);
    net.nodes[0].poll = HOUR;
    net.nodes[1].poll = Duration::from_secs(2);
    net.start_all();
    net.run(Duration::from_secs(1));
    net.lose_next = 1;
    net.commit(0, 1);
    net.run(Duration::from_secs(5));
    assert!(net.all_equal());
    let arrivals = net.counters(1).arrivals;
    assert_eq!(
        (arrivals.announce, arrivals.hello, arrivals.poll),
        (0, 0, 1)
    );
}

#[test]
fn one_speaks_for_all_who_hold_the_same() {
    let mut net = mesh(4, 30);
    net.part(29, 1);
    net.commit(0, 1);
    net.run(Duration::from_secs(1));
    net.heal(false);
    net.count_anew();
    net.tell(29, Input::Asked(None));
    net.run(Duration::from_millis(200));
    assert!(net.all_equal());
    let hellos = net.count(Topic::Hello);
    // Those whose answers are on their way at the same time speak too.
    assert!((2..=8).contains(&hellos), "{hellos} hellos");
    assert_eq!(net.pulls.len(), 1);
}

#[test]
fn who_comes_learns_who_is_there_and_nothing_is_pulled() {
    let net = mesh(12, 10);
    for node in 0..10 {
        assert_eq!(net.peers(node).len(), 9);
    }
    assert_eq!(net.counters(9).pulls, 0);
}

#[test]
fn when_one_holder_does_not_answer_the_next_is_asked_at_once() {
    let mut net = mesh(5, 4);
    net.kill(3);
    net.commit(0, 1);
    net.run(Duration::from_secs(1));
    net.nodes[0].set.insert(2);
    net.nodes[1].set = net.nodes[0].set.clone();
    net.start(1);
    net.start(0);
    net.start(3);
    // Their hellos are out; the exchange that the last of them led to will meet a dead peer.
    net.run(Duration::from_millis(25));
    net.kill(0);
    net.run(Duration::from_millis(600));
    assert!(net.nodes[3].set.contains(&2), "{:?}", net.pulls);
}

#[test]
fn a_peer_that_fails_is_asked_less_and_less() {
    let mut net = mesh(6, 2);
    net.faults = Faults {
        failing: 100,
        ..Faults::NONE
    };
    net.nodes[0].withheld.insert(1);
    net.commit(0, 1);
    net.run(HOUR);
    let tries = net.pulls.len();
    assert!((10..=30).contains(&tries), "{tries} tries");
    let view = net.peers(1);
    let failing = view.first().expect("a peer");
    assert_eq!(failing.error.as_deref(), Some("cut off"));
    assert!(failing.retry.is_some() || failing.pulling.is_some());
    assert!(failing.failures > 8);
    assert_eq!(net.counters(1).failed, u64::from(failing.failures));
}

#[test]
fn a_peer_from_which_nothing_may_be_had_is_left_alone_until_a_side_changes() {
    let mut net = mesh(7, 2);
    net.nodes[0].withheld.extend(0..100);
    net.commit(0, 1);
    net.run(HOUR);
    assert_eq!(net.pulls.len(), 1);
    assert_eq!(net.counters(1).fruitless, 1);
    net.commit(0, 2);
    net.run(HOUR);
    assert_eq!(net.pulls.len(), 2);
    net.tell(1, Input::Asked(None));
    net.run(HOUR);
    assert_eq!(net.pulls.len(), 3, "a person may insist");
}

#[test]
fn a_peer_that_leaves_during_an_exchange_is_forgotten_at_its_end() {
    let mut net = mesh(15, 2);
    net.commit(0, 1);
    // Its announcement has arrived, and the exchange has begun.
    while net.pulls.is_empty() {
        net.run(Duration::from_millis(1));
    }
    net.tell(0, Input::Closed(project()));
    net.run(Duration::from_secs(5));
    assert!(net.peers(1).is_empty(), "{:?}", net.peers(1));
}

#[test]
fn a_pause_holds_everything_and_its_end_makes_up_for_it() {
    let mut net = mesh(8, 3);
    net.tell(1, Input::Paused(project()));
    net.commit(0, 1);
    net.commit(1, 2);
    net.run(Duration::from_secs(100));
    assert!(net.published.iter().all(|it| it.from != 1));
    assert!(
        net.pulls
            .iter()
            .all(|(node, source)| *node != 1 && *source != Source::Peer(peer(1)))
    );
    assert!(!net.all_equal());
    net.tell(1, Input::Resumed(project()));
    net.run(Duration::from_secs(1));
    assert!(net.all_equal());
}

#[test]
fn during_a_pause_a_person_may_still_ask() {
    let mut net = mesh(13, 2);
    net.tell(1, Input::Paused(project()));
    net.commit(0, 1);
    net.commit(1, 2);
    net.run(Duration::from_secs(1));
    assert!(!net.nodes[1].set.contains(&1));
    net.tell(1, Input::Asked(None));
    net.run(Duration::from_secs(1));
    assert!(net.nodes[1].set.contains(&1));
    assert!(!net.nodes[0].set.contains(&2), "nothing is told");
    assert_eq!(net.counters(1).arrivals.person, 1);
}

#[test]
fn who_comes_in_a_pause_says_nothing_and_pulls_nothing() {
    let mut net = Net::new(14, 2);
    net.nodes[1].paused = true;
    net.start_all();
    net.commit(0, 1);
    net.run(Duration::from_secs(100));
    assert!(net.published.iter().all(|it| it.from != 1));
    assert_eq!(net.pulls, []);
    net.tell(1, Input::Resumed(project()));
    net.run(Duration::from_secs(1));
    assert!(net.all_equal());
}

#[test]
fn without_a_bus_nothing_is_sent_and_with_it_all_is_made_up_for() {
    let mut net = mesh(9, 2);
    net.tell(1, Input::Disconnected);
    net.part(1, 1);
    net.commit(0, 1);
    net.commit(1, 2);
    net.run(Duration::from_secs(300));
    assert!(net.published.iter().all(|it| it.from != 1));
    assert_eq!(net.peers(1), [], "peers not heard for long are forgotten");
    net.heal(true);
    net.run(Duration::from_secs(1));
    assert!(net.all_equal());
}

#[test]
fn a_peer_that_leaves_says_so_and_is_forgotten() {
    let mut net = mesh(10, 2);
    assert_eq!(net.peers(0).len(), 1);
    net.tell(1, Input::Closed(project()));
    net.run(Duration::from_millis(10));
    assert_eq!(net.peers(0), []);
    net.start(1);
    net.run(Duration::from_millis(100));
    assert_eq!(net.peers(0).len(), 1);
    net.tell(0, Input::Lost(peer(1)));
    assert_eq!(net.peers(0), []);
}

#[test]
fn holders_that_say_nothing_are_polled_and_given_what_is_new() {
    let mut net = Net::new(11, 2);
    net.mute = Some([1, 2].into());
    net.nodes[0].open = true;
    net.start_all();
    net.run(Duration::from_secs(1));
    assert!(net.all_equal(), "what it held came, and was announced");
    net.commit(1, 3);
    net.run(Duration::from_secs(1));
    assert_eq!(
        net.mute.as_ref(),
        Some(&net.nodes[1].set),
        "what is new went there"
    );
    net.mute.as_mut().expect("the holder").insert(4);
    net.run(Duration::from_secs(8));
    assert!(net.all_equal(), "a poll found what is new there");
}
