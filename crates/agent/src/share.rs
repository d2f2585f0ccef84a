//! How many of a listener's connections one address may hold, so that a single stranger who opens many and says little does not
//! keep all others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections that each address holds.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    most: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's part of its address's share; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Option<(Shares, IpAddr)>,
}

impl Shares {
    /// Allows each address `most` connections at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
        }
    }

    /// Counts a connection of `peer`; `None` when it holds its share already. This machine is not counted: a proxy in front
    /// of the agent brings everybody's connections.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Share> {
        let network = network(peer);
        if network.is_loopback() {
            return Some(Share { of: None });
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            of: Some((self.clone(), network)),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((shares, network)) = self.of.take() else {
            return;
        };
        let mut held = shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&network);
            }
        }
    }
}

/// Returns what counts as one address: of IPv6 the first 64 bits, which is what a single subscriber is given.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_leaves_room_for_others_and_gets_its_share_back() {
        let shares = Shares::new(2);
        let stranger = address("192.0.2.1");
        let first = shares.take(stranger).expect("within the share");
        let _second = shares.take(stranger).expect("within the share");
        assert!(shares.take(stranger).is_none());
        assert!(shares.take(address("::ffff:192.0.2.1")).is_none());
        assert!(shares.take(address("192.0.2.2")).is_some());
        drop(first);
        assert!(shares.take(stranger).is_some());
    }

    #[test]
    fn neighbours_in_a_subscribers_network_are_one() {
        let shares = Shares::new(1);
        let _held = shares
            .take(address("2001:db8::1"))
            .expect("within the share");
        assert!(shares.take(address("2001:db8::2")).is_none());
        assert!(shares.take(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn this_machine_is_not_counted_and_nothing_is_kept_of_who_left() {
        let shares = Shares::new(1);
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let _held = shares.take(address(here)).expect("not counted");
            assert!(shares.take(address(here)).is_some(), "{here}");
        }
        drop(shares.take(address("192.0.2.1")));
        assert!(shares.held.lock().expect("not poisoned").is_empty());
    }
}
