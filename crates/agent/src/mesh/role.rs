//! What each role listens on and dials.

use natsd::Listeners;

use super::MeshConfig;
use super::join::{JoinUrl, Way};
use crate::api::Role;

/// Returns where a server in this role listens. What two roles have in common they ask for in the same words, so that it is not touched when
/// the role changes.
pub(super) fn listeners(role: Role, config: &MeshConfig) -> Listeners {
    let accepts = role != Role::Leaf;
    Listeners {
        clients: Some(config.nats_listen),
        leaves: accepts.then_some(config.leaf_listen),
        routes: accepts.then_some(config.route_listen),
    }
}

/// Returns why a server in this role does not dial an address, `None` when it does.
pub(super) fn unused(role: Role, url: &JoinUrl) -> Option<&'static str> {
    match (role, url.way()) {
        (Role::Hub, Way::Leaf) => {
            Some("a hub is nobody's leaf; it joins other hubs by nats-route://")
        }
        (Role::Leaf, Way::Route) => {
            Some("a leaf is no member of a cluster; it joins by nats-leaf://")
        }
        _ => None,
    }
}

/// Whether a server in this role dials a member in that one by itself. Of two peers, and of two hubs, both dial: which of the two can reach the
/// other is known before to neither.
pub(super) fn dials_member(role: Role, member: Role) -> bool {
    match role {
        Role::Leaf | Role::Peer => member != Role::Leaf,
        Role::Hub => member == Role::Hub,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_accepts_nobody_and_the_others_accept_all() {
        let config = MeshConfig::default();
        for (role, accepts) in [(Role::Peer, true), (Role::Hub, true), (Role::Leaf, false)] {
            let listeners = listeners(role, &config);
            assert!(listeners.clients.is_some());
            assert_eq!(listeners.leaves.is_some(), accepts);
            assert_eq!(listeners.routes.is_some(), accepts);
        }
    }

    #[test]
    fn each_role_dials_what_the_table_says() {
        let leaf: JoinUrl = "nats-leaf://h:1".parse().expect("a URL");
        let route: JoinUrl = "nats-route://h:1".parse().expect("a URL");
        let dials = |role| {
            [
                unused(role, &leaf).is_none(),
                unused(role, &route).is_none(),
            ]
        };
        assert_eq!(dials(Role::Peer), [true, true]);
        assert_eq!(dials(Role::Hub), [false, true]);
        assert_eq!(dials(Role::Leaf), [true, false]);
        // Over the tunnel each dials in its own way.
        let tunnel: JoinUrl = format!("iroh:{}", "07".repeat(32)).parse().expect("an id");
        for role in [Role::Peer, Role::Hub, Role::Leaf] {
            assert_eq!(unused(role, &tunnel), None);
        }
    }

    #[test]
    fn of_each_two_members_that_can_have_a_link_one_dials() {
        for (one, other, link) in [
            (Role::Peer, Role::Peer, true),
            (Role::Peer, Role::Hub, true),
            (Role::Peer, Role::Leaf, true),
            (Role::Hub, Role::Hub, true),
            (Role::Hub, Role::Leaf, true),
            (Role::Leaf, Role::Leaf, false),
        ] {
            assert_eq!(dials_member(one, other) || dials_member(other, one), link);
        }
        assert!(!dials_member(Role::Hub, Role::Peer) && !dials_member(Role::Peer, Role::Leaf));
    }
}
