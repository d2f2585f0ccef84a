//! Whatever the bus does, all hold the same in the end, and then there is silence.

use std::time::Duration;

use edgesync_replica::Topic;

use crate::net::{Faults, Net};

const SEEDS: u64 = 100;

/// A mesh in which everything goes wrong for two minutes, and then nothing.
fn storm(seed: u64) -> Net {
    let count = 2 + usize::try_from(seed % 5).expect("a small number");
    let mut net = Net::new(seed, count);
    net.start_all();
    net.faults = Faults::MANY;
    for member in 0..120 {
        let node = net.dice.pick(count);
        match net.dice.below(12) {
            0 => net.kill(node),
            1 => net.start(node),
            2 => {
                let part = net.dice.pick(2);
                net.part(node, part);
            }
            3 => net.heal(seed.is_multiple_of(2)),
            _ => net.commit(node, member),
        }
        let pause = net.dice.below(2000);
        net.run(Duration::from_millis(pause));
    }
    net.faults = Faults::NONE;
    net.heal(seed.is_multiple_of(2));
    net.start_all();
    net
}

#[test]
fn a_mesh_converges_after_loss_doubling_reordering_parting_and_restarts() {
    for seed in 0..SEEDS {
        let mut net = storm(seed);
        net.run(Duration::from_secs(60));
        assert!(net.all_equal(), "seed {seed} did not converge");
    }
}

#[test]
fn a_mesh_converges_without_restarts_at_its_end_too() {
    for seed in 0..SEEDS {
        let mut net = Net::new(seed, 4);
        net.start_all();
        net.faults = Faults::MANY;
        for member in 0..40 {
            let node = net.dice.pick(4);
            net.commit(node, member);
            let pause = net.dice.below(1000);
            net.run(Duration::from_millis(pause));
        }
        net.faults = Faults::NONE;
        // Longer than the waits that failures had led to.
        net.run(Duration::from_secs(400));
        assert!(net.all_equal(), "seed {seed} did not converge");
    }
}

#[test]
fn a_mesh_converges_under_lasting_faults() {
    for seed in 0..SEEDS / 10 {
        let mut net = storm(seed);
        net.faults = Faults::MANY;
        net.run(Duration::from_secs(1800));
        assert!(net.all_equal(), "seed {seed} did not converge");
    }
}

#[test]
fn a_mesh_of_equal_sets_sends_nothing_but_hellos() {
    for seed in 0..SEEDS / 10 {
        let mut net = storm(seed);
        net.run(Duration::from_secs(60));
        net.count_anew();
        net.run(Duration::from_secs(600));
        assert_eq!(
            (net.count(Topic::Commit), net.pulls.len()),
            (0, 0),
            "seed {seed}"
        );
        // One poll in five seconds, give or take a quarter, and nobody answers one.
        let most = net.nodes.len() * 600 * 4 / 15 + net.nodes.len();
        assert!((1..=most).contains(&net.count(Topic::Hello)), "seed {seed}");
    }
}

#[test]
fn a_row_of_agents_carries_a_change_to_its_end() {
    for seed in 0..SEEDS / 10 {
        let mut net = Net::new(seed, 5);
        net.row = true;
        net.nodes
            .iter_mut()
            .for_each(|node| node.poll = Duration::from_secs(3600));
        net.start_all();
        net.run(Duration::from_secs(1));
        net.commit(0, 7);
        net.run(Duration::from_secs(1));
        assert!(net.all_equal(), "seed {seed}");
        assert_eq!(net.counters(4).arrivals.announce, 1);
    }
}
