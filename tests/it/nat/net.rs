//! Two laptops, each behind a router with NAT, and a public machine that both reach, with a relay.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;

use iroh_relay::server::{
    CertConfig, QuicConfig, RelayConfig, Server, ServerConfig as RelayServerConfig, TlsConfig,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::oneshot;

use crate::machines::{command, enter, ip, on};
use crate::mesh::run;

/// Makes the machines and the wires between them.
pub(crate) const BUILD: &str = r#"
ip netns add public
ip -n public link set lo up
ip -n public link add net type bridge
ip -n public address add 198.51.100.1/24 dev net
ip -n public link set net up
for x in a b; do
  case $x in a) n=1 ;; b) n=2 ;; esac
  ip netns add $x
  ip netns add router-$x
  ip -n $x link set lo up
  ip -n router-$x link set lo up
  ip link add wan netns router-$x type veth peer name to-$x netns public
  ip -n public link set to-$x master net up
  ip -n router-$x address add 198.51.100.1$n/24 dev wan
  ip -n router-$x link set wan up
  ip link add lan netns router-$x type veth peer name eth netns $x
  ip -n router-$x address add 10.77.$n.1/24 dev lan
  ip -n router-$x link set lan up
  ip -n $x address add 10.77.$n.2/24 dev eth
  ip -n $x link set eth up
  ip -n $x route add default via 10.77.$n.1
  ip netns exec router-$x sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
done
"#;

/// How a router translates addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nat {
    /// Keeps the port of who speaks, so that all the world sees one address.
    Preserving,
    /// A port of its own for each address that is spoken to.
    Symmetric,
    /// Lets no UDP through.
    NoUdp,
}

/// Has the router of a laptop translate addresses in this way; what it knew is forgotten.
pub(crate) fn set_nat(laptop: &str, nat: Nat) {
    let (masquerade, refusal) = match nat {
        Nat::Preserving => ("masquerade", ""),
        Nat::Symmetric => ("masquerade random,fully-random", ""),
        Nat::NoUdp => ("masquerade", "meta l4proto udp drop"),
    };
    // Who was not asked is dropped without an answer. A refusal would take the port that the laptop is about to use.
    let nat = format!(
        "flush ruleset
        table ip nat {{
          chain out {{ type nat hook postrouting priority 100; oifname \"wan\" {masquerade}; }}
        }}
        table ip filter {{
          chain through {{
            type filter hook forward priority 0; policy drop;
            {refusal}
            ct state invalid drop
            ct state established,related accept
            iifname \"lan\" accept
          }}
          chain in {{
            type filter hook input priority 0;
            ct state established,related accept
            iifname \"wan\" drop
          }}
        }}\n"
    );
    rules(laptop, &nat);
}

/// Has the router of a laptop follow these rules.
fn rules(laptop: &str, rules: &str) {
    on(&format!("router-{laptop}"), || {
        let mut nft = command("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nft runs (package nftables)");
        let mut input = nft.stdin.take().expect("its input");
        input.write_all(rules.as_bytes()).expect("written");
        drop(input);
        assert!(nft.wait().expect("it ends").success(), "{rules}");
    });
}

/// Switches a router off and on: what it knew of connections is forgotten, nobody is told, and what it did not see begin it drops.
pub(crate) fn restart_router(laptop: &str) {
    let router = format!("router-{laptop}");
    on(&router, || {
        let loose = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose";
        std::fs::write(loose, "0").expect("it is strict");
    });
    ip(&router, "link set wan down");
    ip(&router, "link set wan up");
}

/// Puts the router of a laptop behind another one, of its carrier, which translates in this way.
pub(crate) fn behind_carrier(laptop: &str, nat: Nat) {
    let (router, end) = (format!("router-{laptop}"), format!("to-{laptop}"));
    run(command("ip").args(["netns", "add", "router-carrier"]));
    ip("router-carrier", "link set lo up");
    ip("public", &format!("link set {end} down"));
    ip(
        "public",
        &format!("link set {end} nomaster netns router-carrier name lan"),
    );
    ip("router-carrier", "address add 100.64.0.1/24 dev lan");
    ip("router-carrier", "link set lan up");
    ip(
        "router-carrier",
        "link add wan type veth peer name to-carrier netns public",
    );
    ip("public", "link set to-carrier master net up");
    ip("router-carrier", "address add 198.51.100.30/24 dev wan");
    ip("router-carrier", "link set wan up");
    ip(&router, "address flush dev wan");
    ip(&router, "address add 100.64.0.2/24 dev wan");
    ip(&router, "route add default via 100.64.0.1");
    on("router-carrier", || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("it forwards");
    });
    set_nat("carrier", nat);
}

/// Gives everybody IPv6, and the laptops nothing else. Their routers translate no address, and let in what was asked for.
pub(crate) fn take_ipv6_alone() {
    ip("public", "address add 2001:db8::1/64 dev net nodad");
    for (number, laptop) in ["a", "b"].into_iter().enumerate() {
        let (router, number) = (format!("router-{laptop}"), number + 1);
        ip(
            "public",
            &format!("route add 2001:db8:{number}::/64 via 2001:db8::1{number}"),
        );
        ip(
            &router,
            &format!("address add 2001:db8::1{number}/64 dev wan nodad"),
        );
        ip(
            &router,
            &format!("address add 2001:db8:{number}::1/64 dev lan nodad"),
        );
        ip(laptop, "-4 address flush dev eth");
        ip(
            laptop,
            &format!("address add 2001:db8:{number}::2/64 dev eth nodad"),
        );
        ip(
            laptop,
            &format!("route add default via 2001:db8:{number}::1"),
        );
        on(&router, || {
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("it forwards");
        });
        rules(
            laptop,
            "flush ruleset
            table ip6 filter {
              chain through {
                type filter hook forward priority 0; policy drop;
                ct state established,related accept
                iifname \"lan\" accept
              }
            }\n",
        );
    }
}

/// Who signs the relay's certificate, and the file in which agents find that.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// The certificate of the authority.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Starts the relay, with TLS and the service that tells endpoints how they look from outside.
    pub(crate) fn relay(&self) -> Relay {
        let params = CertificateParams::new([RELAY.to_string()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Relay::start(certificate, key)
    }
}

/// Where the relay is.
const RELAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The relay's address for agents.
pub(crate) const RELAY_URL: &str = "https://198.51.100.1";

/// A relay on a thread of its own. It goes like one that is killed: nobody is told.
pub(crate) struct Relay {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            enter("public");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let server = runtime.block_on(serve(&certificate, &key));
            up.send(()).expect("it is waited for");
            // An error means that nobody holds the relay any more.
            let _ = runtime.block_on(stopped);
            drop((server, runtime));
        });
        is_up.recv().expect("a relay");
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "the relay panicked");
    }
}

async fn serve(certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'static>) -> Server {
    let address = |port| SocketAddr::from((RELAY, port));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = || {
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.clone_key())
            .expect("a key that fits")
    };
    let mut last = String::new();
    for _ in 0..500 {
        let mut relay = RelayConfig::new(address(80));
        let manual = CertConfig::Manual {
            server_config: tls(),
        };
        relay.tls = Some(TlsConfig::new(address(443), manual));
        let mut config = RelayServerConfig::default();
        config.relay = Some(relay);
        config.quic = Some(QuicConfig::new(address(7842)));
        match Server::spawn(config).await {
            Ok(server) => return server,
            // The ports of one that was killed may take a moment to be free.
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no relay: {last}");
}
