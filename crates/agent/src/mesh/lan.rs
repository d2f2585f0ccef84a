//! Agents on the same network, found by multicast DNS (RFC 6762, with services as in RFC 6763); off unless somebody switches it on. An agent tells
//! its id, its role and where its tunnel listens, nothing else, and hears the same of others. Whom it trusts it looks for where they say that they
//! are. That proves nothing, because anybody on a network can say anything there: the tunnel looks at the key of who answers, and looks at no
//! address of another network.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use if_addrs::{IfAddr, Interface};
use mdns_sd::{DaemonEvent, IfKind, MDNS_PORT, ResolvedService, ScopedIp};
use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::tunnel::Tunnel;
use super::{Mesh, locked};
use crate::api::{Level, Role};
use crate::limits;
use crate::trust::EndpointId;

/// What agents are called among the services of a network.
const SERVICE: &str = "_edgesync._udp.local.";

/// The attribute that tells the role.
const ROLE: &str = "role";

/// The attribute that tells the UDP port of the tunnel by IPv6, where it is another one.
const PORT_V6: &str = "port6";

/// How often it is looked at what changes without a word, and at how much is kept of what was heard.
const LOOK: Duration = Duration::from_secs(10);

/// How long nothing is said or heard after it failed.
const PAUSE: Duration = Duration::from_secs(60);

/// Longest wait for the good-byes.
const FAREWELL: Duration = Duration::from_secs(1);

/// Nothing can be said or heard any more.
#[derive(Debug, thiserror::Error)]
enum LanError {
    #[error(transparent)]
    Mdns(#[from] mdns_sd::Error),
    #[error("more was said than anybody can keep")]
    Flooded,
}

/// An agent on the network, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) role: Role,
    pub(super) addresses: BTreeSet<SocketAddr>,
    /// It said good-bye, or has not been heard for long.
    pub(super) has_gone: bool,
}

/// What was heard on the network.
#[derive(Debug, Default)]
pub(super) struct Lan {
    heard: Mutex<BTreeMap<EndpointId, Near>>,
    stirred: Notify,
}

impl Lan {
    /// Has it looked again at who is trusted, and at what is told of this agent.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Returns where it is listened, by IPv4 and IPv6.
    pub(super) fn listens() -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], MDNS_PORT))
    }

    /// Returns those of them that are trusted.
    fn trusted(&self, trusts: impl Fn(&EndpointId) -> bool) -> BTreeMap<EndpointId, Near> {
        let heard = locked(&self.heard);
        let trusted = heard.iter().filter(|(id, _)| trusts(id));
        trusted.map(|(id, near)| (*id, near.clone())).collect()
    }

    /// Takes in what an agent says of itself. Of strangers no more than a few are kept, in case they are trusted soon.
    fn hear(&self, id: EndpointId, near: Near, trusts: impl Fn(&EndpointId) -> bool) {
        let mut heard = locked(&self.heard);
        if !heard.contains_key(&id) && heard.len() >= limits::LAN_AGENTS {
            let stranger = heard.keys().find(|it| !trusts(it)).copied();
            match stranger.filter(|_| trusts(&id)) {
                Some(stranger) => drop(heard.remove(&stranger)),
                None => return,
            }
        }
        heard.insert(id, near);
    }

    fn has_gone(&self, id: &EndpointId) {
        if let Some(near) = locked(&self.heard).get_mut(id) {
            near.has_gone = true;
        }
    }

    /// Forgets those that have gone, but for whom a link stands: that is more than a lost word.
    fn forget(&self, stands: impl Fn(&EndpointId) -> bool) {
        locked(&self.heard).retain(|id, near| !near.has_gone || stands(id));
    }
}

/// What this agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    role: Role,
    port: u16,
    port_v6: Option<u16>,
    /// Where the tunnel listens, if that is not wherever the machine is.
    addresses: Vec<IpAddr>,
    everywhere: [bool; 2],
}

impl Account {
    /// Returns what an agent says whose tunnel listens here; nothing when nobody else can reach it.
    fn of(role: Role, listens: &[SocketAddr]) -> Option<Self> {
        let open = || listens.iter().filter(|it| !it.ip().is_loopback());
        let [v4, v6] = [SocketAddr::is_ipv4, SocketAddr::is_ipv6]
            .map(|family| open().find(|it| family(it)).map(SocketAddr::port));
        let port = v4.or(v6)?;
        let everywhere = [SocketAddr::is_ipv4, SocketAddr::is_ipv6]
            .map(|family| open().any(|it| family(it) && it.ip().is_unspecified()));
        let named = open().map(SocketAddr::ip).filter(|it| !it.is_unspecified());
        Some(Self {
            role,
            port,
            port_v6: v6.filter(|it| *it != port),
            addresses: named.collect(),
            everywhere,
        })
    }

    /// Returns it as it is told of the agent with this id.
    fn service(&self, id: &EndpointId) -> Result<ServiceInfo, mdns_sd::Error> {
        let name = label(id);
        let port_v6 = self.port_v6.map(|port| port.to_string());
        let mut attributes = vec![(ROLE, self.role.as_str())];
        attributes.extend(port_v6.as_deref().map(|port| (PORT_V6, port)));
        let host = format!("{name}.local.");
        let (addresses, attributes) = (self.addresses.as_slice(), attributes.as_slice());
        let mut service =
            ServiceInfo::new(SERVICE, &name, &host, addresses, self.port, attributes)?;
        // Nobody else has this name but one that has the same key.
        service.set_requires_probe(false);
        let families = match self.everywhere {
            [true, true] => IfKind::All,
            [true, false] => IfKind::IPv4,
            [false, true] => IfKind::IPv6,
            [false, false] => return Ok(service),
        };
        if self.addresses.is_empty() {
            service.set_interfaces(vec![families]);
        }
        Ok(service.enable_addr_auto())
    }
}

/// Returns how an agent is called: its id, in letters and digits that fit into one part of a name.
fn label(id: &EndpointId) -> String {
    let label = BASE32_NOPAD.encode(id.as_bytes());
    label.to_ascii_lowercase()
}

/// Returns who is called so.
fn id_of(name: &str) -> Option<EndpointId> {
    let label = name.to_ascii_lowercase();
    let label = label.strip_suffix(SERVICE)?.strip_suffix('.')?;
    let bytes = BASE32_NOPAD.decode(label.to_ascii_uppercase().as_bytes());
    let bytes: [u8; 32] = bytes.ok()?.try_into().ok()?;
    Some(EndpointId::from(bytes))
}

/// Returns who says something of itself and what, as far as it is about the networks that this machine is in; nothing when that is nothing.
fn read(service: &ResolvedService, networks: &[Interface]) -> Option<(EndpointId, Near)> {
    let id = id_of(&service.fullname)?;
    let role = service.get_property_val_str(ROLE)?.parse().ok()?;
    let port_v6 = service.get_property_val_str(PORT_V6);
    let port_v6 = port_v6.map_or(Some(service.port), |port| port.parse().ok())?;
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, service.port),
        IpAddr::V6(_) => SocketAddr::new(ip, port_v6),
    };
    let told: BTreeSet<IpAddr> = service.addresses.iter().map(ScopedIp::to_ip_addr).collect();
    let addresses: BTreeSet<SocketAddr> = told
        .into_iter()
        .filter(|ip| networks.iter().any(|it| has(it, *ip)))
        .map(address)
        .filter(|address| address.port() > 0)
        .take(limits::LAN_ADDRESSES)
        .collect();
    let near = Near {
        role,
        addresses,
        has_gone: false,
    };
    (!near.addresses.is_empty()).then_some((id, near))
}

/// Whether an address is one of a single machine in the network of this interface. Those that count on one wire alone say nothing without it.
fn has(interface: &Interface, ip: IpAddr) -> bool {
    if interface.is_loopback() || ip.is_loopback() || ip.is_multicast() {
        return false;
    }
    match (&interface.addr, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let mask = own.netmask.to_bits();
            let alone = mask.count_ones() < 31 && [0, !mask].contains(&(ip.to_bits() & !mask));
            ip.to_bits() & mask == own.ip.to_bits() & mask && !alone
        }
        (IfAddr::V6(own), IpAddr::V6(ip)) => {
            let mask = own.netmask.to_bits();
            ip.to_bits() & mask == own.ip.to_bits() & mask && !ip.is_unicast_link_local()
        }
        _ => false,
    }
}

/// Returns how many records are kept of what was heard.
async fn kept(daemon: &ServiceDaemon) -> Result<i64, LanError> {
    let counted = daemon.get_metrics()?.recv_async().await;
    let counted = counted.map_err(|_| mdns_sd::Error::DaemonShutdown)?;
    let records = counted
        .iter()
        .filter(|(name, _)| name.starts_with("cached"));
    Ok(records.map(|(_, count)| *count).sum())
}

/// Has the network told that this agent says nothing more.
async fn end(daemon: &ServiceDaemon) {
    if let Ok(ended) = daemon.shutdown() {
        // Who hears no good-bye finds out by its silence.
        let _ = timeout(FAREWELL, ended.recv_async()).await;
    }
}

impl Mesh {
    /// Returns the trusted agents that are on the network, as they say.
    pub(super) fn near(&self) -> BTreeMap<EndpointId, Near> {
        let tunnel = self.tunnel.now();
        let lan = tunnel.as_ref().and_then(|it| it.lan());
        lan.map(|it| it.trusted(|id| self.parts.trust.register.knows(id)))
            .unwrap_or_default()
    }

    /// Tells the network of this agent, and joins those there whom it trusts, as long as its tunnel is open.
    pub(super) async fn watch_lan(self: Arc<Self>, tunnel: Arc<Tunnel>, lan: Arc<Lan>) {
        let mut told = None;
        loop {
            let daemon = ServiceDaemon::new();
            let ended = match &daemon {
                Ok(daemon) => tokio::select! {
                    () = tunnel.closing() => None,
                    ended = self.follow_lan(daemon, &tunnel, &lan) => ended.err(),
                },
                Err(error) => Some(LanError::Mdns(error.clone())),
            };
            if let Ok(daemon) = daemon {
                end(&daemon).await;
            }
            let Some(error) = ended else { return };
            let why = Some(error.to_string());
            if told != why {
                let words = format!("agents on this network are not found: {error}");
                self.parts.events.log(Level::Warn, None, words);
                told = why;
            }
            tokio::select! {
                () = tunnel.closing() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn follow_lan(
        self: &Arc<Self>,
        daemon: &ServiceDaemon,
        tunnel: &Tunnel,
        lan: &Lan,
    ) -> Result<Infallible, LanError> {
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        let (news, heard) = (daemon.monitor()?, daemon.browse(SERVICE)?);
        let own = self.parts.keys.id();
        let trusts = |id: &EndpointId| self.parts.trust.register.knows(id);
        let (mut account, mut near) = (None, BTreeMap::new());
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once.
        looks.tick().await;
        let mut silent = true;
        loop {
            let now = Account::of(locked(&self.role).0, &tunnel.listens());
            if account != now {
                match &now {
                    Some(now) => daemon.register(now.service(&own)?)?,
                    None => drop(daemon.unregister(&format!("{}.{SERVICE}", label(&own)))?),
                }
                account = now;
            }
            let now = lan.trusted(trusts);
            if near != now {
                near = now;
                self.dial_again().await;
            }
            tokio::select! {
                event = heard.recv_async() => match event {
                    Ok(ServiceEvent::ServiceResolved(service)) => {
                        let networks = if_addrs::get_if_addrs().unwrap_or_default();
                        if let Some((id, near)) = read(&service, &networks).filter(|(id, _)| *id != own) {
                            lan.hear(id, near, trusts);
                        }
                    }
                    Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                        if let Some(id) = id_of(&name) {
                            lan.has_gone(&id);
                        }
                    }
                    Ok(_) => {}
                    // It ends when more came than could be read.
                    Err(_) => return Err(LanError::Flooded),
                },
                event = news.recv_async() => match event {
                    Ok(DaemonEvent::Announce(..)) => silent = false,
                    Ok(_) => {}
                    Err(_) => return Err(LanError::Mdns(mdns_sd::Error::DaemonShutdown)),
                },
                () = lan.stirred.notified() => {}
                _ = looks.tick() => {
                    if kept(daemon).await? > limits::LAN_RECORDS {
                        return Err(LanError::Flooded);
                    }
                    if silent && account.is_some() {
                        let words = "no network is told of this agent: there is none, or another program has UDP port 5353 for itself";
                        self.parts.events.log(Level::Warn, None, words);
                    }
                    // Said once.
                    silent = false;
                    lan.forget(|id| self.dialler.stands(id));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn id(seed: u8) -> EndpointId {
        EndpointId::from([seed; 32])
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let addresses = texts.iter().map(|text| text.parse().expect("an address"));
        addresses.collect()
    }

    /// The networks 192.168.1.0/24 and `fd00::/64`.
    fn networks() -> Vec<Interface> {
        let v4 = IfAddr::V4(Ifv4Addr {
            ip: Ipv4Addr::new(192, 168, 1, 7),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            prefixlen: 24,
            broadcast: None,
        });
        let v6 = IfAddr::V6(Ifv6Addr {
            ip: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7),
            netmask: Ipv6Addr::from_bits(u128::MAX << 64),
            prefixlen: 64,
            broadcast: None,
        });
        let interface = |addr| Interface {
            name: "eth".to_owned(),
            addr,
            index: Some(2),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
        };
        vec![interface(v4), interface(v6)]
    }

    fn service(name: &str, ips: &str, port: u16, attributes: &[(&str, &str)]) -> ResolvedService {
        let service = ServiceInfo::new(SERVICE, name, "h.local.", ips, port, attributes);
        service.expect("a service").as_resolved_service()
    }

    fn heard(service: &ResolvedService) -> Option<Vec<SocketAddr>> {
        let (_, near) = read(service, &networks())?;
        Some(near.addresses.into_iter().collect())
    }

    #[test]
    fn what_an_agent_says_of_itself_is_read_by_the_others() {
        let listens = addresses(&["192.168.1.9:7000", "[fd00::9]:7001", "127.0.0.1:7002"]);
        let account = Account::of(Role::Hub, &listens).expect("reachable");
        let told = account.service(&id(9)).expect("a service");
        let (who, near) = read(&told.as_resolved_service(), &networks()).expect("heard");
        assert_eq!((who, near.role), (id(9), Role::Hub));
        assert_eq!(Vec::from_iter(near.addresses), listens[..2]);
        let open = Account::of(Role::Leaf, &addresses(&["0.0.0.0:7000", "[::]:7000"]));
        let told = open.expect("reachable").service(&id(9)).expect("a service");
        assert!(told.is_addr_auto() && told.get_port() == 7000);
        assert_eq!(told.get_property_val_str(PORT_V6), None);
        // Nobody else can reach it.
        assert_eq!(
            Account::of(Role::Peer, &addresses(&["127.0.0.1:7000"])),
            None
        );
    }

    #[test]
    fn only_single_machines_of_this_ones_networks_are_heard() {
        let role = [(ROLE, "peer")];
        let name = label(&id(9));
        for (ips, counts) in [
            ("192.168.1.9", true),
            ("fd00::9", true),
            ("192.168.2.9", false),
            ("203.0.113.9", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("192.168.1.0", false),
            ("192.168.1.255", false),
            ("224.0.0.251", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("fe80::9", false),
            ("ff02::fb", false),
            ("2001:db8::9", false),
        ] {
            let heard = heard(&service(&name, ips, 7000, &role));
            assert_eq!(heard.is_some(), counts, "{ips}");
        }
        let mixed = service(&name, "203.0.113.9,192.168.1.9", 7000, &role);
        assert_eq!(heard(&mixed), Some(addresses(&["192.168.1.9:7000"])));
        let many: Vec<String> = (10..100).map(|it| format!("192.168.1.{it}")).collect();
        let many = heard(&service(&name, &many.join(","), 7000, &role)).expect("heard");
        assert_eq!(many.len(), limits::LAN_ADDRESSES);
    }

    #[test]
    fn what_no_agent_says_counts_for_nothing() {
        let name = label(&id(9));
        let at = "192.168.1.9";
        let role = (ROLE, "peer");
        assert!(heard(&service(&name.to_ascii_uppercase(), at, 7000, &[role])).is_some());
        for (name, port, attributes) in [
            (name.as_str(), 0, &[role][..]),
            (&name, 7000, &[]),
            (&name, 7000, &[(ROLE, "king")]),
            (&name, 7000, &[role, (PORT_V6, "x")]),
            (&name, 7000, &[role, (PORT_V6, "70000")]),
            (&name[1..], 7000, &[role]),
            ("a printer (2)", 7000, &[role]),
            ("", 7000, &[role]),
        ] {
            let refused = heard(&service(name, at, port, attributes));
            assert_eq!(refused, None, "{name} {port} {attributes:?}");
        }
        for name in ["", ".", SERVICE, "x", "\u{e9}._edgesync._udp.local."] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_crowd_of_strangers_takes_no_place_from_who_is_trusted() {
        let lan = Lan::default();
        let near = Near {
            role: Role::Peer,
            addresses: BTreeSet::new(),
            has_gone: false,
        };
        let trusts = |it: &EndpointId| *it == id(255);
        for seed in 0..200 {
            lan.hear(id(seed), near.clone(), trusts);
        }
        assert_eq!(locked(&lan.heard).len(), limits::LAN_AGENTS);
        lan.hear(id(255), near.clone(), trusts);
        assert_eq!(lan.trusted(trusts), [(id(255), near)].into());
        assert_eq!(locked(&lan.heard).len(), limits::LAN_AGENTS);
    }

    #[test]
    fn who_has_gone_is_remembered_as_long_as_a_link_stands() {
        let lan = Lan::default();
        let near = Near {
            role: Role::Peer,
            addresses: BTreeSet::new(),
            has_gone: false,
        };
        for seed in [1, 2, 3] {
            lan.hear(id(seed), near.clone(), |_| true);
        }
        lan.has_gone(&id(1));
        lan.has_gone(&id(2));
        lan.forget(|it| *it == id(2));
        let left = lan.trusted(|_| true);
        let left: Vec<_> = left.iter().map(|(id, near)| (*id, near.has_gone)).collect();
        assert_eq!(left, [(id(2), true), (id(3), false)]);
    }
}
